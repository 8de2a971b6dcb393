//! Files, their cached pages, and the lists of attachments.

use super::sums::FileSums;
use crate::context::{Run, holds};
use frame::{Flags, Id};
use machine::Machine;
use object::{File, FileKind, FileReport, Mappers, Owner, Visit, owner_number};

/// Levels an index of cached pages can have, and the slots of a node as a power of two.
const LEVELS: usize = 6;
const SHIFT: u32 = 6;

/// Checks all files and lineages, and claims cached pages.
pub(crate) fn check<M: Machine>(run: &mut Run<'_, '_, M>) -> FileSums {
    let objects = run.objects();
    let mut sums = FileSums::default();
    for id in objects.file_ids() {
        run.report.files += 1;
        let file = objects.file_report(id);
        sums.cache_nodes += check_cache(run, id, &file);
        let listed = check_list(run, objects.file(id).mappers(), Owner::File(id));
        sums.listed += listed;
        sums.files += u64::from(fr6_file(run, id, &file, listed));
        holds!(run, LK1, !file.is_locked, "file {}: its cache is locked", id.raw());
    }
    for id in objects.lineage_ids() {
        let listed = check_list(run, objects.lineage(id).mappers(), Owner::Lineage(id));
        sums.listed += listed;
        // Items of merged pages keep one without members.
        sums.lineages += u64::from(listed + objects.lineage(id).mappers().kept() > 0);
    }
    sums
}

/// A file is there because somebody uses it, or for its cached pages. Answers whether it is reached.
fn fr6_file<M: Machine>(run: &mut Run<'_, '_, M>, id: Id<File>, file: &FileReport, mapped: u64) -> bool {
    if let Some(opens) = run.outside.holders.opens(id) {
        let (raw, users) = (id.raw(), file.users);
        let exact = users == mapped + opens;
        holds!(run, FR6, exact, "file {raw}: {users} users, {mapped} mappings and {opens} opens");
    }
    file.users > 0 || (file.kind == FileKind::Regular && file.is_named && file.pages > 0)
}

/// Visits the cached pages of a file; answers how many nodes its index needs.
fn check_cache<M: Machine>(run: &mut Run<'_, '_, M>, id: Id<File>, file: &FileReport) -> u64 {
    let (mut pages, mut dirty) = (0, 0);
    let mut nodes = NodeCount::default();
    run.objects().for_each_cached(id, &mut |visit| {
        run.report.cached += 1;
        pages += 1;
        dirty += u64::from(visit.dirty);
        nodes.add(visit.index);
        pr5_cached(run, id, file, &visit);
        check_page(run, id, &visit);
    });
    let (raw, counted) = (id.raw(), file.pages);
    holds!(run, PR6, pages == counted, "file {raw}: {pages} pages are cached, {counted} were counted");
    let counted = file.dirty;
    holds!(run, PR6, dirty == counted, "file {raw}: {dirty} pages are dirty, {counted} were counted");
    nodes.total()
}

fn pr5_cached<M: Machine>(run: &mut Run<'_, '_, M>, id: Id<File>, file: &FileReport, visit: &Visit) {
    let (index, end) = (visit.index, file.end);
    holds!(run, PR5, index < end, "file {}: page {index} is cached, the file has {end}", id.raw());
}

/// One cached page: claims its frame.
fn check_page<M: Machine>(run: &mut Run<'_, '_, M>, id: Id<File>, visit: &Visit) {
    let (file, index, pfn) = (id.raw(), visit.index, visit.pfn);
    let page = run.descriptor(pfn).filter(|page| {
        let meta = page.quiet_meta();
        meta.is_head() && meta.state().is_handed_out()
    });
    holds!(run, FR5, page.is_some(), "file {file} page {index}: {pfn:?} is cached but nobody's");
    let Some(page) = page else { return };
    let (meta, owner) = (page.quiet_meta(), page.quiet_owner());
    let owned = meta.state() == frame::State::File && owner == (owner_number(id), index);
    holds!(run, PR1, owned, "file {file} page {index}: {pfn:?} is {:?} of {owner:?}", meta.state());
    holds!(run, PR1, meta.flags().has(Flags::UPTODATE), "file {file} page {index}: {pfn:?} was not read");
    run.claim(pfn);
    let slots = run.tally(pfn).owners;
    holds!(run, PR1, slots == 1, "file {file} page {index}: {pfn:?} is in {slots} slots");
    run.tally(pfn).is_dirty |= visit.dirty;
    let busy = meta.flags().has(Flags::LOCKED.and(Flags::WRITEBACK)) || visit.writeback;
    holds!(run, PR6, !busy, "file {file} page {index}: {pfn:?} is locked or being written");
    if meta.flags().has(Flags::WAITERS) {
        let waiting = run.core.parking.waiting_for(page.wait_key());
        holds!(run, LK1, waiting == 0, "file {file} page {index}: {waiting} tasks wait for it");
    }
}

/// Walks a list of attachments; answers how many there are.
fn check_list<M: Machine>(run: &mut Run<'_, '_, M>, list: &Mappers, owner: Owner) -> u64 {
    let counted = list.count();
    let mut listed = 0;
    let limit = usize::try_from(counted).unwrap_or(usize::MAX).saturating_add(1);
    for attachment in run.objects().attachments_of(list).take(limit) {
        listed += 1;
        let sound = attachment.mapping().is_some() && attachment.owner() == owner;
        holds!(run, PR3, sound, "{owner:?} lists an attachment of {:?}", attachment.owner());
    }
    holds!(run, PR3, listed == counted, "{owner:?} lists {listed} attachments, counted {counted}");
    holds!(run, LK1, list.is_idle(), "{owner:?}: its attachments are locked or waited for");
    listed
}

/// How many nodes an index of these (ascending) pages has: one for each different prefix, on each level up to
/// the root.
#[derive(Default)]
struct NodeCount {
    last: Option<u64>,
    by_level: [u64; LEVELS],
}

impl NodeCount {
    fn add(&mut self, index: u64) {
        for (level, nodes) in (1..).zip(&mut self.by_level) {
            let prefix = |index: u64| index >> (SHIFT * level);
            if self.last.is_none_or(|last| prefix(last) != prefix(index)) {
                *nodes += 1;
            }
        }
        self.last = Some(index);
    }

    fn total(&self) -> u64 {
        let Some(last) = self.last else { return 0 };
        let height = (u64::BITS - last.leading_zeros()).div_ceil(SHIFT).max(1);
        self.by_level.iter().take(height as usize).sum()
    }
}
