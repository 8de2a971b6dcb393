//! Large anonymous folios: what an entry means for the counts of the folio it maps, or maps a part of.
//!
//! All counts of a folio are its head's: a mapping and a reference for each entry that maps any part of it,
//! of 2 MiB or of 4 KiB, and every pin. Whether a page of it is exclusive to its entry is said by the head's
//! bit while one entry maps all of it, and page by page otherwise ([`frame::subpages`]). If any page's bit is
//! set no entry of 2 MiB maps the folio, so no question needs to say through which entry it came.

use crate::anon::{AnonCtx, MustCopy, Was, anon_born, born};
use crate::cow::Losing;
use crate::objects::Objects;
use frame::counts::{AtCap, MAPS_MAX, Pinned};
use frame::{Descriptor, Flags, State, Subpages, subpages};
use machine::entry::{Attrs, Kind};
use machine::{
    Counter, Cx, Entry, EntryFormat, HUGE_ORDER, Level, Machine, Pfn, Plant, UserFrame, Vpn, level,
};
use table::{Leaf, Rss, Spare, TableBatch, Walker};

const PAGES: u64 = HUGE_ORDER.frames();

/// How many mappings a folio may have when it gets another one of 2 MiB. Each of these may be split later,
/// which must not fail: so they take up no more than half of what can be counted.
const WHOLE_MAX: u64 = MAPS_MAX / 2 / PAGES;
/// How many it may have when it gets another one of 4 KiB: the other half.
pub(crate) const PARTS_MAX: u64 = MAPS_MAX / 2;
const _: () = assert!(PARTS_MAX + WHOLE_MAX * (PAGES - 1) <= MAPS_MAX, "a split is always counted");

/// The folio that a frame is part of.
#[derive(Clone, Copy)]
pub struct Folio<'m> {
    /// Its first frame.
    pub head: Pfn,
    /// Its head's descriptor, which has its counts.
    pub page: &'m Descriptor,
    /// The bits of its pages, if it is a large one, and which of them is the frame's.
    sub: Option<(Subpages<'m>, u64)>,
}

impl<'m> Folio<'m> {
    /// Whether it has more than one frame.
    pub fn is_large(&self) -> bool {
        self.sub.is_some()
    }

    /// The bits of its pages, and which is the frame's, if it is a large one.
    pub(crate) fn part(&self) -> Option<(Subpages<'m>, u64)> {
        self.sub
    }

    /// The bit of the page if entries of single pages speak for themselves.
    pub(crate) fn bit<M: Machine, const L: u8>(&self, cx: &Cx<'m, M, L>) -> Option<(Subpages<'m>, u64)> {
        self.sub.filter(|(pages, _)| pages.are_filled(cx))
    }
}

impl<'m, M: Machine> Objects<'m, M> {
    /// The folio of a frame the caller knows to be in use: it has a reference, or the lock of a leaf that
    /// maps it.
    pub fn folio<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn) -> Folio<'m> {
        let (head, order) = self.frames().folio(cx, pfn);
        let sub = || (self.frames().subpages(head), u64::from(pfn.0 - head.0));
        Folio { head, page: self.descriptor(head), sub: (order == HUGE_ORDER).then(sub) }
    }

    /// What the folio of a frame is used for, under the same conditions.
    pub fn folio_state<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn) -> State {
        let meta = self.descriptor(pfn).meta(cx);
        if meta.is_head() { meta.state() } else { self.folio(cx, pfn).page.state(cx) }
    }

    /// Maps a fresh folio of 2 MiB at an empty entry: an anonymous page is born (CR5). Its reference becomes
    /// the mapping's. `ctx` is where its first page belongs.
    pub fn map_anon_huge(
        &self,
        leaf: &mut Leaf<'_, 'm, M>,
        (at, spare): (Vpn, Spare),
        (frame, ctx): (UserFrame, AnonCtx),
        attrs: Attrs,
    ) {
        born(leaf, self.descriptor(frame.0), ctx);
        leaf.trace(|| anon_born(frame, ctx));
        let entry = M::Entry::leaf(frame.0, attrs, Level::HUGE);
        leaf.install_huge(at, entry, Some(Rss::Anon), spare);
    }

    /// An entry of 2 MiB is about to become 512: its folio is mapped by pages from here on, and each is as
    /// exclusive as the whole was (CR21). The lock of the entry is held.
    pub fn splits(&self, cx: &mut Cx<'m, M, { level::TABLE1 }>, entry: Entry) {
        cx.count(Counter::ThpSplitPmd);
        let Kind::Leaf(head) = M::Entry::kind(entry, Level::HUGE) else { return };
        let page = self.descriptor(head);
        if cx.planted(Plant::SplitDropsExclusive) {
            page.forget_exclusive(cx);
        }
        self.frames().subpages(head).fill(cx);
        let counted = page.add_entries(cx, PAGES - 1, MAPS_MAX);
        debug_assert!(counted.is_ok(), "room for a split was kept");
    }

    /// Splits the entry of 2 MiB that a page belongs to, if there is one (Linux: `split_huge_pmd`).
    pub fn split_entry(
        &self,
        cx: &mut Cx<'m, M, { level::SLEEP_MAX }>,
        walker: &Walker<'_, 'm, M>,
        at: Vpn,
        batch: &mut TableBatch<'_, 'm, M>,
    ) -> bool {
        walker.may_have_huge() && walker.split_at(cx, at, batch, |cx, entry| self.splits(cx, entry))
    }

    /// Counts a second entry of 2 MiB of a folio, for a child (CR23), with its reference. On refusal nothing
    /// has changed; the parent's entry is split then, and its pages are shared or copied one by one.
    // LINUX: mm/huge_memory.c copy_huge_pmd().
    pub fn share_huge_for_fork<const L: u8>(&self, cx: &Cx<'m, M, L>, head: Pfn) -> Result<(), MustCopy> {
        let page = self.descriptor(head);
        let was = self.lose_whole(cx, page, Losing::Fork).map_err(|Pinned| MustCopy)?;
        page.add_entries(cx, 1, WHOLE_MAX).map_err(|AtCap| {
            if was == Was::Exclusive {
                page.make_exclusive(cx);
            }
            MustCopy
        })
    }

    /// Whether a locked leaf is the entry of 2 MiB that maps a folio.
    pub(crate) fn maps_whole(leaf: &Leaf<'_, 'm, M>, head: Pfn) -> bool {
        let whole = || M::Entry::kind(leaf.entry(leaf.span().start), Level::HUGE);
        leaf.level() == Level::HUGE && whole() == Kind::Leaf(head)
    }

    /// Whether parts of a folio of 2 MiB are not mapped any more: a hint. More processes than one may map it;
    /// then parts that none of them maps are not noticed. And what one entry of 2 MiB maps counts, if it was
    /// mapped by pages elsewhere before, until it is stored to.
    pub fn is_partly_mapped<const L: u8>(&self, cx: &Cx<'m, M, L>, head: Pfn) -> bool {
        let page = self.descriptor(head);
        let counts = page.counts(cx);
        page.test(cx, Flags::BY_PAGES) && counts.maps() < PAGES && !counts.is_exclusive()
    }

    /// How many entries of a locked leaf map a folio.
    pub fn entries_of(&self, leaf: &Leaf<'_, 'm, M>, head: Pfn) -> u64 {
        Self::pages_of(leaf, head).count() as u64
    }

    /// The pages of a large folio that entries of a locked leaf map.
    fn pages_of(leaf: &Leaf<'_, 'm, M>, head: Pfn) -> impl Iterator<Item = u64> {
        let mut next = leaf.span().start;
        core::iter::from_fn(move || {
            loop {
                let (at, entry) = leaf.next_used(next, leaf.span().end)?;
                next = leaf.pages(at).end;
                let Kind::Leaf(pfn) = M::Entry::kind(entry, leaf.level()) else { continue };
                if head <= pfn && u64::from(pfn.0 - head.0) < PAGES {
                    return Some(u64::from(pfn.0 - head.0));
                }
            }
        })
    }

    /// Makes every page of a large folio that entries of a locked leaf map exclusive to them: there are no
    /// others.
    pub(crate) fn make_parts_exclusive(&self, leaf: &Leaf<'_, 'm, M>, folio: Folio<'m>) {
        let Some((pages, _)) = folio.sub else { return };
        let mut bits = [0; subpages::WORDS as usize];
        for page in Self::pages_of(leaf, folio.head) {
            bits[(page / subpages::PER_WORD) as usize] |= 1 << (page % subpages::PER_WORD);
        }
        pages.make_exclusive_all(leaf, &bits);
    }
}
