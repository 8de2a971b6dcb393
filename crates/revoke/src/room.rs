//! Where a batch finds room for many payloads.

use machine::{Cx, KernelFrame, Machine, level};

/// Lends frames to batches. The frame allocator of the floor above is one.
pub trait Room<'m, M: Machine> {
    /// A kernel frame to note payloads in, or `None`: then the batch settles earlier. The batch has `had`
    /// frames of room already: all that they name is still not free.
    fn take_room(&self, cx: &mut Cx<'m, M, { level::TABLE1 }>, had: usize) -> Option<KernelFrame>;
    /// Gives a frame of [`Room::take_room`] back.
    fn return_room(&self, cx: &mut Cx<'m, M, { level::TABLE1 }>, frame: KernelFrame);
}
