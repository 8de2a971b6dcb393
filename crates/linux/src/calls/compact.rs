//! Blocks of frames for drivers, and compaction on demand.

use crate::system::Linux;
use balance::{Policy, compact_memory};
use frame::Request;
use machine::{Cx, Machine, Pfn, Shortage};

impl<'m, M: Machine> Linux<'m, M> {
    /// A block of frames for a driver (Linux: `alloc_pages`): with compaction and reclaim, but nobody dies
    /// for it.
    pub fn allocate_block(&self, cx: &mut Cx<'m, M>, request: &Request) -> Result<Pfn, Shortage> {
        self.balance.allocate(cx, self.spaces(), request, Policy::Reclaim)
    }

    /// A write to `/proc/sys/vm/compact_memory`.
    pub fn compact_memory(&self, cx: &mut Cx<'m, M>) {
        compact_memory(cx.at(), self.spaces());
    }
}
