//! Large pages: `MADV_COLLAPSE`, the scanner that does the same unasked, and `prctl(PR_SET_THP_DISABLE)`.

use crate::errno::Errno;
use crate::process::Process;
use crate::system::Linux;
use balance::Scanned;
use frame::Id;
use machine::{Cx, HUGE_ORDER, Machine, Vpn, VpnRange};
use object::NotCollapsed;
use space::{CollapseError, Space, Wanted};

const PAGES: u64 = HUGE_ORDER.frames();

impl<'m, M: Machine> Linux<'m, M> {
    /// One step of `khugepaged`: looks at about so many pages of all processes.
    pub fn collapse_step(&self, cx: &mut Cx<'m, M>, pages: u64) -> Scanned {
        self.balance.collapse_step(cx, self.spaces(), pages)
    }

    /// `prctl(PR_SET_THP_DISABLE, arg2, arg3, arg4, arg5)`: the process and its children get no large pages,
    /// or may again.
    pub fn set_thp_disable(
        &self,
        process: Id<Process>,
        [disable, arg3, arg4, arg5]: [u64; 4],
    ) -> Result<(), Errno> {
        if [arg3, arg4, arg5] != [0; 3] {
            return Err(Errno::EINVAL);
        }
        self.spaces().refuse_huge_pages(self.space_of(process)?, disable != 0);
        Ok(())
    }

    /// `prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0)`.
    pub fn get_thp_disable(&self, process: Id<Process>, args: [u64; 4]) -> Result<u64, Errno> {
        if args != [0; 4] {
            return Err(Errno::EINVAL);
        }
        Ok(u64::from(self.spaces().refuses_huge_pages(self.space_of(process)?)))
    }

    /// Every aligned 2 MiB of each VMA in the range becomes one page; the first VMA where that fails ends it.
    /// A hole is told at the end.
    // LINUX: mm/khugepaged.c madvise_collapse(); mm/madvise.c madvise_walk_vmas().
    pub(crate) fn advise_collapse(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        range: VpnRange,
    ) -> Result<(), Errno> {
        let space = self.space_of(process)?;
        let (mut at, mut hole) = (range.start, false);
        while at < range.end {
            let Some(vma) = self.spaces().vma_at(cx.at(), space, at) else { return Err(Errno::ENOMEM) };
            hole |= !vma.range.contains(at);
            let part = vma.range.intersect(&VpnRange::new(at, range.end));
            if !part.is_empty() {
                if !self.spaces().may_collapse(space, &vma) {
                    return Err(Errno::EINVAL);
                }
                self.collapse_part(cx, space, part)?;
            }
            at = vma.range.end;
        }
        if hole { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// All of a part of a VMA is tried; the last refusal is the answer.
    // LINUX: mm/khugepaged.c madvise_collapse_errno().
    fn collapse_part(&self, cx: &mut Cx<'m, M>, space: Id<Space>, part: VpnRange) -> Result<(), Errno> {
        let (first, end) = (Vpn((part.start.0 + PAGES - 1) & !(PAGES - 1)), part.end.huge_base());
        // LINUX: within one 2 MiB `hend - hstart` is below 0, and no count of pages is as large as that.
        let mut refused = if first > end { Err(Errno::EINVAL) } else { Ok(()) };
        for page in (first.0..end.0).step_by(PAGES as usize).map(Vpn) {
            match self.spaces().collapse(cx.at(), space, (page, Wanted::ByProgram)) {
                Ok(()) | Err(CollapseError::Pages(NotCollapsed::IsHuge)) => {}
                Err(CollapseError::NoMemory) => refused = Err(Errno::ENOMEM),
                Err(CollapseError::Pages(NotCollapsed::InUse)) => refused = Err(Errno::EAGAIN),
                Err(_) => refused = Err(Errno::EINVAL),
            }
        }
        refused
    }
}
