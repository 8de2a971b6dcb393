//! Mapping and unmapping pages: entry, reference, map count and resident pages change in one place.
//!
//! A mapping owns one reference and one map count of its page. The reference goes only once the change is
//! settled (no CPU can use the entry any more): so a frame is never freed, and never found to be somebody's
//! alone, while a stale translation of it may live.
//!
//! The map count of an anonymous page falls together with the reference, in one step: until then whoever
//! wants all mappings gone finds one that no entry explains, and leaves the page alone ("still mapped"),
//! and a write fault through another mapping finds two. That of a file's page falls when the entry is
//! taken: whoever has the page locked then knows that no entry of it is left.

use crate::anon::{AnonCtx, anon_born, born};
use crate::ksm::merge::Sign;
use crate::model::{File, FileKind};
use crate::objects::Objects;
use crate::page::{CachedPage, PageCtx};
use crate::swap::slot::Kept;
use frame::counts::{AtCap, Exclusive, MAPS_MAX};
use frame::{Bulk, Flags, Id, State};
use machine::entry::{Attrs, Kind};
use machine::{Cx, Entry, EntryFormat, Level, Machine, Pfn, UserFrame, Vpn, level};
use table::{Leaf, PageTable, Payload, Reaper, Refill, Rss, Soft, TableBatch, Urgency, Verdict, Walker};

/// A page could not be mapped once more; here it is back.
#[derive(Debug)]
#[must_use]
pub struct TooManyMaps(pub CachedPage);

impl<'m, M: Machine> Objects<'m, M> {
    /// The way to an address space's translations.
    pub fn walker(&self, table: Id<PageTable>) -> Walker<'_, 'm, M> {
        self.tables().walker(self.frames(), table)
    }

    /// How a mapping of a frame counts. `file` is what is mapped there; `None` for anonymous memory.
    fn rss(&self, state: State, file: Option<PageCtx>) -> Rss {
        match (state, file) {
            (State::File, Some(ctx)) if self.file(ctx.file).kind() == FileKind::Memory => Rss::Shmem,
            (State::File, _) => Rss::File,
            _ => Rss::Anon,
        }
    }

    /// Maps a file's page at an empty entry. The page's reference becomes the mapping's.
    pub fn map_file(
        &self,
        leaf: &mut Leaf<'_, 'm, M>,
        at: Vpn,
        page: CachedPage,
        attrs: Attrs,
    ) -> Result<(), TooManyMaps> {
        let descriptor = self.descriptor(page.pfn());
        if descriptor.add_map(leaf, Exclusive::No).is_err() {
            return Err(TooManyMaps(page));
        }
        let rss = self.rss(descriptor.state(leaf), Some(page.ctx()));
        let entry = M::Entry::leaf(page.pfn(), attrs, leaf.level());
        leaf.install(at, entry, Some(rss));
        let _ = page.into_mapped();
        Ok(())
    }

    /// Maps a fresh frame at an empty entry: an anonymous page is born. The frame's reference becomes the
    /// mapping's.
    pub fn map_anon(
        &self,
        leaf: &mut Leaf<'_, 'm, M>,
        at: Vpn,
        (frame, ctx): (UserFrame, AnonCtx),
        attrs: Attrs,
    ) {
        born(leaf, self.descriptor(frame.0), ctx);
        leaf.trace(|| anon_born(frame, ctx));
        let entry = M::Entry::leaf(frame.0, attrs, leaf.level());
        leaf.install(at, entry, Some(Rss::Anon));
    }

    /// Maps the zero page at an empty entry; not counted (CR29), never writable.
    pub fn map_zero(&self, leaf: &mut Leaf<'_, 'm, M>, at: Vpn, attrs: Attrs) {
        debug_assert!(!attrs.perms.write, "the zero page is not written");
        let entry = M::Entry::leaf(self.zero_frame(), Attrs { special: true, ..attrs }, leaf.level());
        leaf.install(at, entry, None);
    }

    /// Puts a fresh copy in the place of what is mapped (copy-on-write): the old translation is void before
    /// the new one exists. `file` is what is mapped there. The batch has room and is settled later.
    pub fn replace_with_anon(
        &self,
        leaf: &mut Leaf<'_, 'm, M>,
        batch: &mut TableBatch<'_, 'm, M>,
        (at, file): (Vpn, Option<PageCtx>),
        (frame, ctx): (UserFrame, AnonCtx),
        attrs: Attrs,
    ) {
        self.count_merged_zero(leaf.entry(at), Sign::Goes);
        let old = counted::<M>(leaf.entry(at)).map(|pfn| self.folio(leaf, pfn).page);
        let old_rss = old.map(|page| self.rss(page.state(leaf), file));
        born(leaf, self.descriptor(frame.0), ctx);
        leaf.trace(|| anon_born(frame, ctx));
        let entry = M::Entry::leaf(frame.0, attrs, leaf.level());
        leaf.replace(batch, at, (old_rss, Some(Rss::Anon)), entry);
        if let Some(page) = old.filter(|_| old_rss != Some(Rss::Anon)) {
            page.remove_map(leaf);
        }
    }

    /// Counts one more mapping of a file's page, for a child's copy of the entry, with its reference.
    /// (Anonymous pages: [`Objects::share_for_fork`].)
    pub fn map_again(&self, cx: &Cx<'m, M, { level::TABLE1 }>, pfn: Pfn) -> Result<(), AtCap> {
        self.descriptor(pfn).add_entries(cx, 1, MAPS_MAX)
    }

    /// How an entry counts, for who installs a copy of it or takes it. A page on its way counts as it did.
    pub fn rss_of(
        &self,
        cx: &Cx<'m, M, { level::TABLE1 }>,
        entry: Entry,
        file: Option<PageCtx>,
    ) -> Option<Rss> {
        let mapped = match M::Entry::kind(entry, Level::LEAF) {
            Kind::Leaf(_) => counted::<M>(entry),
            _ => match Soft::of::<M>(entry, Level::LEAF) {
                Some(Soft::Swap { .. }) => return Some(Rss::Swap),
                // Locked while the entry exists, so it is what it was.
                Some(Soft::Migration { frame, .. }) => Some(frame),
                None => None,
            },
        };
        let pfn = mapped?;
        if file.is_none() {
            // Anonymous memory has no pages of files: the descriptor need not be read.
            return Some(Rss::Anon);
        }
        Some(self.rss(self.folio_state(cx, pfn), file))
    }

    /// Unmaps what [`Walker::sweep`] meets. `file` is what the swept range maps; `None` for anonymous memory.
    pub fn unmapper(&self, file: Option<MappedFile>) -> Unmapper<'_, 'm, M> {
        Unmapper { objects: self, file, refill: Refill::Possible }
    }

    /// Settles a batch of changes made through a walker: one flush round, then references go back.
    pub fn settle(
        &self,
        cx: &mut Cx<'m, M, { level::SLEEP_MAX }>,
        walker: &Walker<'_, 'm, M>,
        batch: &mut TableBatch<'_, 'm, M>,
    ) {
        let mut pages = Bulk::default();
        walker.settle(cx, batch, |cx, payload| self.finish_bulk(cx, payload, &mut pages));
        self.frames().end_bulk(cx.at(), &mut pages);
    }

    /// Frees what a settled change held.
    pub fn finish(&self, cx: &mut Cx<'m, M, { level::SLEEP_MAX }>, payload: Payload) {
        let mut pages = Bulk::default();
        self.finish_bulk(cx, payload, &mut pages);
        self.frames().end_bulk(cx.at(), &mut pages);
    }

    fn finish_bulk(&self, cx: &mut Cx<'m, M, { level::SLEEP_MAX }>, payload: Payload, pages: &mut Bulk) {
        match payload {
            Payload::Page { frame, rss: Rss::Anon, .. } => self.put_entry_bulk(cx.at(), frame, pages),
            Payload::Page { frame, .. } => self.put_mapped_bulk(cx.at(), frame, pages),
            Payload::Absent(value) => {
                // Migration entries hold nothing.
                if let Some(Soft::Swap { slot, .. }) = Soft::from_payload(value) {
                    self.put_swap(cx.at(), slot, Kept::Nothing);
                }
            }
            // The zero page is not counted; tables are freed by the walker.
            Payload::Special(_) | Payload::Table(_) => {}
        }
    }
}

/// The part of a file that a range maps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MappedFile {
    /// The file.
    pub file: Id<File>,
    /// Page of the file minus page number (wrapping).
    pub bias: u64,
}

impl MappedFile {
    /// What is mapped at a page.
    pub fn at(self, page: Vpn) -> PageCtx {
        PageCtx { file: self.file, index: page.0.wrapping_add(self.bias) }
    }
}

/// Unmaps pages: entries are taken, map counts and resident pages fall at once, references when settled.
///
/// A page of a file that could be written through the entry is marked dirty if hardware says it was, and the
/// change is flushed before the leaf's lock is dropped: a writeback that finds no entry there any more misses
/// no late store (LR11, L-19).
pub struct Unmapper<'a, 'm, M: Machine> {
    objects: &'a Objects<'m, M>,
    file: Option<MappedFile>,
    refill: Refill,
}

impl<'m, M: Machine> Unmapper<'_, 'm, M> {
    /// A mapping of a file was taken: of the file's page, or of a private copy.
    fn file_page_taken(
        &self,
        cx: &mut Cx<'m, M, { level::TABLE1 }>,
        (ctx, pfn): (PageCtx, Pfn),
        attrs: Attrs,
    ) -> Urgency {
        let page = self.objects.folio(cx, pfn).page;
        if page.state(cx) != State::File {
            return Urgency::Settle;
        }
        let left = page.remove_map(cx);
        // With no reference but the batch's the page goes: nobody will ask.
        if attrs.accessed && left.refs() > 1 && !page.test(cx, Flags::REFERENCED) {
            page.set(cx, Flags::REFERENCED);
        }
        if self.objects.file(ctx.file).kind() != FileKind::Regular || !(attrs.dirty || attrs.perms.write) {
            return Urgency::Settle;
        }
        if attrs.dirty {
            self.objects.mark_dirty(cx, ctx, pfn);
        }
        Urgency::Unlock
    }

    /// The same, and what is known of faults meanwhile.
    pub fn with_refill(self, refill: Refill) -> Self {
        Unmapper { refill, ..self }
    }
}

impl<'m, M: Machine> Reaper<'m, M> for Unmapper<'_, 'm, M> {
    fn verdict(&mut self, cx: &mut Cx<'m, M, { level::TABLE1 }>, page: Vpn, entry: Entry) -> Verdict {
        Verdict::Take(self.objects.rss_of(cx, entry, self.file.map(|file| file.at(page))))
    }

    fn taken(&mut self, cx: &mut Cx<'m, M, { level::TABLE1 }>, page: Vpn, old: Entry) -> Urgency {
        let Some(pfn) = counted::<M>(old) else {
            self.objects.count_merged_zero(old, Sign::Goes);
            return Urgency::Settle;
        };
        match self.file {
            Some(file) => self.file_page_taken(cx, (file.at(page), pfn), M::Entry::attrs(old)),
            // Its counts fall when the change is settled.
            None => Urgency::Settle,
        }
    }

    fn splits(&mut self, cx: &mut Cx<'m, M, { level::TABLE1 }>, entry: Entry) {
        self.objects.splits(cx, entry);
    }

    fn refill(&self) -> Refill {
        self.refill
    }

    fn finish(&mut self, cx: &mut Cx<'m, M, { level::SLEEP_MAX }>, payload: Payload) {
        self.objects.finish(cx, payload);
    }
}

/// The frame that an entry maps and counts.
pub(crate) fn counted<M: Machine>(entry: Entry) -> Option<Pfn> {
    match M::Entry::kind(entry, Level::LEAF) {
        Kind::Leaf(pfn) if !M::Entry::attrs(entry).special => Some(pfn),
        _ => None,
    }
}
