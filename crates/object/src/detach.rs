//! Taking all mappings of a page away, reversibly: for swap-out, migration, and the split of a large folio.
//!
//! ```text
//! page lock                     nobody else detaches, frees its swap slot, or writes it back
//!   reverse map, shared         whoever gets a mapping by fork or mremap is met too (list order)
//!     leaf lock, entry by entry
//!       clear the entry         no walk without a lock finds it any more (2 MiB: what stands there lets
//!                               nothing pass, so that no walk finds nothing)
//!       try_share               pinned? the entry is put back as it was: the page stays mapped
//!       install the soft entry  with what the entry said of exclusivity
//!   flush                       no CPU stores to the page any more
//! ```
//!
//! "Still mapped" is an answer, not a fault of anybody's: a pin may come at any time (C-9). Linux:
//! `try_to_unmap`, `try_to_migrate`, `remove_migration_ptes`.

use crate::exclusive::Was;
use crate::ksm_model::Node;
use crate::model::{Mapping, Owner};
use crate::objects::Objects;
use crate::page::{PageCtx, owner_id};
use crate::swap::slot::Kept;
use frame::{Descriptor, Flags, Id, Pinned, State};
use machine::entry::{Attrs, Kind};
use machine::{Cx, EntryFormat, Level, Machine, Pfn, Plant, Vpn, VpnRange, level};
use revoke::Batch;
use table::{Cursor, Leaf, MigrationKind, Rss, Slot, Soft, Sole, TableBatch, Walker, is_locked};

/// What entries become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Into {
    /// Migration entries: faults wait for the page's lock.
    Migration,
    /// Swap entries of the slot that the page has in the swap cache.
    Swap(Slot),
    /// Nothing: the page's bytes are of no use, unless an entry says that somebody has written to it since
    /// (`MADV_FREE`; Linux: lazyfree).
    Nothing,
}

/// How detaching ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Detached {
    /// No entry maps the page, and no CPU uses an old translation.
    All,
    /// Some entry does: the page is pinned there, or locked in memory and was to leave it. What was detached
    /// before stays so; migration entries go back with [`Objects::restore_page`].
    StillMapped,
}

/// What became of one entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It is another page's.
    Other,
    /// It is a soft entry now.
    Done,
    /// It stays: pinned, or locked in memory.
    Stays,
}

/// Where the entries of a folio are looked for.
#[derive(Clone, Copy)]
enum Places {
    /// Where its owner's pages are mapped, from this index on.
    Of(Owner, u64),
    /// Where the items of its node say.
    Merged(Id<Node>),
}

/// The frames of a folio, and where it is mapped.
#[derive(Clone, Copy)]
struct Folio {
    head: Pfn,
    pages: u64,
    places: Places,
}

impl Folio {
    fn has(&self, pfn: Pfn) -> bool {
        pfn >= self.head && u64::from(pfn.0 - self.head.0) < self.pages
    }

    /// Where its page is in its file, if it is a file's.
    fn place(&self, mapping: &Mapping, at: Vpn) -> Option<PageCtx> {
        match self.places {
            Places::Of(Owner::File(file), _) => Some(PageCtx { file, index: mapping.index_of(at) }),
            Places::Of(Owner::Lineage(_), _) | Places::Merged(_) => None,
        }
    }
}

impl<'m, M: Machine> Objects<'m, M> {
    /// Makes every entry that maps a folio a soft one. The caller has the page lock and a reference of its
    /// own.
    pub fn detach_page(&self, cx: &mut Cx<'m, M, { level::PAGE }>, head: Pfn, into: Into) -> Detached {
        let page = self.descriptor(head);
        debug_assert!(page.test(cx, Flags::LOCKED), "who detaches a page has locked it");
        let Some(places) = self.places_of(cx, head) else {
            return if page.maps(cx) > 0 { Detached::StillMapped } else { Detached::All };
        };
        let folio = Folio { head, pages: page.order(cx).frames(), places };
        let mut refused = false;
        self.for_each_place(cx, folio, |cx, mapping, part| {
            refused = refused || self.detach_part(cx, (mapping, part), folio, into) == Step::Stays;
        });
        if refused || page.maps(cx) > 0 { Detached::StillMapped } else { Detached::All }
    }

    /// Takes away the mappings of a file's page, except those that are locked in memory: it has as many as
    /// can be counted, and somebody wants one more. Whoever touches it again finds it in its file. The caller
    /// has it locked, and a reference.
    pub fn thin_out(&self, cx: &mut Cx<'m, M, { level::PAGE }>, head: Pfn) {
        let Some(places @ Places::Of(Owner::File(_), _)) = self.places_of(cx, head) else { return };
        let folio = Folio { head, pages: self.descriptor(head).order(cx).frames(), places };
        self.for_each_place(cx, folio, |cx, mapping, part| {
            self.detach_part(cx, (mapping, part), folio, Into::Nothing);
        });
    }

    /// Makes every migration entry of `from` map `to`, page by page, as it was. `to` belongs where `from`
    /// belonged; the caller has both locked, and a reference to every folio of `to`.
    // LINUX: mm/migrate.c remove_migration_ptes().
    pub fn restore_page(&self, cx: &mut Cx<'m, M, { level::PAGE }>, (from, pages): (Pfn, u64), to: Pfn) {
        let Some(places) = self.places_of(cx, to) else { return };
        let moved = Folio { head: from, pages, places };
        self.for_each_place(cx, moved, |cx, mapping, part| {
            let walker = self.walker(mapping.table);
            let mut cursor = Cursor::new(part);
            while let Some((mut leaf, part)) = cursor.next(&walker, cx) {
                let mut next = part.start;
                while let Some((at, _)) = leaf.next_used(next, part.end) {
                    next = leaf.pages(at).end;
                    self.restore_entry(&mut leaf, (at, mapping), moved, to);
                }
            }
        });
    }

    fn places_of<const L: u8>(&self, cx: &Cx<'m, M, L>, head: Pfn) -> Option<Places> {
        let page = self.descriptor(head);
        let owner = self.owner_of(cx, page).map(|owner| Places::Of(owner, page.index(cx)));
        owner.or_else(|| self.node_of(cx, head).map(Places::Merged))
    }

    fn for_each_place(
        &self,
        cx: &mut Cx<'m, M, { level::PAGE }>,
        folio: Folio,
        visit: impl FnMut(&mut Cx<'m, M, { level::RMAP }>, &Mapping, VpnRange),
    ) {
        match folio.places {
            Places::Of(owner, first) => self.for_each_mapping(cx, owner, first..first + folio.pages, visit),
            Places::Merged(node) => self.for_each_merged_mapping(cx, node, visit),
        }
    }

    /// What a user page belongs to; `None` for a page that was truncated.
    pub(crate) fn owner_of<const L: u8>(&self, cx: &Cx<'m, M, L>, page: &Descriptor) -> Option<Owner> {
        match page.state(cx) {
            State::Anon => owner_id(page.owner(cx)).map(Owner::Lineage),
            State::File => owner_id(page.owner(cx)).map(Owner::File),
            _ => None,
        }
    }

    fn detach_part(
        &self,
        cx: &mut Cx<'m, M, { level::RMAP }>,
        (mapping, part): (&Mapping, VpnRange),
        folio: Folio,
        into: Into,
    ) -> Step {
        let walker = self.walker(mapping.table);
        let mut batch = Batch::new(walker.table().domain(), self.frames());
        // Entries that others emptied may still be in TLBs (LR10, C-12).
        batch.answer_for(part);
        let (mut cursor, mut worst, mut detached) = (Cursor::new(part), Step::Other, 0);
        while worst != Step::Stays {
            let Some((mut leaf, part)) = cursor.next(&walker, cx) else { break };
            let mut next = part.start;
            while let Some((at, _)) = leaf.next_used(next, part.end) {
                next = leaf.pages(at).end;
                match self.detach_entry(&mut leaf, &mut batch, (at, mapping), folio, into) {
                    Step::Other => {}
                    Step::Done => detached += 1,
                    Step::Stays => worst = Step::Stays,
                }
                if worst == Step::Stays {
                    break;
                }
            }
            // Large leaves: LR8. Files: the last stores are in the page before anybody cleans it (LR11).
            // Nothing: the next fault gives a page of zeros, and nobody may read the old one beside it
            // (row 9).
            let gone = into == Into::Nothing && !leaf.planted(Plant::LazyFreeFlushedLate);
            if gone || leaf.level() > Level::LEAF || matches!(folio.places, Places::Of(Owner::File(_), _)) {
                batch.flush_now(&mut leaf);
            }
        }
        self.finish_part(cx, &walker, &mut batch, (folio.head, detached));
        worst
    }

    /// Flushes; then the references of the mappings that went go, too. The caller's own keeps the folio.
    fn finish_part(
        &self,
        cx: &mut Cx<'m, M, { level::RMAP }>,
        walker: &Walker<'_, 'm, M>,
        batch: &mut TableBatch<'_, 'm, M>,
        (head, detached): (Pfn, u64),
    ) {
        self.settle(cx, walker, batch);
        for _ in 0..detached {
            self.frames().put(cx.at(), head);
        }
    }

    fn detach_entry(
        &self,
        leaf: &mut Leaf<'_, 'm, M>,
        batch: &mut TableBatch<'_, 'm, M>,
        (at, mapping): (Vpn, &Mapping),
        folio: Folio,
        into: Into,
    ) -> Step {
        let entry = leaf.entry(at);
        let Kind::Leaf(pfn) = M::Entry::kind(entry, leaf.level()) else { return Step::Other };
        if !folio.has(pfn) {
            return Step::Other;
        }
        // LINUX: try_to_unmap_one(): VM_LOCKED. What is locked may move.
        if into != Into::Migration
            && is_locked::<M>(entry, leaf.level())
            && !leaf.planted(Plant::EvictsLocked)
        {
            return Step::Stays;
        }
        let page = self.descriptor(folio.head);
        let place = folio.place(mapping, at);
        let rss = self.rss_of(leaf, entry, place);
        // CR14: the slot is counted before the entry goes, so that nobody finds it free in between.
        if let Into::Swap(slot) = into
            && self.dup_swap(leaf, slot).is_err()
        {
            return Step::Stays;
        }
        let (old, token) = leaf.lift_for_now(at, rss);
        batch.push(leaf, token);
        let attrs = M::Entry::attrs(old);
        let was = match place {
            None => {
                self.try_share(leaf, pfn).and_then(|was| self.unless_wanted(leaf, (into, pfn), was, attrs))
            }
            Some(_) => Ok(Was::Shared),
        };
        let Ok(was) = was else {
            self.undo_count(leaf, into);
            leaf.put_back(at, old, rss);
            return Step::Stays;
        };
        match place {
            _ if !attrs.dirty => {}
            Some(ctx) => self.mark_dirty(leaf, ctx, pfn),
            None => page.set(leaf, Flags::DIRTY),
        }
        page.remove_map(leaf);
        if let Some((soft, rss)) = self.soft_for(leaf, into, (pfn, rss), was, attrs) {
            leaf.put_back(at, soft.entry::<M>(), rss);
        }
        Step::Done
    }

    /// What is to be dropped stays if it was written to: its entry is put back, as exclusive as it was.
    fn unless_wanted(
        &self,
        leaf: &Leaf<'_, 'm, M>,
        (into, pfn): (Into, Pfn),
        was: Was,
        entry: Attrs,
    ) -> Result<Was, Pinned> {
        let wanted = into == Into::Nothing && is_wanted(leaf, self.descriptor(pfn), entry);
        if wanted && was == Was::Exclusive {
            self.come_back(leaf, pfn);
        }
        if wanted { Err(Pinned) } else { Ok(was) }
    }

    /// The entry was put back: its slot has one less (row 15).
    fn undo_count(&self, leaf: &mut Leaf<'_, 'm, M>, into: Into) {
        if let Into::Swap(slot) = into
            && !leaf.planted(Plant::SwapCountLeaked)
        {
            self.put_swap(leaf, slot, Kept::Frame);
        }
    }

    /// The entry that stands for a mapping, and how it counts; `None` if none does.
    fn soft_for(
        &self,
        cx: &Cx<'m, M, { level::TABLE1 }>,
        into: Into,
        (pfn, rss): (Pfn, Option<Rss>),
        was: Was,
        attrs: Attrs,
    ) -> Option<(Soft, Option<Rss>)> {
        let exclusive = was == Was::Exclusive && self.cow().remembers();
        match into {
            Into::Swap(slot) => {
                let sole = if exclusive { Sole::Exclusive } else { Sole::Shared };
                Some((Soft::Swap { slot, sole }, Some(Rss::Swap)))
            }
            Into::Migration => {
                let kind = match attrs.perms.write {
                    true => MigrationKind::Writable,
                    false if exclusive && !cx.planted(Plant::MigrationForgets) => {
                        MigrationKind::ReadableExclusive
                    }
                    false => MigrationKind::Readable,
                };
                Some((Soft::Migration { frame: pfn, kind, attrs }, rss))
            }
            Into::Nothing => None,
        }
    }

    fn restore_entry(
        &self,
        leaf: &mut Leaf<'_, 'm, M>,
        (at, mapping): (Vpn, &Mapping),
        moved: Folio,
        to: Pfn,
    ) {
        let level = leaf.level();
        let Some(Soft::Migration { frame, kind, attrs }) = Soft::of::<M>(leaf.entry(at), level) else {
            return;
        };
        if !moved.has(frame) {
            return;
        }
        let pfn = to.plus(u64::from(frame.0 - moved.head.0));
        let page = self.descriptor(self.frames().folio(leaf, pfn).0);
        if level == Level::LEAF {
            self.map_by_pages(leaf, pfn);
        }
        let place = moved.place(mapping, at);
        if !count_again(leaf, page) {
            // Others took the counts meanwhile: nothing is mapped that is not counted. A file's page is to be
            // found in its file; who touches another one tries again until somebody moves it (or is killed).
            // That takes as many mappings as can be counted: see `Descriptor::add_map`.
            let rss = self.rss_of(leaf, leaf.entry(at), place);
            match place {
                Some(_) => leaf.drop_absent(at, rss),
                None => {
                    let moving = Soft::Migration { frame: pfn, kind, attrs };
                    leaf.exchange_absent(at, (rss, rss), moving.entry::<M>());
                }
            }
            return;
        }
        let forgets = leaf.planted(Plant::MovedPartsForget) && pfn != to && level == Level::LEAF;
        if place.is_none() && kind.is_exclusive() && !forgets {
            self.come_back(leaf, pfn);
        }
        let new = M::Entry::leaf(pfn, attrs, level);
        let rss = self.rss_of(leaf, new, place);
        leaf.exchange_absent(at, (rss, rss), new);
    }
}

/// Whether a page that was of no use is wanted after all. Its entry is cleared, and it was shared
/// ([`Objects::try_share`]) after that: who takes a reference from the entry without a lock either did so
/// before, and is counted, or looks at the entry again and lets go (CR9). Who lets go of a reference has
/// marked what was written before.
// LINUX: mm/rmap.c try_to_unmap_one(): references first, then the dirty flag.
fn is_wanted<M: Machine, const L: u8>(cx: &Cx<'_, M, L>, page: &Descriptor, entry: Attrs) -> bool {
    let counts = page.counts(cx);
    // The mappings that are left, this one, and the caller.
    let referred = counts.refs() > counts.maps() + 1 || page.test(cx, Flags::DIRTY);
    (entry.dirty && !cx.planted(Plant::LazyFreeDropsWritten))
        || (referred && !cx.planted(Plant::LazyFreeDropsReferred))
}

/// Counts one mapping more, with its reference. `false` if that cannot be counted: nothing has changed.
fn count_again<M: Machine>(leaf: &mut Leaf<'_, '_, M>, page: &Descriptor) -> bool {
    if page.get(leaf).is_err() {
        return false;
    }
    let counted = page.add_map(leaf, frame::Exclusive::No).is_ok();
    if !counted {
        let freed = page.put(leaf);
        debug_assert_eq!(freed, frame::Freed::No, "the caller has a reference");
    }
    counted
}
