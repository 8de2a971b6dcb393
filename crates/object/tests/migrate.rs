//! Pages move to other frames: rows 19 and 20 of the copy-on-write table, CR18 and CR19.

mod world;

use frame::{Id, Request};
use machine::{Entry, FileKey, PAGE_SIZE, Pfn, UserFrame};
use object::exclusive::Reuse;
use object::radix::Mark;
use object::{Effort, File, FileKind, PageCtx, Refused, Sharing, Without};
use std::collections::BTreeMap;
use world::audit::{audit, audit_with};
use world::space::{READ, Space, WRITTEN, share};
use world::{Host, World};

fn open(world: &World<'_>, kind: FileKind) -> Id<File> {
    world.objects.open(world.cx(0).at(), FileKey(4), kind, 8 * PAGE_SIZE).unwrap()
}

/// Moves a page as somebody who found it does.
fn migrate(world: &World<'_>, from: Pfn) -> Result<Pfn, Refused> {
    let mut cx = world.cx(0);
    world.objects.frames().get(&cx, from).unwrap();
    world.objects.migrate(cx.at(), from, &Request::user(), Without::Split)
}

fn first_byte(world: &World<'_>, pfn: Pfn) -> u8 {
    let mut byte = [0];
    world.host.read_bytes(UserFrame(pfn), &mut byte);
    byte[0]
}

fn write(world: &World<'_>, pfn: Pfn, byte: u8) {
    use machine::Machine;
    world.host.write_frame(world.cx(0).cpu(), UserFrame(pfn), 0, &[byte]);
}

fn without_frame(entry: Entry) -> u64 {
    entry.0 & !0x000f_ffff_ffff_f000
}

/// Row 19: entry before, how often mapped, whether a later write may reuse the page.
#[test]
fn entries_come_back_as_they_were() {
    for (writable, shared, then) in
        [(true, false, Reuse::Exclusive), (false, false, Reuse::Exclusive), (false, true, Reuse::Copy)]
    {
        let host = Host::new(16);
        let world = World::new(&host);
        let objects = &world.objects;
        let (space, maps) = (Space::new(&world), if shared { 2 } else { 1 });
        let from = space.map_anon(&world, 1000).0;
        write(&world, from, 0x5a);
        let child = shared.then(|| space.child(&world));
        match &child {
            Some(child) => share(&world, &space, child, 1000),
            None => space.protect(&world, 1000, writable),
        }
        let before = without_frame(space.entry(&world, 1000));
        let to = migrate(&world, from).unwrap();
        assert_ne!(from, to);
        assert_eq!(without_frame(space.entry(&world, 1000)), before, "rights and bits are as they were");
        assert_eq!(first_byte(&world, to), 0x5a);
        let counts = objects.frames().descriptor(to).counts(&world.cx(0));
        assert_eq!((counts.refs(), counts.maps(), counts.is_exclusive()), (maps, maps, !shared));
        assert_eq!(space.reuse(&world, 1000), then);
        audit(&world);
        for space in child.iter().chain([&space]) {
            space.end(&world);
        }
        audit(&world);
    }
}

#[test]
fn a_page_of_a_file_keeps_its_place_its_marks_and_all_its_mappings() {
    for kind in [FileKind::Regular, FileKind::Memory] {
        let host = Host::new(16);
        let world = World::new(&host);
        let (objects, mut cx) = (&world.objects, world.cx(0));
        let file = open(&world, kind);
        let (a, b) = (Space::new(&world), Space::new(&world));
        let ctx = PageCtx { file, index: 3 };
        a.attach(&world, file, 1000, 0, 8);
        b.attach_as(&world, file, (5000, 2, 6), Sharing::Private);
        a.map(&world, 1003, ctx, WRITTEN);
        b.map(&world, 5001, ctx, READ);
        let page = objects.lookup(cx.at(), ctx).unwrap();
        let from = page.pfn();
        write(&world, from, 0x77);
        objects.release(cx.at(), page);
        let (in_a, in_b) = (without_frame(a.entry(&world, 1003)), without_frame(b.entry(&world, 5001)));
        let to = migrate(&world, from).unwrap();
        assert_ne!(from, to);
        assert_eq!(
            (without_frame(a.entry(&world, 1003)), without_frame(b.entry(&world, 5001))),
            (in_a, in_b)
        );
        let page = objects.lookup(cx.at(), ctx).unwrap();
        assert_eq!((page.pfn(), first_byte(&world, to)), (to, 0x77), "found where it was, with its bytes");
        assert_eq!(objects.is_marked(cx.at(), ctx, Mark::Dirty), kind == FileKind::Regular);
        audit_with(&world, &BTreeMap::from([(to, 1)]));
        objects.release(cx.at(), page);
        if kind == FileKind::Regular {
            objects.writeback(cx.at(), file, 0..8).unwrap();
            assert_eq!(host.stored.lock().unwrap()[&(4, 3)][0], 0x77, "written from where it is now");
        }
        objects.truncate(cx.at(), file, 0).unwrap();
        assert_eq!(a.entry(&world, 1003), Entry::EMPTY, "truncation finds it at its new place");
        audit(&world);
    }
}

#[test]
fn a_page_that_others_use_stays_as_it_was() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let file = open(&world, FileKind::Regular);
    let space = Space::new(&world);
    space.attach(&world, file, 2000, 0, 8);
    space.map(&world, 2000, PageCtx { file, index: 0 }, WRITTEN);
    let cached = objects.lookup(cx.at(), PageCtx { file, index: 0 }).unwrap();
    let anon = space.map_anon(&world, 1000).0;
    let frames = objects.frames();
    let page = frames.descriptor(anon);
    frames.get(&cx, anon).unwrap();
    let before = [space.entry(&world, 1000), space.entry(&world, 2000)];
    assert_eq!(migrate(&world, anon), Err(Refused::Busy), "a reference nobody knows of");
    assert_eq!(migrate(&world, cached.pfn()), Err(Refused::Busy));
    frames.put(cx.at(), anon);
    assert!(page.pin_exclusive(&cx));
    assert_eq!(migrate(&world, anon), Err(Refused::Pinned));
    frames.unpin(cx.at(), anon);
    assert!(page.try_lock(&cx));
    frames.get(&cx, anon).unwrap();
    let to = frames.allocate_user(cx.at(), &Request::user()).unwrap();
    assert_eq!(objects.migrate_to(cx.at(), anon, to, Effort::Try), Err(Refused::Busy), "locked by others");
    frames.put(cx.at(), to.0);
    assert!(!page.unlock(&cx));
    assert_eq!([space.entry(&world, 1000), space.entry(&world, 2000)], before);
    audit_with(&world, &BTreeMap::from([(cached.pfn(), 1)]));
    objects.release(cx.at(), cached);
    assert!(migrate(&world, anon).is_ok());
    audit(&world);
}

#[test]
fn without_a_frame_to_move_to_nothing_is_begun() {
    let host = Host::new(16);
    let world = World::new(&host);
    let space = Space::new(&world);
    let anon = space.map_anon(&world, 1000).0;
    let before = space.entry(&world, 1000);
    world.objects.frames().fail_after(Some(1));
    assert!(matches!(migrate(&world, anon), Err(Refused::Shortage(_))));
    assert_eq!(space.entry(&world, 1000), before);
    audit(&world);
}

#[test]
fn a_page_that_nobody_has_any_more_is_freed() {
    let host = Host::new(16);
    let world = World::new(&host);
    let space = Space::new(&world);
    let anon = space.map_anon(&world, 1000).0;
    let mut cx = world.cx(0);
    world.objects.frames().get(&cx, anon).unwrap();
    space.end(&world);
    let moved = world.objects.migrate(cx.at(), anon, &Request::user(), Without::Split);
    assert_eq!(moved, Err(Refused::Gone));
    audit(&world);
}
