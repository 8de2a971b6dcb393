//! Lockless readers, and waiting for those that could have seen something.
//!
//! A reader writes only its CPU's own line. A writer that unlinked something waits until every reader that
//! may have seen it has left; readers that came later are not waited for, so a stream of readers cannot hold
//! a writer up (LR14, LR15).

pub use crate::marks::Epochs;

use crate::marks::{OUTSIDE, Slot};
use crate::{Cx, Event, Machine, Memory, level};
use core::ops::{Deref, DerefMut};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

/// Marks a reader as inside. Pairs with [`wait`].
pub fn enter<A: Memory>(memory: &A, global: &A::Word, slot: &A::Word) {
    // RELAXED: an old epoch only makes writers wait for a reader they need not wait for.
    let epoch = memory.load(global, Relaxed) + 1;
    // ORDERING: Release pairs with the Acquire in `wait`: a writer that need not wait for this visit may find
    // this mark where the end of the visit before was, and must find it behind the reads of that visit too.
    memory.store(slot, epoch, Release);
    // ORDERING: SeqCst pairs with the SeqCst fence in `wait` (a Dekker pair): either the writer sees the
    // mark, or this reader sees what the writer did before it waited.
    memory.fence(SeqCst);
}

/// Marks a reader as outside.
pub fn leave<A: Memory>(memory: &A, slot: &A::Word) {
    // ORDERING: Release pairs with the Acquire in `wait`: all reads of the section are over.
    memory.store(slot, OUTSIDE, Release);
}

/// Starts a grace period: the epoch that every reader must have entered, or left before, for it to end.
pub fn start<A: Memory>(memory: &A, global: &A::Word) -> u64 {
    // ORDERING: SeqCst pairs with the fence in `enter`.
    memory.fence(SeqCst);
    // RELAXED: a reader that sees this epoch passes its fence after this one passed the fence above.
    memory.fetch_add(global, 1, Relaxed) + 2
}

/// Waits until the reader of one slot is outside, or entered in `epoch` or later.
pub fn wait<A: Memory>(memory: &A, slot: &A::Word, epoch: u64) {
    loop {
        // ORDERING: Acquire pairs with the Release in `leave`.
        let entered = memory.load(slot, Acquire);
        if entered == OUTSIDE || entered >= epoch {
            return;
        }
        memory.relax(slot);
    }
}

impl<'m> Epochs<'m> {
    /// Waits for every reader that may have seen what the caller unlinked before the call (a grace period).
    pub fn wait_for_readers<M: Machine, const L: u8>(&self, cx: &mut Cx<'m, M, L>) {
        const { assert!(L <= level::SLEEP_MAX, "lock order: a reader may wait for a lock held here") };
        cx.trace(|| Event::GraceBegun);
        let epoch = start(cx, &self.global.epoch);
        for slot in self.slots {
            wait(cx, &slot.entered, epoch);
        }
        cx.count(crate::Counter::GracePeriods);
        cx.trace(|| Event::GraceEnded);
    }
}

impl<'m, M: Machine, const L: u8> Cx<'m, M, L> {
    /// Enters an epoch: what other CPUs unlink from now on stays readable until the guard is dropped. No
    /// sleep inside.
    pub fn enter_epoch(&mut self) -> Guard<'_, 'm, M> {
        let Epochs { global, slots } = self.core().epochs;
        let slot = &slots[self.cpu().0 as usize];
        if slot.depth.replace(slot.depth.get() + 1) == 0 {
            enter(self, &global.epoch, &slot.entered);
        }
        Guard { cx: self.at(), slot }
    }
}

/// Being inside an epoch. Derefs to the context, at a level where nothing sleeps.
#[must_use = "the epoch is left at once"]
pub struct Guard<'a, 'm, M: Machine> {
    cx: &'a mut Cx<'m, M, { level::EPOCH }>,
    slot: &'m Slot,
}

impl<'m, M: Machine> Deref for Guard<'_, 'm, M> {
    type Target = Cx<'m, M, { level::EPOCH }>;
    fn deref(&self) -> &Self::Target {
        self.cx
    }
}

impl<M: Machine> DerefMut for Guard<'_, '_, M> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.cx
    }
}

impl<M: Machine> Drop for Guard<'_, '_, M> {
    fn drop(&mut self) {
        if self.slot.depth.replace(self.slot.depth.get() - 1) == 1 {
            leave(self.cx, &self.slot.entered);
        }
    }
}
