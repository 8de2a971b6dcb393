//! Who runs when.
//!
//! Each CPU has its own clock. The CPU with the lowest clock runs until it is a quantum ahead of the next
//! one, spins, waits for other CPUs, or has no task. Everything that CPUs can see of each other passes one of
//! three doors, before it happens: [`SimMachine::point`] (shared words, flushes, parking, user loads and
//! stores), `relax` (a spin loop), and the CPU's own waiting in `flush` and `park`. What happens between two
//! points is one step for all other CPUs.

use crate::cpu::{Activity, Asks, Cpu, Interrupt, Task, TaskState};
use crate::explore::{Driver, Thing, Touch};
use crate::fiber;
use crate::report::{Cause, Counts};
use crate::violation::Rule;
use crate::{SimError, SimMachine};
use machine::{CpuId, Event, FlushScope, TaskId, Word};
use std::sync::atomic::Ordering::Relaxed;

/// How many turns a spin loop gets where nobody else can run.
const HOPELESS_TURNS: u32 = 1 << 20;
/// How many turns the destructors of a panicking task spin before the word they wait for is cleared.
const PANIC_TURNS: u32 = 1000;
/// How often every spin loop is tried again before the machine counts as deadlocked.
const STALE_ROUNDS: u32 = 3;

impl SimMachine {
    /// A point at which another CPU may run first. Answers whether the run is an explored one, whose steps
    /// note what they touch.
    #[inline]
    pub(crate) fn point(&self, cpu: CpuId) -> bool {
        debug_assert!(
            cpu.0 == self.current.get() || !self.running.get(),
            "an operation of a CPU that is not running"
        );
        self.now.get() >= self.limit.get() && self.switch_point()
    }

    #[cold]
    fn switch_point(&self) -> bool {
        if self.exploring.get() && !self.cannot_block() {
            self.explored_point();
            return true;
        }
        self.timed_point();
        false
    }

    fn timed_point(&self) {
        if !self.running.get() || std::thread::panicking() {
            self.limit.set(u64::MAX);
            return;
        }
        self.take_interrupts();
        let ahead = self.now.get() >= self.soonest_other().saturating_add(self.quantum);
        if ahead || self.now.get() > self.run_ns_max {
            fiber::leave();
        } else {
            self.set_limit(self.soonest_other());
        }
    }

    /// The earliest moment at which another CPU, or the device, has something to do.
    fn soonest_other(&self) -> u64 {
        let current = self.current.get() as usize;
        let (before, after) = (&self.next[..current], &self.next[current + 1..]);
        let least =
            |slice: &[std::cell::Cell<u64>]| slice.iter().fold(u64::MAX, |least, n| least.min(n.get()));
        least(before).min(least(after))
    }

    fn set_limit(&self, other: u64) {
        let quantum = match self.jitter.get() {
            0 => self.quantum,
            seed => {
                let next = crate::synthetic::mix(seed);
                self.jitter.set(next.max(1));
                self.quantum / 2 + next % self.quantum
            }
        };
        let limit = other.saturating_add(quantum).min(self.here().interrupt_at());
        self.limit.set(limit.min(self.run_ns_max.saturating_add(1)));
    }

    /// Another CPU has something to do from `at` on.
    pub(crate) fn lower_limit(&self, at: u64) {
        self.limit.set(self.limit.get().min(at.saturating_add(self.quantum)));
    }

    // ---- tasks ----

    /// Makes a task ready to run on its CPU from `at` on.
    pub(crate) fn make_ready(&self, task: TaskId, at: u64, state: TaskState) {
        let woken_by = self.event();
        let cpu = {
            let mut tasks = self.tasks.borrow_mut();
            let Some(slot) = tasks.get_mut(task.0 as usize) else { return };
            slot.state = state;
            slot.woken_by = woken_by;
            slot.cpu
        };
        self.touch(Thing::ready(cpu), Touch::Write);
        let at = if self.exploring.get() { 0 } else { at };
        let sequence = self.next_sequence();
        self.cpus[cpu as usize].ready.borrow_mut().insert((at, sequence, task));
        self.refresh(cpu);
    }

    /// Computes anew when a CPU has something to do.
    pub(crate) fn refresh(&self, cpu: u32) {
        if cpu == self.current.get() && self.running.get() {
            return;
        }
        let next = self.cpus[cpu as usize].next();
        self.next[cpu as usize].set(next);
        if next != u64::MAX {
            self.lower_limit(next);
        }
    }

    /// The running task lets its CPU go and leaves until it is chosen again; `what` says why. Who calls this
    /// has said in the task's state who will make it ready, or made it so.
    pub(crate) fn block(&self, task: TaskId, what: &'static str) {
        self.tasks.borrow_mut()[task.0 as usize].what = what;
        let cpu = self.here();
        self.tell(|| Event::TaskStops);
        cpu.task.set(None);
        cpu.activity.set(Activity::Idle);
        fiber::leave();
    }

    /// Blocks in a state in which somebody has to wake the task.
    pub(crate) fn block_in(&self, task: TaskId, state: TaskState, what: &'static str) {
        self.tasks.borrow_mut()[task.0 as usize].state = state;
        self.block(task, what);
    }

    /// Sleeps until `at`; other tasks may have the CPU.
    pub(crate) fn sleep(&self, task: TaskId, at: u64, what: &'static str) {
        if self.cannot_block() {
            return self.advance(Cause::Idle, at);
        }
        self.make_ready(task, at, TaskState::Sleeping);
        self.block(task, what);
    }

    /// Whether the caller is no task that could wait: machine set-up, checkers, or destructors of a panicking
    /// task.
    pub(crate) fn cannot_block(&self) -> bool {
        !self.running.get() || std::thread::panicking()
    }

    // ---- spinning ----

    /// One turn of a spin loop: waits until somebody writes the word.
    pub(crate) fn spin(&self, word: &Word) {
        self.tick(Cause::Spin, self.costs.spin_turn);
        Counts::add(&self.counts.spins, 1);
        if self.cannot_block() {
            return self.spin_alone(word);
        }
        // RELAXED: one host thread runs all CPUs.
        let seen = word.raw().load(Relaxed);
        let cpu = self.here();
        cpu.activity.set(Activity::Spinning { word: self.spin_key(word), seen });
        self.spinners.set(self.spinners.get() + 1);
        fiber::leave();
    }

    fn spin_key(&self, word: &Word) -> u64 {
        self.number(word)
    }

    /// Nobody else runs, so nobody will write the word.
    fn spin_alone(&self, word: &Word) {
        let turns = self.stale_rounds.get() + 1;
        self.stale_rounds.set(turns);
        if std::thread::panicking() {
            if turns > PANIC_TURNS {
                // RELAXED: as above. The machine is lost; let the panicking task's destructors come to an
                // end.
                word.raw().store(0, Relaxed);
                self.stale_rounds.set(0);
            }
            return;
        }
        assert!(turns < HOPELESS_TURNS, "a spin loop outside of a run waits for a word nobody will write");
    }

    /// Somebody wrote a word that CPUs may be spinning on.
    #[cold]
    pub(crate) fn written(&self, word: &Word) {
        let key = self.spin_key(word);
        for (index, cpu) in self.cpus.iter().enumerate() {
            if matches!(cpu.activity.get(), Activity::Spinning { word, .. } if word == key) {
                self.stop_spinning(index as u32, self.now.get());
            }
        }
    }

    fn stop_spinning(&self, index: u32, at: u64) {
        let cpu = &self.cpus[index as usize];
        let waited = at.saturating_sub(cpu.clock.get());
        cpu.clock.set(cpu.clock.get() + waited);
        self.ledger.book(Cause::Spin, waited);
        cpu.activity.set(Activity::Running);
        self.spinners.set(self.spinners.get() - 1);
        self.stale_rounds.set(0);
        self.refresh(index);
    }

    // ---- the loop ----

    /// Runs until no task is left.
    pub(crate) fn run_tasks(&self) -> Result<(), SimError> {
        let boot = self.current.get();
        self.cpus[boot as usize].clock.set(self.now.get());
        self.running.set(true);
        let result = self.run_by_plan_or_clocks();
        self.running.set(false);
        self.limit.set(u64::MAX);
        self.current.set(0);
        self.now.set(self.cpus[0].clock.get());
        result
    }

    fn run_by_plan_or_clocks(&self) -> Result<(), SimError> {
        let buffered = self.driver.borrow().as_ref().map(Driver::is_buffered);
        let Some(buffered) = buffered else { return self.run_loop() };
        self.exploring.set(true);
        self.buffered.set(buffered);
        let result = self.run_explored();
        self.exploring.set(false);
        self.buffered.set(false);
        result
    }

    fn run_loop(&self) -> Result<(), SimError> {
        for cpu in 0..self.cpus.len() {
            self.next[cpu].set(self.cpus[cpu].next());
        }
        self.stale_rounds.set(0);
        self.refresh_device();
        while self.live_tasks.get() != 0 || self.device.is_busy() {
            if self.stopped.borrow().is_some() {
                break;
            }
            match self.choose() {
                Some((cpu, _)) if self.next[cpu as usize].get() > self.run_ns_max => {
                    let at_ns = self.next[cpu as usize].get();
                    return Err(SimError::TooLong { at_ns, waits: self.waits() });
                }
                Some((cpu, _)) if cpu as usize == self.cpus.len() => self.make_due(),
                Some((cpu, other)) => self.step(cpu, other),
                None if self.try_spinners_again() => {}
                None => return Err(self.deadlock()),
            }
        }
        match self.stopped.borrow_mut().take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// The CPU with the lowest clock (the lowest number among equals; the device is after the last), and the
    /// next lowest clock.
    fn choose(&self) -> Option<(u32, u64)> {
        let (mut chosen, mut least, mut other) = (None, u64::MAX, u64::MAX);
        for (cpu, next) in self.next.iter().enumerate() {
            let next = next.get();
            if next < least {
                other = least;
                (chosen, least) = (Some(cpu as u32), next);
            } else if next < other {
                other = next;
            }
        }
        chosen.map(|cpu| (cpu, other))
    }

    /// Lets one CPU go on.
    fn step(&self, index: u32, other: u64) {
        let cpu = &self.cpus[index as usize];
        self.current.set(index);
        self.now.set(cpu.clock.get());
        let interrupted = self.take_interrupts();
        match cpu.activity.get() {
            Activity::Idle => self.dispatch(cpu, other),
            Activity::Spinning { .. } if !interrupted => self.await_interrupt(cpu, Cause::Spin),
            Activity::Asking if !interrupted => self.await_interrupt(cpu, Cause::IpiWait),
            _ => {}
        }
        if cpu.activity.get() == Activity::Running {
            // An interrupt just taken may have let the CPU that asked go on.
            self.set_limit(if interrupted { self.soonest_other() } else { other });
            self.resume(cpu);
        }
        cpu.clock.set(self.now.get());
        self.next[index as usize].set(cpu.next());
    }

    /// Lets a CPU that waits take the interrupt for which it was chosen.
    fn await_interrupt(&self, cpu: &Cpu, cause: Cause) {
        let at = cpu.interrupt_at();
        if at != u64::MAX {
            self.advance(cause, at);
            self.take_interrupts();
        }
    }

    /// Gives an idle CPU the task that has been ready longest; interrupts that come before it are taken
    /// first.
    fn dispatch(&self, cpu: &Cpu, other: u64) {
        let first = cpu.ready.borrow().first().copied();
        let interrupt = cpu.interrupt_at();
        let at = first.map_or(u64::MAX, |ready| ready.0);
        if interrupt != u64::MAX && interrupt <= at {
            self.advance(Cause::Idle, interrupt);
            self.take_interrupts();
            return;
        }
        let Some(ready) = first else { return };
        if at > self.now.get() && at > other {
            // An interrupt took longer than expected, or the like: somebody else is due before.
            return;
        }
        self.advance(Cause::Idle, at);
        cpu.ready.borrow_mut().remove(&ready);
        self.give(cpu, ready.2);
    }

    /// Gives an idle CPU to a task.
    pub(crate) fn give(&self, cpu: &Cpu, task: TaskId) {
        if cpu.last.get() != Some(task) {
            if cpu.last.get().is_some() {
                self.tick(Cause::ContextSwitch, self.costs.context_switch);
                Counts::add(&self.counts.context_switches, 1);
            }
            cpu.last.set(Some(task));
        }
        cpu.slice_end.set(self.now.get() + self.slice);
        cpu.task.set(Some(task));
        cpu.activity.set(Activity::Running);
        self.tasks.borrow_mut()[task.0 as usize].state = TaskState::Runnable;
        self.tell(|| Event::TaskRuns);
    }

    /// Runs the CPU's task until it leaves.
    pub(crate) fn resume(&self, cpu: &Cpu) {
        let Some(task) = cpu.task.get() else { return };
        let fiber = self.tasks.borrow_mut()[task.0 as usize].fiber.take();
        let Some(mut fiber) = fiber else { return };
        Counts::add(&self.counts.scheduler_switches, 1);
        if !fiber.resume() {
            self.tasks.borrow_mut()[task.0 as usize].fiber = Some(fiber);
            return;
        }
        fiber.finish();
        self.tell(|| Event::TaskStops);
        self.free_task(task);
        cpu.task.set(None);
        cpu.last.set(None);
        cpu.activity.set(Activity::Idle);
        self.end_handler(cpu);
    }

    pub(crate) fn free_task(&self, task: TaskId) {
        let mut tasks = self.tasks.borrow_mut();
        tasks[task.0 as usize] = Task::free();
        self.free_tasks.borrow_mut().push(std::cmp::Reverse(task.0));
        self.live_tasks.set(self.live_tasks.get() - 1);
        for cpu in &self.cpus {
            if cpu.user.get() == Some(task) {
                cpu.user.set(None);
            }
        }
    }

    // ---- interrupts ----

    /// Sends an interrupt.
    pub(crate) fn post(&self, target: u32, interrupt: Interrupt) {
        let cpu = &self.cpus[target as usize];
        let mut pending = cpu.pending.borrow_mut();
        let place =
            pending.partition_point(|p| (p.arrival, p.sequence) < (interrupt.arrival, interrupt.sequence));
        pending.insert(place, interrupt);
        drop(pending);
        self.refresh(target);
    }

    /// Takes the interrupts that have arrived at the running CPU; answers whether there were any.
    pub(crate) fn take_interrupts(&self) -> bool {
        let cpu = self.here();
        let mut taken = false;
        while cpu.interrupt_at() <= self.now.get() {
            taken = true;
            let interrupt = cpu.pending.borrow_mut().remove(0);
            self.handle(cpu, &interrupt);
        }
        taken
    }

    /// The running CPU does what another one asks it to.
    pub(crate) fn handle(&self, cpu: &Cpu, interrupt: &Interrupt) {
        match &interrupt.asks {
            Asks::Flush(scope, flush) => self.handle_flush(cpu, scope, (interrupt.from, *flush)),
            Asks::Fence => self.tick(Cause::IpiHandle, self.costs.ipi_handle),
        }
        self.answer(interrupt);
    }

    fn handle_flush(&self, cpu: &Cpu, scope: &FlushScope, (from, flush): (CpuId, u64)) {
        self.tell(|| Event::IpiTaken { from, flush });
        self.tick(Cause::IpiHandle, self.costs.ipi_handle);
        if self.deaf.get() != Some(CpuId(self.current.get())) {
            let cost = self.flush_here(cpu, scope);
            self.tick(Cause::IpiHandle, cost);
        }
        self.tell(|| Event::IpiAnswered { from, flush });
    }

    fn answer(&self, interrupt: &Interrupt) {
        let asker = &self.cpus[interrupt.from.0 as usize];
        asker.answered_at.set(asker.answered_at.get().max(self.now.get()));
        asker.unanswered.set(asker.unanswered.get().saturating_sub(1));
        if asker.unanswered.get() == 0 && asker.activity.get() == Activity::Asking {
            let waited = asker.answered_at.get().saturating_sub(asker.clock.get());
            asker.clock.set(asker.clock.get() + waited);
            self.ledger.book(Cause::IpiWait, waited);
            asker.activity.set(Activity::Running);
            self.refresh(interrupt.from.0);
        }
    }

    /// Waits until all CPUs asked have answered.
    pub(crate) fn await_answers(&self) {
        let cpu = self.here();
        if !cpu.irq_on.get() {
            self.violate(Rule::InterruptsOff, "a CPU waits for others with interrupts off".into());
        }
        cpu.activity.set(Activity::Asking);
        fiber::leave();
    }

    // ---- the end of hope ----

    /// Wakes every spin loop, in case it waits for more than the word it named. Answers whether that is worth
    /// trying.
    pub(crate) fn try_spinners_again(&self) -> bool {
        let rounds = self.stale_rounds.get();
        if self.spinners.get() == 0 || rounds >= STALE_ROUNDS {
            return false;
        }
        for index in 0..self.cpus.len() as u32 {
            let cpu = &self.cpus[index as usize];
            if matches!(cpu.activity.get(), Activity::Spinning { .. }) {
                self.stop_spinning(index, cpu.clock.get());
                self.next[index as usize].set(cpu.next());
            }
        }
        self.stale_rounds.set(rounds + 1);
        true
    }

    fn deadlock(&self) -> SimError {
        let at_ns = self.cpus.iter().map(|cpu| cpu.clock.get()).max().unwrap_or(0);
        SimError::Deadlock { at_ns, waits: self.waits() }
    }

    /// What each task does, a line each.
    fn waits(&self) -> Vec<String> {
        let tasks = self.tasks.borrow();
        let live = tasks.iter().enumerate().filter(|(_, task)| task.state != TaskState::Free);
        let line = |(number, task): (usize, &Task)| {
            let cpu = &self.cpus[task.cpu as usize];
            let what = match cpu.activity.get() {
                _ if cpu.task.get() != Some(TaskId(number as u32)) => task.what.to_string(),
                Activity::Spinning { word, seen } => format!(
                    "spins on {} (holds {seen:#x}), interrupts {}",
                    self.memory().describe(word),
                    on_or_off(cpu),
                ),
                Activity::Asking => format!("waits for {}", self.unanswering_in_words(task.cpu)),
                Activity::Idle | Activity::Running => "runs".into(),
            };
            format!("task {number} on cpu {}: {what}", task.cpu)
        };
        live.map(line).collect()
    }

    fn unanswering_in_words(&self, asker: u32) -> String {
        let named = |n: u32| format!("cpu {n} (interrupts {})", on_or_off(&self.cpus[n as usize]));
        let names: Vec<_> = self.unanswering(asker).into_iter().map(named).collect();
        format!("the answers of {}", names.join(", "))
    }
}

fn on_or_off(cpu: &Cpu) -> &'static str {
    if cpu.irq_on.get() { "on" } else { "off" }
}
