//! Tasks: starting them, and what they can do in user mode.

use crate::contents::{Base, Content};
use crate::cpu::{Task, TaskState};
use crate::explore::{Outside, Thing, Touch};
use crate::fiber::{Fiber, Lifetime};
use crate::report::{Cause, Counts, RunReport};
use crate::user::{PageFault, Translation};
use crate::violation::Rule;
use crate::{SimError, SimMachine};
use machine::{Access, CpuId, TaskId, VirtAddr};
use std::cmp::Reverse;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How often one access may fault in a row although each fault was said to be resolved.
const FAULTS_MAX: u32 = 1000;

/// What became of a page fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The access may be tried again.
    Resolved,
    /// The program gets a signal instead.
    Signal(Signal),
}

/// Why an access failed for the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Signal {
    /// No mapping, or not allowed.
    Segv,
    /// Beyond the end of a file, or the file could not be read.
    Bus,
    /// The process was killed (out of memory).
    Kill,
    /// The access faulted for ever; the machine reported [`Rule::FaultLoop`].
    Stuck,
}

/// What the machine asks of its operating system.
pub trait Kernel {
    /// Resolves a page fault of the running task.
    fn page_fault(&self, cx: TaskCtx<'_>, fault: PageFault) -> Outcome;

    /// The task is about to go on in user mode on a CPU whose last user was `before`: load its space there.
    fn switch_in(&self, cx: TaskCtx<'_>, before: Option<TaskId>) {
        let _ = (cx, before);
    }
}

/// A task, from its own inside. Copies of it name the same task.
#[derive(Clone, Copy)]
pub struct TaskCtx<'s> {
    pub(crate) sim: &'s SimMachine,
    pub(crate) task: TaskId,
}

/// Where tasks that borrow may be started: all of them are over when it ends.
pub struct Scope<'s, 'env: 's> {
    sim: &'env SimMachine,
    lifetime: Lifetime<'s, 'env>,
}

/// Ends a scope, also when its body panics.
struct End<'a>(&'a SimMachine);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.abandon_tasks();
        self.0.in_scope.set(false);
    }
}

impl SimMachine {
    /// Opens a scope in which tasks can be started and run. Tasks left over at its end are abandoned where
    /// they are.
    ///
    /// # Panics
    /// If a scope of this machine is open already.
    pub fn scope<'env, T>(&'env self, body: impl for<'s> FnOnce(&'s Scope<'s, 'env>) -> T) -> T {
        assert!(!self.in_scope.replace(true), "one scope of a machine at a time");
        let _end = End(self);
        body(&Scope { sim: self, lifetime: Lifetime::of_a_scope() })
    }

    fn abandon_tasks(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.borrow_mut());
        for task in &mut tasks {
            if let Some(fiber) = task.fiber.take() {
                fiber.abandon();
            }
        }
        self.free_tasks.borrow_mut().clear();
        self.live_tasks.set(0);
        for (cpu, next) in self.cpus.iter().zip(&self.next) {
            cpu.reset_tasks();
            next.set(u64::MAX);
        }
        self.forget_transfers();
        self.spinners.set(0);
        *self.stopped.borrow_mut() = None;
    }

    fn take_number(&self) -> Result<TaskId, SimError> {
        if let Some(Reverse(number)) = self.free_tasks.borrow_mut().pop() {
            return Ok(TaskId(number));
        }
        let mut tasks = self.tasks.borrow_mut();
        let number = tasks.len() as u32;
        if number >= self.tasks_max {
            return Err(SimError::TooManyTasks(self.tasks_max));
        }
        tasks.push(Task::free());
        Ok(TaskId(number))
    }
}

impl<'s, 'env> Scope<'s, 'env> {
    /// The machine.
    pub fn sim(&self) -> &'env SimMachine {
        self.sim
    }

    /// Starts a task on a CPU, where it stays. It may be called by running tasks too.
    ///
    /// If the run ends early (a deadlock, a panic of another task, [`TaskCtx::stop`]), what is on the task's
    /// stack is forgotten without running destructors. So a task must not hold, across anything that may
    /// switch tasks, a value whose destructor other code's soundness rests on, such as an open
    /// `std::thread::scope`.
    pub fn spawn(&'s self, cpu: CpuId, body: impl FnOnce(TaskCtx<'s>) + 's) -> Result<TaskId, SimError> {
        let task = self.make(cpu, body)?;
        let sim = self.sim;
        let at = if sim.running.get() { sim.now.get() } else { 0 };
        sim.make_ready(task, at, TaskState::Runnable);
        Ok(task)
    }

    /// Has a CPU interrupted once, in an explored run: `body` runs there between two steps of its task,
    /// whichever the schedule says, with interrupts off. It must not sleep.
    ///
    /// # Errors
    /// As of [`Scope::spawn`]; and if the CPU is to be interrupted already.
    pub fn interrupt(&'s self, cpu: CpuId, body: impl FnOnce(TaskCtx<'s>) + 's) -> Result<TaskId, SimError> {
        if self.sim.cpus.get(cpu.0 as usize).is_some_and(|cpu| cpu.handles.get()) {
            return Err(SimError::Config(format!("cpu {} is interrupted once", cpu.0)));
        }
        let task = self.make(cpu, body)?;
        let cpu = &self.sim.cpus[cpu.0 as usize];
        cpu.handler.set(Some(task));
        cpu.handles.set(true);
        self.sim.tasks.borrow_mut()[task.0 as usize].state = TaskState::Runnable;
        Ok(task)
    }

    /// A task that is not ready yet.
    fn make(&'s self, cpu: CpuId, body: impl FnOnce(TaskCtx<'s>) + 's) -> Result<TaskId, SimError> {
        let sim: &'s SimMachine = self.sim;
        if cpu.0 as usize >= sim.cpus.len() {
            return Err(SimError::Config(format!("there is no cpu {}", cpu.0)));
        }
        let task = sim.take_number()?;
        let cx = TaskCtx { sim, task };
        let guarded = move || {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(cx))) {
                let text = panic.downcast_ref::<&str>().map(|s| (*s).to_string());
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
                let message = text.unwrap_or_else(|| "(no message)".into());
                sim.stopped.borrow_mut().get_or_insert(SimError::Panicked { task: task.0, message });
            }
        };
        let fiber = Fiber::scoped(&self.lifetime, sim.stack_bytes, guarded)?;
        {
            let mut tasks = sim.tasks.borrow_mut();
            tasks[task.0 as usize] =
                Task { fiber: Some(fiber), cpu: cpu.0, what: "not yet run", ..Task::free() };
        }
        sim.live_tasks.set(sim.live_tasks.get() + 1);
        Counts::add(&sim.counts.tasks, 1);
        Ok(task)
    }

    /// Runs until every task is over.
    pub fn run(&'s self) -> Result<RunReport, SimError> {
        if self.sim.running.get() {
            return Err(SimError::Config("the machine is running already".into()));
        }
        let result = self.sim.run_tasks();
        if result.is_err() {
            self.sim.abandon_tasks();
        }
        result.map(|()| self.sim.report())
    }
}

impl<'s> TaskCtx<'s> {
    /// The machine.
    pub fn sim(&self) -> &'s SimMachine {
        self.sim
    }

    /// The task's number.
    pub fn task(&self) -> TaskId {
        self.task
    }

    /// The CPU it runs on.
    pub fn cpu(&self) -> CpuId {
        CpuId(self.sim.current.get())
    }

    /// Whether this is a handler ([`Scope::interrupt`]).
    pub fn in_interrupt(&self) -> bool {
        self.sim.here().interrupted.get().is_some()
    }

    /// The CPU's clock.
    pub fn now(&self) -> u64 {
        self.sim.now.get()
    }

    /// Books time on the task's CPU: the program's own computing, or costs the machine cannot see.
    pub fn spend(&self, cause: Cause, ns: u64) {
        self.sim.tick(cause, ns);
        self.sim.point(self.cpu());
    }

    /// Books the entry and exit of a system call.
    pub fn syscall(&self) {
        Counts::add(&self.sim.counts.syscalls, 1);
        self.spend(Cause::Syscall, self.sim.costs.syscall);
    }

    /// Tells a search of schedules that the running step reads or changes something that is no part of the
    /// machine's memory: steps that do not say so count as independent there, and only one order of them is
    /// tried.
    pub fn touches(&self, what: Outside, touch: Touch) {
        self.sim.touch(Thing::outside(what), touch);
    }

    // ---- user mode: loads and stores ----

    /// Loads the aligned word at `addr` (rounded down to 8 bytes) as the program does: through the TLB and
    /// the tables, faulting into `kernel` until it is resolved. No other CPU runs between the load and the
    /// return.
    pub fn load(&self, kernel: &(impl Kernel + ?Sized), addr: VirtAddr) -> Result<u64, Signal> {
        let at = self.access(kernel, addr, Access::Read)?;
        Counts::add(&self.sim.counts.loads, 1);
        Ok(self.sim.read_through(&at, addr))
    }

    /// Stores the aligned word at `addr` (rounded down to 8 bytes), like [`TaskCtx::load`].
    pub fn store(&self, kernel: &(impl Kernel + ?Sized), addr: VirtAddr, value: u64) -> Result<(), Signal> {
        let at = self.access(kernel, addr, Access::Write)?;
        Counts::add(&self.sim.counts.stores, 1);
        self.sim.write_through(&at, addr, value);
        Ok(())
    }

    /// Fetches an instruction.
    pub fn execute(&self, kernel: &(impl Kernel + ?Sized), addr: VirtAddr) -> Result<(), Signal> {
        self.access(kernel, addr, Access::Execute).map(|_| ())
    }

    /// Replaces a whole page by one of a content class (equal classes, equal bytes; class 0 is zero bytes).
    pub fn store_class(
        &self,
        kernel: &(impl Kernel + ?Sized),
        addr: VirtAddr,
        class: u64,
    ) -> Result<(), Signal> {
        let at = self.access(kernel, addr, Access::Write)?;
        Counts::add(&self.sim.counts.stores, 1);
        self.sim.write_through(&at, VirtAddr(addr.0 - addr.offset()), 0);
        self.sim.set_content(at.frame, Content::of(Base::Class(class)));
        Ok(())
    }

    /// Translates an access, resolving faults. What follows until the next point is one step with it.
    pub fn access(
        &self,
        kernel: &(impl Kernel + ?Sized),
        addr: VirtAddr,
        access: Access,
    ) -> Result<Translation, Signal> {
        for _ in 0..FAULTS_MAX {
            self.enter_user(kernel);
            match self.sim.user_access(self.cpu(), addr, access) {
                Ok(at) => {
                    self.sim.tick(Cause::User, self.sim.costs.word_hit);
                    return Ok(at);
                }
                Err(fault) => {
                    self.sim.tick(Cause::FaultEntry, self.sim.costs.fault_entry);
                    if let Outcome::Signal(signal) = kernel.page_fault(*self, fault) {
                        return Err(signal);
                    }
                }
            }
        }
        self.sim
            .violate(Rule::FaultLoop, format!("{access:?} of {addr:?} faulted {FAULTS_MAX} times in a row"));
        Err(Signal::Stuck)
    }

    /// The boundary to user mode: other CPUs, other tasks of this CPU, then this task's space is loaded.
    /// Every access begins with it; a system call that wants its caller's space loaded begins with it too.
    pub fn enter_user(&self, kernel: &(impl Kernel + ?Sized)) {
        let sim = self.sim;
        sim.point(self.cpu());
        if sim.now.get() >= sim.here().slice_end.get() && !sim.exploring.get() {
            self.yield_user();
        }
        let cpu = sim.here();
        if cpu.user.get() != Some(self.task) {
            let before = cpu.user.replace(Some(self.task));
            kernel.switch_in(*self, before);
        }
    }

    // ---- user mode: giving the CPU away ----

    /// Lets another task have the CPU, if one is ready.
    pub fn yield_user(&self) {
        let sim = self.sim;
        let cpu = sim.here();
        let ready = cpu.ready.borrow().first().is_some_and(|ready| ready.0 <= sim.now.get());
        cpu.slice_end.set(sim.now.get() + sim.slice);
        if ready && !sim.cannot_block() {
            sim.make_ready(self.task, sim.now.get(), TaskState::Runnable);
            sim.block(self.task, "ready");
        }
    }

    /// Sleeps in user mode until the CPU's clock shows `at`.
    pub fn sleep_until(&self, at: u64) {
        self.sim.point(self.cpu());
        if at > self.now() {
            self.sim.sleep(self.task, at, "sleeps");
        }
    }

    /// Blocks in user mode until somebody calls [`TaskCtx::notify`] for this task; at once if that happened
    /// since the last `wait`. `what` is for the report of a deadlock.
    pub fn wait(&self, what: &'static str) {
        let sim = self.sim;
        sim.point(self.cpu());
        sim.touch(Thing::task(self.task.0), Touch::Write);
        let token = std::mem::take(&mut sim.tasks.borrow_mut()[self.task.0 as usize].wait_token);
        if !token && !sim.cannot_block() {
            sim.block_in(self.task, TaskState::Waiting, what);
        }
    }

    /// Waits until `ready` says so; whoever changes its answer notifies this task afterwards.
    pub fn wait_until(&self, what: &'static str, mut ready: impl FnMut() -> bool) {
        while !ready() {
            self.wait(what);
        }
    }

    /// Ends another task's [`TaskCtx::wait`], or its next one.
    pub fn notify(&self, task: TaskId) {
        let sim = self.sim;
        sim.point(self.cpu());
        sim.touch(Thing::task(task.0), Touch::Write);
        let state = sim.tasks.borrow().get(task.0 as usize).map(|t| t.state);
        match state {
            Some(TaskState::Waiting) => sim.wake(task),
            Some(TaskState::Free) | None => {}
            Some(_) => sim.tasks.borrow_mut()[task.0 as usize].wait_token = true,
        }
    }

    /// Ends the run with [`SimError::Stopped`]; does not return to the task.
    pub fn stop(&self, why: String) -> ! {
        self.sim.stopped.borrow_mut().get_or_insert(SimError::Stopped(why));
        loop {
            crate::fiber::leave();
        }
    }
}
