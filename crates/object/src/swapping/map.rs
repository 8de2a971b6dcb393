//! A swap entry becomes a mapping (Linux: the last part of `do_swap_page`, `unuse_pte`).

use crate::exclusive::AnonCtx;
use crate::objects::Objects;
use crate::page::owner_number;
use crate::swap::slot::Kept;
use frame::counts::{AtCap, Exclusive};
use frame::{Descriptor, Flags};
use machine::entry::Attrs;
use machine::{EntryFormat, Machine, Pfn, Plant, Vpn};
use table::{Leaf, Rss, Slot, Sole};

/// A page that is about to be mapped at an entry that names its slot.
#[derive(Clone, Copy, Debug)]
pub struct Entrance {
    /// The slot.
    pub slot: Slot,
    /// What the entry says of exclusivity.
    pub sole: Sole,
    /// The page, which the caller has locked and has a reference to.
    pub pfn: Pfn,
    /// Whose page it is, if nobody's yet.
    pub ctx: AnonCtx,
    /// Whether it is written at once.
    pub written: bool,
    /// Whether the slot is kept for a page that nobody has written to since.
    pub kept: Kept,
}

impl<'m, M: Machine> Objects<'m, M> {
    /// Whether the page of an entrance is what the cache has for its slot.
    pub fn is_cached_at(&self, leaf: &Leaf<'_, 'm, M>, slot: Slot, pfn: Pfn) -> bool {
        self.slot_state(leaf, slot).frame() == Some(pfn)
    }

    /// Exchanges a swap entry for a mapping of its page, which gets a reference of its own. Rows 17 and 18 of
    /// the COW table: exclusive if the entry remembers it (CR16), or if provably nobody else has page or
    /// slot; not while the page is being written to a device that wants its bytes stable (C-16). Answers
    /// whether it is exclusive. `attrs` has what the VMA allows; stores pass only to an exclusive page that
    /// is written at once. A forced store (CR13) makes no entry writable, and is no less of a store.
    pub fn map_swapped(
        &self,
        leaf: &mut Leaf<'_, 'm, M>,
        at: Vpn,
        entrance: &Entrance,
        attrs: Attrs,
    ) -> Result<bool, AtCap> {
        let Entrance { slot, pfn, ctx, .. } = *entrance;
        let page = self.descriptor(pfn);
        let exclusive = self.returns_exclusive(leaf, page, entrance);
        // The caller's reference keeps the page until it is unlocked, whoever unmaps it meanwhile.
        page.get(leaf)?;
        if page.add_map(leaf, Exclusive::No).is_err() {
            let freed = page.put(leaf);
            debug_assert_eq!(freed, frame::Freed::No, "the caller has a reference");
            return Err(AtCap);
        }
        if page.owner(leaf) == 0 {
            page.set_owner(leaf, owner_number(ctx.lineage), ctx.index);
        }
        if exclusive {
            self.come_back(leaf, pfn);
        }
        let stored = exclusive && entrance.written;
        let perms = machine::Perms { write: stored && attrs.perms.write, ..attrs.perms };
        let attrs = Attrs { perms, dirty: stored, ..attrs };
        let entry = M::Entry::leaf(pfn, attrs, leaf.level());
        leaf.exchange_absent(at, (Some(Rss::Swap), Some(Rss::Anon)), entry);
        self.put_swap(leaf, slot, if stored { Kept::Nothing } else { entrance.kept });
        Ok(exclusive)
    }

    fn returns_exclusive(&self, leaf: &Leaf<'_, 'm, M>, page: &Descriptor, entrance: &Entrance) -> bool {
        let stable = self.swap.area(entrance.slot).stable.get();
        if stable && page.test(leaf, Flags::WRITEBACK) && !leaf.planted(Plant::StableWritesIgnored) {
            return false;
        }
        let counts = page.counts(leaf);
        // The caller's reference and the cache's.
        let alone = counts.maps() == 0 && counts.refs() == 2;
        match entrance.sole {
            Sole::Exclusive => true,
            Sole::Shared => alone && self.slot_state(leaf, entrance.slot).entries() == 1,
        }
    }

    /// Whether so much of an area is taken that pages which came back give their slots up (Linux:
    /// `vm_swap_full`).
    pub fn swap_is_half_full(&self) -> bool {
        let counts = self.swap_counts();
        counts.free * 2 < counts.total
    }
}
