//! Bringing pages in ahead of use: `MAP_POPULATE`, locked memory.

use crate::errno::{Errno, of_fault};
use crate::process::Process;
use crate::system::Linux;
use fault::Populate;
use frame::Id;
use machine::{Cx, HUGE_ORDER, Machine, VpnRange};
use space::{Error, VmaFlags};

impl<'m, M: Machine> Linux<'m, M> {
    /// Brings in the pages of the range's VMAs that `wanted` names, as far as they allow any access, and
    /// goes on after errors. LINUX: __mm_populate(), whose callers ignore what it answers (all but mlock).
    pub(crate) fn populate_vmas(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        range: VpnRange,
        wanted: impl Fn(VmaFlags) -> bool,
    ) -> Result<(), Errno> {
        self.for_each_mapped(cx, process, range, |cx, part, flags| {
            if wanted(flags) && is_populated(flags) {
                // What fails here is found out by the fault that needs the page.
                let _ = self.populate(cx, process, part, Populate::AsAllowed);
            }
            Ok(())
        })
    }

    /// Calls `f` with what each VMA has of the range, in order, until an error. VMAs may change
    /// in between: no lock is held.
    pub(crate) fn for_each_mapped(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        range: VpnRange,
        mut f: impl FnMut(&mut Cx<'m, M>, VpnRange, VmaFlags) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let space = self.space_of(process)?;
        let mut at = range.start;
        while at < range.end {
            let Some(vma) = self.spaces().vma_at(cx.at(), space, at) else { break };
            let part = vma.range.intersect(&VpnRange::new(at, range.end));
            if part.is_empty() {
                break;
            }
            at = part.end;
            f(cx, part, vma.flags)?;
        }
        Ok(())
    }

    /// Brings in the pages of a range, a table's worth at a time: after a shortage only the last part
    /// starts again, and a process that is being killed stops.
    pub(crate) fn populate(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        range: VpnRange,
        how: Populate,
    ) -> Result<(), Error> {
        let space = self.process(process).space().ok_or(Error::Killed)?;
        let mut at = range.start;
        while at < range.end {
            let next = (at.huge_base() + HUGE_ORDER.frames()).min(range.end);
            let part = VpnRange::new(at, next);
            self.balance.with_memory(cx, self.spaces(), Some(space), self.config.shortage, |cx| {
                self.faults.populate(cx, space, part, how).map_err(of_fault)
            })?;
            at = next;
        }
        Ok(())
    }
}

/// LINUX: populate_vma_page_range() leaves memory locked on fault alone, and has never brought in what is not
/// accessible.
pub(crate) fn is_populated(flags: VmaFlags) -> bool {
    flags.intersects(VmaFlags::ACCESS) && !flags.contains(VmaFlags::LOCK_ON_FAULT)
}
