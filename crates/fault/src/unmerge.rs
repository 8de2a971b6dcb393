//! Pages that may not be merged any more get copies of their own (Linux: `break_ksm`, `unmerge_ksm_pages`).

use crate::error::FaultError;
use crate::faults::Faults;
use crate::handle::{Outcome, Purpose, Wish};
use frame::Id;
use machine::{Access, Cx, Machine, Vpn, VpnRange, level};
use space::Space;

impl<'m, M: Machine> Faults<'m, M> {
    /// Gives every merged page of a range a copy of its own, whatever the VMAs allow. The caller has seen to
    /// it that nothing is merged there again.
    ///
    /// After a `Shortage` what was not reached is still merged. `Killed`: the space is dying.
    pub fn unmerge(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        range: VpnRange,
    ) -> Result<(), FaultError> {
        let mut at = range.start;
        while let Some(page) = self.spaces().next_merged(cx, space, VpnRange::new(at, range.end)) {
            while let Some(wish) = self.merged_at(cx, space, page)? {
                if self.try_once(cx, &wish)? == Outcome::Done {
                    break;
                }
            }
            at = page + 1;
        }
        Ok(())
    }

    /// The wish for a page of its own, where a page is merged.
    fn merged_at(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        page: Vpn,
    ) -> Result<Option<Wish>, FaultError> {
        let spaces = self.spaces();
        let merged = spaces.next_merged(cx, space, VpnRange::sized(page, 1)).is_some();
        if !merged || spaces.space(space).is_killed(cx) {
            return Ok(None);
        }
        let vma = spaces.vma_at(cx, space, page).filter(|vma| vma.range.contains(page));
        let Some(vma) = vma else { return Ok(None) };
        let wish = self.wish(cx, space, (page, vma), Access::Write)?;
        Ok(Some(Wish { purpose: Purpose::Own, ..wish }))
    }
}
