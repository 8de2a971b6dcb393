//! Samples from interrupts: how large is the page at an address, and which frame has its bytes?
//!
//! A profiler's interrupt comes at any moment, also inside a walk of the task it interrupts, or while that
//! holds the lock of the very table that is asked about (L-18). So a sample takes no lock, waits for nobody
//! and answers a value; it nests over a walk of its CPU, between any two steps of it ([`machine::epoch`]).
//! The task it interrupts may be waiting for a grace period, and goes on waiting when the sample is over.
//!
//! Linux: `perf_get_page_size()`, which runs in NMIs (LR18).

use crate::walker::Walker;
use machine::{Cx, EntryFormat, Machine, PAGE_SHIFT, PAGE_SIZE, Pfn, Vpn, level};

/// What a profiler is told of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// Its frame. A number for a report: nothing keeps the frame.
    pub frame: Pfn,
    /// Bytes that its entry maps: 4 KiB or 2 MiB.
    pub bytes: u64,
}

impl<'m, M: Machine> Walker<'_, 'm, M> {
    /// What maps a page now; `None` if nothing does, or the page is beyond user space. For interrupts
    /// ([`Cx::interrupt`]); others may ask, too. The page table is in use: it is the interrupted task's, say.
    // LINUX: kernel/events/core.c perf_get_pgtable_size(): each level is read once. An entry that is on its
    // way (to swap, to another frame) counts as nothing.
    pub fn sample(&self, cx: &mut Cx<'m, M, { level::EPOCH }>, page: Vpn) -> Option<Sample> {
        if page.0 >= M::Entry::USER_END >> PAGE_SHIFT {
            return None;
        }
        let seen = self.walk(cx).see(page);
        let first = seen.leaf::<M>()?;
        let pages = 1u64 << seen.level.span_shift();
        Some(Sample { frame: first.plus(page.0 & (pages - 1)), bytes: pages * PAGE_SIZE })
    }
}
