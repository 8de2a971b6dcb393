//! Exclusive anonymous pages: who may write without asking.
//!
//! One bit of a page's counts says that its single mapping is the only way to it. This module is the only one
//! that sets or clears it (CR1, CR2, CR4):
//!
//! | function | event | bit |
//! |---|---|---|
//! | [`born`] | a fresh page gets its first mapping (CR5) | set |
//! | [`reuse`] | write fault on a page that is not exclusive (CR11) | set, if provably alone |
//! | [`share_for_fork`] | fork maps it a second time (CR6) | cleared, unless pinned |
//! | [`try_share`] | reclaim, migration, merging (CR8) | cleared, unless pinned |
//!
//! The bit, the pins and the counts share one word, so "not pinned? then no longer exclusive" is one step: a
//! pin taken before is seen, a pin tried after sees the bit gone.

use crate::model::{Lineage, Owner};
use crate::page::owner_number;
use frame::counts::{Exclusive, Pinned};
use frame::{Descriptor, Id, State};
use machine::trace::Verdict;
use machine::{Cx, Machine, Plant};

/// Where an anonymous page belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnonCtx {
    /// Its family of address spaces.
    pub lineage: Id<Lineage>,
    /// Its linear index there: page number plus what the VMA was moved by.
    pub index: u64,
}

impl AnonCtx {
    /// What it belongs to.
    pub fn owner(self) -> Owner {
        Owner::Lineage(self.lineage)
    }
}

/// What a write fault does with a page that is mapped without write permission.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Reuse {
    /// Write it in place: it is exclusive.
    Exclusive,
    /// Write it in place: nobody else has it, and it is exclusive from here on.
    Alone,
    /// Somebody else may see it: copy it.
    Copy,
}

impl Reuse {
    /// Whether the page is written in place.
    pub const fn is_in_place(self) -> bool {
        matches!(self, Reuse::Exclusive | Reuse::Alone)
    }

    /// As events tell it.
    pub const fn told(self) -> Verdict {
        match self {
            Reuse::Exclusive => Verdict::Exclusive,
            Reuse::Alone => Verdict::Alone,
            Reuse::Copy => Verdict::Shared,
        }
    }
}

/// The page stays exclusive to its one mapping (it is pinned), or cannot be counted once more: the child gets
/// a copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct MustCopy;

/// A fresh page, which only the caller knows and whose one reference becomes its mapping's: anonymous, of
/// that place, mapped once, exclusive (CR5). The caller holds the leaf's lock and installs the entry next.
pub fn born<'m, M: Machine, const L: u8>(cx: &Cx<'m, M, L>, page: &Descriptor, at: AnonCtx) {
    debug_assert!(page.maps(cx) == 0, "a page is born once");
    page.set_owner(cx, owner_number(at.lineage), at.index);
    page.set_state(cx, State::Anon);
    let counted = page.add_map(cx, Exclusive::Yes);
    debug_assert!(counted.is_ok(), "the first mapping fits");
}

/// Decides a write fault on an anonymous page (CR11). The caller holds the lock of the one leaf through which
/// it came, and no reference of its own beyond the mapping's: so the page is its alone if there is one
/// reference, one mapping and no pin. While the leaf is locked nobody can copy this mapping, and there is no
/// other.
// LINUX: mm/memory.c wp_can_reuse_anon_folio(); there is no swap cache and no batch of the LRU that could
// hold a reference, so a single look decides.
pub fn reuse<'m, M: Machine, const L: u8>(cx: &Cx<'m, M, L>, page: &Descriptor) -> Reuse {
    let counts = page.counts(cx);
    debug_assert!(counts.maps() > 0, "a fault comes through a mapping");
    if counts.is_exclusive() {
        debug_assert!(counts.maps() == 1, "an exclusive page is mapped once (CR2)");
        return Reuse::Exclusive;
    }
    let alone = counts.refs() == 1 && counts.pins() == 0;
    if counts.maps() == 1 && (alone || cx.planted(Plant::ReuseByMapcount)) {
        page.make_exclusive(cx);
        return Reuse::Alone;
    }
    Reuse::Copy
}

/// Counts a second mapping of an anonymous page, for a child (CR6), with its reference. The caller holds the
/// locks of both leaves, and on success makes both entries read-only. On refusal nothing has changed.
// LINUX: include/linux/rmap.h folio_try_dup_anon_rmap_pte().
pub fn share_for_fork<'m, M: Machine, const L: u8>(
    cx: &Cx<'m, M, L>,
    page: &Descriptor,
) -> Result<(), MustCopy> {
    let was_exclusive = page.is_exclusive(cx);
    if !cx.planted(Plant::ForkLeavesExclusive) {
        page.share(cx).map_err(|Pinned| MustCopy)?;
    }
    let counted = page.get(cx).is_ok();
    if counted && page.add_map(cx, Exclusive::No).is_ok() {
        return Ok(());
    }
    if counted {
        let freed = page.put(cx);
        debug_assert_eq!(freed, frame::Freed::No, "the parent's mapping has a reference");
    }
    if was_exclusive {
        // Still the only mapping, and its leaf is still locked.
        page.make_exclusive(cx);
    }
    Err(MustCopy)
}

/// Takes exclusivity away before a page is merged, swapped out or moved (CR8). The caller has cleared the
/// entry and flushed it, and puts the old entry back if the page is pinned.
// LINUX: include/linux/rmap.h folio_try_share_anon_rmap_pte().
pub fn try_share<'m, M: Machine, const L: u8>(cx: &Cx<'m, M, L>, page: &Descriptor) -> Result<(), Pinned> {
    page.share(cx)
}
