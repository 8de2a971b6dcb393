//! `MADV_WILLNEED` of anonymous memory: what is swapped out comes into the swap cache (Linux:
//! `swapin_walk_pmd_entry`). It is mapped when it is touched.

use crate::layout::Layout;
use machine::{Cx, Entry, Level, Machine, Vpn, VpnRange, level};
use object::Objects;
use object::swap::slot::Claim;
use table::{Cursor, Rss, Slot, Soft, Walker};

impl<M: Machine> Layout<'_, '_, M> {
    /// Reads in what entries of a range name. A slot that cannot be read is left to who touches the page, and
    /// where memory is short this ends: nobody waits for advice.
    pub(crate) fn read_swapped_ahead(&mut self, part: VpnRange) {
        let (spaces, space) = (self.spaces, self.space);
        let Some(table) = space.table.get() else { return };
        let (walker, objects) = (spaces.walker(table), spaces.objects());
        if walker.table().rss(Rss::Swap) == 0 {
            return;
        }
        let mut left = part;
        while let Some((page, slot)) = next_swapped(self, (&walker, objects), left) {
            left = VpnRange::new(page + 1, part.end);
            let Ok(frame) = objects.new_swapped(self, slot) else { return };
            let claimed = {
                // The area stays as long as the entry is seen.
                let leaf = walker.lock_leaf_existing(self.at(), page);
                let same = leaf.filter(|leaf| slot_at::<M>(leaf.entry(page), leaf.level()) == Some(slot));
                same.is_some_and(|leaf| objects.claim_swapped(&leaf, slot, frame) == Claim::Mine)
            };
            if !claimed {
                objects.give_up_swapped(self, frame);
                continue;
            }
            // Who comes to want the page gets the error, if there is one.
            let _ = objects.read_swapped(self, slot, frame);
            spaces.frames().put(self.at(), frame);
        }
    }
}

/// The first page of a range whose entry names a slot that is not in the cache.
fn next_swapped<'m, M: Machine>(
    cx: &mut Cx<'m, M, { level::LAYOUT }>,
    (walker, objects): (&Walker<'_, 'm, M>, &Objects<'m, M>),
    range: VpnRange,
) -> Option<(Vpn, Slot)> {
    let mut cursor = Cursor::new(range);
    while let Some((leaf, part)) = cursor.next(walker, cx.at()) {
        let mut next = part.start;
        while let Some((page, entry)) = leaf.next_used(next, part.end) {
            next = leaf.pages(page).end;
            if let Some(slot) = slot_at::<M>(entry, leaf.level())
                && objects.slot_state(&leaf, slot).frame().is_none()
            {
                return Some((page, slot));
            }
        }
    }
    None
}

fn slot_at<M: Machine>(entry: Entry, level: Level) -> Option<Slot> {
    match Soft::of::<M>(entry, level) {
        Some(Soft::Swap { slot, .. }) => Some(slot),
        _ => None,
    }
}
