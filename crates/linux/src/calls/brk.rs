//! `brk`.

use crate::args::page_align;
use crate::errno::{Call, Errno};
use crate::process::Process;
use crate::system::Linux;
use frame::Id;
use machine::{Cx, Machine, VirtAddr, VpnRange};
use space::VmaFlags;

impl<'m, M: Machine> Linux<'m, M> {
    /// `brk(addr)`: answers the end of the heap in force, which is the old one if the request was refused.
    pub fn brk(&self, cx: &mut Cx<'m, M>, process: Id<Process>, addr: u64) -> Result<u64, Errno> {
        let before = self.heap_end(cx, process)?;
        let now = self.run(cx, process, Call::Brk, |cx, space| self.spaces().set_break(cx, space, addr))?;
        let (Some(old), Some(new)) = (page_align(before), page_align(now)) else { return Ok(now) };
        if old < new {
            let grown = VpnRange::new(VirtAddr(old).page(), VirtAddr(new).page());
            self.populate_vmas(cx, process, grown, |flags| flags.contains(VmaFlags::LOCKED))?;
        }
        Ok(now)
    }

    /// Where the heap ends.
    pub(crate) fn heap_end(&self, cx: &mut Cx<'m, M>, process: Id<Process>) -> Result<u64, Errno> {
        // An address below every heap is refused, so this only asks.
        self.run(cx, process, Call::Brk, |cx, space| self.spaces().set_break(cx, space, 0))
    }
}
