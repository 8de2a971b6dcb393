//! `walk=counter`: one count of walkers a space; CPUs are asked only if it is not zero.

use crate::walk::{View, Walk};
use core::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};

/// Walkers disable interrupts and count themselves in the space, by an atomic step each way. Who changes an
/// entry of 2 MiB asks the space's CPUs if the count is not zero.
// LINUX: "Introduces new count-based method for tracking lockless pagetable walks", v1 to v5 (2019), not
// merged: begin_lockless_pgtbl_walk(), end_lockless_pgtbl_walk(), running_lockless_pgtbl_walk().
#[derive(Debug)]
pub struct Counter;

impl Counter {
    /// Whether somebody may be walking who has not seen what the caller changed.
    fn is_walked(on: &dyn View) -> bool {
        // ORDERING: SeqCst pairs with the fence in `begin` (a Dekker pair): the walker is counted here, or it
        // sees what was changed (LR13).
        on.fence(SeqCst);
        // ORDERING: Acquire pairs with the fence in `end`: who is not counted has read all it will. (Who is
        // counted is waited for by interrupt.)
        on.load(on.word_of_space(), Acquire) != 0
    }
}

impl Walk for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn begin(&self, on: &dyn View) -> u64 {
        let were_on = on.disable_interrupts();
        // RELAXED: the fence orders it.
        on.fetch_add(on.word_of_space(), 1, Relaxed);
        // ORDERING: SeqCst pairs with `is_walked`.
        on.fence(SeqCst);
        were_on
    }

    fn end(&self, on: &dyn View, begun: u64) {
        // ORDERING: SeqCst pairs with the Acquire in `is_walked`: all reads of the walk are over.
        on.fence(SeqCst);
        // RELAXED: the fence orders it.
        on.fetch_add(on.word_of_space(), 1u64.wrapping_neg(), Relaxed);
        on.restore_interrupts(begun);
    }

    fn changed(&self, on: &dyn View) {
        if Self::is_walked(on) {
            on.interrupt(&on.cpus_of_space());
        }
    }

    fn wait(&self, on: &dyn View) {
        if Self::is_walked(on) {
            on.interrupt(&on.cpus());
        }
    }
}
