//! The stamp protocol: how a fault knows, without a lock, that a VMA is still what it saw.
//!
//! 0: free. Odd: being changed or detached. Otherwise a number that no other state of any VMA of the space
//! ever has. Who changes a VMA holds the layout lock.
//!
//! | changer | fault | what the pair gives |
//! |---|---|---|
//! | [`end`]: store, Release | [`look`]: load, Acquire | who sees a stamp sees all written before it |
//! | [`begin`]: fence | [`is_unchanged`]: fence, Acquire | who read a changed field sees the stamp odd |
//! | [`begin`]: fence | [`is_current`]: fence, SeqCst | who links a table sees the stamp odd, or is found |
//!
//! The functions are generic over [`Memory`] so that a model checker can run them.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use machine::Memory;

/// Whether a VMA with this stamp is neither free nor being changed.
#[inline]
pub fn is_stable(stamp: u64) -> bool {
    stamp != 0 && stamp & 1 == 0
}

/// Starts a look at a VMA: its stamp, unless it is free or being changed.
#[inline]
pub fn look<A: Memory>(memory: &A, stamp: &A::Word) -> Option<u64> {
    // ORDERING: Acquire pairs with the Release in `end`.
    Some(memory.load(stamp, Acquire)).filter(|&seen| is_stable(seen))
}

/// Whether everything read since the look that answered `seen` belongs to that stamp.
#[inline]
pub fn is_unchanged<A: Memory>(memory: &A, stamp: &A::Word, seen: u64) -> bool {
    // ORDERING: Acquire pairs with the fence in `begin`: a field written later means an odd stamp is seen.
    memory.fence(Acquire);
    // RELAXED: the fence orders it.
    memory.load(stamp, Relaxed) == seen
}

/// Whether nothing changed since the look that answered `seen`. Asked under the lock of the page table that
/// the caller is about to change.
#[inline]
pub fn is_current<A: Memory>(memory: &A, stamp: &A::Word, seen: u64) -> bool {
    // ORDERING: SeqCst pairs with the fence in `begin` (a Dekker pair): either the changer's walk finds the
    // page table this caller made, or this load sees the odd stamp.
    memory.fence(SeqCst);
    // RELAXED: the fence orders it; what the stamp leads to was acquired by the look.
    memory.load(stamp, Relaxed) == seen
}

/// Makes the stamp odd: faults that saw the VMA start over.
#[inline]
pub fn begin<A: Memory>(memory: &A, stamp: &A::Word) {
    // RELAXED: the layout lock orders changers; the fence orders what follows.
    let before = memory.load(stamp, Relaxed);
    memory.store(stamp, before | 1, Relaxed);
    // ORDERING: SeqCst pairs with `is_current`; as a Release fence with the Acquire fence in `is_unchanged`.
    memory.fence(SeqCst);
}

/// Ends a change with a stamp never used before.
#[inline]
pub fn end<A: Memory>(memory: &A, stamp: &A::Word, new: u64) {
    debug_assert!(is_stable(new));
    // ORDERING: Release pairs with the Acquire in `look`.
    memory.store(stamp, new, Release);
}
