//! `brk`.

use crate::errno::{Call, Errno};
use crate::process::Process;
use crate::system::Linux;
use frame::Id;
use machine::{Cx, Machine, VirtAddr};
use space::VmaFlags;

impl<'m, M: Machine> Linux<'m, M> {
    /// `brk(addr)`: answers the end of the heap in force, which is the old one if the request was refused.
    pub fn brk(&self, cx: &mut Cx<'m, M>, process: Id<Process>, addr: u64) -> Result<u64, Errno> {
        let now = self.run(cx, process, Call::Brk, |cx, space| self.spaces().set_break(cx, space, addr))?;
        self.populate_heap(cx, process, now)?;
        Ok(now)
    }

    /// A locked heap is resident at once, to its end.
    fn populate_heap(&self, cx: &mut Cx<'m, M>, process: Id<Process>, end: u64) -> Result<(), Errno> {
        let space = self.space_of(process)?;
        let Some(last) = end.checked_sub(1).map(|last| VirtAddr(last).page()) else { return Ok(()) };
        match self.spaces().vma_at(cx.at(), space, last) {
            Some(heap) if heap.range.contains(last) && heap.flags.contains(VmaFlags::LOCKED) => {
                self.populate_vmas(cx, process, heap.range, |_| true)
            }
            _ => Ok(()),
        }
    }

    /// Where the heap ends.
    pub(crate) fn heap_end(&self, cx: &mut Cx<'m, M>, process: Id<Process>) -> Result<u64, Errno> {
        // An address below every heap is refused, so this only asks.
        self.run(cx, process, Call::Brk, |cx, space| self.spaces().set_break(cx, space, 0))
    }
}
