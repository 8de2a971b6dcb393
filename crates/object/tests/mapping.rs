//! Translations of cached and anonymous pages: who maps what, and how it is taken back.

mod world;

use frame::{Id, Request};
use machine::{Entry, EntryFormat, FileKey, Machine, PAGE_SIZE, Vpn, VpnRange};
use object::exclusive::{MustCopy, Reuse};
use object::radix::Mark;
use object::{AnonCtx, File, FileKind, MappedFile, Mapping, Owner, PageCtx, Place, Sharing, Want};
use std::collections::BTreeMap;
use world::audit::{audit, audit_with};
use world::space::{READ, Space, WRITTEN, share};
use world::{Event, Host, LateStore, World};

const KEY: FileKey = FileKey(4);

fn open(world: &World<'_>, pages: u64) -> Id<File> {
    world.objects.open(world.cx(0).at(), KEY, FileKind::Regular, pages * PAGE_SIZE).unwrap()
}

#[test]
fn writeback_protects_every_shared_mapping_before_the_bytes_go() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let file = open(&world, 600);
    let (a, b) = (Space::new(&world), Space::new(&world));
    a.attach(&world, file, 1000, 0, 600);
    b.attach(&world, file, 5000, 100, 500);
    b.attach_as(&world, file, (9000, 0, 600), Sharing::Private);
    for index in [510, 511, 512] {
        a.map(&world, 1000 + index, PageCtx { file, index }, WRITTEN);
        b.map(&world, 5000 + index - 100, PageCtx { file, index }, WRITTEN);
        b.map(&world, 9000 + index, PageCtx { file, index }, READ);
    }
    a.map(&world, 1000, PageCtx { file, index: 0 }, WRITTEN);
    audit(&world);
    objects.tables().activate(cx.at(), a.table);
    let page = objects.lookup(cx.at(), PageCtx { file, index: 511 }).unwrap();
    *host.late.lock().unwrap() = Some(LateStore { frame: page.frame(), byte: 0x77 });
    host.events();
    objects.writeback(cx.at(), file, 500..600).unwrap();
    *host.late.lock().unwrap() = None;
    let writes = [510, 511, 512].map(Event::Write);
    let expected: Vec<_> = [Event::Flush].into_iter().chain(writes).collect();
    assert_eq!(host.events(), expected, "one round for the space that runs, before all bytes (L-19)");
    assert_eq!(host.stored.lock().unwrap()[&(4, 511)][0], 0x77, "the last store that was possible is in");
    for (space, at) in [(&a, 1511), (&b, 5411)] {
        let attrs = space.attrs(&world, at);
        assert!(!attrs.dirty && !attrs.perms.write && attrs.perms.read);
    }
    assert!(a.attrs(&world, 1000).perms.write, "a page that was not asked for is left alone");
    assert!(objects.is_marked(cx.at(), PageCtx { file, index: 0 }, Mark::Dirty));
    assert_eq!(objects.file(file).dirty_pages(), 1);
    audit_with(&world, &BTreeMap::from([(page.pfn(), 1)]));
    objects.release(cx.at(), page);
}

#[test]
fn taking_a_dirty_entry_marks_the_page_and_flushes_first() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let file = open(&world, 4);
    let ctx = PageCtx { file, index: 1 };
    let a = Space::new(&world);
    let attachment = a.attach(&world, file, 1000, 0, 4);
    a.map(&world, 1001, ctx, WRITTEN);
    a.map(&world, 1002, PageCtx { file, index: 2 }, READ);
    assert_eq!(a.rss(&world), [0, 2, 0]);
    objects.tables().activate(cx.at(), a.table);
    // As if the mark had been taken by a writeback that comes by here next.
    objects.writeback(cx.at(), file, 0..0).unwrap();
    host.events();
    a.unmap(&world, VpnRange::sized(Vpn(1000), 4), Some(MappedFile { file, bias: 1000u64.wrapping_neg() }));
    assert_eq!(host.events(), [Event::Flush], "under the leaf lock, once (LR11)");
    assert!(objects.is_marked(cx.at(), ctx, Mark::Dirty));
    assert_eq!(a.rss(&world), [0, 0, 0]);
    objects.detach(cx.at(), attachment);
    objects.close(cx.at(), file).unwrap();
    audit(&world);
}

#[test]
fn truncation_takes_shared_private_and_copied_pages_from_everybody() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let file = open(&world, 2000);
    let (a, b) = (Space::new(&world), Space::new(&world));
    a.attach(&world, file, 1000, 0, 2000);
    b.attach_as(&world, file, (7000, 10, 1990), Sharing::Private);
    for index in [5, 600, 1200, 1999] {
        a.map(&world, 1000 + index, PageCtx { file, index }, WRITTEN);
    }
    b.map(&world, 7590, PageCtx { file, index: 600 }, READ);
    b.map_anon(&world, 7591);
    b.map_anon(&world, 7000);
    audit(&world);
    objects.truncate(cx.at(), file, 600 * PAGE_SIZE).unwrap();
    assert_eq!((a.rss(&world), b.rss(&world)), ([0, 1, 0], [1, 0, 0]));
    assert_ne!(a.entry(&world, 1005), Entry::EMPTY);
    for (space, at) in [(&a, 1600), (&a, 2200), (&a, 2999), (&b, 7590), (&b, 7591)] {
        assert_eq!(space.entry(&world, at), Entry::EMPTY, "{at}");
    }
    assert_ne!(b.entry(&world, 7000), Entry::EMPTY, "a copy of what is still there stays");
    audit(&world);
}

#[test]
fn shared_memory_counts_as_such() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let file = objects.create_memory(cx.at(), 8 * PAGE_SIZE).unwrap();
    let a = Space::new(&world);
    a.attach(&world, file, 1000, 0, 8);
    a.map(&world, 1003, PageCtx { file, index: 3 }, WRITTEN);
    {
        let mut leaf = objects.walker(a.table).lock_leaf(cx.at(), Vpn(1004)).unwrap();
        objects.map_zero(&mut leaf, Vpn(1004), READ);
    }
    assert_eq!(a.rss(&world), [0, 0, 1]);
    audit(&world);
    objects.truncate(cx.at(), file, 0).unwrap();
    assert_eq!(a.rss(&world), [0, 0, 0]);
    assert_eq!(objects.frames().descriptor(objects.zero_frame()).quiet_counts().refs(), 1);
    audit(&world);
}

#[test]
fn attachments_are_listed_split_and_moved_in_order() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let file = open(&world, 100);
    let (a, b) = (Space::new(&world), Space::new(&world));
    let parent = a.attach(&world, file, 1000, 0, 100);
    let other = a.attach(&world, file, 3000, 50, 10);
    let child = objects.new_attachment(cx.at()).unwrap();
    let mapping = Mapping { table: b.table, ..objects.attachment(parent).mapping().unwrap() };
    objects.attach(cx.at(), child, Owner::File(file), &mapping, Place::Behind(parent));
    let visit = |indices| {
        let mut seen = Vec::new();
        objects.for_each_mapping(world.cx(0).at(), Owner::File(file), indices, |_, mapping, part| {
            assert_eq!(mapping.page_of(mapping.index_of(part.start)), Some(part.start));
            seen.push((mapping.table, part.start.0, part.pages()));
        });
        seen
    };
    assert_eq!(visit(55..70), [(a.table, 1055, 15), (b.table, 1055, 15), (a.table, 3005, 5)]);
    objects.resize_attachment(cx.at(), parent, VpnRange::sized(Vpn(1000), 55), 0);
    assert_eq!(visit(55..70), [(b.table, 1055, 15), (a.table, 3005, 5)]);
    objects.detach(cx.at(), child);
    objects.detach(cx.at(), other);
    assert_eq!(visit(0..u64::MAX), [(a.table, 1000, 55)]);
    let spare = objects.new_attachment(cx.at()).unwrap();
    objects.free_attachment(cx.at(), spare);
    objects.detach(cx.at(), parent);
    assert_eq!(objects.file(file).mappers().count(), 0);
    assert_eq!(objects.census().attachments, 2, "the two memberships");
}

#[test]
fn a_lineage_lives_as_long_as_its_members() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let parent = Space::new(&world);
    let child = parent.child(&world);
    let grandchild = child.child(&world);
    let second = parent.child(&world);
    let mut seen = Vec::new();
    let owner = AnonCtx { lineage: parent.lineage, index: 77 }.owner();
    objects.for_each_mapping(cx.at(), owner, 77..78, |_, mapping, part| {
        assert_eq!(part, VpnRange::sized(Vpn(77), 1));
        seen.push(mapping.table);
    });
    assert_eq!(seen, [parent.table, second.table, child.table, grandchild.table], "parents first");
    for space in [parent, child, second, grandchild] {
        assert_eq!(objects.census().lineages, 1);
        objects.leave_lineage(cx.at(), space.member);
    }
    assert_eq!((objects.census().lineages, objects.census().attachments), (0, 0));
}

#[test]
fn who_may_write_in_place() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let parent = Space::new(&world);
    let child = parent.child(&world);
    let frame = parent.map_anon(&world, 1000);
    let page = objects.frames().descriptor(frame.0);
    assert!(page.is_exclusive(&cx) && page.refs(&cx) == 1, "born exclusive (CR5)");
    assert!(page.get(&cx).is_ok());
    assert_eq!(parent.reuse(&world, 1000), Reuse::Exclusive, "exclusive: references are not asked (row 7)");
    objects.frames().put(cx.at(), frame.0);

    assert!(page.pin(&cx).is_ok());
    assert_eq!(objects.share_for_fork(&cx, frame.0), Err(MustCopy), "pinned: the child gets a copy (row 6)");
    assert!(objects.try_share(&cx, frame.0).is_err());
    assert!(page.is_exclusive(&cx) && page.maps(&cx) == 1 && page.refs(&cx) == 2);
    objects.frames().unpin(cx.at(), frame.0);

    share(&world, &parent, &child, 1000);
    assert!(!page.is_exclusive(&cx) && page.maps(&cx) == 2 && page.refs(&cx) == 2, "row 5");
    audit(&world);
    assert_eq!(parent.reuse(&world, 1000), Reuse::Copy, "row 9");

    // The child copies.
    let copy = objects.frames().allocate_user(cx.at(), &Request::user()).unwrap();
    {
        let walker = objects.walker(child.table);
        let mut batch = revoke::Batch::new(walker.table().domain(), objects.frames());
        let mut leaf = walker.lock_leaf(cx.at(), Vpn(1000)).unwrap();
        let ctx = AnonCtx { lineage: child.lineage, index: 1000 };
        objects.replace_with_anon(&mut leaf, &mut batch, (Vpn(1000), None), (copy, ctx), WRITTEN);
        assert!(page.refs(&leaf) == 2 && page.maps(&leaf) == 2, "both fall once the change is settled");
        drop(leaf);
        assert_eq!(parent.reuse(&world, 1000), Reuse::Copy, "not before the old translation is void");
        objects.settle(cx.at(), &walker, &mut batch);
    }
    audit(&world);
    assert_eq!(parent.reuse(&world, 1000), Reuse::Alone, "alone again (row 8)");
    assert!(page.is_exclusive(&cx));
    for space in [&parent, &child] {
        space.unmap(&world, VpnRange::sized(Vpn(0), 1 << 35), None);
        assert_eq!(space.rss(&world), [0, 0, 0]);
    }
    audit(&world);
}

#[test]
fn a_shortage_of_attachments_or_lineages_leaves_nothing_behind() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let table = objects.tables().create(cx.at(), objects.frames()).unwrap();
    for n in 1..4 {
        objects.frames().fail_after(Some(n));
        let founded = objects.found_lineage(cx.at(), table);
        if let Ok((lineage, member)) = founded {
            assert_eq!(objects.lineage(lineage).mappers().count(), 1);
            objects.frames().fail_after(Some(1));
            assert!(objects.join_lineage(cx.at(), member, table).is_err());
            assert_eq!(objects.lineage(lineage).mappers().count(), 1);
            objects.leave_lineage(cx.at(), member);
        }
        assert_eq!((objects.census().lineages, objects.census().attachments), (0, 0));
    }
    objects.frames().fail_after(None);
    audit(&world);
}

#[test]
fn faults_and_truncation_at_once_leave_no_truncated_page_mapped() {
    let host = Host::new(32);
    let world = World::new(&host);
    let file = open(&world, 2048);
    let (a, b) = (Space::new(&world), Space::new(&world));
    a.attach(&world, file, 0, 0, 2048);
    b.attach(&world, file, 512, 0, 2048);
    std::thread::scope(|scope| {
        for (n, space, bias) in [(1, &a, 0), (2, &a, 0), (3, &b, 512), (4, &b, 512)] {
            let world = &world;
            scope.spawn(move || {
                let (objects, mut cx) = (&world.objects, world.cx(n));
                let mut random = world::Random(u64::from(n) * 31);
                for _ in 0..4000 {
                    let ctx = PageCtx { file, index: random.below(4) * 512 + random.below(4) };
                    fault(objects, &mut cx, (space, Vpn(ctx.index + bias)), ctx);
                }
            });
        }
        let world = &world;
        scope.spawn(move || {
            let (objects, mut cx) = (&world.objects, world.cx(5));
            for i in 0..200 {
                objects.truncate(cx.at(), file, (i % 4) * 512 * PAGE_SIZE).unwrap();
                objects.truncate(cx.at(), file, 2048 * PAGE_SIZE).unwrap();
                let _ = objects.writeback(cx.at(), file, 0..2048);
            }
            objects.truncate(cx.at(), file, 513 * PAGE_SIZE).unwrap();
        });
    });
    audit(&world);
    for (space, bias) in [(&a, 0), (&b, 512)] {
        for index in [514, 1024, 1536] {
            assert_eq!(space.entry(&world, index + bias), Entry::EMPTY);
        }
    }
}

/// A write fault on a shared mapping.
fn fault<'m>(
    objects: &object::Objects<'m, Host>,
    cx: &mut machine::Cx<'m, Host>,
    (space, at): (&Space, Vpn),
    ctx: PageCtx,
) {
    let Ok(Some(fetched)) = objects.page(cx.at(), ctx, Want::Read) else { return };
    let page = fetched.page;
    let mut leaf = objects.walker(space.table).lock_leaf(cx.at(), at).unwrap();
    let entry = leaf.entry(at);
    let mut left = None;
    if !objects.still_cached(&leaf, &page) {
        left = Some(page);
    } else if entry == Entry::EMPTY {
        objects.mark_dirty(&mut leaf, ctx, page.pfn());
        objects.map_file(&mut leaf, at, page, WRITTEN).unwrap();
    } else {
        objects.mark_dirty(&mut leaf, ctx, page.pfn());
        leaf.relax(at, |old| <Host as Machine>::Entry::with_attrs(old, WRITTEN, machine::Level::LEAF));
        left = Some(page);
    }
    drop(leaf);
    if let Some(page) = left {
        objects.release(cx.at(), page);
    }
}
