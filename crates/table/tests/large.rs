//! Entries of 2 MiB: they become tables, tables become them, and no walk finds nothing meanwhile.

mod world;

use machine::entry::{Attrs, Kind};
use machine::x86_64::X86_64;
use machine::{Access, Counter, CpuId, Entry, EntryFormat, Level, Perms, Pfn, Vpn};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use table::{MigrationKind, PageTable, Refill, Rss, Soft, Unlinked};
use world::fake::Fake;
use world::{Everything, RW, TestCx, World, huge, leaf, range};

type Id = frame::Id<PageTable>;

const ANON: Option<Rss> = Some(Rss::Anon);
const FRAME: Pfn = Pfn(1024);

/// Installs an entry of 2 MiB over pages 512 to 1023, with its spare.
fn install(world: &World, cx: &mut TestCx, id: Id, entry: Entry) {
    let walker = world.walker(id);
    let spare = walker.new_spare(cx.at()).unwrap();
    let mut leaf = walker.lock_huge(cx.at(), Vpn(512)).unwrap().unwrap();
    let counted = matches!(X86_64::kind(entry, Level::HUGE), Kind::Leaf(_));
    leaf.install_huge(Vpn(512), entry, counted.then_some(Rss::Anon), spare);
}

fn split(world: &World, cx: &mut TestCx, id: Id) -> Option<Entry> {
    let (walker, mut batch) = (world.walker(id), world.batch(id));
    let mut seen = None;
    let was_split = walker.split_at(cx.at(), Vpn(700), &mut batch, |_, entry| seen = Some(entry));
    assert_eq!(was_split, seen.is_some());
    walker.settle(cx.at(), &mut batch, |_, _| unreachable!());
    seen
}

fn unlink(world: &World, cx: &mut TestCx, id: Id) -> Option<Unlinked<'static>> {
    let (walker, mut batch) = (world.walker(id), world.batch(id));
    let unlinked = walker.unlink_leaf(cx.at(), Vpn(700), &mut batch);
    walker.settle(cx.at(), &mut batch, |_, _| unreachable!());
    unlinked
}

/// Tables that are linked or kept in reserve are those that were made, and are counted.
fn check_tables(world: &World, id: Id) {
    let walker = world.walker(id);
    let spares = walker.quiet_spares(world.fake).count() as u64;
    assert_eq!(walker.count_tables(world.fake) + spares, walker.table().tables());
    assert_eq!(walker.table().spare_tables(), spares);
    assert_eq!(world.tables_left(), walker.table().tables());
}

#[test]
fn a_split_maps_the_same_frames_as_hardware_left_them() {
    let world = World::new(2);
    let (id, mut cx) = (world.table(), world.cx(0));
    let walker = world.walker(id);
    install(&world, &mut cx, id, huge(FRAME, RW));
    check_tables(&world, id);
    world.tables.activate(cx.at(), id);
    assert!(world.fake.access(CpuId(0), Vpn(600), Access::Write, |_| ()).is_some());
    let seen = split(&world, &mut cx, id).unwrap();
    assert!(X86_64::attrs(seen).dirty);
    check_tables(&world, id);
    assert_eq!((walker.table().rss(Rss::Anon), walker.table().spare_tables()), (512, 0));
    let touched = Attrs { perms: RW, accessed: true, dirty: true, ..Attrs::default() };
    for i in 0..512 {
        let seen = walker.peek(cx.at(), Vpn(512 + i));
        assert_eq!(seen.level, Level::LEAF);
        assert_eq!(seen.entry, X86_64::leaf(FRAME.plus(i), touched, Level::LEAF));
    }
    assert_eq!(walker.lock_leaf(cx.at(), Vpn(700)).unwrap().used(), 512);
    assert_eq!(world.fake.access(CpuId(0), Vpn(514), Access::Read, |frame| frame), Some(Pfn(1026)));
    assert_eq!(split(&world, &mut cx, id), None, "it is split already");
    world.tables.deactivate(cx.at(), id);
    assert_eq!(world.destroy(&mut cx, id).len(), 512);
    assert_eq!(world.tables_left(), 0);
}

#[test]
fn a_split_costs_one_flush_and_no_grace_period() {
    let world = World::new(2);
    let (id, mut cx) = (world.table(), world.cx(0));
    world.tables.activate(cx.at(), id);
    for (perms, flushes) in [(RW, 1), (Perms::NONE, 0)] {
        install(&world, &mut cx, id, huge(FRAME, perms));
        world.fake.flushes.lock().unwrap().clear();
        let graces = world.core.total(Counter::GracePeriods);
        split(&world, &mut cx, id);
        assert_eq!(world.fake.flushes.lock().unwrap().len(), flushes, "{perms:?}");
        assert_eq!(world.core.total(Counter::GracePeriods), graces);
        let mut batch = world.batch(id);
        let mut all = Everything::default();
        world.walker(id).clear(cx.at(), &mut batch, &mut all);
        world.walker(id).settle(cx.at(), &mut batch, |_, _| {});
    }
    world.tables.deactivate(cx.at(), id);
    world.destroy(&mut cx, id);
}

#[test]
fn a_page_on_its_way_is_split_into_pages_on_their_way() {
    let world = World::new(1);
    let (id, mut cx) = (world.table(), world.cx(0));
    let attrs = Attrs { perms: RW.read_only(), accessed: true, dirty: true, ..Attrs::default() };
    let kind = MigrationKind::ReadableExclusive;
    let soft = |i| Soft::Migration { frame: FRAME.plus(i), kind, attrs };
    install(&world, &mut cx, id, soft(0).entry::<Fake>());
    assert!(split(&world, &mut cx, id).is_some());
    for i in 0..512 {
        let seen = world.walker(id).peek(cx.at(), Vpn(512 + i));
        assert_eq!(Soft::of::<Fake>(seen.entry, seen.level), Some(soft(i)));
    }
    check_tables(&world, id);
    world.destroy(&mut cx, id);
}

#[test]
fn what_lies_in_a_swept_range_only_partly_is_split_and_its_spare_goes_with_the_whole() {
    for (pages, splits, left) in [(range(0, 600), 1, 1023 - 599), (range(512, 1024), 0, 0)] {
        let world = World::new(1);
        let (id, mut cx) = (world.table(), world.cx(0));
        let walker = world.walker(id);
        install(&world, &mut cx, id, huge(FRAME, RW));
        let (mut batch, mut all) = (world.batch(id), Everything::default());
        walker.sweep(cx.at(), pages, &mut batch, &mut all);
        walker.settle(cx.at(), &mut batch, |_, payload| all.finished.push(payload));
        assert_eq!((all.splits, walker.table().rss(Rss::Anon)), (splits, left));
        assert_eq!(walker.table().spare_tables(), 0);
        check_tables(&world, id);
        drop(batch);
        world.destroy(&mut cx, id);
        assert_eq!(world.tables_left(), 0);
    }
}

#[test]
fn many_large_entries_are_flushed_once_for_each_table_or_once_if_nothing_comes_in_their_place() {
    // 1,100 entries in three tables of level 2, some left empty, and one that became small pages.
    const FULL: u64 = 1_100;
    let entry = |n: u64| Vpn((512 + n + n / 100) * 512);
    for (refill, rounds) in [(Refill::Possible, 4), (Refill::Excluded, 1)] {
        let world = World::new(2);
        let (id, mut cx) = (world.table(), world.cx(0));
        let walker = world.walker(id);
        world.tables.activate(world.cx(1).at(), id);
        for n in 0..FULL {
            let spare = walker.new_spare(cx.at()).unwrap();
            let mut leaf = walker.lock_huge(cx.at(), entry(n)).unwrap().unwrap();
            let frame = Pfn((n as u32 % 7 + 1) * 512);
            leaf.install_huge(entry(n), huge(frame, RW), Some(Rss::Anon), spare);
        }
        check_tables(&world, id);
        let (mut batch, mut all) = (world.batch(id), Everything::default());
        assert!(walker.split_at(cx.at(), entry(700), &mut batch, |_, _| ()));
        walker.settle(cx.at(), &mut batch, |_, _| {});
        world.fake.flushes.lock().unwrap().clear();
        all.refill = Some(refill);
        walker.sweep(cx.at(), range(0, 1 << 20), &mut batch, &mut all);
        walker.settle(cx.at(), &mut batch, |_, payload| all.finished.push(payload));
        // The table with the small pages is swept in two parts.
        assert_eq!(world.fake.flushes.lock().unwrap().len(), rounds, "{refill:?}");
        assert_eq!(all.taken.len() as u64, FULL - 1 + 512);
        assert_eq!(all.finished.len() as u64, FULL - 1 + 512, "spares are freed by the walker");
        assert_eq!((walker.table().rss(Rss::Anon), walker.table().spare_tables()), (0, 0));
        check_tables(&world, id);
        drop(batch);
        world.tables.deactivate(world.cx(1).at(), id);
        world.destroy(&mut cx, id);
        assert_eq!(world.tables_left(), 0);
    }
}

#[test]
fn a_pair_of_large_entries_is_locked_as_such() {
    let world = World::new(1);
    let (parent, child, mut cx) = (world.table(), world.table(), world.cx(0));
    install(&world, &mut cx, parent, huge(FRAME, RW));
    let (from, to) = (world.walker(parent), world.walker(child));
    let spare = to.new_spare(cx.at()).unwrap();
    {
        let mut pair = from.lock_pair(cx.at(), Vpn(700), (&to, Vpn(700))).unwrap().unwrap();
        assert_eq!(pair.levels(), [Level::HUGE, Level::HUGE]);
        assert_eq!(pair.to().entry(Vpn(700)), Entry::EMPTY);
        pair.to().install_huge(Vpn(700), huge(FRAME, RW), ANON, spare);
    }
    assert_eq!(to.peek(cx.at(), Vpn(1023)).level, Level::HUGE);
    // To another place of the same table: one lock.
    let mut batch = world.batch(child);
    {
        let mut pair = to.lock_pair(cx.at(), Vpn(512), (&to, Vpn(2048))).unwrap().unwrap();
        let (entry, token) = pair.from().lift(Vpn(512), ANON);
        batch.push(pair.cx(), token);
        pair.to().install(Vpn(2048), entry, ANON);
        batch.flush_now(pair.cx());
    }
    to.settle(cx.at(), &mut batch, |_, _| unreachable!());
    assert_eq!((to.table().rss(Rss::Anon), to.table().spare_tables()), (512, 1));
    // Where a table stands, small entries are locked.
    drop(to.lock_leaf(cx.at(), Vpn(512)).unwrap());
    {
        let pair = from.lock_pair(cx.at(), Vpn(700), (&to, Vpn(700))).unwrap().unwrap();
        assert_eq!(pair.levels(), [Level::HUGE, Level::LEAF]);
    }
    drop(batch);
    world.destroy(&mut cx, parent);
    world.destroy(&mut cx, child);
    assert_eq!(world.tables_left(), 0);
}

#[test]
fn a_table_that_was_unlinked_comes_back_or_becomes_a_spare() {
    let world = World::new(2);
    let (id, mut cx) = (world.table(), world.cx(0));
    let walker = world.walker(id);
    assert!(unlink(&world, &mut cx, id).is_none(), "there is no table");
    for page in [600, 601, 1000] {
        let entry = leaf(Pfn(100 + page as u32), RW);
        walker.lock_leaf(cx.at(), Vpn(page)).unwrap().install(Vpn(page), entry, ANON);
    }
    let graces = world.core.total(Counter::GracePeriods);
    let unlinked = unlink(&world, &mut cx, id).unwrap();
    assert_eq!(world.core.total(Counter::GracePeriods), graces + 1);
    assert_eq!(unlinked.pages(), range(512, 1024));
    assert_eq!(unlinked.entry(&cx, Vpn(601)), leaf(Pfn(701), RW));
    assert_eq!(unlinked.entry(&cx, Vpn(602)), Entry::EMPTY);
    // What stands there lets nobody by, and nobody in.
    let seen = walker.peek(cx.at(), Vpn(601));
    assert!(matches!(X86_64::kind(seen.entry, seen.level), Kind::Leaf(_)));
    assert!(!X86_64::permits(seen.entry, seen.level, Access::Read));
    assert_eq!(walker.lock_leaf(cx.at(), Vpn(601)).unwrap().level(), Level::HUGE);
    walker.relink(cx.at(), unlinked);
    assert_eq!(walker.peek(cx.at(), Vpn(601)).entry, leaf(Pfn(701), RW));
    assert_eq!(walker.lock_leaf(cx.at(), Vpn(601)).unwrap().used(), 3);
    check_tables(&world, id);

    let unlinked = unlink(&world, &mut cx, id).unwrap();
    walker.replace_unlinked(cx.at(), unlinked, (huge(FRAME, RW), 3));
    assert_eq!(walker.peek(cx.at(), Vpn(602)).entry, huge(FRAME, RW));
    assert_eq!((walker.table().rss(Rss::Anon), walker.table().spare_tables()), (512, 1));
    check_tables(&world, id);
    split(&world, &mut cx, id);
    assert_eq!(walker.peek(cx.at(), Vpn(602)).entry, leaf(FRAME.plus(90), RW));
    world.destroy(&mut cx, id);
    assert_eq!(world.tables_left(), 0);
}

// ---- several CPUs ----

/// Threads that load, store and look while one CPU changes the shape of the translations.
fn under_way(cpus: u32, steps: u32, step: impl Fn(&World, &mut TestCx, Id)) {
    let world = &World::new(cpus);
    world.fake.chaos.store(5, SeqCst);
    let (id, mut cx) = (world.table(), world.cx(0));
    install(world, &mut cx, id, huge(FRAME, RW));
    for i in 0..512 {
        world.fake.contents[FRAME.0 as usize + i].store(i as u64, SeqCst);
    }
    let over = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        for cpu in 1..cpus {
            scope.spawn(move || {
                let mut cx = world.cx(cpu);
                world.tables.activate(cx.at(), id);
                let mut n = u64::from(cpu);
                while !over.load(SeqCst) {
                    n = n.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    let page = 512 + (n >> 33) % 512;
                    let access = if n >> 62 == 0 { Access::Write } else { Access::Read };
                    let found = world.fake.access(CpuId(cpu), Vpn(page), access, |frame| {
                        world.fake.contents[frame.0 as usize].load(SeqCst)
                    });
                    assert!(found.is_none_or(|found| found == page - 512), "{page} reads {found:?}");
                    let seen = world.walker(id).peek(cx.at(), Vpn(page));
                    assert_ne!(seen.entry, Entry::EMPTY, "a walk found nothing at {page}");
                    let locked = world.walker(id).lock_leaf_existing(cx.at(), Vpn(page));
                    assert_ne!(locked.unwrap().entry(Vpn(page)), Entry::EMPTY, "{page}");
                }
                world.tables.deactivate(cx.at(), id);
            });
        }
        for _ in 0..steps {
            step(world, &mut cx, id);
        }
        over.store(true, SeqCst);
    });
    check_tables(world, id);
    assert_eq!(world.walker(id).table().rss(Rss::Anon), 512);
    world.destroy(&mut cx, id);
    assert_eq!(world.tables_left(), 0);
}

#[test]
fn splits_and_collapses_lose_nothing_and_show_no_hole() {
    under_way(3, 60, |world, cx, id| {
        let before = split(world, cx, id).unwrap();
        let unlinked = unlink(world, cx, id).unwrap();
        let part = |i| unlinked.entry(cx, Vpn(512 + i));
        assert!((0..512).all(|i| X86_64::kind(part(i), Level::LEAF) == Kind::Leaf(FRAME.plus(i))));
        let attrs = X86_64::attrs(before);
        let whole = X86_64::leaf(FRAME, Attrs { accessed: false, dirty: false, ..attrs }, Level::HUGE);
        world.walker(id).replace_unlinked(cx.at(), unlinked, (whole, 512));
    });
}

#[test]
fn collapses_that_are_given_up_lose_nothing_and_show_no_hole() {
    under_way(3, 60, |world, cx, id| {
        if world.walker(id).peek(cx.at(), Vpn(512)).level == Level::HUGE {
            split(world, cx, id).unwrap();
        }
        let unlinked = unlink(world, cx, id).unwrap();
        world.walker(id).relink(cx.at(), unlinked);
    });
}

/// Stores through large and small translations, and two CPUs that turn the one into the other: a mark of
/// hardware's is in the entries that come out (LR6, L-1).
#[test]
fn what_hardware_notes_while_entries_are_split_is_not_lost() {
    let world = &World::new(2);
    world.fake.chaos.store(3, SeqCst);
    let (id, mut cx) = (world.table(), world.cx(0));
    world.tables.activate(world.cx(1).at(), id);
    for _ in 0..200 {
        install(world, &mut cx, id, huge(FRAME, RW));
        let stored = std::thread::scope(|scope| {
            let store =
                scope.spawn(|| world.fake.access(CpuId(1), Vpn(700), Access::Write, |_| ()).is_some());
            split(world, &mut cx, id);
            store.join().unwrap()
        });
        let entry = world.walker(id).peek(cx.at(), Vpn(700)).entry;
        assert!(!stored || X86_64::attrs(entry).dirty, "a store was not noted");
        let (mut batch, mut all) = (world.batch(id), Everything::default());
        world.walker(id).clear(cx.at(), &mut batch, &mut all);
        world.walker(id).settle(cx.at(), &mut batch, |_, _| {});
    }
    world.tables.deactivate(world.cx(1).at(), id);
    world.destroy(&mut cx, id);
}
