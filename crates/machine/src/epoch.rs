//! Lockless readers, and waiting for those that could have seen something.
//!
//! A reader writes only its CPU's own line. A writer that unlinked something waits until every reader that
//! may have seen it has left; readers that came later are not waited for, so a stream of readers cannot hold
//! a writer up (LR14, LR15).
//!
//! # Which fence pairs with which
//! ```text
//!  reader                                 writer
//!    1 mark (own line)                      1 unlink
//!    2 full fence, or nothing  [enter]      2 full fence, epoch += 1    [start]
//!    3 read links                           3 heavy barrier, or nothing
//!    4 mark gone, Release      [leave]      4 read the marks, Acquire   [wait]
//! ```
//! Reader 1, 3 and writer 1, 4 are a Dekker pair: each stores, and then loads what the other stored. Either
//! the writer finds the mark, or the reader finds the link gone. That takes a full fence between the two
//! steps of *both* sides. The machine says who passes the reader's ([`ReaderOrder`]):
//!
//! * **Fence.** The reader does, each time: reader 2 pairs with writer 2.
//! * **Heavy barrier.** The writer makes each CPU pass one, in its step 3 ([`Machine::heavy_barrier`],
//!   Linux's `membarrier(2)`): it lies somewhere among the steps of the reader. If behind 1, the mark is
//!   visible in writer 4; if before 3, the reader finds what writer 1 did. So entering is a plain store,
//!   which only the compiler is kept from moving.
//!
//! A flush of translations is no substitute for writer 3. Its interrupts go to the CPUs that have the space
//! loaded, and walkers are elsewhere too: who walks the tables of another space, or follows numbers of
//! frames, gets no flush; nor does anybody where hardware broadcasts flushes. Only where the machine says
//! that a CPU that was flushed has passed a full fence ([`Machine::flush_fences`]) need those that were
//! asked after the unlinking not be asked again ([`Epochs::wait_for_readers_but`]).
//!
//! A reader that finds the new epoch finds the link gone: it loads the epoch with Acquire, behind writer 2.
//! So it need not be waited for. One that found the old epoch just before is waited for once, needlessly.
//!
//! # Interrupts
//! A handler may read, too, between any two steps of the reader it interrupted; its own visit is balanced.
//!
//! * A task's reader asks a field of its CPU whether it is the outermost; handlers neither ask nor change it.
//! * A handler asks the mark itself. If it is there, the interrupted reader took it or is about to take it
//!   away, and it stays as it is: the handler is covered by it, and by the older epoch in it. If it is not
//!   there, the handler marks, and leaves no mark: what it found. So the interrupted reader goes on as if
//!   nothing had been, whichever of its steps was next.
//! * The mark that a handler finds may not be visible to other CPUs yet: its reader may stand before its
//!   fence. So a handler passes one of its own (with heavy barriers nothing is to be done, as above).

pub use crate::marks::Epochs;

use crate::marks::{OUTSIDE, Slot};
use crate::{Counter, CpuId, CpuSet, Cx, Event, Machine, Memory, Plant, ReaderOrder, level};
use core::ops::{Deref, DerefMut};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use core::sync::atomic::compiler_fence;

/// Marks a reader as inside. Pairs with [`start`], [`Machine::heavy_barrier`] and [`wait`].
#[inline]
pub fn enter<A: Memory>(memory: &A, (global, slot): (&A::Word, &A::Word), order: ReaderOrder) {
    // ORDERING: Acquire pairs with the fence and the addition in `start`: who marks itself with the new epoch
    // finds what was unlinked before. (An old epoch only makes writers wait for a reader they need not wait
    // for.)
    let epoch = memory.load(global, Acquire) + 1;
    match order {
        // ORDERING: the fence pairs with the one in `start` (a Dekker pair): either the writer sees the mark,
        // or this reader sees what the writer did before it waited.
        ReaderOrder::Fence => memory.store_fenced(slot, epoch),
        ReaderOrder::HeavyBarrier => {
            // ORDERING: Release pairs with the Acquire in `wait`: a writer that need not wait for this visit
            // may find this mark where the end of the visit before was, and must find it behind the reads of
            // that visit too.
            memory.store(slot, epoch, Release);
            // ORDERING: what the compiler keeps in order, the heavy barrier makes so for other CPUs.
            compiler_fence(SeqCst);
        }
    }
}

/// Marks a reader as outside.
#[inline]
pub fn leave<A: Memory>(memory: &A, slot: &A::Word) {
    // ORDERING: Release pairs with the Acquire in `wait`: all reads of the section are over.
    memory.store(slot, OUTSIDE, Release);
}

/// As [`enter`], for an interrupt handler: the CPU may be marked already, and then stays so. Answers who
/// takes the mark away.
pub fn enter_in_interrupt<A: Memory>(
    memory: &A,
    (global, slot): (&A::Word, &A::Word),
    order: ReaderOrder,
) -> Visit {
    // RELAXED: only this CPU stores it.
    if memory.load(slot, Relaxed) == OUTSIDE {
        enter(memory, (global, slot), order);
        return Visit::Outer;
    }
    if order == ReaderOrder::Fence {
        // ORDERING: SeqCst, as in `enter`: the interrupted reader may not have come to its fence yet.
        memory.fence(SeqCst);
    }
    Visit::Nested
}

/// Starts a grace period: the epoch that every reader must have entered, or left before, for it to end.
pub fn start<A: Memory>(memory: &A, global: &A::Word) -> u64 {
    // ORDERING: SeqCst pairs with the fence in `enter`; as a release with the Acquire there.
    memory.fence(SeqCst);
    // RELAXED: the fence orders it.
    memory.fetch_add(global, 1, Relaxed) + 2
}

/// Whether the reader of one slot is outside, or entered in `epoch` or later.
#[inline]
pub fn is_past<A: Memory>(memory: &A, slot: &A::Word, epoch: u64) -> bool {
    // ORDERING: Acquire pairs with the Release in `leave`.
    let entered = memory.load(slot, Acquire);
    entered == OUTSIDE || entered >= epoch
}

/// Waits until the reader of one slot is outside, or entered in `epoch` or later.
pub fn wait<A: Memory>(memory: &A, slot: &A::Word, epoch: u64) {
    while !is_past(memory, slot, epoch) {
        memory.relax(slot);
    }
}

impl<'m> Epochs<'m> {
    /// Waits for every reader that may have seen what the caller unlinked before the call (a grace period).
    pub fn wait_for_readers<M: Machine, const L: u8>(&self, cx: &mut Cx<'m, M, L>) {
        self.wait_for_readers_but(cx, &CpuSet::EMPTY);
    }

    /// The same, where the CPUs of `fenced` have passed a full fence since the caller unlinked: they are not
    /// interrupted again, but waited for.
    pub fn wait_for_readers_but<M: Machine, const L: u8>(&self, cx: &mut Cx<'m, M, L>, fenced: &CpuSet) {
        const { assert!(L <= level::SLEEP_MAX, "lock order: a reader may wait for a lock held here") };
        cx.trace(|| Event::GraceBegun);
        let epoch = start(cx, &self.global.epoch);
        while cx.planted(Plant::WaitForNobody)
            && let Some(slot) = self.slots.iter().find(|slot| !is_past(cx, &slot.entered, u64::MAX))
        {
            cx.relax(&slot.entered);
        }
        if cx.machine().reader_order() == ReaderOrder::HeavyBarrier {
            self.fence_others(cx, fenced);
        }
        // Most are outside: look at all of them before waiting for one, so that the lines come together.
        let mut inside = CpuSet::EMPTY;
        for (cpu, slot) in (0..).map(CpuId).zip(self.slots) {
            if !is_past(cx, &slot.entered, epoch) {
                inside.insert(cpu);
            }
        }
        for cpu in inside.iter() {
            wait(cx, &self.slots[cpu.0 as usize].entered, epoch);
        }
        cx.count(Counter::GracePeriods);
        cx.trace(|| Event::GraceEnded);
    }

    /// Makes the marks of all CPUs visible.
    fn fence_others<M: Machine, const L: u8>(&self, cx: &Cx<'m, M, L>, fenced: &CpuSet) {
        let mut targets = CpuSet::first(cx.machine().cpus()).without(fenced);
        targets.remove(cx.cpu());
        cx.interrupt_others(&targets);
    }
}

impl<M: Machine, const L: u8> Cx<'_, M, L> {
    /// Has CPUs pass a full fence, with interrupts on, and waits for it: not a flush.
    pub(crate) fn interrupt_others(&self, targets: &CpuSet) {
        if targets.is_empty() {
            return;
        }
        self.count(Counter::HeavyBarriers);
        self.count_n(Counter::WalkIpis, u64::from(targets.len()));
        self.machine().heavy_barrier(self.cpu(), targets);
    }
}

impl<'m, M: Machine, const L: u8> Cx<'m, M, L> {
    /// Enters an epoch: what other CPUs unlink from now on stays readable until the guard is dropped. No
    /// sleep inside.
    #[inline]
    pub fn enter_epoch(&mut self) -> Guard<'_, 'm, M> {
        let (slot, visit) = self.mark();
        Guard { cx: self.at(), slot, visit }
    }

    /// Marks this CPU, if it is not.
    #[inline]
    pub(crate) fn mark(&self) -> (&'m Slot, Visit) {
        let Epochs { global, slots } = self.core().epochs;
        let slot = &slots[self.cpu().0 as usize];
        let words = (&global.epoch, &slot.entered);
        let order = match self.planted(Plant::EnterUnfenced) {
            true => ReaderOrder::HeavyBarrier,
            false => self.machine().reader_order(),
        };
        let visit = if self.in_interrupt() {
            enter_in_interrupt(self, words, order)
        } else if slot.inside.replace(true) {
            Visit::Nested
        } else {
            enter(self, words, order);
            Visit::Outer
        };
        (slot, visit)
    }

    /// Takes the mark away, if it was this visit's.
    #[inline]
    pub(crate) fn unmark(&self, slot: &Slot, visit: Visit) {
        if visit == Visit::Nested {
            return;
        }
        if !self.in_interrupt() {
            slot.inside.set(false);
        }
        leave(self, &slot.entered);
    }

    /// As [`Cx::enter_epoch`], with a full fence, whoever orders the readers: for who relies on it for more
    /// than that unlinked memory stays.
    #[inline]
    pub fn enter_epoch_fenced(&mut self) -> Guard<'_, 'm, M> {
        let guard = self.enter_epoch();
        if guard.machine().reader_order() == ReaderOrder::HeavyBarrier {
            // ORDERING: SeqCst: the pair is named by who calls this.
            guard.fence(SeqCst);
        }
        guard
    }
}

/// Whose mark covers a reader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Visit {
    /// Its own: it takes it away.
    Outer,
    /// That of a reader around it, on the same CPU.
    Nested,
}

/// Being inside an epoch. Derefs to the context, at a level where nothing sleeps.
#[must_use = "the epoch is left at once"]
pub struct Guard<'a, 'm, M: Machine> {
    cx: &'a mut Cx<'m, M, { level::EPOCH }>,
    slot: &'m Slot,
    visit: Visit,
}

impl<'m, M: Machine> Deref for Guard<'_, 'm, M> {
    type Target = Cx<'m, M, { level::EPOCH }>;
    #[inline]
    fn deref(&self) -> &Self::Target {
        self.cx
    }
}

impl<M: Machine> DerefMut for Guard<'_, '_, M> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.cx
    }
}

impl<M: Machine> Drop for Guard<'_, '_, M> {
    #[inline]
    fn drop(&mut self) {
        self.cx.unmark(self.slot, self.visit);
    }
}
