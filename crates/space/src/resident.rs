//! `mincore`: which pages would be found without reading.

use crate::error::Error;
use crate::space::Space;
use crate::spaces::Spaces;
use crate::vma::Snapshot;
use frame::Id;
use machine::entry::Kind;
use machine::{Cx, EntryFormat, Machine, Vpn, VpnRange, level};
use object::PageCtx;
use table::Soft;

impl<'m, M: Machine> Spaces<'m, M> {
    /// Calls `out` for every page of the range: whether it is mapped, or in its
    /// file's cache (Linux: `sys_mincore`).
    ///
    /// Errors: `NoMemory` for a hole (what lies before was reported), `Killed`.
    pub fn resident(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        range: VpnRange,
        out: &mut dyn FnMut(bool),
    ) -> Result<(), Error> {
        let mut at = range.start;
        while at < range.end {
            let vma =
                self.vma_at(cx, space, at).filter(|vma| vma.range.contains(at)).ok_or(Error::NoMemory)?;
            let end = vma.range.end.min(range.end);
            for page in (at.0..end.0).map(Vpn) {
                out(self.is_resident(cx, space, &vma, page));
            }
            at = end;
        }
        Ok(())
    }

    fn is_resident(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        vma: &Snapshot,
        page: Vpn,
    ) -> bool {
        let Some(table) = self.space(space).table() else { return false };
        let seen = self.walker(table).peek(cx.at(), page);
        // LINUX: mincore_pte_range(): a page on its way is resident.
        let moving = matches!(Soft::of::<M>(seen.entry, seen.level), Some(Soft::Migration { .. }));
        if moving || matches!(M::Entry::kind(seen.entry, seen.level), Kind::Leaf(_)) {
            return true;
        }
        // LINUX: mincore_pte_range(): a swapped page is resident if the swap cache has it.
        if let Some(Soft::Swap { slot, .. }) = Soft::of::<M>(seen.entry, seen.level) {
            let state = self.objects().slot_state(cx, slot);
            return state.frame().is_some() && !state.is_busy();
        }
        let Some(file) = vma.file else { return false };
        let cached = self.objects().lookup(cx.at(), PageCtx { file, index: vma.file_index(page) });
        cached.map(|page| self.objects().release(cx.at(), page)).is_some()
    }
}
