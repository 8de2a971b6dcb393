//! Where lockless readers mark that they are inside, and the epoch they entered in.

use crate::{Boot, CpuId, Field, Machine, Shortage, Word};
use core::sync::atomic::Ordering::Relaxed;

/// A CPU that is in no epoch.
pub(crate) const OUTSIDE: u64 = 0;

crate::cells! {
    /// One CPU's mark, on a line of its own.
    #[repr(align(64))]
    pub(crate) struct Slot {
        /// `OUTSIDE`, or the global epoch when the outermost reader of this CPU entered.
        pub(crate) entered: Word,
        /// (own CPU, tasks only) Whether a task's reader is inside: the next one is nested.
        pub(crate) inside: Field<bool>,
    }
}

crate::cells! {
    /// The global epoch, from 1; stored minus 1 so that zeroed memory is a valid start.
    #[repr(align(64))]
    pub(crate) struct Global {
        pub(crate) epoch: Word,
    }
}

/// The lockless readers of one machine.
#[derive(Clone, Copy)]
pub struct Epochs<'m> {
    pub(crate) global: &'m Global,
    pub(crate) slots: &'m [Slot],
}

impl<'m> Epochs<'m> {
    /// Marks for every CPU of the machine.
    pub fn new<M: Machine>(boot: &Boot<'m, M>) -> Result<Self, Shortage> {
        let global = &boot.array::<Global>(1)?[0];
        Ok(Epochs { global, slots: boot.array(boot.machine().cpus() as usize)? })
    }

    /// Whether a CPU's mark is there: for checkers.
    pub fn is_marked(&self, cpu: CpuId) -> bool {
        // RELAXED: nobody acts on it.
        self.slots[cpu.0 as usize].entered.raw().load(Relaxed) != OUTSIDE
    }

    /// Whether no CPU is inside an epoch: for checkers of a quiet machine.
    pub fn all_outside(&self) -> bool {
        // RELAXED: nobody enters.
        let outside = |slot: &Slot| slot.entered.raw().load(Relaxed) == OUTSIDE && !slot.inside.get();
        self.slots.iter().all(outside)
    }
}
