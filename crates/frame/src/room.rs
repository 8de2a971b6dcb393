//! Lending frames to revocation batches.

use crate::frames::Frames;
use crate::request::{Request, Reserve};
use machine::{Cx, KernelFrame, Machine, level};
use revoke::Room;

/// Frames a batch gets even where memory is short (Linux's `MAX_GATHER_BATCH_COUNT`): some 10,000 payloads.
/// More only as long as memory is above the low watermark: what a batch holds is not free.
const ALWAYS: usize = 20;

impl<'m, M: Machine> Room<'m, M> for Frames<'m, M> {
    fn take_room(&self, cx: &mut Cx<'m, M, { level::TABLE1 }>, had: usize) -> Option<KernelFrame> {
        let reserve = if had < ALWAYS { Reserve::None } else { Reserve::Optional };
        self.allocate(cx.at(), &Request::kernel().reserve(reserve)).ok().map(KernelFrame)
    }

    fn return_room(&self, cx: &mut Cx<'m, M, { level::TABLE1 }>, frame: KernelFrame) {
        self.put(cx.at(), frame.0);
    }
}
