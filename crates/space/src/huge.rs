//! Who gets pages of 2 MiB.

use crate::huge_pages::HugePages;
use crate::space::Space;
use crate::spaces::Spaces;
use crate::vma::{Snapshot, VmaFlags};
use frame::Id;
use machine::{HUGE_ORDER, Machine, Vpn, VpnRange};

impl<'m, M: Machine> Spaces<'m, M> {
    /// Chooses who gets pages of 2 MiB from now on.
    pub fn set_huge_pages(&self, mode: HugePages) {
        self.promises.huge.set(mode);
    }

    /// Who gets them.
    pub fn huge_pages(&self) -> HugePages {
        self.promises.huge.get()
    }

    /// Keeps a space from getting pages of 2 MiB, or no longer (Linux: `prctl(PR_SET_THP_DISABLE)`). Children
    /// inherit it. What it has stays.
    pub fn refuse_huge_pages(&self, id: Id<Space>, refused: bool) {
        self.space(id).huge_refused.set(refused);
    }

    /// Whether a space is kept from getting them.
    pub fn refuses_huge_pages(&self, id: Id<Space>) -> bool {
        self.space(id).huge_refused.get()
    }

    /// The aligned 2 MiB around a page if a VMA, as it was seen, may have them as one page: it is private
    /// anonymous memory, has all of them, and wants them (Linux: `thp_vma_allowable_order`).
    pub fn huge_range(&self, id: Id<Space>, vma: &Snapshot, page: Vpn) -> Option<VpnRange> {
        let wanted = match self.huge_pages() {
            HugePages::Always => !vma.flags.contains(VmaFlags::NO_HUGE_PAGE),
            HugePages::Madvise => vma.flags.contains(VmaFlags::HUGE_PAGE),
            HugePages::Never => false,
        };
        Self::huge_range_in(vma, page).filter(|_| wanted && !self.refuses_huge_pages(id))
    }

    /// The same, whether they are wanted or not.
    // LINUX: vma_is_temporary_stack() keeps them from the initial stack while a program is loaded only.
    pub(crate) fn huge_range_in(vma: &Snapshot, page: Vpn) -> Option<VpnRange> {
        let range = VpnRange::sized(page.huge_base(), HUGE_ORDER.frames());
        let fits = vma.file.is_none() && vma.flags.is_private() && vma.range.covers(&range);
        fits.then_some(range)
    }
}
