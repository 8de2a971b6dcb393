//! All mappings of a page go, and come back elsewhere; or none goes.

mod world;

use frame::Request;
use frame::counts::{Freed, MAPS_MAX};
use machine::{Entry, FileKey, Machine, Order, PAGE_SIZE, PageOp, Pfn, UserFrame, Vpn};
use object::exclusive::Reuse;
use object::{Detached, FileKind, Into, Objects, PageCtx};
use table::{MigrationKind, Soft};
use world::audit::audit;
use world::space::{READ, Space, share};
use world::{Host, World};

type Cx<'m> = machine::Cx<'m, Host>;

/// Moves a page to another frame, as migration does; `None` if it stays.
fn move_page<'m>(objects: &Objects<'m, Host>, cx: &mut Cx<'m>, from: Pfn) -> Option<Pfn> {
    assert!(objects.frames().get(cx, from).is_ok());
    let to = objects.frames().allocate_user(cx.at(), &Request::user()).unwrap();
    let moved = {
        let mut held = objects.lock_page(cx.at(), from);
        let detached = objects.detach_page(&mut held, from, Into::Migration);
        if detached == Detached::All {
            let copy = PageOp::Copy { to, from: UserFrame(from), order: Order::ZERO };
            held.machine().page_op(held.cpu(), copy);
            let (owner, index) = objects.frames().descriptor(from).owner_and_index(&held);
            let target = objects.frames().descriptor(to.0);
            target.set_owner(&held, owner, index);
            target.set_state(&held, frame::State::Anon);
            objects.restore_page(&mut held, (from, 1), to.0);
        } else {
            objects.restore_page(&mut held, (from, 1), from);
        }
        detached == Detached::All
    };
    objects.frames().put(cx.at(), from);
    objects.frames().put(cx.at(), to.0);
    moved.then_some(to.0)
}

fn soft(entry: Entry) -> Option<Soft> {
    Soft::of::<Host>(entry, machine::Level::LEAF)
}

#[test]
fn a_page_moves_and_stays_exclusive() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let space = Space::new(&world);
    let frame = space.map_anon(&world, 1000);
    let before = space.attrs(&world, 1000);
    let to = move_page(objects, &mut cx, frame.0).expect("nobody has it pinned");
    assert_ne!(to, frame.0);
    assert_eq!(space.attrs(&world, 1000), before, "rights and bits are as they were");
    let page = objects.frames().descriptor(to);
    assert!(page.is_exclusive(&cx) && page.refs(&cx) == 1 && page.maps(&cx) == 1);
    assert_eq!(space.reuse(&world, 1000), Reuse::Exclusive, "row 19");
    audit(&world);
    space.end(&world);
    audit(&world);
}

#[test]
fn a_shared_page_moves_for_everybody() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let parent = Space::new(&world);
    let child = parent.child(&world);
    let frame = parent.map_anon(&world, 1000);
    share(&world, &parent, &child, 1000);
    let to = move_page(objects, &mut cx, frame.0).expect("nobody has it pinned");
    let page = objects.frames().descriptor(to);
    assert!(!page.is_exclusive(&cx) && page.refs(&cx) == 2 && page.maps(&cx) == 2);
    assert_eq!(parent.entry(&world, 1000), child.entry(&world, 1000));
    assert_eq!(parent.reuse(&world, 1000), Reuse::Copy);
    audit(&world);
    for space in [&parent, &child] {
        space.end(&world);
    }
    audit(&world);
}

#[test]
fn a_pinned_page_stays_where_it_is() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let space = Space::new(&world);
    let frame = space.map_anon(&world, 1000);
    let before = space.entry(&world, 1000);
    let page = objects.frames().descriptor(frame.0);
    assert!(page.pin_exclusive(&cx));
    assert_eq!(move_page(objects, &mut cx, frame.0), None);
    assert_eq!(space.entry(&world, 1000), before, "the entry is put back as it was (row 15)");
    assert!(page.is_exclusive(&cx) && page.refs(&cx) == 2 && page.maps(&cx) == 1);
    objects.frames().unpin(cx.at(), frame.0);
    audit(&world);
    space.end(&world);
    audit(&world);
}

#[test]
fn entries_say_what_they_stand_for() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let space = Space::new(&world);
    let frame = space.map_anon(&world, 1000).0;
    assert!(objects.frames().get(&cx, frame).is_ok());
    for (writable, kind) in [(true, MigrationKind::Writable), (false, MigrationKind::ReadableExclusive)] {
        space.protect(&world, 1000, writable);
        let mut held = objects.lock_page(cx.at(), frame);
        assert_eq!(objects.detach_page(&mut held, frame, Into::Migration), Detached::All);
        let Some(Soft::Migration { frame: from, kind: found, attrs }) = soft(space.entry(&world, 1000))
        else {
            panic!("a migration entry");
        };
        assert_eq!((from, found, attrs.perms.write, attrs.dirty), (frame, kind, writable, true));
        assert!(!objects.frames().descriptor(frame).is_exclusive(&held), "the entry remembers, not the page");
        objects.restore_page(&mut held, (frame, 1), frame);
        assert!(objects.frames().descriptor(frame).is_exclusive(&held));
    }
    objects.frames().put(cx.at(), frame);
    audit(&world);
    let walker = objects.walker(space.table);
    assert_eq!(walker.peek(cx.at(), Vpn(1000)).level, machine::Level::LEAF);
    space.end(&world);
    audit(&world);
}

/// While its entries were away others took the page's counts. Nothing is mapped that is not counted.
#[test]
fn what_cannot_be_counted_again_is_not_mapped() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let space = Space::new(&world);
    let frame = space.map_anon(&world, 1000).0;
    let page = objects.frames().descriptor(frame);
    assert!(objects.frames().get(&cx, frame).is_ok());
    let mut held = objects.lock_page(cx.at(), frame);
    assert_eq!(objects.detach_page(&mut held, frame, Into::Migration), Detached::All);
    page.add_entries(&held, MAPS_MAX, MAPS_MAX).unwrap();
    objects.restore_page(&mut held, (frame, 1), frame);
    assert!(soft(space.entry(&world, 1000)).is_some(), "its bytes are nowhere else: it waits");
    for _ in 0..MAPS_MAX {
        page.remove_map(&held);
        assert_eq!(page.put(&held), Freed::No);
    }
    objects.restore_page(&mut held, (frame, 1), frame);
    assert!(page.is_exclusive(&held) && page.refs(&held) == 2 && page.maps(&held) == 1);
    drop(held);
    objects.frames().put(cx.at(), frame);
    audit(&world);
    space.end(&world);
    audit(&world);
}

#[test]
fn a_file_s_page_that_cannot_be_counted_again_is_found_in_its_file() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let file = objects.open(cx.at(), FileKey(4), FileKind::Regular, 4 * PAGE_SIZE).unwrap();
    let space = Space::new(&world);
    let ctx = PageCtx { file, index: 2 };
    space.attach(&world, file, 1000, 0, 4);
    space.map(&world, 1002, ctx, READ);
    let fetched = objects.lookup(cx.at(), ctx).unwrap();
    let frame = fetched.pfn();
    objects.release(cx.at(), fetched);
    let page = objects.frames().descriptor(frame);
    assert!(objects.frames().get(&cx, frame).is_ok());
    let mut held = objects.lock_page(cx.at(), frame);
    assert_eq!(objects.detach_page(&mut held, frame, Into::Migration), Detached::All);
    page.add_entries(&held, MAPS_MAX, MAPS_MAX).unwrap();
    objects.restore_page(&mut held, (frame, 1), frame);
    assert_eq!((space.entry(&world, 1002), space.rss(&world)), (Entry::EMPTY, [0; 3]));
    for _ in 0..MAPS_MAX {
        page.remove_map(&held);
        assert_eq!(page.put(&held), Freed::No);
    }
    drop(held);
    objects.frames().put(cx.at(), frame);
    audit(&world);
}
