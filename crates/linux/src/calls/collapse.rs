//! `MADV_COLLAPSE`, and the scanner that does the same unasked.

use crate::errno::Errno;
use crate::process::Process;
use crate::system::Linux;
use balance::Scanned;
use frame::Id;
use machine::{Cx, HUGE_ORDER, Machine, Vpn, VpnRange};
use object::NotCollapsed;
use space::{CollapseError, Wanted};

const PAGES: u64 = HUGE_ORDER.frames();

impl<'m, M: Machine> Linux<'m, M> {
    /// One step of `khugepaged`: looks at about so many pages of all processes.
    pub fn collapse_step(&self, cx: &mut Cx<'m, M>, pages: u64) -> Scanned {
        self.balance.collapse_step(cx, self.spaces(), pages)
    }

    /// Every aligned 2 MiB of the range becomes one page, or the last refusal is the answer.
    // LINUX: mm/khugepaged.c madvise_collapse(), madvise_collapse_errno().
    pub(crate) fn advise_collapse(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        range: VpnRange,
    ) -> Result<(), Errno> {
        let space = self.space_of(process)?;
        let first = Vpn((range.start.0 + PAGES - 1) & !(PAGES - 1));
        let mut refused = Ok(());
        for page in (first.0..range.end.huge_base().0).step_by(PAGES as usize).map(Vpn) {
            let collapsed = self.spaces().collapse(cx.at(), space, (page, Wanted::ByProgram));
            match collapsed {
                Ok(()) | Err(CollapseError::Pages(NotCollapsed::IsHuge)) => {}
                Err(CollapseError::NoMemory) => refused = Err(Errno::ENOMEM),
                Err(CollapseError::Pages(NotCollapsed::InUse)) => refused = Err(Errno::EAGAIN),
                Err(_) => refused = Err(Errno::EINVAL),
            }
        }
        refused
    }
}
