//! Who gets pages of 2 MiB.

use crate::space::Space;
use crate::spaces::Spaces;
use crate::vma::{Snapshot, VmaFlags};
use frame::Id;
use machine::{FieldValue, HUGE_ORDER, Machine, Vpn, VpnRange};

/// When anonymous memory gets 2 MiB at a time (Linux: `/sys/kernel/mm/transparent_hugepage/enabled`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum HugePages {
    /// Wherever they fit.
    Always,
    /// Where `madvise(MADV_HUGEPAGE)` asked for them.
    #[default]
    Madvise,
    /// Nowhere.
    Never,
}

impl HugePages {
    /// All of them, in the order in which Linux lists them.
    pub const ALL: [HugePages; 3] = [HugePages::Always, HugePages::Madvise, HugePages::Never];

    /// As Linux spells it.
    pub const fn name(self) -> &'static str {
        match self {
            HugePages::Always => "always",
            HugePages::Madvise => "madvise",
            HugePages::Never => "never",
        }
    }
}

impl core::str::FromStr for HugePages {
    type Err = UnknownHugePages;
    fn from_str(name: &str) -> Result<Self, UnknownHugePages> {
        HugePages::ALL.into_iter().find(|mode| mode.name() == name).ok_or(UnknownHugePages)
    }
}

/// Not a way to hand out pages of 2 MiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnknownHugePages;

impl core::fmt::Display for UnknownHugePages {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("not `always`, `madvise` or `never`")
    }
}

impl core::error::Error for UnknownHugePages {}

impl FieldValue for HugePages {
    fn to_bits(self) -> u64 {
        self as u64
    }
    fn from_bits(bits: u64) -> Self {
        HugePages::ALL[bits as usize % HugePages::ALL.len()]
    }
}

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
