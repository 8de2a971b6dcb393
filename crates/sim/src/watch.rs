//! Those who watch.

use machine::{CpuId, Event, TaskId};
use std::cell::{Cell, RefCell};

/// An event, with when and where it was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// The clock of the CPU, in simulated nanoseconds. Clocks of two CPUs differ a little; the order in which
    /// events are told is the order in which they happened.
    pub at_ns: u64,
    /// How many points an explored run had passed; 0 in others.
    pub step: u64,
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

impl Watch {
    /// Whether somebody watches.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.watched.get()
    }

    /// Lets somebody watch, or nobody; answers who did.
    pub(crate) fn set(&self, sink: Option<Sink>) -> Option<Sink> {
        self.watched.set(sink.is_some());
        self.sink.replace(sink)
    }

    /// Passes an event on.
    pub(crate) fn pass_on(&self, told: &Told) {
        if let Some(sink) = &mut *self.sink.borrow_mut() {
            sink(told);
        }
    }
}
