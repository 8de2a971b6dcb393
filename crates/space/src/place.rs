//! Where a new mapping goes (Linux: `get_unmapped_area`, `arch_get_unmapped_area_topdown`).

use crate::error::Error;
use crate::layout::Layout;
use crate::tree::Direction;
use crate::vma::{STACK_GUARD, VmaFlags};
use machine::{EntryFormat, Machine, PAGE_SHIFT, Vpn, VpnRange};

/// Where a caller wants a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Wherever there is room.
    Anywhere,
    /// There if it is free, otherwise anywhere.
    Hint(Vpn),
    /// There; what is mapped goes away (`MAP_FIXED`).
    Fixed(Vpn),
    /// There, if it is free (`MAP_FIXED_NOREPLACE`).
    FixedNoReplace(Vpn),
}

/// Lowest page a mapping may have unless it insists (Linux: `mmap_min_addr`, 64 KiB).
pub const LOWEST: Vpn = Vpn(16);

impl<M: Machine> Layout<'_, '_, M> {
    /// The range a mapping of `pages` gets, without changing anything.
    pub(crate) fn place(&self, place: Place, pages: u64) -> Result<VpnRange, Error> {
        let end = user_end::<M>();
        if pages == 0 {
            return Err(Error::Invalid);
        }
        if pages > end.0 {
            return Err(Error::NoMemory);
        }
        match place {
            Place::Fixed(start) | Place::FixedNoReplace(start) => {
                if start.0 > end.0 - pages {
                    return Err(Error::NoMemory);
                }
                let range = VpnRange::sized(start, pages);
                let taken = place != Place::Fixed(start) && self.first_in(range).is_some();
                if taken { Err(Error::Exists) } else { Ok(range) }
            }
            Place::Hint(start) => {
                let start = start.max(LOWEST);
                let range = VpnRange::sized(start, pages);
                if start.0 <= end.0 - pages && self.is_free(range) {
                    return Ok(range);
                }
                self.search(pages)
            }
            Place::Anywhere => self.search(pages),
        }
    }

    /// Whether the range is free and does not touch the guard below a stack.
    pub(crate) fn is_free(&self, range: VpnRange) -> bool {
        self.find(range.start).is_none_or(|id| {
            let vma = self.vma(id);
            let guard = if vma.flags().contains(VmaFlags::GROWS_DOWN) { STACK_GUARD } else { 0 };
            range.end.0 <= vma.range().start.0.saturating_sub(guard)
        })
    }

    /// The highest gap below the mmap base; failing that, the lowest gap above a third of the address space.
    fn search(&self, pages: u64) -> Result<VpnRange, Error> {
        let end = user_end::<M>();
        let below = VpnRange::new(LOWEST, self.space.mmap_base.get());
        let above = VpnRange::new(Vpn(end.0 / 3), end);
        let found = self
            .find_gap(below, pages, Direction::TopDown)
            .or_else(|| self.find_gap(above, pages, Direction::BottomUp));
        found.map(|start| VpnRange::sized(start, pages)).ok_or(Error::NoMemory)
    }

    fn find_gap(&self, window: VpnRange, pages: u64, direction: Direction) -> Option<Vpn> {
        self.space.tree.find_gap(self.spaces.nodes(), self, window, pages, 1, direction)
    }
}

/// One past the last page user space may have.
pub(crate) fn user_end<M: Machine>() -> Vpn {
    Vpn(M::Entry::USER_END >> PAGE_SHIFT)
}
