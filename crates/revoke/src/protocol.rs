//! The lock-free steps between CPUs that flush a space and CPUs that enter or leave it.
//!
//! Three shared words of a space matter: the set of CPUs that are active in it, `begun` (its generation:
//! how many flushes were begun) and `done` (how many of them are over).
//!
//! ```text
//! flusher                                CPU that joins            CPU that leaves
//!   1 change entries                       1 put itself in the set   1 stop translating
//!   2 begun += 1, full fence  [begin]      2 read begun     [join]   2 read done, then begun  [confirm]
//!   3 read the set                         3 drop what it kept if    3 take itself out of the set
//!   4 flush those CPUs                       begun is not what it
//!   5 done += 1               [finish]       saw when it left
//! ```
//!
//! * **A CPU joins between the change and the reading of the set** (L-16). Flusher 2, 3 and joiner 1, 2 are
//!   a Dekker pair: either the flusher finds the CPU in the set, or the CPU reads the new generation and
//!   drops its old translations.
//! * **What a CPU may claim to have seen.** A CPU that stays in the set is flushed by everybody, but two
//!   flushers overtake each other: the later generation may reach a CPU while the earlier one has not yet
//!   read the set, and misses the CPU if it leaves now. So a CPU that leaves claims the generation only if
//!   every flush begun so far is over (`done == begun`, read in this order while it is still in the set:
//!   all of them found it there); otherwise it keeps the claim it made when it joined, and drops its
//!   translations once more when it comes back. Linux lets the interrupted CPU note what it flushed
//!   (`flush_tlb_func`); here nobody writes another CPU's line.
//! * **A lazy CPU** (one that left, LR17) keeps translations that nobody flushes. They are unreachable
//!   until it joins.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use machine::Memory;

/// Begins a flush, after the entries were changed and before the set of active CPUs is read. Answers the
/// generation it makes.
pub fn begin<A: Memory>(memory: &A, begun: &A::Word) -> u64 {
    // ORDERING: SeqCst pairs with the SeqCst load in `join`; the fence keeps the reading of the set behind
    // it.
    let before = memory.fetch_add(begun, 1, SeqCst);
    memory.fence(SeqCst);
    before + 1
}

/// Notes that a flush is over on every CPU that was in the set.
pub fn finish<A: Memory>(memory: &A, done: &A::Word) {
    // ORDERING: Release pairs with the Acquire in `confirm`.
    memory.fetch_add(done, 1, Release);
}

/// The generation a CPU joins at. The CPU is in the set already.
pub fn join<A: Memory>(memory: &A, begun: &A::Word) -> u64 {
    // ORDERING: SeqCst pairs with `begin`: the CPU's own entry in the set was made by a SeqCst operation
    // before.
    memory.load(begun, SeqCst)
}

/// The generation a CPU that is still in the set may claim to have seen in full, if there is one now.
pub fn confirm<A: Memory>(memory: &A, begun: &A::Word, done: &A::Word) -> Option<u64> {
    // ORDERING: Acquire pairs with the Release in `finish`, and keeps the next load behind this one.
    let over = memory.load(done, Acquire);
    // RELAXED: read after `done`; if it is no greater, every flush begun by now was over before.
    let begun = memory.load(begun, Relaxed);
    (over == begun).then_some(begun)
}

/// Notes that a batch changed entries and has not flushed. The lock of the entries' table is held.
pub fn owe<A: Memory>(memory: &A, owing: &A::Word) {
    // RELAXED: who finds the entry changed took the table's lock later, and so sees this.
    memory.fetch_add(owing, 1, Relaxed);
}

/// Notes that the batch has flushed.
pub fn paid<A: Memory>(memory: &A, owing: &A::Word) {
    // ORDERING: Release pairs with the Acquire in `owed`.
    memory.fetch_add(owing, 1u64.wrapping_neg(), Release);
}

/// How many batches changed entries and have not flushed (LR10).
pub fn owed<A: Memory>(memory: &A, owing: &A::Word) -> u64 {
    // ORDERING: Acquire pairs with the Release in `paid`: a batch not counted has flushed.
    memory.load(owing, Acquire)
}
