//! Making a range resident without an access: `MAP_POPULATE`, `mlock`,
//! `MADV_POPULATE_*` (Linux: `populate_vma_page_range`, `faultin_page_range`).

use crate::error::{FaultError, SegvKind};
use crate::faults::Faults;
use frame::Id;
use machine::trace::Asker;
use machine::{Access, Cx, Machine, Vpn, VpnRange, level};
use space::{Space, VmaFlags};

/// As what pages are made resident.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Populate {
    /// As a load would (`MADV_POPULATE_READ`).
    Read,
    /// As a store would (`MADV_POPULATE_WRITE`).
    Write,
    /// As a store where private memory allows stores, otherwise as a load; what allows no access is left out,
    /// as are VMAs locked on fault (`MAP_POPULATE`, `mlock`).
    AsAllowed,
}

impl<'m, M: Machine> Faults<'m, M> {
    /// Makes the pages of a range resident, in order. What came before an error stays.
    ///
    /// `Segv(MapErr)` for a hole, `Segv(AccErr)` for what does not allow the access, else as a fault.
    pub fn populate(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        range: VpnRange,
        populate: Populate,
    ) -> Result<(), FaultError> {
        let mut page = range.start;
        while page < range.end {
            match self.access_for(cx, space, page, populate)? {
                Some(access) => {
                    self.resolve(cx, space, (page.addr(), access), Asker::Call)?;
                    page = page + 1;
                }
                None => page = self.end_of_vma(cx, space, page),
            }
        }
        Ok(())
    }

    /// The access that makes a page resident; `None` where none is wanted. LINUX: check_vma_flags() asks for
    /// the right to load itself, which hardware grants to all that may be stored to or executed.
    fn access_for(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        page: Vpn,
        populate: Populate,
    ) -> Result<Option<Access>, FaultError> {
        if populate == Populate::Write {
            return Ok(Some(Access::Write));
        }
        let vma = self.spaces().vma_at(cx, space, page).filter(|vma| vma.range.contains(page));
        let Some(vma) = vma else { return Ok(Some(Access::Read)) };
        if populate == Populate::Read {
            let loads = vma.flags.contains(VmaFlags::READ);
            return if loads { Ok(Some(Access::Read)) } else { Err(FaultError::Segv(SegvKind::AccErr)) };
        }
        if !vma.flags.intersects(VmaFlags::ACCESS) || vma.flags.contains(VmaFlags::LOCK_ON_FAULT) {
            return Ok(None);
        }
        let store = vma.flags.is_private() && vma.flags.contains(VmaFlags::WRITE);
        Ok(Some(if store { Access::Write } else { Access::Read }))
    }

    fn end_of_vma(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, space: Id<Space>, page: Vpn) -> Vpn {
        self.spaces().vma_at(cx, space, page).map_or(page + 1, |vma| vma.range.end.max(page + 1))
    }
}
