//! Telling those who watch.

use crate::SimMachine;
use machine::{CpuId, Event, TaskId};
use std::cell::{Cell, RefCell};

/// An event, with when and where it was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// The clock of the CPU, in simulated nanoseconds. Clocks of two CPUs differ a little; the order in which
    /// events are told is the order in which they happened.
    pub at_ns: u64,
    /// The CPU.
    pub cpu: CpuId,
    /// The task it ran; `None` if it was idle.
    pub task: Option<TaskId>,
    /// What happened.
    pub event: Event,
}

/// Who watches. It must not use the machine.
pub type Sink = Box<dyn FnMut(&Told) + Send>;

/// Whether somebody watches, and who.
#[derive(Default)]
pub(crate) struct Watch {
    watched: Cell<bool>,
    sink: RefCell<Option<Sink>>,
}

impl crate::watch::Watch {
    /// Whether somebody watches.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.watched.get()
    }
}

impl SimMachine {
    /// From here on every event goes to `sink`, in the order in which they happen. Time does not pass for it:
    /// a run that is watched is the same to the bit.
    pub fn watch(&self, sink: Sink) {
        *self.watch.sink.borrow_mut() = Some(sink);
        self.watch.watched.set(true);
    }

    /// Nobody watches from here on; answers who did.
    pub fn unwatch(&self) -> Option<Sink> {
        self.watch.watched.set(false);
        self.watch.sink.borrow_mut().take()
    }

    /// Tells an event of a task, if somebody watches.
    #[inline]
    pub(crate) fn tell_of(&self, cpu: CpuId, task: Option<TaskId>, event: impl FnOnce() -> Event) {
        if self.watch.watched.get() {
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
        if let Some(sink) = &mut *self.watch.sink.borrow_mut() {
            sink(&Told { at_ns, cpu, task, event });
        }
    }
}
