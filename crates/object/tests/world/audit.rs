//! What must be true of a quiet machine.

use super::{Host, World};
use frame::{Flags, State};
use machine::entry::Kind;
use machine::{EntryFormat, Level, Machine, Pfn};
use object::{FileKind, Owner};
use std::collections::{BTreeMap, BTreeSet};
use table::{Rss, Sight};

/// How often each page is mapped, by going through all tables, and which pages of files can be written.
/// Resident counts are checked on the way.
fn mappings(world: &World<'_>) -> (BTreeMap<Pfn, u64>, BTreeSet<Pfn>) {
    let objects = &world.objects;
    let (mut maps, mut written) = (BTreeMap::new(), BTreeSet::new());
    for id in objects.tables().ids() {
        let mut resident = 0;
        objects.walker(id).survey(world.host, &mut |sight| {
            let Sight::Entry { entry, level, .. } = sight else { return };
            let attrs = <Host as Machine>::Entry::attrs(entry);
            if let Kind::Leaf(pfn) = <Host as Machine>::Entry::kind(entry, Level::LEAF)
                && !attrs.special
            {
                let head = objects.frames().memmap().quiet_head(pfn).expect("a page is part of a folio").0;
                *maps.entry(head).or_insert(0) += 1;
                resident += 1 << level.span_shift();
                let page = objects.frames().descriptor(head);
                if attrs.perms.write && page.quiet_meta().state() == State::Anon {
                    assert!(is_exclusive(world, pfn), "{pfn:?} is writable, so exclusive (CR1)");
                } else if attrs.perms.write || attrs.dirty {
                    written.insert(pfn);
                }
            }
        });
        assert_eq!(objects.tables().get(id).resident(), resident, "resident pages of {id:?}");
        let kinds: u64 = Rss::ALL.into_iter().map(|kind| objects.tables().get(id).rss(kind)).sum();
        assert_eq!(kinds, resident);
    }
    (maps, written)
}

/// Whether the entry that maps a page is its only one.
pub fn is_exclusive(world: &World<'_>, pfn: Pfn) -> bool {
    let frames = world.objects.frames();
    let (head, order) = frames.memmap().quiet_head(pfn).expect("a page is part of a folio");
    let page = u64::from(pfn.0 - head.0);
    let meta = frames.descriptor(head).quiet_meta();
    let bit = || frames.subpages(head).quiet_bits((page / 64) as usize) >> (page % 64) & 1 == 1;
    let by_pages = order == machine::HUGE_ORDER && meta.flags().has(Flags::BY_PAGES);
    frames.descriptor(head).quiet_counts().is_exclusive() || by_pages && bit()
}

/// Checks everything; `held` is how many references the test itself has to each page.
pub fn audit_with(world: &World<'_>, held: &BTreeMap<Pfn, u64>) {
    let objects = &world.objects;
    let (maps, written) = mappings(world);
    let mut cached = BTreeMap::new();
    let mut nodes_used = false;
    for id in objects.file_ids() {
        let file = objects.file(id);
        let (mut pages, mut dirty) = (0, 0);
        objects.for_each_cached(id, &mut |page| {
            let descriptor = objects.frames().descriptor(page.pfn);
            assert_eq!(descriptor.quiet_owner(), (object::owner_number(id), page.index));
            assert!(!page.writeback && descriptor.quiet_meta().flags().has(Flags::UPTODATE));
            assert_eq!(cached.insert(page.pfn, page.index), None, "a page is cached once");
            let is_stored = file.kind() == FileKind::Regular;
            assert!(
                page.dirty || !is_stored || !written.contains(&page.pfn),
                "what can be written is marked dirty"
            );
            pages += 1;
            dirty += u64::from(page.dirty);
        });
        nodes_used |= pages > 0;
        assert_eq!((file.cached_pages(), file.dirty_pages()), (pages, dirty));
        for attachment in objects.attachments_of(file.mappers()) {
            assert_eq!(attachment.owner(), Owner::File(id));
            assert!(attachment.mapping().is_some());
        }
    }
    assert_eq!(objects.census().nodes > 0, nodes_used, "nodes are there for pages");
    for (pfn, descriptor) in objects.frames().descriptors() {
        let (meta, counts) = (descriptor.quiet_meta(), descriptor.quiet_counts());
        if !meta.is_head() || !matches!(meta.state(), State::File | State::Anon | State::Fresh) {
            continue;
        }
        let flags = meta.flags();
        assert!(!flags.has(Flags::LOCKED.and(Flags::WRITEBACK)), "{pfn:?}: nobody is at it");
        let count = |map: &BTreeMap<Pfn, u64>| map.get(&pfn).copied().unwrap_or(0);
        assert_eq!(counts.maps(), count(&maps), "{pfn:?}: mapped as often as counted");
        let refs = count(&maps) + u64::from(cached.contains_key(&pfn)) + count(held);
        assert_eq!(
            counts.refs() - counts.pins(),
            refs,
            "{pfn:?} ({:?}): references = mappings + cache + holders",
            meta.state()
        );
        if counts.is_exclusive() {
            assert_eq!(counts.maps(), 1, "{pfn:?}: exclusive means mapped once (CR2)");
        }
        if meta.state() == State::File && !cached.contains_key(&pfn) {
            assert_eq!(counts.maps(), 0, "{pfn:?}: what was truncated is not mapped");
        }
    }
}

/// Checks everything; the test holds nothing.
pub fn audit(world: &World<'_>) {
    audit_with(world, &BTreeMap::new());
}
