//! Telling those who watch.

use crate::SimMachine;
use crate::watch::{Sink, Told};
use machine::{CpuId, Event, TaskId};

impl SimMachine {
    /// From here on every event goes to `sink`, in the order in which they happen. Time does not pass for it:
    /// a run that is watched is the same to the bit.
    pub fn watch(&self, sink: Sink) {
        self.watch.set(Some(sink));
    }

    /// Nobody watches from here on; answers who did.
    pub fn unwatch(&self) -> Option<Sink> {
        self.watch.set(None)
    }

    /// Tells an event of a task, if somebody watches.
    #[inline]
    pub(crate) fn tell_of(&self, cpu: CpuId, task: Option<TaskId>, event: impl FnOnce() -> Event) {
        if self.watch.is_on() {
            self.pass_on(cpu, task, event());
        }
    }

    /// Tells an event of the running CPU, if somebody watches.
    #[inline]
    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        self.tell_of(CpuId(self.current.get()), self.here().task.get(), event);
    }

    /// An event of the manager, which somebody wants to know.
    #[cold]
    pub(crate) fn traced(&self, cpu: CpuId, task: TaskId, event: Event) {
        if self.exploring.get() {
            self.locks.borrow_mut().tell(task, &event);
        }
        self.tell_of(cpu, Some(task), || event);
    }

    #[cold]
    fn pass_on(&self, cpu: CpuId, task: Option<TaskId>, event: Event) {
        let at_ns = match cpu.0 == self.current.get() {
            true => self.now.get(),
            false => self.cpus[cpu.0 as usize].clock.get(),
        };
        let step = self.explored_steps();
        self.watch.pass_on(&Told { at_ns, step, cpu, task, event });
    }
}
