//! Reaching every translation of a file's pages through its attachments.

use crate::account::{MappedFile, Unmapper};
use crate::model::File;
use crate::model::{Mapping, Owner, Sharing};
use crate::objects::Objects;
use crate::writeback::Chosen;
use core::ops::Range;
use frame::Id;
use machine::entry::{Attrs, Kind};
use machine::{Cx, Entry, EntryFormat, Level, Machine, Vpn, VpnRange, level};
use revoke::Batch;
use table::{Leaf, Reaper, TableBatch, Urgency, Verdict, Walker};

impl<'m, M: Machine> Objects<'m, M> {
    /// Takes away every translation in the parts of address spaces that map these pages of a file, private
    /// copies included (Linux: `unmap_mapping_range` with `even_cows`). The pages were disowned before, so
    /// that no fault installs one behind the walk.
    pub(crate) fn unmap_file(
        &self,
        cx: &mut Cx<'m, M, { level::PAGE }>,
        file: Id<File>,
        indices: Range<u64>,
    ) {
        self.for_each_mapping(cx, Owner::File(file), indices, |cx, mapping, part| {
            let walker = self.walker(mapping.table);
            let mut batch = Batch::new(walker.table().domain(), self.frames());
            let bias = mapping.first.wrapping_sub(mapping.range.start.0);
            let mut unmapper = self.unmapper(Some(MappedFile { file, bias }));
            self.zap(cx, &walker, &mut batch, &mut unmapper, part);
            self.settle(cx, &walker, &mut batch);
        });
    }

    /// As [`Walker::sweep`], but tables that are still empty are not skipped: a fault may hold the lock of
    /// one, having asked whether its page is still cached before the page was disowned, and install it next.
    /// Where there is no table at all there is no such fault: it would have linked the table before it asked,
    /// with a fence in between (entering the epoch in which it finds its leaf), as there is one between
    /// disowning the page and looking here.
    fn zap(
        &self,
        cx: &mut Cx<'m, M, { level::RMAP }>,
        walker: &Walker<'_, 'm, M>,
        batch: &mut TableBatch<'_, 'm, M>,
        unmapper: &mut Unmapper<'_, 'm, M>,
        part: VpnRange,
    ) {
        let mut at = part.start;
        batch.answer_for(part);
        while at < part.end {
            let Some(mut leaf) = walker.lock_leaf_existing(cx, at) else {
                at = behind_absent(cx, walker, at);
                continue;
            };
            let end = leaf.span().end.min(part.end);
            let stopped = zap_leaf(&mut leaf, batch, unmapper, VpnRange::new(at, end));
            drop(leaf);
            at = stopped.unwrap_or(end);
            if stopped.is_some() {
                self.settle(cx, walker, batch);
                batch.answer_for(part);
            }
        }
    }

    /// Write-protects and cleans every shared translation of the chosen pages, and settles (Linux:
    /// `page_mkclean`).
    pub(crate) fn clean_mappings(
        &self,
        cx: &mut Cx<'m, M, { level::PAGE }>,
        file: Id<File>,
        chosen: &Chosen,
    ) {
        self.for_each_mapping(cx, Owner::File(file), chosen.indices(), |cx, mapping, _| {
            if mapping.sharing == Sharing::Shared {
                self.clean_mapping(cx, mapping, chosen);
            }
        });
    }

    fn clean_mapping(&self, cx: &mut Cx<'m, M, { level::RMAP }>, mapping: &Mapping, chosen: &Chosen) {
        let walker = self.walker(mapping.table);
        let mut batch = Batch::new(walker.table().domain(), self.frames());
        batch.answer_for(mapping.part(&chosen.indices()));
        let mut pages =
            chosen.iter().filter_map(|page| Some((mapping.page_of(page.ctx().index)?, page))).peekable();
        while let Some(&(first, _)) = pages.peek() {
            let Some(mut leaf) = walker.lock_leaf_existing(cx, first) else {
                pages.next();
                continue;
            };
            while let Some((at, page)) = pages.next_if(|&(at, _)| leaf.span().contains(at)) {
                let entry = leaf.entry(at);
                let attrs = M::Entry::attrs(entry);
                let maps_it = M::Entry::kind(entry, Level::LEAF) == Kind::Leaf(page.pfn());
                if maps_it && (attrs.dirty || attrs.perms.write) {
                    let (_, token) = leaf.change(at, clean::<M>);
                    batch.push(&mut leaf, token);
                }
            }
        }
        self.settle(cx, &walker, &mut batch);
    }
}

/// The entry without what lets stores pass unseen.
fn clean<M: Machine>(entry: Entry) -> Entry {
    let attrs = M::Entry::attrs(entry);
    let attrs = Attrs { perms: attrs.perms.read_only(), dirty: false, ..attrs };
    M::Entry::with_attrs(entry, attrs, Level::LEAF)
}

/// Takes the entries of a leaf in a range, until the batch is full; answers where to go on then.
fn zap_leaf<'m, M: Machine>(
    leaf: &mut Leaf<'_, 'm, M>,
    batch: &mut TableBatch<'_, 'm, M>,
    unmapper: &mut Unmapper<'_, 'm, M>,
    range: VpnRange,
) -> Option<Vpn> {
    let mut from = range.start;
    let mut stopped = None;
    let mut urgency = Urgency::Settle;
    while let Some((at, entry)) = leaf.next_used(from, range.end) {
        if batch.is_full() {
            stopped = Some(at);
            break;
        }
        if let Verdict::Take(rss) = unmapper.verdict(leaf, at, entry) {
            let (old, token) = leaf.take(at, rss);
            batch.push(leaf, token);
            if unmapper.taken(leaf, at, old) == Urgency::Unlock {
                urgency = Urgency::Unlock;
            }
        }
        from = leaf.pages(at).end;
    }
    if urgency == Urgency::Unlock {
        batch.flush_now(leaf);
    }
    stopped
}

/// The first page at or after `at` that a table may lead to.
fn behind_absent<'m, M: Machine>(
    cx: &mut Cx<'m, M, { level::RMAP }>,
    walker: &Walker<'_, 'm, M>,
    at: Vpn,
) -> Vpn {
    let seen = walker.peek(cx.at(), at);
    let span = 1u64 << seen.level.span_shift();
    if seen.entry == Entry::EMPTY && seen.level > Level::LEAF { Vpn((at.0 / span + 1) * span) } else { at }
}
