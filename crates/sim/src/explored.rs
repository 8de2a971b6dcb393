//! The scheduler of explored runs: at every point where CPUs can meet, the plan says who goes on.

use crate::cpu::{Activity, Cpu, Interrupted};
use crate::explore::{Agent, Agents, CPUS_EXPLORED, Driver, Plan, Run, Shape, Thing, Touch};
use crate::fiber;
use crate::{SimError, SimMachine};
use machine::{CpuId, Pfn, Word};

impl SimMachine {
    /// Lets a plan, not the CPUs' clocks, decide who runs in the next [`crate::Scope::run`]. The machine has
    /// at most eight CPUs.
    ///
    /// In such a run clocks mean nothing between CPUs: who sleeps for a time may wake at any moment, and
    /// tasks of one CPU take turns only when they wait. The run stops at the first violation.
    pub fn explore(&self, plan: Plan) -> Result<(), SimError> {
        let cpus = self.cpus.len() as u32;
        if cpus > CPUS_EXPLORED {
            return Err(SimError::Config(format!("schedules of {cpus} CPUs: at most 8 can be explored")));
        }
        let shape = Shape { cpus, channels: self.device.channels };
        *self.driver.borrow_mut() = Some(Driver::new(plan, shape));
        Ok(())
    }

    /// What the run since [`SimMachine::explore`] decided.
    pub fn explored(&self) -> Run {
        self.driver.borrow_mut().take().map(Driver::into_run).unwrap_or_default()
    }

    /// How many points the explored run has passed so far.
    pub fn explored_steps(&self) -> u64 {
        self.driver.borrow().as_ref().map_or(0, Driver::steps)
    }

    // ---- who goes on ----

    fn agents(&self) -> Agents {
        let mut agents = Agents::default();
        for (number, cpu) in (0u32..).zip(&self.cpus) {
            let goes_on = match cpu.activity.get() {
                Activity::Running => true,
                Activity::Idle => !cpu.ready.borrow().is_empty(),
                Activity::Spinning { .. } | Activity::Asking => false,
            };
            if goes_on {
                agents.add(Agent::Cpu(number));
            }
            let asked = cpu.irq_on.get() && !cpu.pending.borrow().is_empty();
            if asked || cpu.can_be_handled() {
                agents.add(Agent::Interrupt(number));
            }
            if self.buffered.get() && !cpu.stores.borrow().is_empty() {
                agents.add(Agent::Buffer(number));
            }
        }
        self.device.for_each_busy(|channel| agents.add(Agent::Channel(channel)));
        agents
    }

    fn decide(&self) -> Option<Agent> {
        let agents = self.agents();
        let mut driver = self.driver.borrow_mut();
        let driver = driver.as_mut()?;
        (agents.len() != 0).then(|| driver.decide(agents))
    }

    /// A point of a running task.
    pub(crate) fn explored_point(&self) {
        loop {
            if self.is_too_long() {
                return fiber::leave();
            }
            match self.decide() {
                Some(Agent::Cpu(cpu)) if cpu == self.current.get() => return self.note_goes_on(cpu),
                Some(Agent::Interrupt(cpu)) => {
                    self.take_interrupt_of(cpu);
                    if cpu == self.current.get() && self.here().interrupted.get().is_some() {
                        self.chosen.set(Some(Agent::Cpu(cpu)));
                        return fiber::leave();
                    }
                }
                Some(Agent::Buffer(cpu)) => self.drain_one(cpu),
                Some(Agent::Channel(channel)) => self.make_oldest(channel),
                other => {
                    self.chosen.set(other);
                    return fiber::leave();
                }
            }
        }
    }

    /// Whether the run is to end now.
    fn is_too_long(&self) -> bool {
        let endless = self.driver.borrow_mut().as_mut().is_some_and(Driver::is_too_long);
        if endless {
            let livelock = SimError::Livelock { steps: self.explored_steps(), waits: self.wait_for_graph() };
            self.stopped.borrow_mut().get_or_insert(livelock);
        }
        self.stopped.borrow().is_some()
    }

    /// Runs until no task is left.
    pub(crate) fn run_explored(&self) -> Result<(), SimError> {
        self.stale_rounds.set(0);
        self.limit.set(0);
        while self.has_work() && self.stopped.borrow().is_none() {
            match self.chosen.take().or_else(|| self.decide()) {
                Some(Agent::Cpu(cpu)) => self.go_on(cpu),
                Some(Agent::Interrupt(cpu)) => self.take_interrupt_of(cpu),
                Some(Agent::Buffer(cpu)) => self.drain_one(cpu),
                Some(Agent::Channel(channel)) => self.make_oldest(channel),
                None if self.try_spinners_again() => {}
                None => return Err(SimError::Deadlock { at_ns: 0, waits: self.wait_for_graph() }),
            }
        }
        match self.stopped.borrow_mut().take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Whether a task is left, a store that has not reached memory, or a transfer.
    fn has_work(&self) -> bool {
        self.live_tasks.get() != 0 || self.is_storing() || self.device.is_busy()
    }

    /// Whether a store has not reached memory yet.
    fn is_storing(&self) -> bool {
        self.buffered.get() && self.cpus.iter().any(|cpu| !cpu.stores.borrow().is_empty())
    }

    /// Lets a CPU go on with its task, or with the one that has been ready longest.
    fn go_on(&self, index: u32) {
        let cpu = &self.cpus[index as usize];
        self.current.set(index);
        self.now.set(cpu.clock.get());
        if cpu.activity.get() == Activity::Idle {
            let first = cpu.ready.borrow_mut().pop_first();
            let Some((_, _, task)) = first else { return };
            let woken_by = self.tasks.borrow()[task.0 as usize].woken_by;
            self.order(woken_by, Agent::Cpu(index));
            self.give(cpu, task);
        }
        self.note_goes_on(index);
        self.resume(cpu);
        cpu.clock.set(self.now.get());
    }

    /// Each step of a CPU that is interrupted once depends on whether that has happened, or the search would
    /// try one moment only.
    fn note_goes_on(&self, cpu: u32) {
        if self.cpus[cpu as usize].handles.get() {
            self.touch(Thing::handler(cpu), Touch::Write);
        }
    }

    /// A CPU's task stops where it is, and its handler runs, with interrupts off.
    fn begin_handler(&self, cpu: &Cpu) {
        let Some(handler) = cpu.handler.take() else { return };
        let (task, activity) = (cpu.task.replace(Some(handler)), cpu.activity.replace(Activity::Running));
        cpu.interrupted.set(Some(Interrupted { task, activity }));
        cpu.irq_on.set(false);
        self.touch(Thing::handler(cpu.number), Touch::Write);
    }

    /// The handler is over: what it interrupted goes on.
    pub(crate) fn end_handler(&self, cpu: &Cpu) {
        let Some(Interrupted { task, activity }) = cpu.interrupted.take() else { return };
        cpu.task.set(task);
        cpu.last.set(task);
        cpu.activity.set(activity);
        cpu.irq_on.set(true);
    }

    /// A CPU takes the interrupt that reached it first; if there is none, its handler begins.
    fn take_interrupt_of(&self, index: u32) {
        let cpu = &self.cpus[index as usize];
        if cpu.pending.borrow().is_empty() {
            return self.begin_handler(cpu);
        }
        let interrupted = (self.current.get(), self.now.get());
        if interrupted.0 != index {
            self.current.set(index);
            self.now.set(cpu.clock.get());
        }
        self.settle(index);
        let interrupt = cpu.pending.borrow_mut().remove(0);
        self.order(interrupt.event, Agent::Interrupt(index));
        self.handle(cpu, &interrupt);
        self.order(self.event(), Agent::Cpu(interrupt.from.0));
        if interrupted.0 != index {
            cpu.clock.set(self.now.get());
            self.current.set(interrupted.0);
            self.now.set(interrupted.1);
        }
    }

    // ---- what a step touches ----

    #[inline]
    pub(crate) fn touch(&self, thing: Thing, touch: Touch) {
        if self.exploring.get() {
            self.note(thing, touch);
        }
    }

    #[inline]
    pub(crate) fn touch_word(&self, word: &Word, touch: Touch) {
        if self.exploring.get() {
            self.note(Thing::word(self.number(word)), touch);
        }
    }

    /// A step of its own that reads or changes all of a frame.
    #[inline]
    pub(crate) fn touch_frame(&self, cpu: CpuId, frame: Pfn) {
        if self.exploring.get() {
            self.point(cpu);
            self.note(Thing::frame(frame.0), Touch::Write);
        }
    }

    /// The running step touches a word of a user frame.
    #[inline]
    pub(crate) fn touch_bytes(&self, frame: Pfn, word: u64, touch: Touch) {
        if self.exploring.get() {
            self.note(Thing::frame(frame.0), Touch::Read);
            self.note(Thing::bytes(frame.0, word), touch);
        }
    }

    #[cold]
    fn note(&self, thing: Thing, touch: Touch) {
        if let Some(driver) = self.driver.borrow_mut().as_mut() {
            driver.touch(thing, touch);
        }
    }

    /// The running step's number; 0 outside of explored runs.
    pub(crate) fn event(&self) -> u32 {
        if !self.exploring.get() {
            return 0;
        }
        self.driver.borrow_mut().as_mut().map_or(0, Driver::event)
    }

    /// Another agent's step is part of the running one; answers whose step that is.
    pub(crate) fn run_as(&self, agent: Agent) -> Agent {
        self.driver.borrow_mut().as_mut().map_or(agent, |driver| driver.run_as(agent))
    }

    /// What runs now could not have come before `cause`.
    pub(crate) fn order_here(&self, cause: u32) {
        if let Some(driver) = self.driver.borrow_mut().as_mut() {
            driver.order_running(cause);
        }
    }

    fn order(&self, cause: u32, agent: Agent) {
        if let Some(driver) = self.driver.borrow_mut().as_mut() {
            driver.order(cause, agent);
        }
    }
}
