//! `MADV_PAGEOUT` and `MADV_COLD`: pages that will not be needed soon (Linux:
//! `madvise_cold_or_pageout_pte_range`).

use crate::error::Error;
use crate::layout::Layout;
use crate::spaces::Spaces;
use crate::vma::{Vma, VmaFlags};
use frame::{Flags, Id, State};
use machine::entry::{Attrs, Kind};
use machine::{Cx, Entry, EntryFormat, Level, Machine, Pfn, Vpn, VpnRange, level};
use object::Objects;
use table::{Cursor, Leaf, Payload, Reaper, Rss, Soft, Urgency, Verdict};

/// What becomes of pages that are not needed soon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unneeded {
    /// They leave memory now, as far as that can be.
    PageOut,
    /// They are the next to leave it when it is short.
    Cold,
}

impl<M: Machine> Layout<'_, '_, M> {
    /// Pages that only this VMA maps. What cannot go stays, and nobody is told.
    pub(crate) fn page_out(&mut self, id: Id<Vma>, part: VpnRange, how: Unneeded) -> Result<(), Error> {
        // LINUX: can_madv_lru_vma().
        if self.vma(id).flags().contains(VmaFlags::LOCKED) {
            return Err(Error::Invalid);
        }
        let (spaces, space) = (self.spaces, self.space);
        let Some(table) = space.table.get() else { return Ok(()) };
        let walker = spaces.walker(table);
        let mut next = part.start;
        while next < part.end {
            let mut cursor = Cursor::new(VpnRange::new(next, part.end));
            let Some((mut leaf, part)) = cursor.next(&walker, self.at()) else { break };
            let mut found = None;
            next = part.start;
            while found.is_none()
                && let Some((page, entry)) = leaf.next_used(next, part.end)
            {
                let first = page.max(next);
                next = leaf.pages(page).end;
                if let Kind::Leaf(pfn) = M::Entry::kind(entry, leaf.level())
                    && !M::Entry::attrs(entry).special
                {
                    make_cold(&mut leaf, page);
                    let own = pfn.plus(first - page);
                    found = only_here(spaces, &leaf, own, how).then_some((own, first));
                }
            }
            if found.is_none() {
                next = next.max(part.end);
            }
            let held = found.filter(|&(pfn, _)| spaces.frames().get(&leaf, pfn).is_ok());
            drop(leaf);
            if let Some((pfn, page)) = held {
                // Whether it goes or stays is for the objects to say. Of 2 MiB this page goes, and those
                // behind it are small ones then.
                if spaces.objects().evict(self.at(), pfn).is_ok() {
                    next = next.min(page + 1);
                }
            }
        }
        Ok(())
    }
}

impl<M: Machine> Layout<'_, '_, M> {
    /// Gives up what a range has in swap areas, and nothing else.
    pub(crate) fn drop_swapped(&mut self, part: VpnRange) {
        let (spaces, space) = (self.spaces, self.space);
        let Some(table) = space.table.get() else { return };
        let walker = spaces.walker(table);
        if walker.table().rss(Rss::Swap) == 0 {
            return;
        }
        let mut batch = spaces.batch(table);
        walker.sweep(self.at(), part, &mut batch, &mut Swapped { objects: spaces.objects() });
        spaces.settle(self, table, &mut batch);
    }
}

/// Takes the entries that name slots.
struct Swapped<'a, 'm, M: Machine> {
    objects: &'a Objects<'m, M>,
}

impl<'m, M: Machine> Reaper<'m, M> for Swapped<'_, 'm, M> {
    fn verdict(&mut self, _: &mut Cx<'m, M, { level::TABLE1 }>, _: Vpn, entry: Entry) -> Verdict {
        match Soft::of::<M>(entry, Level::LEAF) {
            Some(Soft::Swap { .. }) => Verdict::Take(Some(Rss::Swap)),
            _ => Verdict::Keep,
        }
    }

    fn taken(&mut self, _: &mut Cx<'m, M, { level::TABLE1 }>, _: Vpn, _: Entry) -> Urgency {
        Urgency::Settle
    }

    fn splits(&mut self, cx: &mut Cx<'m, M, { level::TABLE1 }>, entry: Entry) {
        self.objects.splits(cx, entry);
    }

    fn finish(&mut self, cx: &mut Cx<'m, M, { level::SLEEP_MAX }>, payload: Payload) {
        self.objects.finish(cx, payload);
    }
}

/// Takes the mark of use away. No flush, as everywhere where pages age.
fn make_cold<M: Machine>(leaf: &mut Leaf<'_, '_, M>, page: Vpn) {
    let level = leaf.level();
    leaf.relax(page, |entry| {
        let attrs = M::Entry::attrs(entry);
        M::Entry::with_attrs(entry, Attrs { accessed: false, ..attrs }, level)
    });
}

/// Whether a page is to leave memory now: nothing but this leaf maps it, or any of its folio (Linux:
/// `folio_likely_mapped_shared`). Otherwise it is the next to go.
fn only_here<'m, M: Machine>(
    spaces: &Spaces<'m, M>,
    leaf: &Leaf<'_, 'm, M>,
    pfn: Pfn,
    how: Unneeded,
) -> bool {
    let folio = spaces.objects().folio(leaf, pfn);
    let page = folio.page;
    let by_pages = folio.is_large() && leaf.level() == Level::LEAF;
    let entries = if by_pages { spaces.objects().entries_of(leaf, folio.head) } else { 1 };
    if page.maps(&**leaf) != entries {
        return false;
    }
    page.clear(&**leaf, Flags::REFERENCED);
    page.make_oldest(&**leaf);
    how == Unneeded::PageOut && matches!(page.state(&**leaf), State::Anon | State::File)
}
