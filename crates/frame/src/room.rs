//! Lending frames to revocation batches.

use crate::frames::Frames;
use crate::request::Request;
use machine::{Cx, KernelFrame, Machine, level};
use revoke::Room;

impl<'m, M: Machine> Room<'m, M> for Frames<'m, M> {
    fn take_room(&self, cx: &mut Cx<'m, M, { level::TABLE1 }>) -> Option<KernelFrame> {
        self.allocate(cx.at(), &Request::kernel()).ok().map(KernelFrame)
    }

    fn return_room(&self, cx: &mut Cx<'m, M, { level::TABLE1 }>, frame: KernelFrame) {
        self.put(cx.at(), frame.0);
    }
}
