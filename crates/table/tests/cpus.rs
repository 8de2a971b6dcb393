//! Page tables, several CPUs at once: threads, with translation caches that stay stale until flushed.

mod world;

use machine::entry::{Attrs, Kind};
use machine::x86_64::X86_64;
use machine::{Access, Counter, CpuId, Cx, Entry, EntryFormat, Level, Memory, Pfn, Vpn, level};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use table::{PageTable, Payload, Reaper, Rss, Urgency, Verdict};
use world::fake::Fake;
use world::{RW, TestCx, World, leaf, range};

type Id = frame::Id<PageTable>;

const ANON: Option<Rss> = Some(Rss::Anon);
const DEAD: u64 = 0xdead;

/// A small generator of numbers: tests are the same each time, but for the threads.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    /// A page of one of a few leaves, near and far.
    fn page(&mut self) -> Vpn {
        let base = [0, 512, 1 << 18, 1 << 30][self.below(4) as usize];
        Vpn(base + self.below(6))
    }
}

fn alive(frame: Pfn) -> u64 {
    1 << 40 | u64::from(frame.0)
}

fn with_perms(entry: Entry, f: impl Fn(Attrs) -> Attrs) -> Entry {
    X86_64::with_attrs(entry, f(X86_64::attrs(entry)), Level::LEAF)
}

fn read_only(attrs: Attrs) -> Attrs {
    Attrs { perms: attrs.perms.read_only(), ..attrs }
}

/// Kills each page it finishes: whoever reaches it afterwards sees that.
struct Killer<'w>(&'w World);

impl Killer<'_> {
    fn kill(&self, cx: &mut Cx<'static, Fake, { level::SLEEP_MAX }>, payload: Payload) {
        let Payload::Page { frame, .. } = payload else { panic!("only pages were installed") };
        self.0.fake.contents[frame.0 as usize].store(DEAD, SeqCst);
        self.0.put(cx, frame);
    }
}

impl Reaper<'static, Fake> for Killer<'_> {
    fn verdict(&mut self, _: &mut Cx<'static, Fake, { level::TABLE1 }>, _: Vpn, _: Entry) -> Verdict {
        Verdict::Take(ANON)
    }
    fn taken(&mut self, _: &mut Cx<'static, Fake, { level::TABLE1 }>, _: Vpn, _: Entry) -> Urgency {
        Urgency::Settle
    }
    fn splits(&mut self, _: &mut Cx<'static, Fake, { level::TABLE1 }>, _: Entry) {
        panic!("no large page was installed");
    }
    fn finish(&mut self, cx: &mut Cx<'static, Fake, { level::SLEEP_MAX }>, payload: Payload) {
        self.kill(cx, payload);
    }
}

struct Cpu<'w> {
    world: &'w World,
    id: Id,
    cx: TestCx,
    random: Random,
}

impl Cpu<'_> {
    fn live_page(&mut self) -> Pfn {
        let frame = self.world.page(&mut self.cx);
        self.world.fake.contents[frame.0 as usize].store(alive(frame), SeqCst);
        frame
    }

    fn install(&mut self) {
        let (page, frame) = (self.random.page(), self.live_page());
        let walker = self.world.walker(self.id);
        let mut locked = walker.lock_leaf(self.cx.at(), page).expect("there is memory");
        if locked.entry(page) == Entry::EMPTY {
            locked.install(page, leaf(frame, RW), ANON);
        } else {
            drop(locked);
            self.world.put(self.cx.at(), frame);
        }
    }

    fn access(&mut self) {
        let access = [Access::Read, Access::Write][self.random.below(2) as usize];
        let page = self.random.page();
        let fake = self.world.fake;
        fake.access(self.cx.cpu(), page, access, |frame| {
            let content = fake.contents[frame.0 as usize].load(SeqCst);
            assert_eq!(content, alive(frame), "{page:?} reaches a page that was finished");
        });
    }

    fn sweep(&mut self) {
        let first = self.random.page();
        let pages = range(first.0, first.0 + 1 + self.random.below(1000));
        let walker = self.world.walker(self.id);
        let mut batch = self.world.batch(self.id);
        let mut killer = Killer(self.world);
        walker.sweep(self.cx.at(), pages, &mut batch, &mut killer);
        if self.random.below(2) == 0 {
            walker.prune(self.cx.at(), pages, &mut batch, |cx, payload| killer.finish(cx, payload));
        }
        walker.settle(self.cx.at(), &mut batch, |cx, payload| killer.finish(cx, payload));
    }

    fn protect(&mut self) {
        let page = self.random.page();
        let walker = self.world.walker(self.id);
        let mut batch = self.world.batch(self.id);
        if let Some(mut leaf) = walker.lock_leaf_existing(self.cx.at(), page)
            && leaf.entry(page) != Entry::EMPTY
        {
            let (_, token) = leaf.change(page, |entry| with_perms(entry, read_only));
            batch.push(&mut leaf, token);
        }
        walker.settle(self.cx.at(), &mut batch, |_, _| unreachable!());
        if let Some(mut leaf) = walker.lock_leaf_existing(self.cx.at(), page)
            && leaf.entry(page) != Entry::EMPTY
        {
            leaf.relax(page, |entry| with_perms(entry, |attrs| Attrs { perms: RW, ..attrs }));
        }
    }

    fn copy(&mut self) {
        let (page, frame) = (self.random.page(), self.live_page());
        let world = self.world;
        let walker = world.walker(self.id);
        let mut batch = world.batch(self.id);
        let mut used = false;
        if let Some(mut locked) = walker.lock_leaf_existing(self.cx.at(), page)
            && locked.entry(page) != Entry::EMPTY
        {
            locked.replace(&mut batch, page, (ANON, ANON), leaf(frame, RW));
            used = true;
        }
        walker.settle(self.cx.at(), &mut batch, |cx, payload| Killer(world).kill(cx, payload));
        if !used {
            world.put(self.cx.at(), frame);
        }
    }

    fn peek(&mut self) {
        let page = self.random.page();
        let seen = self.world.walker(self.id).peek(self.cx.at(), page);
        match X86_64::kind(seen.entry, seen.level) {
            Kind::Empty => {}
            Kind::Leaf(frame) => assert!(frame.0 < 4096 && seen.level == Level::LEAF, "{seen:?}"),
            other => panic!("{other:?} was never installed"),
        }
    }

    fn leave_and_come_back(&mut self) {
        self.world.tables.deactivate(self.cx.at(), self.id);
        std::thread::yield_now();
        self.world.tables.activate(self.cx.at(), self.id);
    }

    fn run(&mut self, steps: u32) {
        self.world.tables.activate(self.cx.at(), self.id);
        for _ in 0..steps {
            match self.random.below(20) {
                0..6 => self.install(),
                6..12 => self.access(),
                12..14 => self.sweep(),
                14 => self.protect(),
                15..17 => self.copy(),
                17 => self.leave_and_come_back(),
                _ => self.peek(),
            }
        }
        self.world.tables.deactivate(self.cx.at(), self.id);
    }
}

/// A machine where CPUs overtake each other often.
fn chaotic(cpus: u32) -> World {
    let world = World::new(cpus);
    world.fake.chaos.store(7, SeqCst);
    world
}

fn frames_out(world: &World) -> u64 {
    world.core.total(Counter::PgAlloc) - world.core.total(Counter::PgFree)
}

#[test]
fn nobody_reaches_a_page_or_a_table_that_was_freed() {
    let world = &chaotic(4);
    let id = world.table();
    world.destroy(&mut world.cx(0), id);
    let out = frames_out(world);
    let id = world.table();
    std::thread::scope(|scope| {
        for cpu in 0..4 {
            scope.spawn(move || {
                let random = Random(0x9e37_79b9 + u64::from(cpu));
                Cpu { world, id, cx: world.cx(cpu), random }.run(8_000);
            });
        }
    });
    let mut cx = world.cx(0);
    assert_eq!(world.walker(id).count_tables(world.fake), world.tables.get(id).tables());
    assert!(world.core.epochs.all_outside());
    assert_eq!(world.tables.get(id).domain().owed(&cx), 0);
    for payload in world.destroy(&mut cx, id) {
        Killer(world).kill(cx.at(), payload);
    }
    assert_eq!(world.tables_left(), 0);
    assert_eq!(frames_out(world), out);
    assert!(world.core.total(Counter::TableFree) > 0);
}

#[test]
fn no_cpu_reads_the_old_page_after_another_read_the_new_one() {
    let world = &chaotic(3);
    let (id, mut cx) = (world.table(), world.cx(0));
    let page = Vpn(5);
    let newest = &AtomicU64::new(0);
    let over = &AtomicBool::new(false);
    world.walker(id).lock_leaf(cx.at(), page).unwrap().install(page, leaf(Pfn(100), RW), ANON);
    std::thread::scope(|scope| {
        for cpu in 1..3 {
            scope.spawn(move || {
                world.tables.activate(world.cx(cpu).at(), id);
                while !over.load(SeqCst) {
                    let before = newest.load(SeqCst);
                    let read = world.fake.access(CpuId(cpu), page, Access::Read, |frame| frame);
                    if let Some(frame) = read {
                        assert!(u64::from(frame.0) >= before, "an older page than one that was seen");
                        newest.fetch_max(u64::from(frame.0), SeqCst);
                    }
                }
                world.tables.deactivate(world.cx(cpu).at(), id);
            });
        }
        let mut batch = world.batch(id);
        for frame in 101..3000 {
            {
                let mut locked = world.walker(id).lock_leaf_existing(cx.at(), page).unwrap();
                locked.replace(&mut batch, page, (ANON, ANON), leaf(Pfn(frame), RW));
            }
            world.walker(id).settle(cx.at(), &mut batch, |_, _| {});
        }
        over.store(true, SeqCst);
    });
    world.destroy(&mut cx, id);
}

#[test]
fn no_store_is_missed_by_who_cleans_a_page() {
    let world = &chaotic(2);
    let (id, mut cx) = (world.table(), world.cx(0));
    let (page, frame) = (Vpn(5), Pfn(100));
    let content = &world.fake.contents[frame.0 as usize];
    world.walker(id).lock_leaf(cx.at(), page).unwrap().install(page, leaf(frame, RW), ANON);
    for _ in 0..200 {
        let mut saved = content.load(SeqCst);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                world.tables.activate(world.cx(1).at(), id);
                for _ in 0..50 {
                    world.fake.access(CpuId(1), page, Access::Write, |_| content.fetch_add(1, SeqCst));
                }
                world.tables.deactivate(world.cx(1).at(), id);
            });
            let mut batch = world.batch(id);
            for _ in 0..10 {
                let mut leaf = world.walker(id).lock_leaf_existing(cx.at(), page).unwrap();
                let clean = |attrs| Attrs { dirty: false, ..attrs };
                let (old, token) = leaf.change(page, |entry| with_perms(entry, clean));
                batch.push(&mut leaf, token);
                batch.flush_now(&mut leaf);
                if X86_64::attrs(old).dirty {
                    saved = content.load(SeqCst);
                }
            }
            world.walker(id).settle(cx.at(), &mut batch, |_, _| {});
        });
        let entry = world.walker(id).peek(cx.at(), page).entry;
        assert!(X86_64::attrs(entry).dirty || saved == content.load(SeqCst), "a store was missed");
    }
    world.destroy(&mut cx, id);
}

#[test]
fn a_cpu_that_comes_back_never_uses_what_was_revoked_meanwhile() {
    let world = &chaotic(3);
    let (id, mut cx) = (world.table(), world.cx(0));
    let page = Vpn(5);
    let oldest = &AtomicU64::new(0);
    let over = &AtomicBool::new(false);
    world.walker(id).lock_leaf(cx.at(), page).unwrap().install(page, leaf(Pfn(100), RW), ANON);
    std::thread::scope(|scope| {
        for cpu in 1..3 {
            scope.spawn(move || {
                let mut cx = world.cx(cpu);
                while !over.load(SeqCst) {
                    world.tables.activate(cx.at(), id);
                    for _ in 0..4 {
                        world.fake.access(CpuId(cpu), page, Access::Read, |frame| {
                            let oldest = oldest.load(SeqCst);
                            assert!(u64::from(frame.0) >= oldest, "a page that was finished");
                        });
                    }
                    world.tables.deactivate(cx.at(), id);
                }
            });
        }
        let mut batch = world.batch(id);
        for frame in 101..3000u32 {
            {
                let mut locked = world.walker(id).lock_leaf_existing(cx.at(), page).unwrap();
                let (_, token) = locked.take(page, ANON);
                batch.push(&mut locked, token);
                locked.install(page, leaf(Pfn(frame), RW), ANON);
            }
            world.walker(id).settle(cx.at(), &mut batch, |_, _| {});
            oldest.store(u64::from(frame), SeqCst);
        }
        over.store(true, SeqCst);
    });
    world.destroy(&mut cx, id);
}

#[test]
fn nothing_is_installed_in_a_table_that_was_unlinked() {
    let world = &chaotic(3);
    let id = world.table();
    let over = &AtomicU64::new(0);
    std::thread::scope(|scope| {
        for cpu in 0..2 {
            scope.spawn(move || {
                let (mut cx, walker) = (world.cx(cpu), world.walker(id));
                let mut batch = world.batch(id);
                let page = Vpn(u64::from(cpu) + 1);
                for n in 0..3000 {
                    let entry = leaf(Pfn(100 + n), RW);
                    walker.lock_leaf(cx.at(), page).unwrap().install(page, entry, ANON);
                    assert_eq!(walker.peek(cx.at(), page).entry, entry, "it went with its table");
                    {
                        let mut leaf = walker.lock_leaf_existing(cx.at(), page).unwrap();
                        let (_, token) = leaf.take(page, ANON);
                        batch.push(&mut leaf, token);
                    }
                    walker.settle(cx.at(), &mut batch, |_, _| {});
                }
                over.fetch_add(1, SeqCst);
            });
        }
        let (mut cx, walker) = (world.cx(2), world.walker(id));
        let mut batch = world.batch(id);
        while over.load(SeqCst) < 2 {
            walker.prune(cx.at(), range(0, 512), &mut batch, |_, _| {});
            walker.settle(cx.at(), &mut batch, |_, _| {});
        }
    });
    world.destroy(&mut world.cx(0), id);
    assert_eq!(world.tables_left(), 0);
}

#[test]
fn pairs_locked_in_both_directions_do_not_block_each_other() {
    let world = &chaotic(2);
    let (a, b, mut cx) = (world.table(), world.table(), world.cx(0));
    for id in [a, b] {
        world.walker(id).lock_leaf(cx.at(), Vpn(1)).unwrap().install(Vpn(1), leaf(Pfn(9), RW), ANON);
    }
    let word = &machine::Word::new(0);
    std::thread::scope(|scope| {
        for (cpu, from, to) in [(0, a, b), (1, b, a)] {
            scope.spawn(move || {
                let mut cx = world.cx(cpu);
                for _ in 0..5_000 {
                    let to = (&world.walker(to), Vpn(1));
                    let mut pair = world.walker(from).lock_pair(cx.at(), Vpn(1), to).unwrap().unwrap();
                    let cx = pair.cx();
                    let seen = cx.load(word, SeqCst);
                    cx.store(word, seen + 1, SeqCst);
                }
            });
        }
    });
    assert_eq!(word.raw().load(SeqCst), 10_000);
    world.destroy(&mut cx, a);
    world.destroy(&mut cx, b);
}
