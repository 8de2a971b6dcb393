//! Page tables, one CPU at a time.

mod world;

use machine::{Access, Counter, Entry, Level, Perms, Pfn, Vpn};
use machine::{CpuId, EntryFormat, x86_64::X86_64};
use table::survey::Lock;
use table::{Cursor, Life, Payload, Rss, Sight};
use world::{Everything, RW, World, huge, leaf, range};

const FAR: u64 = 1 << 34;

#[test]
fn what_is_installed_is_seen_and_counted_and_comes_back_as_payload() {
    let world = World::new(2);
    let (id, mut cx) = (world.table(), world.cx(0));
    let walker = world.walker(id);
    assert_eq!(walker.peek(cx.at(), Vpn(FAR)).entry, Entry::EMPTY);
    assert_eq!(walker.peek(cx.at(), Vpn(FAR)).level, Level::ROOT);
    let entry = leaf(Pfn(77), RW);
    {
        let mut leaf = walker.lock_leaf(cx.at(), Vpn(FAR + 3)).unwrap();
        leaf.install(Vpn(FAR + 3), entry, Some(Rss::Anon));
        assert_eq!(leaf.used(), 1);
        assert_eq!(leaf.span(), range(FAR, FAR + 512));
    }
    assert_eq!(walker.peek(cx.at(), Vpn(FAR + 3)).entry, entry);
    assert_eq!(walker.peek(cx.at(), Vpn(FAR + 4)).entry, Entry::EMPTY);
    assert_eq!((walker.table().rss(Rss::Anon), walker.table().tables()), (1, 4));
    assert_eq!(walker.count_tables(world.fake), 4);

    let mut batch = world.batch(id);
    {
        let mut leaf = walker.lock_leaf_existing(cx.at(), Vpn(FAR)).unwrap();
        let (old, token) = leaf.take(Vpn(FAR + 3), Some(Rss::Anon));
        assert_eq!(old, entry);
        batch.push(&mut leaf, token);
    }
    let mut got = Vec::new();
    walker.settle(cx.at(), &mut batch, |_, payload| got.push(payload));
    assert_eq!(got, [Payload::Page { frame: Pfn(77), level: Level::LEAF, rss: Rss::Anon }]);
    assert_eq!((walker.table().resident(), walker.table().tables()), (0, 4));

    walker.prune(cx.at(), range(FAR, FAR + 1), &mut batch, |_, _| unreachable!());
    walker.settle(cx.at(), &mut batch, |_, _| unreachable!());
    assert_eq!(walker.table().tables(), 1);
    assert_eq!(world.tables_left(), 1);
    assert_eq!(world.core.total(Counter::GracePeriods), 1);
    drop(batch);
    assert!(world.destroy(&mut cx, id).is_empty());
    assert_eq!(world.tables_left(), 0);
}

#[test]
fn pruning_keeps_tables_that_have_entries() {
    let world = World::new(1);
    let (id, mut cx) = (world.table(), world.cx(0));
    let walker = world.walker(id);
    walker.lock_leaf(cx.at(), Vpn(5)).unwrap().install(Vpn(5), leaf(Pfn(1), RW), Some(Rss::Anon));
    drop(walker.lock_leaf(cx.at(), Vpn(512)).unwrap());
    drop(walker.lock_leaf(cx.at(), Vpn(FAR)).unwrap());
    assert_eq!(walker.table().tables(), 8);
    let mut batch = world.batch(id);
    walker.prune(cx.at(), range(0, 1 << 36), &mut batch, |_, _| unreachable!());
    walker.settle(cx.at(), &mut batch, |_, _| unreachable!());
    assert_eq!(walker.table().tables(), 4);
    assert_eq!(walker.peek(cx.at(), Vpn(5)).entry, leaf(Pfn(1), RW));
    drop(batch);
    world.destroy(&mut cx, id);
}

#[test]
fn exit_gives_everything_back_with_one_flush_and_one_grace_period() {
    let world = World::new(2);
    let (id, mut cx) = (world.table(), world.cx(0));
    let walker = world.walker(id);
    for page in (0..2000).chain(FAR..FAR + 10) {
        let entry = leaf(Pfn(100 + page as u32 % 50), RW);
        walker.lock_leaf(cx.at(), Vpn(page)).unwrap().install(Vpn(page), entry, Some(Rss::Anon));
    }
    assert_eq!(walker.table().rss(Rss::Anon), 2010);
    let rounds = world.core.total(Counter::GracePeriods);
    assert_eq!(world.destroy(&mut cx, id).len(), 2010);
    assert_eq!(world.core.total(Counter::GracePeriods), rounds + 1);
    assert_eq!(world.tables_left(), 0);
    assert!(world.fake.flushes.lock().unwrap().is_empty(), "nobody was active in it");
}

#[test]
fn a_cursor_meets_each_leaf_with_entries_once() {
    let world = World::new(1);
    let (id, mut cx) = (world.table(), world.cx(0));
    let walker = world.walker(id);
    let pages = [3, 511, 512, 5000, FAR, FAR + 511, (1 << 35) + 9];
    for page in pages {
        walker.lock_leaf(cx.at(), Vpn(page)).unwrap().install(Vpn(page), leaf(Pfn(9), RW), Some(Rss::Anon));
    }
    drop(walker.lock_leaf(cx.at(), Vpn(100_000)).unwrap());
    let mut met = Vec::new();
    let mut cursor = Cursor::new(range(4, 1 << 36));
    while let Some((leaf, part)) = cursor.next(&walker, cx.at()) {
        let mut page = part.start;
        while let Some((found, _)) = leaf.next_used(page, part.end) {
            met.push(found.0);
            page = found + 1;
        }
    }
    assert_eq!(met, pages[1..]);
    world.destroy(&mut cx, id);
}

#[test]
fn a_two_mib_leaf_is_one_entry_for_every_walk() {
    let world = World::new(1);
    let (id, mut cx) = (world.table(), world.cx(0));
    let walker = world.walker(id);
    let entry = huge(Pfn(1024), RW);
    {
        let mut leaf = walker.lock_huge(cx.at(), Vpn(700)).unwrap().unwrap();
        assert_eq!(leaf.level(), Level::HUGE);
        leaf.install(Vpn(700), entry, Some(Rss::Anon));
    }
    assert_eq!(walker.table().rss(Rss::Anon), 512);
    let seen = walker.peek(cx.at(), Vpn(1023));
    assert_eq!((seen.entry, seen.level), (entry, Level::HUGE));
    assert_eq!(walker.lock_leaf(cx.at(), Vpn(600)).unwrap().level(), Level::HUGE);
    {
        let (leaf, part) = Cursor::new(range(0, 1 << 36)).next(&walker, cx.at()).unwrap();
        assert_eq!((leaf.span(), part), (range(512, 1024), range(512, 1024)));
        assert_eq!(leaf.next_used(part.start, part.end), Some((Vpn(512), entry)));
    }
    world.tables.activate(cx.at(), id);
    assert_eq!(world.fake.access(CpuId(0), Vpn(514), Access::Write, |frame| frame), Some(Pfn(1026)));
    let mut batch = world.batch(id);
    let mut all = Everything::default();
    walker.sweep(cx.at(), range(512, 1024), &mut batch, &mut all);
    assert_eq!(world.fake.flushes.lock().unwrap().len(), 1, "flushed before the lock was dropped (L-8)");
    assert!(X86_64::attrs(all.taken[0].1).dirty);
    walker.settle(cx.at(), &mut batch, |_, payload| {
        assert_eq!(payload, Payload::Page { frame: Pfn(1024), level: Level::HUGE, rss: Rss::Anon });
    });
    assert_eq!(walker.lock_leaf(cx.at(), Vpn(600)).unwrap().level(), Level::LEAF);
    assert!(walker.lock_huge(cx.at(), Vpn(600)).unwrap().is_none(), "a table stands there");
    drop(batch);
    world.tables.deactivate(cx.at(), id);
    world.destroy(&mut cx, id);
    assert_eq!(world.tables_left(), 0);
}

#[test]
fn both_leaves_of_a_pair_are_locked_even_if_they_are_one() {
    let world = World::new(1);
    let (parent, child, mut cx) = (world.table(), world.table(), world.cx(0));
    let (from, to) = (world.walker(parent), world.walker(child));
    assert!(from.lock_pair(cx.at(), Vpn(1), (&to, Vpn(1))).unwrap().is_none());
    from.lock_leaf(cx.at(), Vpn(1)).unwrap().install(Vpn(1), leaf(Pfn(5), RW), Some(Rss::Anon));
    {
        let mut pair = from.lock_pair(cx.at(), Vpn(1), (&to, Vpn(1))).unwrap().unwrap();
        let entry = pair.from().relax(Vpn(1), |entry| entry);
        pair.to().install(Vpn(1), entry, Some(Rss::Anon));
    }
    assert_eq!(to.peek(cx.at(), Vpn(1)).entry, leaf(Pfn(5), RW));
    let mut batch = world.batch(parent);
    {
        let mut pair = from.lock_pair(cx.at(), Vpn(1), (&from, Vpn(7))).unwrap().unwrap();
        let (old, token) = pair.from().lift(Vpn(1), Some(Rss::Anon));
        batch.push(pair.cx(), token);
        pair.to().install(Vpn(7), old, Some(Rss::Anon));
        batch.flush_now(pair.cx());
    }
    from.settle(cx.at(), &mut batch, |_, _| unreachable!("the page only moved"));
    assert_eq!(from.table().rss(Rss::Anon), 1);
    assert_eq!(from.peek(cx.at(), Vpn(7)).entry, leaf(Pfn(5), RW));
    drop(batch);
    let held = |id| {
        let mut held = 0;
        world.walker(id).survey(world.fake, &mut |sight| {
            held += u32::from(matches!(sight, Sight::Table { lock: Lock::Held, .. }));
        });
        held
    };
    assert_eq!((held(parent), held(child)), (0, 0));
    world.destroy(&mut cx, parent);
    world.destroy(&mut cx, child);
}

#[test]
fn hardware_bits_survive_a_change_and_come_out_with_the_entry() {
    let world = World::new(1);
    let (id, mut cx) = (world.table(), world.cx(0));
    let walker = world.walker(id);
    walker.lock_leaf(cx.at(), Vpn(1)).unwrap().install(Vpn(1), leaf(Pfn(50), RW), Some(Rss::Anon));
    world.tables.activate(cx.at(), id);
    assert_eq!(world.fake.access(CpuId(0), Vpn(1), Access::Write, |frame| frame), Some(Pfn(50)));
    let mut batch = world.batch(id);
    {
        let mut leaf = walker.lock_leaf_existing(cx.at(), Vpn(1)).unwrap();
        let (old, token) = leaf.change(Vpn(1), |entry| {
            let attrs = X86_64::attrs(entry);
            let perms = attrs.perms.read_only();
            X86_64::with_attrs(entry, machine::entry::Attrs { perms, ..attrs }, Level::LEAF)
        });
        assert!(X86_64::attrs(old).dirty);
        batch.push(&mut leaf, token);
        assert!(X86_64::attrs(leaf.entry(Vpn(1))).dirty);
    }
    let write = || world.fake.access(CpuId(0), Vpn(1), Access::Write, |frame| frame);
    assert!(write().is_some(), "the old translation is cached");
    walker.settle(cx.at(), &mut batch, |_, _| unreachable!());
    assert!(write().is_none());
    drop(batch);
    world.tables.deactivate(cx.at(), id);
    world.destroy(&mut cx, id);
}

#[test]
fn entries_hardware_cannot_use_cost_no_flush() {
    let world = World::new(1);
    let (id, mut cx) = (world.table(), world.cx(0));
    let walker = world.walker(id);
    world.tables.activate(cx.at(), id);
    {
        let mut leaf = walker.lock_leaf(cx.at(), Vpn(1)).unwrap();
        leaf.install(Vpn(1), X86_64::absent(42), None);
        leaf.install(Vpn(2), world::leaf(Pfn(60), Perms::NONE), Some(Rss::Anon));
    }
    let mut batch = world.batch(id);
    let mut got = Vec::new();
    {
        let mut leaf = walker.lock_leaf_existing(cx.at(), Vpn(1)).unwrap();
        let (_, token) = leaf.take(Vpn(1), None);
        batch.push(&mut leaf, token);
        let (_, token) = leaf.take(Vpn(2), Some(Rss::Anon));
        batch.push(&mut leaf, token);
    }
    walker.settle(cx.at(), &mut batch, |_, payload| got.push(payload));
    let page = Payload::Page { frame: Pfn(60), level: Level::LEAF, rss: Rss::Anon };
    assert_eq!(got, [Payload::Absent(42), page]);
    assert!(world.fake.flushes.lock().unwrap().is_empty());
    drop(batch);
    world.tables.deactivate(cx.at(), id);
    world.destroy(&mut cx, id);
}

#[test]
fn every_shortage_is_an_error_that_leaks_nothing() {
    let world = World::new(1);
    let mut cx = world.cx(0);
    drop(world.destroy(&mut cx, world.table()));
    for n in 1.. {
        world.frames.fail_after(Some(n));
        let made = world.tables.create(cx.at(), &world.frames);
        let locked = made.is_ok_and(|id| {
            let locked = world.walker(id).lock_leaf(cx.at(), Vpn(FAR)).is_ok();
            world.frames.fail_after(None);
            assert_eq!(world.tables_left(), world.walker(id).table().tables());
            world.destroy(&mut cx, id);
            locked
        });
        world.frames.fail_after(None);
        assert_eq!(world.tables_left(), 0, "allocation {n} failed");
        if locked {
            assert!(n >= 5, "a root and three tables");
            return;
        }
    }
}

#[test]
fn a_survey_tells_every_table_and_entry() {
    let world = World::new(1);
    let (id, mut cx) = (world.table(), world.cx(0));
    let walker = world.walker(id);
    walker.lock_leaf(cx.at(), Vpn(3)).unwrap().install(Vpn(3), leaf(Pfn(5), RW), Some(Rss::Anon));
    walker.lock_huge(cx.at(), Vpn(512)).unwrap().unwrap().install(
        Vpn(512),
        huge(Pfn(1024), RW),
        Some(Rss::Anon),
    );
    let (mut levels, mut entries) = (Vec::new(), Vec::new());
    walker.survey(world.fake, &mut |sight| match sight {
        Sight::Table { level, header, used, lock, .. } => {
            assert_eq!((header.owner, header.level, header.life), (id.raw(), level, Life::Linked));
            assert_eq!((u64::from(header.used), lock), (used, Lock::Free));
            levels.push(level.0);
        }
        Sight::Entry { page, level, .. } => entries.push((page.0, level.0)),
    });
    assert_eq!(levels, [4, 3, 2, 1]);
    assert_eq!(entries, [(3, 1), (512, 2)]);
    world.destroy(&mut cx, id);
}
