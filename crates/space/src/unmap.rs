//! `munmap`: mappings go away.

use crate::error::Error;
use crate::layout::Layout;
use crate::map::VMAS_MAX;
use crate::prepare::Prepared;
use crate::space::Space;
use crate::spaces::Spaces;
use crate::zap::Tables;
use frame::Id;
use machine::{Cx, Machine, VpnRange, level};

impl<'m, M: Machine> Spaces<'m, M> {
    /// Removes all mappings of a range; holes in it are fine (Linux: `do_vmi_munmap`).
    ///
    /// Errors: `Invalid` for an empty range, `NoMemory` if a VMA would have to be cut in two and there
    /// are too many, `Killed`, `Shortage`.
    pub fn unmap(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        range: VpnRange,
    ) -> Result<(), Error> {
        self.change_range(cx, space, range, |layout| layout.unmap(range))
    }
}

impl<'m, M: Machine> Layout<'_, 'm, M> {
    /// The same with the layout locked.
    pub(crate) fn unmap(&mut self, range: VpnRange) -> Result<(), Error> {
        if range.is_empty() {
            return Err(Error::Invalid);
        }
        if self.first_in(range).is_none() {
            return Ok(());
        }
        if self.cuts_in_two(range) && self.count() >= VMAS_MAX {
            return Err(Error::NoMemory);
        }
        let mut prepared = self.prepare(self.cuts(range))?;
        self.remove_range(&mut prepared, range);
        self.give_back(prepared);
        Ok(())
    }

    /// Whether the range lies inside one VMA and leaves something on both sides.
    fn cuts_in_two(&self, range: VpnRange) -> bool {
        self.covering(range.start).is_some_and(|id| {
            let whole = self.vma(id).range();
            whole.start < range.start && range.end < whole.end
        })
    }

    /// Removes what is mapped in the range. Uses two of everything prepared. Faults on the range find nothing
    /// from here on; frames are free when it returns.
    pub(crate) fn remove_range(&mut self, prepared: &mut Prepared<'m, M>, range: VpnRange) {
        self.split_at_ends(prepared, range);
        let mut at = range.start;
        while let Some(id) = self.first_in(VpnRange::new(at, range.end)) {
            self.begin_change(id);
            at = self.vma(id).range().end;
        }
        self.zap(range, Tables::FreeEmpty);
        self.remove_vmas(range);
    }
}
