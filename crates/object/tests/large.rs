//! Large anonymous folios: shared, split, reused, pinned.

mod world;

use frame::counts::{Freed, MAPS_MAX};
use frame::{Flags, Request, State};
use machine::entry::Attrs;
use machine::{Counter, Entry, EntryFormat, HUGE_ORDER, Level, Machine, Pfn, UserFrame, Vpn, VpnRange};
use object::exclusive::Reuse;
use object::{AnonCtx, Refused, Split, Without};
use std::collections::BTreeMap;
use table::Rss;
use world::audit::{audit, audit_with, is_exclusive};
use world::space::{READ, Space, WRITTEN, share};
use world::{Host, World};

const AT: u64 = 1024;
const PAGES: u64 = HUGE_ORDER.frames();

/// Maps 2 MiB at page 1024, as a fault does.
fn map_huge(world: &World<'_>, space: &Space) -> Pfn {
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let walker = objects.walker(space.table);
    let spare = walker.new_spare(cx.at()).unwrap();
    let frame = objects.frames().allocate(cx.at(), &Request::user().order(HUGE_ORDER)).unwrap();
    let mut leaf = walker.lock_huge(cx.at(), Vpn(AT)).unwrap().unwrap();
    let ctx = AnonCtx { lineage: space.lineage, index: AT };
    objects.map_anon_huge(&mut leaf, (Vpn(AT), spare), (UserFrame(frame), ctx), WRITTEN);
    frame
}

fn split_entry(world: &World<'_>, space: &Space) {
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let walker = objects.walker(space.table);
    let mut batch = revoke::Batch::new(walker.table().domain(), objects.frames());
    assert!(objects.split_entry(cx.at(), &walker, Vpn(AT + 77), &mut batch));
    objects.settle(cx.at(), &walker, &mut batch);
}

/// What fork does with an entry of 2 MiB; answers whether it was shared.
fn share_huge(world: &World<'_>, parent: &Space, child: &Space) -> bool {
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let (from, to) = (objects.walker(parent.table), objects.walker(child.table));
    let spare = to.new_spare(cx.at()).unwrap();
    let mut batch = revoke::Batch::new(from.table().domain(), objects.frames());
    let mut pair = from.lock_pair(cx.at(), Vpn(AT), (&to, Vpn(AT))).unwrap().unwrap();
    let entry = pair.from().entry(Vpn(AT));
    let machine::entry::Kind::Leaf(head) = <Host as Machine>::Entry::kind(entry, Level::HUGE) else {
        panic!("2 MiB are mapped");
    };
    if objects.share_huge_for_fork(pair.cx(), head).is_err() {
        drop(pair);
        to.free_spare(cx.at(), spare);
        return false;
    }
    let read_only = |entry| <Host as Machine>::Entry::with_attrs(entry, READ, Level::HUGE);
    let (_, token) = pair.from().change(Vpn(AT), read_only);
    batch.push(pair.cx(), token);
    pair.to().install_huge(Vpn(AT), read_only(entry), Some(Rss::Anon), spare);
    drop(pair);
    objects.settle(cx.at(), &from, &mut batch);
    true
}

/// What the owner of a reference asks for.
fn split_folio(world: &World<'_>, head: Pfn) -> Split {
    let (objects, mut cx) = (&world.objects, world.cx(0));
    objects.frames().get(&cx, head).unwrap();
    let split = objects.split_folio(cx.at(), head);
    objects.frames().put(cx.at(), head);
    split
}

/// Moves the folio of a page, as somebody who found that page does.
fn migrate(world: &World<'_>, pfn: Pfn) -> Result<Pfn, Refused> {
    let (objects, mut cx) = (&world.objects, world.cx(0));
    objects.frames().get(&cx, pfn).unwrap();
    objects.migrate(cx.at(), pfn, &Request::user(), Without::Split)
}

fn entry_at(space: &Space, world: &World<'_>, page: u64) -> Entry {
    space.entry(world, AT + page)
}

fn small(frame: Pfn, attrs: Attrs) -> Entry {
    <Host as Machine>::Entry::leaf(frame, attrs, Level::LEAF)
}

fn end(world: &World<'_>, spaces: &[&Space]) {
    for space in spaces {
        space.end(world);
    }
    audit(world);
    assert_eq!(world.objects.frames().descriptors().filter(|(_, d)| in_use(d)).count(), 0);
}

fn in_use(page: &frame::Descriptor) -> bool {
    let meta = page.quiet_meta();
    meta.is_head() && meta.state() == State::Anon
}

fn total(world: &World<'_>, counter: Counter) -> u64 {
    world.core.total(counter)
}

#[test]
fn a_large_page_is_born_exclusive_and_split_into_exclusive_pages() {
    let host = Host::new(16);
    let world = World::new(&host);
    let space = Space::new(&world);
    let head = map_huge(&world, &space);
    let page = world.objects.frames().descriptor(head);
    let cx = world.cx(0);
    assert!(page.is_exclusive(&cx) && page.refs(&cx) == 1 && page.maps(&cx) == 1);
    assert_eq!(space.rss(&world), [PAGES, 0, 0]);
    audit(&world);
    split_entry(&world, &space);
    assert_eq!(space.rss(&world), [PAGES, 0, 0]);
    assert_eq!((page.refs(&cx), page.maps(&cx)), (PAGES, PAGES));
    assert_eq!(entry_at(&space, &world, 300), small(head.plus(300), WRITTEN), "still writable");
    assert!((0..PAGES).all(|i| is_exclusive(&world, head.plus(i))));
    assert_eq!(space.reuse(&world, AT + 300), Reuse::Exclusive);
    audit(&world);
    // Parts go one by one, the folio with the last of them.
    space.unmap(&world, VpnRange::sized(Vpn(AT), 500), None);
    assert_eq!((page.refs(&cx), page.maps(&cx)), (12, 12));
    audit(&world);
    end(&world, &[&space]);
}

#[test]
fn a_part_of_a_large_page_is_unmapped() {
    let host = Host::new(16);
    let world = World::new(&host);
    let space = Space::new(&world);
    let head = map_huge(&world, &space);
    space.unmap(&world, VpnRange::sized(Vpn(AT + 100), 100), None);
    assert_eq!(total(&world, Counter::ThpSplitPmd), 1);
    assert_eq!(space.rss(&world), [PAGES - 100, 0, 0]);
    assert_eq!(entry_at(&space, &world, 99), small(head.plus(99), WRITTEN));
    assert_eq!(entry_at(&space, &world, 100), Entry::EMPTY);
    audit(&world);
    // What nobody maps is free once the folio is split.
    let free = world.objects.frames().free_frames() + world.objects.frames().per_cpu_frames();
    assert_eq!(split_folio(&world, head), Split::Done);
    let now = world.objects.frames().free_frames() + world.objects.frames().per_cpu_frames();
    assert_eq!(now - free, 100);
    assert_eq!(entry_at(&space, &world, 99), small(head.plus(99), WRITTEN));
    assert!(is_exclusive(&world, head.plus(99)));
    audit(&world);
    end(&world, &[&space]);
}

#[test]
fn a_whole_is_shared_by_fork_and_reused_by_its_last_owner() {
    let host = Host::new(16);
    let world = World::new(&host);
    let parent = Space::new(&world);
    let child = parent.child(&world);
    let head = map_huge(&world, &parent);
    assert!(share_huge(&world, &parent, &child));
    let (page, cx) = (world.objects.frames().descriptor(head), world.cx(0));
    assert!(!page.is_exclusive(&cx) && page.refs(&cx) == 2 && page.maps(&cx) == 2);
    audit(&world);
    assert_eq!(parent.reuse(&world, AT + 3), Reuse::Copy);
    // The child's is split: its pages are shared with the parent's whole.
    split_entry(&world, &child);
    assert_eq!((page.refs(&cx), page.maps(&cx)), (PAGES + 1, PAGES + 1));
    assert!((0..PAGES).all(|i| !is_exclusive(&world, head.plus(i))));
    assert_eq!(child.reuse(&world, AT + 3), Reuse::Copy);
    audit(&world);
    parent.end(&world);
    // All that is left is the child's: all of it is exclusive now.
    child.unmap(&world, VpnRange::sized(Vpn(AT), 10), None);
    assert_eq!(child.reuse(&world, AT + 300), Reuse::Alone);
    assert!((10..PAGES).all(|i| is_exclusive(&world, head.plus(i))));
    assert_eq!(child.reuse(&world, AT + 301), Reuse::Exclusive);
    audit(&world);
    end(&world, &[&child]);
}

#[test]
fn a_whole_is_reused_when_everybody_else_has_left() {
    let host = Host::new(16);
    let world = World::new(&host);
    let parent = Space::new(&world);
    let child = parent.child(&world);
    let head = map_huge(&world, &parent);
    assert!(share_huge(&world, &parent, &child));
    parent.end(&world);
    let cx = world.cx(0);
    world.objects.frames().get(&cx, head.plus(9)).unwrap();
    assert_eq!(child.reuse(&world, AT), Reuse::Copy, "somebody has a reference");
    world.objects.frames().put(world.cx(0).at(), head.plus(9));
    assert_eq!(child.reuse(&world, AT), Reuse::Alone);
    audit(&world);
    assert_eq!(total(&world, Counter::ThpSplitPmd), 0);
    end(&world, &[&child]);
}

#[test]
fn pages_of_a_folio_part_and_each_says_for_itself_whose_it_is() {
    let host = Host::new(16);
    let world = World::new(&host);
    let parent = Space::new(&world);
    let child = parent.child(&world);
    let head = map_huge(&world, &parent);
    split_entry(&world, &parent);
    for page in [5, 6] {
        share(&world, &parent, &child, AT + page);
    }
    audit(&world);
    assert_eq!(parent.reuse(&world, AT + 4), Reuse::Exclusive);
    assert_eq!(parent.reuse(&world, AT + 5), Reuse::Copy);
    child.unmap(&world, VpnRange::sized(Vpn(AT + 6), 1), None);
    assert_eq!(child.reuse(&world, AT + 5), Reuse::Copy, "the parent has it, too");
    assert_eq!(parent.reuse(&world, AT + 6), Reuse::Copy, "the child has entries of the folio");
    child.end(&world);
    assert_eq!(parent.reuse(&world, AT + 6), Reuse::Alone);
    assert!((0..PAGES).all(|i| is_exclusive(&world, head.plus(i))));
    end(&world, &[&parent]);
}

#[test]
fn a_split_keeps_who_is_exclusive_and_who_shares() {
    let host = Host::new(16);
    let world = World::new(&host);
    let parent = Space::new(&world);
    let child = parent.child(&world);
    let head = map_huge(&world, &parent);
    split_entry(&world, &parent);
    share(&world, &parent, &child, AT + 7);
    let entries: Vec<Entry> = (0..PAGES).map(|i| entry_at(&parent, &world, i)).collect();
    assert_eq!(split_folio(&world, head), Split::Done);
    assert_eq!(total(&world, Counter::ThpSplitPage), 1);
    let (frames, cx) = (world.objects.frames(), world.cx(0));
    for i in 0..PAGES {
        let page = frames.descriptor(head.plus(i));
        let meta = page.quiet_meta();
        assert!(meta.is_head() && meta.order().0 == 0 && meta.state() == State::Anon);
        assert!(!meta.flags().has(Flags::LOCKED.and(Flags::BY_PAGES)), "page {i}");
        let sharers = if i == 7 { 2 } else { 1 };
        assert_eq!((page.refs(&cx), page.maps(&cx)), (sharers, sharers));
        assert_eq!(page.is_exclusive(&cx), i != 7);
        assert_eq!(entry_at(&parent, &world, i), entries[i as usize]);
        assert_eq!(page.index(&cx), AT + i);
    }
    audit(&world);
    end(&world, &[&parent, &child]);
}

#[test]
fn a_whole_that_two_have_is_split_for_both() {
    let host = Host::new(16);
    let world = World::new(&host);
    let parent = Space::new(&world);
    let child = parent.child(&world);
    let head = map_huge(&world, &parent);
    assert!(share_huge(&world, &parent, &child));
    assert_eq!(split_folio(&world, head), Split::Done);
    assert_eq!(total(&world, Counter::ThpSplitPmd), 2);
    assert_eq!(entry_at(&parent, &world, 8), entry_at(&child, &world, 8));
    assert_eq!(parent.reuse(&world, AT + 8), Reuse::Copy);
    audit(&world);
    child.end(&world);
    assert_eq!(parent.reuse(&world, AT + 8), Reuse::Alone);
    end(&world, &[&parent]);
}

/// C-9: a pin, of before or in the middle of it, and everything is as it was, but mapped by pages.
#[test]
fn a_pinned_page_keeps_its_folio_whole_and_its_entries_as_they_are() {
    let host = Host::new(16);
    let world = World::new(&host);
    let space = Space::new(&world);
    let head = map_huge(&world, &space);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let page = objects.frames().descriptor(head);
    page.pin(&cx).unwrap();
    assert_eq!(split_folio(&world, head), Split::Refused);
    assert_eq!(total(&world, Counter::ThpSplitPmd), 0, "a pin that is seen early costs nothing");
    split_entry(&world, &space);
    {
        // A pin that comes after the first look: every page stays, in the order they are tried.
        objects.frames().get(&cx, head).unwrap();
        let mut held = objects.lock_page(cx.at(), head);
        let detached = objects.detach_page(&mut held, head, object::Into::Migration);
        assert_eq!(detached, object::Detached::StillMapped);
        objects.restore_page(&mut held, (head, PAGES), head);
    }
    objects.frames().put(cx.at(), head);
    for i in 0..PAGES {
        assert_eq!(entry_at(&space, &world, i), small(head.plus(i), WRITTEN));
        assert!(is_exclusive(&world, head.plus(i)));
    }
    assert_eq!((page.pins(&cx), page.maps(&cx)), (1, PAGES));
    audit(&world);
    objects.frames().unpin(cx.at(), head.plus(5));
    assert_eq!(split_folio(&world, head), Split::Done);
    end(&world, &[&space]);
}

#[test]
fn somebody_s_reference_is_enough_to_refuse_a_split() {
    let host = Host::new(16);
    let world = World::new(&host);
    let space = Space::new(&world);
    let head = map_huge(&world, &space);
    world.objects.frames().get(&world.cx(0), head.plus(40)).unwrap();
    assert_eq!(split_folio(&world, head), Split::Refused);
    assert_eq!(total(&world, Counter::ThpSplitPageFailed), 1);
    audit_with(&world, &BTreeMap::from([(head, 1)]));
    world.objects.frames().put(world.cx(0).at(), head);
    end(&world, &[&space]);
}

/// A pinned whole is not shared by fork; nor is one that has so many mappings that splits could not be
/// counted.
#[test]
fn fork_is_refused_what_is_pinned_or_mapped_too_often() {
    let host = Host::new(16);
    let world = World::new(&host);
    let parent = Space::new(&world);
    let child = parent.child(&world);
    let head = map_huge(&world, &parent);
    let (page, mut cx) = (world.objects.frames().descriptor(head), world.cx(0));
    page.pin(&cx).unwrap();
    assert!(!share_huge(&world, &parent, &child));
    assert!(page.is_exclusive(&cx));
    world.objects.frames().unpin(cx.at(), head);
    let most = MAPS_MAX / 2 / PAGES;
    page.add_entries(&cx, most - 1, most).unwrap();
    assert!(!share_huge(&world, &parent, &child));
    assert!(page.is_exclusive(&cx), "a refusal leaves the bit");
    for _ in 1..most {
        page.remove_map(&cx);
        assert_eq!(page.put(&cx), Freed::No);
    }
    assert!(share_huge(&world, &parent, &child));
    audit(&world);
    end(&world, &[&parent, &child]);
}

fn huge(frame: Pfn, attrs: Attrs) -> Entry {
    <Host as Machine>::Entry::leaf(frame, attrs, Level::HUGE)
}

/// Row 19 for 2 MiB: one entry, writable or shared.
#[test]
fn a_whole_moves_whole() {
    for shared in [false, true] {
        let host = Host::new(16);
        let world = World::new(&host);
        let parent = Space::new(&world);
        let child = parent.child(&world);
        let from = map_huge(&world, &parent);
        world.host.write_frame(world.cx(0).cpu(), UserFrame(from.plus(77)), 0, &[0x5a]);
        assert!(!shared || share_huge(&world, &parent, &child));
        let to = migrate(&world, from.plus(5)).unwrap();
        assert_ne!(to, from.plus(5));
        let head = world.objects.frames().folio(&world.cx(0), to).0;
        assert_eq!(to, head.plus(5), "the page that was asked for");
        let attrs = if shared { READ } else { WRITTEN };
        assert_eq!(entry_at(&parent, &world, 0), huge(head, attrs));
        assert_eq!(entry_at(&child, &world, 0), if shared { huge(head, attrs) } else { Entry::EMPTY });
        let mut byte = [0];
        world.host.read_bytes(UserFrame(head.plus(77)), &mut byte);
        assert_eq!(byte, [0x5a]);
        let (page, cx) = (world.objects.frames().descriptor(head), world.cx(0));
        let sharers = if shared { 2 } else { 1 };
        assert_eq!((page.refs(&cx), page.maps(&cx), page.is_exclusive(&cx)), (sharers, sharers, !shared));
        assert_eq!(parent.reuse(&world, AT), if shared { Reuse::Copy } else { Reuse::Exclusive });
        assert_eq!(total(&world, Counter::PgMigrateSuccess), PAGES);
        assert_eq!(
            (total(&world, Counter::ThpMigrationSuccess), total(&world, Counter::ThpSplitPmd)),
            (1, 0)
        );
        audit(&world);
        end(&world, &[&parent, &child]);
    }
}

/// Row 19 for 2 MiB that are mapped by pages, some exclusive and some shared: each keeps its own.
#[test]
fn a_folio_that_is_mapped_by_pages_moves_with_a_bit_for_each() {
    let host = Host::new(16);
    let world = World::new(&host);
    let parent = Space::new(&world);
    let child = parent.child(&world);
    let from = map_huge(&world, &parent);
    split_entry(&world, &parent);
    for page in [5, 6, 300] {
        share(&world, &parent, &child, AT + page);
    }
    let to = migrate(&world, from.plus(6)).unwrap();
    let head = world.objects.frames().folio(&world.cx(0), to).0;
    assert_eq!(to, head.plus(6));
    for i in 0..PAGES {
        let shared = [5, 6, 300].contains(&i);
        assert_eq!(is_exclusive(&world, head.plus(i)), !shared, "page {i}");
        assert_eq!(entry_at(&parent, &world, i), small(head.plus(i), if shared { READ } else { WRITTEN }));
    }
    assert_eq!(entry_at(&child, &world, 300), small(head.plus(300), READ));
    assert_eq!(total(&world, Counter::ThpMigrationSuccess), 1);
    audit(&world);
    // All of it shared by entries of both sizes: nobody's bit is set at the new place either.
    child.end(&world);
    let child = parent.child(&world);
    for page in 0..PAGES {
        share(&world, &parent, &child, AT + page);
    }
    let to = migrate(&world, head).unwrap();
    assert!((0..PAGES).all(|i| !is_exclusive(&world, to.plus(i))));
    assert_eq!(parent.reuse(&world, AT + 9), Reuse::Copy);
    child.end(&world);
    assert_eq!(parent.reuse(&world, AT + 9), Reuse::Alone);
    assert!((0..PAGES).all(|i| is_exclusive(&world, to.plus(i))));
    audit(&world);
    end(&world, &[&parent]);
}

/// Parts that nobody maps are let go before anything moves (Linux: the deferred split list is looked at
/// first).
#[test]
fn a_partly_mapped_folio_is_split_and_one_page_moves() {
    let host = Host::new(16);
    let world = World::new(&host);
    let space = Space::new(&world);
    let from = map_huge(&world, &space);
    space.unmap(&world, VpnRange::sized(Vpn(AT + 100), 100), None);
    let to = migrate(&world, from.plus(7)).unwrap();
    assert_eq!((total(&world, Counter::ThpSplitPage), total(&world, Counter::PgMigrateSuccess)), (1, 1));
    assert_eq!(entry_at(&space, &world, 7), small(to, WRITTEN));
    assert_eq!(entry_at(&space, &world, 8), small(from.plus(8), WRITTEN));
    assert!(is_exclusive(&world, to) && is_exclusive(&world, from.plus(8)));
    audit(&world);
    end(&world, &[&space]);
}

#[test]
fn who_holds_or_pins_a_part_keeps_all_of_it_where_it_is() {
    let host = Host::new(16);
    let world = World::new(&host);
    for by_pages in [false, true] {
        let space = Space::new(&world);
        let head = map_huge(&world, &space);
        if by_pages {
            split_entry(&world, &space);
        }
        let (frames, mut cx) = (world.objects.frames(), world.cx(0));
        frames.get(&cx, head.plus(9)).unwrap();
        assert_eq!(migrate(&world, head.plus(3)), Err(Refused::Busy));
        frames.descriptor(head).pin(&cx).unwrap();
        assert_eq!(migrate(&world, head.plus(3)), Err(Refused::Pinned));
        frames.unpin(cx.at(), head);
        frames.put(cx.at(), head.plus(9));
        assert!((0..PAGES).all(|i| is_exclusive(&world, head.plus(i))));
        let entry = if by_pages { small(head, WRITTEN) } else { huge(head, WRITTEN) };
        assert_eq!(entry_at(&space, &world, 0), entry);
        audit(&world);
        space.end(&world);
    }
    assert_eq!(total(&world, Counter::ThpMigrationFail) + total(&world, Counter::ThpSplitPage), 0);
}

/// A part of it goes while it is on its way: the entry of 2 MiB that stands for it becomes 512 like any
/// other.
#[test]
fn a_part_is_unmapped_while_it_moves() {
    let host = Host::new(16);
    let world = World::new(&host);
    let space = Space::new(&world);
    let head = map_huge(&world, &space);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    objects.frames().get(&cx, head).unwrap();
    {
        let mut held = objects.lock_page(cx.at(), head);
        assert_eq!(objects.detach_page(&mut held, head, object::Into::Migration), object::Detached::All);
        space.unmap(&world, VpnRange::sized(Vpn(AT + 10), 2), None);
        assert_eq!(space.rss(&world), [PAGES - 2, 0, 0]);
        objects.restore_page(&mut held, (head, PAGES), head);
    }
    objects.frames().put(cx.at(), head);
    let page = objects.frames().descriptor(head);
    assert_eq!((page.refs(&cx), page.maps(&cx)), (PAGES - 2, PAGES - 2));
    for i in (0..10).chain(12..PAGES) {
        assert_eq!(entry_at(&space, &world, i), small(head.plus(i), WRITTEN));
        assert!(is_exclusive(&world, head.plus(i)), "page {i}");
    }
    audit(&world);
    end(&world, &[&space]);
}

#[test]
fn without_a_block_a_folio_is_split_and_one_page_moves() {
    let host = Host::new(8);
    let world = World::new(&host);
    let space = Space::new(&world);
    let head = map_huge(&world, &space);
    let (frames, mut cx) = (world.objects.frames(), world.cx(0));
    let mut taken = Vec::new();
    while let Ok(block) = frames.allocate(cx.at(), &Request::user().order(HUGE_ORDER)) {
        taken.push(block);
    }
    let gone = frames.allocate(cx.at(), &Request::user().order(HUGE_ORDER)).is_err();
    frames.get(&cx, head).unwrap();
    let stays = world.objects.migrate(cx.at(), head, &Request::user(), Without::Stay);
    assert!(gone && matches!(stays, Err(Refused::Shortage(_))), "{stays:?}");
    assert_eq!(entry_at(&space, &world, 0), huge(head, WRITTEN));
    let to = migrate(&world, head.plus(4)).unwrap();
    assert_eq!(total(&world, Counter::ThpMigrationSplit), 1);
    assert_eq!(entry_at(&space, &world, 4), small(to, WRITTEN));
    assert_eq!(entry_at(&space, &world, 5), small(head.plus(5), WRITTEN));
    taken.into_iter().for_each(|block| frames.put(cx.at(), block));
    audit(&world);
    end(&world, &[&space]);
}

/// Somebody else had it page by page, and left: what one exclusive entry maps is whole.
#[test]
fn a_whole_that_was_mapped_by_pages_elsewhere_moves_whole() {
    let host = Host::new(16);
    let world = World::new(&host);
    let parent = Space::new(&world);
    let child = parent.child(&world);
    let from = map_huge(&world, &parent);
    assert!(share_huge(&world, &parent, &child));
    split_entry(&world, &child);
    child.end(&world);
    assert_eq!(parent.reuse(&world, AT), Reuse::Alone);
    let to = migrate(&world, from).unwrap();
    assert_eq!(entry_at(&parent, &world, 0), huge(to, READ));
    assert!(is_exclusive(&world, to));
    assert_eq!((total(&world, Counter::ThpMigrationSuccess), total(&world, Counter::ThpSplitPage)), (1, 0));
    audit(&world);
    end(&world, &[&parent]);
}
