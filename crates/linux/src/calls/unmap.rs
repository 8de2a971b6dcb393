//! `munmap`.

use crate::args::{is_page_aligned, page_align, pages, user_end};
use crate::errno::{Call, Errno};
use crate::process::Process;
use crate::system::Linux;
use frame::Id;
use machine::{Cx, Machine, VpnRange};

/// The range `munmap` may unmap. LINUX: do_vmi_munmap() knows one answer for all that is wrong.
pub(crate) fn unmap_range<M: Machine>(addr: u64, len: u64) -> Result<VpnRange, Errno> {
    let room = user_end::<M>().checked_sub(addr).ok_or(Errno::EINVAL)?;
    if !is_page_aligned(addr) || len > room {
        return Err(Errno::EINVAL);
    }
    match page_align(len) {
        Some(len) if len > 0 => Ok(pages(addr, len)),
        _ => Err(Errno::EINVAL),
    }
}

impl<'m, M: Machine> Linux<'m, M> {
    /// `munmap(addr, len)`.
    pub fn munmap(&self, cx: &mut Cx<'m, M>, process: Id<Process>, addr: u64, len: u64) -> Result<(), Errno> {
        let range = unmap_range::<M>(addr, len)?;
        self.run(cx, process, Call::Munmap, |cx, space| self.spaces().unmap(cx, space, range))
    }
}
