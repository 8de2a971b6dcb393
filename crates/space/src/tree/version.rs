//! The version protocol: how a reader without a lock knows that what it read of a node belongs together.
//!
//! Each node has a version word. 0: the node was never given out. Odd: it is being changed, or dead. Even: it
//! holds. A version only rises, over all lives of a node (see [`super::Nodes`]), so an equal version means an
//! unchanged node.
//!
//! | writer | reader | what the pair gives |
//! |---|---|---|
//! | [`end`]: store, Release | [`look`]: load, Acquire | who sees an even version sees all written before |
//! | [`begin`]: fence, Release | [`is_unchanged`]: fence, Acquire | who read a changed field sees it odd |
//!
//! A writer makes every node odd before it changes it and none even before the last change: of two linked
//! nodes a reader either finds both as they were, or both as they are, or one of them odd, or the parent's
//! version risen. The functions are generic over [`Memory`] so that a model checker can run them.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use machine::Memory;

/// Starts a look at a node: its version, unless it is being changed or dead.
pub fn look<A: Memory>(memory: &A, version: &A::Word) -> Option<u64> {
    // ORDERING: Acquire pairs with the Release in `end`.
    let seen = memory.load(version, Acquire);
    (seen != 0 && seen.is_multiple_of(2)).then_some(seen)
}

/// Whether everything read since the look that answered `seen` belongs to that version.
pub fn is_unchanged<A: Memory>(memory: &A, version: &A::Word, seen: u64) -> bool {
    // ORDERING: Acquire pairs with the Release fence in `begin`: if a field read before it was written by a
    // later change, the load below sees that change's odd version, or a later one.
    memory.fence(Acquire);
    // RELAXED: the fence orders it.
    memory.load(version, Relaxed) == seen
}

/// Starts a change. The caller is the only writer.
pub fn begin<A: Memory>(memory: &A, version: &A::Word) {
    // RELAXED: the fence orders it. One step and not a store, because fields are written past the store
    // buffer of a simulated CPU: the odd version must not wait in it.
    let before = memory.fetch_add(version, 1, Relaxed);
    debug_assert!(before.is_multiple_of(2), "a node is changed twice at a time");
    // ORDERING: Release pairs with the Acquire fence in `is_unchanged`.
    memory.fence(Release);
}

/// Ends a change.
pub fn end<A: Memory>(memory: &A, version: &A::Word) {
    // RELAXED: the only writer reads its own store.
    let odd = memory.load(version, Relaxed);
    debug_assert!(!odd.is_multiple_of(2), "a change ends that never began");
    // ORDERING: Release pairs with the Acquire in `look`.
    memory.store(version, odd + 1, Release);
}
