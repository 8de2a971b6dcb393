//! `swapoff`: everything that an area has comes back (Linux: `try_to_unuse`).

use crate::error::FaultError;
use crate::faults::Faults;
use crate::handle::Back;
use frame::Id;
use machine::{Access, Cx, Entry, Level, Machine, Shortage, Vpn, level};
use object::swapping::SwapError;

use space::{Space, everything};
use table::{Cursor, PageTable, Slot, Soft, Sole};

/// How often all spaces are walked without finding anything before the area is said to be in use. (What is
/// not found is in the hands of somebody: of a fork, or of an unmapping that is not settled yet.)
const FRUITLESS_MAX: u32 = 1000;

/// Why an area is still in use. It goes on as before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SwapOffError {
    /// No such area (`EINVAL`).
    NoArea,
    /// Memory for what it has could not be had (`ENOMEM`).
    Shortage(Shortage),
    /// A page could not be read (`EIO`). LINUX: such a page is given up at once (`make_poisoned_swp_entry`);
    /// here it keeps its slot, and its program may have better luck.
    Io,
    /// Somebody has slots and does not give them back (`EINTR`: Linux goes on until it is interrupted).
    Busy,
}

impl From<SwapError> for SwapOffError {
    fn from(_: SwapError) -> Self {
        SwapOffError::NoArea
    }
}

impl core::fmt::Display for SwapOffError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            SwapOffError::NoArea => "no such swap area",
            SwapOffError::Shortage(_) => "no memory for what the swap area has",
            SwapOffError::Io => "a page of the swap area could not be read",
            SwapOffError::Busy => "the swap area stays in use",
        })
    }
}

impl core::error::Error for SwapOffError {}

impl<'m, M: Machine> Faults<'m, M> {
    /// Ends a swap area: its pages come back as they were (CR17). An error leaves it in use; what came back
    /// before stays in memory.
    pub fn swap_off(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, area: u8) -> Result<(), SwapOffError> {
        let objects = self.spaces().objects();
        objects.begin_swap_off(cx.at(), area)?;
        let emptied = self.empty_area(cx, area);
        let ended = objects.end_swap_off(cx.at(), area);
        match emptied {
            Err(error) if !ended => Err(error),
            _ if !ended => Err(SwapOffError::Busy),
            _ => Ok(()),
        }
    }

    fn empty_area(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, area: u8) -> Result<(), SwapOffError> {
        let objects = self.spaces().objects();
        let mut fruitless = 0;
        while objects.slots_in_use(area) > 0 && fruitless < FRUITLESS_MAX {
            let before = objects.slots_in_use(area);
            self.bring_all_back(cx, area)?;
            objects.drop_kept(cx.at(), area);
            if objects.slots_in_use(area) >= before {
                fruitless += 1;
                objects.wait_for_slots(cx.at(), area);
            } else {
                fruitless = 0;
            }
        }
        Ok(())
    }

    fn bring_all_back(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, area: u8) -> Result<(), SwapOffError> {
        let spaces = self.spaces();
        for id in spaces.ids() {
            // What is being made by fork is not looked at yet, what is dying gives its slots back by itself.
            if spaces.space(id).is_killed(cx) || !spaces.try_retain(cx, id) {
                continue;
            }
            let result = match spaces.space(id).table() {
                Some(table) if !spaces.space(id).is_killed(cx) => self.bring_back(cx, (id, table), area),
                _ => Ok(()),
            };
            spaces.release(cx, id);
            result?;
        }
        Ok(())
    }

    /// Brings back what one space has in the area.
    fn bring_back(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        (space, table): (Id<Space>, Id<PageTable>),
        area: u8,
    ) -> Result<(), SwapOffError> {
        let spaces = self.spaces();
        if spaces.tables().get(table).rss(table::Rss::Swap) == 0 {
            return Ok(());
        }
        let mut cursor = Cursor::new(everything::<M>());
        while let Some((page, entry, slot, sole)) = self.next_swapped(cx, table, &mut cursor, area) {
            let Some(vma) = spaces.vma_at(cx, space, page).filter(|vma| vma.range.contains(page)) else {
                continue;
            };
            let Ok(wish) = self.wish(cx, space, (page, vma), Access::Read) else { continue };
            if wish.entry != entry {
                continue;
            }
            match self.swap_fault(cx, &wish, (slot, sole), Back::AreaEnds) {
                // What changed meanwhile is met again in the next round.
                Ok(_) => {}
                Err(FaultError::Shortage(shortage)) => return Err(SwapOffError::Shortage(shortage)),
                Err(_) => return Err(SwapOffError::Io),
            }
        }
        Ok(())
    }

    /// The next entry that names a slot of the area.
    fn next_swapped(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        table: Id<PageTable>,
        cursor: &mut Cursor,
        area: u8,
    ) -> Option<(Vpn, Entry, Slot, Sole)> {
        let walker = self.spaces().walker(table);
        loop {
            let (leaf, part) = cursor.next(&walker, cx.at())?;
            let mut next = part.start;
            while let Some((page, entry)) = leaf.next_used(next, part.end) {
                next = leaf.pages(page).end;
                match Soft::of::<M>(entry, leaf.level()) {
                    Some(Soft::Swap { slot, sole }) if slot.area == area && leaf.level() == Level::LEAF => {
                        cursor.resume_at(next);
                        return Some((page, entry, slot, sole));
                    }
                    _ => {}
                }
            }
        }
    }
}
