//! Exclusive anonymous pages: who may write without asking.
//!
//! One bit of a page's counts says that its single mapping is the only way to it. This module is the only one
//! that sets or clears it (CR1, CR2, CR4):
//!
//! | function | event | bit |
//! |---|---|---|
//! | `born` | a fresh page gets its first mapping (CR5) | set |
//! | [`Objects::reuse`] | write fault on a page that is not exclusive (CR11) | set, if provably alone |
//! | [`Objects::share_for_fork`] | fork maps it a second time (CR6) | cleared, unless pinned |
//! | [`Objects::share_run_for_fork`] | the same for pages of a large folio | all or none |
//! | [`Objects::try_share`] | swap-out, migration, merging (CR8) | cleared, unless pinned |
//! | [`Objects::come_back`] | a page gets its mapping back (CR16 to CR18) | set, if the entry remembers it |
//!
//! The bit, the pins and the counts share one word, so "not pinned? then no longer exclusive" is one step: a
//! pin taken before is seen, a pin tried after sees the bit gone. What is decided with it is the rule's
//! ([`crate::cow::Cow`]).

pub use crate::anon::{AnonCtx, MustCopy, Was};
pub use crate::cow::Reuse;
use crate::cow::{Facts, Losing};
use crate::large::{Folio, PARTS_MAX};
use crate::objects::Objects;
use frame::counts::{AtCap, Counts, MAPS_MAX, Pinned};
use frame::{Descriptor, State};
use machine::{Cx, HUGE_ORDER, Level, Machine, Order, Pfn, Plant, Vpn};
use table::Leaf;

impl<'m, M: Machine> Objects<'m, M> {
    /// Whether the mapping of an anonymous page may write it without asking.
    pub fn is_exclusive<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn) -> bool {
        let folio = self.folio(cx, pfn);
        folio.page.is_exclusive(cx) || Self::has_bit(cx, folio)
    }

    fn has_bit<const L: u8>(cx: &Cx<'m, M, L>, folio: Folio<'m>) -> bool {
        folio.bit(cx).is_some_and(|(pages, page)| pages.is_exclusive(cx, page))
    }

    /// Decides a write fault on an anonymous page (CR11), through the entry of `at`. The caller has no
    /// reference of its own beyond the mapping's: so the page is its alone if the mappings here, and the swap
    /// cache, have all the references. While the leaf is locked nobody can copy these mappings.
    // LINUX: mm/memory.c wp_can_reuse_anon_folio(); there is no batch of the LRU that could hold a
    // reference, so a single look decides.
    pub fn reuse(&self, leaf: &Leaf<'_, 'm, M>, at: Vpn, pfn: Pfn) -> Reuse {
        let folio = self.folio(leaf, pfn);
        let page = folio.page;
        let (counts, cached) = self.counts_and_cache(leaf, folio.head);
        debug_assert!(counts.maps() > 0, "a fault on {at:?} comes through a mapping");
        let alone = !counts.is_exclusive() || counts.maps() == 1;
        debug_assert!(alone, "an exclusive page is mapped once (CR2)");
        let facts = Facts {
            counts,
            exclusive: counts.is_exclusive() || Self::has_bit(leaf, folio),
            all_mine: counts.maps() == 1 || self.are_all_here(leaf, folio, counts),
            cache_refs: u64::from(cached.is_some()),
            swap_entries: cached.unwrap_or(0),
        };
        let decided = match self.cow().reuse(&facts) {
            Reuse::Copy if counts.maps() == 1 && leaf.planted(Plant::ReuseByMapcount) => Reuse::Alone,
            decided => decided,
        };
        match decided {
            Reuse::Alone if folio.is_large() && leaf.level() == Level::LEAF => {
                self.make_parts_exclusive(leaf, folio);
            }
            Reuse::Alone => page.make_exclusive(leaf),
            _ => {}
        }
        decided
    }

    /// Whether every mapping of a large folio is an entry of the locked leaf. (They are counted only if
    /// nobody else has a reference.)
    fn are_all_here(&self, leaf: &Leaf<'_, 'm, M>, folio: Folio<'m>, counts: Counts) -> bool {
        folio.is_large()
            && counts.refs() == counts.maps()
            && counts.maps() == self.entries_of(leaf, folio.head)
    }

    /// Counts a second mapping of an anonymous page, for a child (CR6), with its reference. The caller holds
    /// the locks of both leaves, and on success makes both entries read-only. On refusal nothing has changed.
    // LINUX: include/linux/rmap.h folio_try_dup_anon_rmap_pte().
    pub fn share_for_fork<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn) -> Result<(), MustCopy> {
        let folio = self.folio(cx, pfn);
        if !folio.is_large() && self.forks_in_one_step(cx) {
            return folio.page.share_again(cx, MAPS_MAX).map_err(|_| MustCopy);
        }
        let was = match cx.planted(Plant::ForkLeavesExclusive) {
            true => Was::Shared,
            false => self.lose(cx, folio, Losing::Fork).map_err(|Pinned| MustCopy)?,
        };
        let most = if folio.is_large() { PARTS_MAX } else { MAPS_MAX };
        folio.page.add_entries(cx, 1, most).map_err(|AtCap| {
            if was == Was::Exclusive {
                // Still the only mapping, and its leaf is still locked.
                self.gain(cx, folio);
            }
            MustCopy
        })
    }

    /// [`Objects::share_for_fork`] for a page that is no part of a large folio. `false`, and nothing has
    /// changed: it is none, or no anonymous page, or must be looked at more closely.
    #[inline]
    pub fn share_small_for_fork<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn) -> bool {
        let page = self.descriptor(pfn);
        let meta = page.meta(cx);
        let small = meta.is_head() && meta.order() == Order::ZERO;
        small && matches!(meta.state(), State::Anon | State::Ksm) && page.share_again(cx, MAPS_MAX).is_ok()
    }

    /// How many pages of the folio of an anonymous page follow it, itself included, if it is a large one.
    pub fn rest_of_folio<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn) -> Option<u64> {
        let (head, order) = self.frames().folio(cx, pfn);
        (order == HUGE_ORDER).then(|| HUGE_ORDER.frames() - u64::from(pfn.0 - head.0))
    }

    /// [`Objects::share_for_fork`] for entries of 4 KiB, one after the other, that map so many pages of a
    /// large folio, one after the other: counted in one step, all of them or none.
    // LINUX: include/linux/rmap.h folio_try_dup_anon_rmap_ptes().
    pub fn share_run_for_fork<const L: u8>(
        &self,
        cx: &Cx<'m, M, L>,
        (first, pages): (Pfn, u64),
    ) -> Result<(), MustCopy> {
        let folio = self.folio(cx, first);
        let by_pages = folio.bit(cx).filter(|_| self.forks_in_one_step(cx));
        let (bits, at) = by_pages.ok_or(MustCopy)?;
        debug_assert!(!folio.page.is_exclusive(cx), "the bits of its pages speak for it");
        let were_set = bits.try_share_run(cx, at..at + pages).map_err(|Pinned| MustCopy)?;
        folio.page.add_entries(cx, pages, PARTS_MAX).map_err(|AtCap| {
            // Still the only mappings, and their leaf is still locked.
            bits.make_exclusive_all(cx, &were_set);
            MustCopy
        })
    }

    /// Takes exclusivity away before a page is merged, swapped out or moved (CR8). The caller has cleared the
    /// entry under its leaf's lock, and puts the old entry back if the page is pinned.
    // LINUX: include/linux/rmap.h folio_try_share_anon_rmap_pte().
    pub fn try_share<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn) -> Result<Was, Pinned> {
        self.lose(cx, self.folio(cx, pfn), Losing::Detach)
    }

    /// The only mapping of a page comes back, from a swap or migration entry that remembers that the page was
    /// exclusive (CR16 to CR18), or was put back as it was. The leaf is locked.
    pub fn come_back(&self, leaf: &Leaf<'_, 'm, M>, pfn: Pfn) {
        match leaf.level() {
            Level::LEAF => self.gain(leaf, self.folio(leaf, pfn)),
            _ => self.descriptor(pfn).make_exclusive(leaf),
        }
    }

    /// The only entry of 4 KiB that maps a page is its sole owner.
    fn gain<const L: u8>(&self, cx: &Cx<'m, M, L>, folio: Folio<'m>) {
        match folio.part() {
            None => folio.page.make_exclusive(cx),
            Some((pages, page)) => pages.make_exclusive(cx, page),
        }
    }

    /// An entry of 4 KiB is about to map a page: those of a large folio speak for themselves from here on.
    /// None of a fresh block's is exclusive yet.
    pub(crate) fn map_by_pages<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn) {
        if let Some((pages, _)) = self.folio(cx, pfn).part()
            && !pages.are_filled(cx)
        {
            pages.fill(cx);
        }
    }

    /// Clears the bit that speaks for a page, unless it is pinned.
    fn lose<const L: u8>(&self, cx: &Cx<'m, M, L>, folio: Folio<'m>, losing: Losing) -> Result<Was, Pinned> {
        let part = folio.bit(cx).filter(|(pages, page)| pages.is_exclusive(cx, *page));
        let Some((pages, page)) = part else { return self.lose_whole(cx, folio.page, losing) };
        if !self.heeds_pins(cx, losing) {
            pages.forget_exclusive(cx, page);
        } else if cx.planted(Plant::PartSharedInTwoSteps) {
            if folio.page.pins(cx) > 0 {
                return Err(Pinned);
            }
            pages.forget_exclusive(cx, page);
        } else {
            pages.try_share(cx, page)?;
        }
        Ok(Was::Exclusive)
    }

    /// Clears the bit that speaks for a small page, or for a large folio that one entry maps.
    pub(crate) fn lose_whole<const L: u8>(
        &self,
        cx: &Cx<'m, M, L>,
        page: &Descriptor,
        losing: Losing,
    ) -> Result<Was, Pinned> {
        let was = if page.is_exclusive(cx) { Was::Exclusive } else { Was::Shared };
        if !self.heeds_pins(cx, losing) {
            page.forget_exclusive(cx);
        } else if cx.planted(Plant::ShareInTwoSteps) {
            if page.pins(cx) > 0 {
                return Err(Pinned);
            }
            page.forget_exclusive(cx);
        } else {
            page.share(cx)?;
        }
        Ok(was)
    }

    /// Whether fork asks about pins, takes exclusivity away and counts, all in one step.
    pub fn forks_in_one_step<const L: u8>(&self, cx: &Cx<'m, M, L>) -> bool {
        let plants = [Plant::ForkLeavesExclusive, Plant::ShareInTwoSteps, Plant::PartSharedInTwoSteps];
        self.heeds_pins(cx, Losing::Fork) && !plants.into_iter().any(|plant| cx.planted(plant))
    }

    /// Whether pins keep a page exclusive.
    fn heeds_pins<const L: u8>(&self, cx: &Cx<'m, M, L>, losing: Losing) -> bool {
        self.cow().pinned_stays(losing) && !(losing == Losing::Fork && cx.planted(Plant::ForkIgnoresPins))
    }
}
