//! A storm of walks without a lock over tables that are unmapped and used again, under every rule of walks.

#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "../concurrent/world.rs"]
mod world;

use freehold::frame::{Id, State};
use freehold::linux::{self, Process};
use freehold::machine::{
    Counter, CpuId, Cx, HUGE_SIZE, KernelFrame, Plant, ReaderOrder, TaskId, VirtAddr, Vpn, WalkRule,
};
use freehold::space::HugePages;
use sim::{Cause, Checks, Scope, SimConfig, SimMachine, TaskCtx, TlbSize};
use std::cell::Cell;
use world::*;

/// Where tables come and go: this many leaf tables, each with a few small pages.
const SMALL: u64 = 0x1000_0000;
const TABLES: u64 = 6;
/// Where entries of 2 MiB come, are split and go.
const LARGE: u64 = 0x4000_0000;
const LARGE_PAGES: u64 = 512;
/// How often all of it is unmapped.
const ROUNDS: u64 = 4;

const EPOCH: WalkRule = WalkRule::Epoch;

/// One storm.
#[derive(Clone, Copy, Debug)]
struct Storm {
    rule: WalkRule,
    order: ReaderOrder,
    /// The CPU that unmaps, and those that walk.
    cpus: u32,
    walkers: Walkers,
    seed: u64,
    plant: Option<Plant>,
}

/// What the CPUs do that unmap nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Walkers {
    /// All are threads of the process, and walk.
    All,
    /// Those with odd numbers run in user space.
    EveryOther,
    /// All walk; those with odd numbers are no threads of the process: they get no flush.
    EveryOtherFromOutside,
}

impl Storm {
    fn new(rule: WalkRule, order: ReaderOrder, cpus: u32) -> Storm {
        Storm { rule, order, cpus, walkers: Walkers::All, seed: 1, plant: None }
    }

    fn machine(&self) -> SimMachine {
        let config = SimConfig {
            cpus: self.cpus,
            memory_bytes: 64 << 20,
            seed: self.seed,
            reader_order: self.order,
            quantum_ns: 40,
            tasks_max: 2 * self.cpus,
            checks: Checks::Heavy,
            tlb: TlbSize::Unbounded,
            // Whoever waits for walks that come back to back waits for ever.
            run_ns_max: 100_000_000,
            ..SimConfig::default()
        };
        let sim = SimMachine::new(&config).expect("a machine");
        sim.plant(self.plant);
        sim
    }
}

/// What a storm counted while tables were unmapped.
#[derive(Debug)]
struct Counted {
    walks: u64,
    grace_periods: u64,
    walk_ipis: u64,
    tables_freed: u64,
}

/// The process, and what its threads tell each other.
struct Run<'w, 'm> {
    world: &'w World<'m>,
    process: Id<Process>,
    walkers: Walkers,
    over: Cell<bool>,
    ready: Cell<u32>,
    left: Cell<u32>,
    walks: Cell<u64>,
}

impl<'w, 'm> Run<'w, 'm> {
    fn attach(&self, ctx: TaskCtx<'_>) {
        self.world.linux().attach(&mut self.world.cx(ctx), self.process, ctx.task()).expect("alive");
        ctx.enter_user(self.world);
    }

    /// Walks back to back until it is over.
    fn walk(&self, ctx: TaskCtx<'_>) {
        let odd = ctx.cpu().0 % 2 == 1;
        if !odd || self.walkers != Walkers::EveryOtherFromOutside {
            self.attach(ctx);
        }
        self.ready.set(self.ready.get() + 1);
        while odd && self.walkers == Walkers::EveryOther && !self.over.get() {
            ctx.spend(Cause::User, 500);
        }
        let mut n = u64::from(ctx.cpu().0);
        while !self.over.get() {
            let mut cx = self.world.cx(ctx);
            n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let place = (n >> 33) % (TABLES + 2);
            let base = if place < TABLES { SMALL + place * HUGE_SIZE } else { LARGE };
            // Most walks are short; some last longer than a flush.
            let step = if n >> 60 == 0 { 2_000 } else { 150 };
            self.visit(ctx, &mut cx, (VirtAddr(base).page() + (n >> 50) % 4, step));
            self.walks.set(self.walks.get() + 1);
        }
        self.left.set(self.left.get() - 1);
        if self.world.linux().process_of(ctx.task()).is_some() {
            self.world.exit(ctx);
        }
    }

    /// One walk. The table that it found stays a table to its end, and nothing else becomes of it.
    fn visit(&self, ctx: TaskCtx<'_>, cx: &mut Cx<'m, SimMachine>, (page, step): (Vpn, u64)) {
        let spaces = self.world.manager.spaces();
        let Some(space) = self.world.linux().process(self.process).space() else { return };
        let Some(table) = spaces.space(space).table() else { return };
        let walker = spaces.walker(table);
        let walk = walker.walk(cx.at());
        let spot = walk.spot(page);
        let is_table =
            |frame: KernelFrame| self.world.manager.frames().descriptor(frame.0).state(&walk) == State::Table;
        for _ in 0..3 {
            if !is_table(spot.table()) {
                self.world.complain(format!("{:?} was freed under a walk of {page:?}", spot.table()));
            }
            spot.again();
            ctx.spend(Cause::User, step);
        }
        // A way out in the middle gives the walk back, too (L-23).
        if page.0 & 1 == 0 {
            return;
        }
        assert!(walk.entries(page).count() <= 512);
    }

    /// Maps, touches and unmaps, again and again.
    fn unmap(&self, ctx: TaskCtx<'_>, walkers: u32) {
        while self.ready.get() < walkers {
            ctx.spend(Cause::User, 50);
        }
        for round in 0..ROUNDS {
            self.world.anon(ctx, self.process, SMALL, TABLES * 512);
            for table in 0..TABLES {
                let addr = SMALL + table * HUGE_SIZE + round % 4 * P;
                assert_eq!(ctx.store(self.world, VirtAddr(addr), addr), Ok(()));
            }
            self.world.anon(ctx, self.process, LARGE, LARGE_PAGES);
            assert_eq!(ctx.store(self.world, VirtAddr(LARGE), 1), Ok(()));
            let part = if round % 2 == 0 { (LARGE, 3) } else { (LARGE, 512) };
            assert_eq!(self.world.madvise(ctx, self.process, part, DONTNEED), Ok(()));
            self.world.munmap(ctx, self.process, SMALL, TABLES * 512);
            self.world.munmap(ctx, self.process, LARGE, LARGE_PAGES);
        }
    }
}

fn run(storm: Storm) -> Result<Counted, String> {
    let sim = storm.machine();
    let linux = linux::Config { huge_pages: HugePages::Always, ..linux::Config::default() };
    let config = freehold::Config { linux, walk: storm.rule, ..freehold::Config::default() };
    let world = World::with(&sim, &config);
    let process = world.linux().first_process(&mut world.manager.cx(CpuId(0), TaskId(0))).expect("a process");
    let walkers = storm.cpus - 1;
    let run = Run {
        world: &world,
        process,
        walkers: storm.walkers,
        over: Cell::new(false),
        ready: Cell::new(0),
        left: Cell::new(walkers),
        walks: Cell::new(0),
    };
    let counted = Cell::new(None);
    let ended = sim.scope(|scope: &Scope<'_, '_>| {
        let (run, counted) = (&run, &counted);
        scope.spawn(CpuId(0), move |ctx| {
            run.attach(ctx);
            for cpu in 1..=walkers {
                scope.spawn(CpuId(cpu), move |ctx| run.walk(ctx)).expect("room for a task");
            }
            run.unmap(ctx, walkers);
            let total = |counter| run.world.manager.core().total(counter);
            counted.set(Some(Counted {
                walks: run.walks.get(),
                grace_periods: total(Counter::GracePeriods),
                walk_ipis: total(Counter::WalkIpis),
                tables_freed: total(Counter::TableFree),
            }));
            run.over.set(true);
            while run.left.get() > 0 {
                ctx.spend(Cause::User, 200);
            }
            run.world.exit(ctx);
        })?;
        scope.run()
    });
    ended.map_err(|error| format!("{error}{:?}", sim.violations()))?;
    world.assert_empty();
    world.verdict()?;
    counted.take().ok_or_else(|| "nothing was counted".into())
}

fn expect(storm: Storm) -> Counted {
    let counted = run(storm).unwrap_or_else(|wrong| panic!("{storm:?}: {wrong}"));
    println!("{} {:?}, {} CPUs: {counted:?}", storm.rule.name(), storm.order, storm.cpus);
    assert!(counted.tables_freed >= ROUNDS * TABLES, "{counted:?}");
    // More walks than grace periods: they came back to back, and held nobody up (L-5).
    assert!(counted.walks > 10 * counted.grace_periods, "{counted:?}");
    counted
}

#[test]
fn every_rule_keeps_tables_from_walks_and_ends_every_wait() {
    for &rule in WalkRule::ALL {
        for order in [ReaderOrder::Fence, ReaderOrder::HeavyBarrier] {
            for cpus in [2, 5, 12] {
                let counted = expect(Storm::new(rule, order, cpus));
                if rule.name() == "epoch" {
                    // Who walks has the space loaded here: the flush has interrupted everybody.
                    assert_eq!(counted.walk_ipis, 0, "a walker was interrupted beyond the flush");
                } else {
                    assert!(counted.walk_ipis > 0, "{}: {counted:?}", rule.name());
                }
            }
        }
    }
}

#[test]
fn the_rules_differ_in_whom_they_interrupt() {
    let asked = |rule| {
        let walkers = Walkers::EveryOther;
        expect(Storm { walkers, ..Storm::new(rule, ReaderOrder::Fence, 9) }).walk_ipis
    };
    let counts: Vec<u64> = WalkRule::ALL.iter().map(|&rule| asked(rule)).collect();
    let [epoch, ipi, counter, percpu] = counts[..] else { panic!("four rules: {counts:?}") };
    assert_eq!(epoch, 0);
    assert!(2 * percpu <= ipi && percpu < counter && counter <= ipi, "{counts:?}");
}

/// A flush is no substitute for the heavy barrier: who walks from outside is not asked to flush.
#[test]
fn walkers_from_outside_are_waited_for_and_fenced_apart() {
    for (order, asked) in [(ReaderOrder::Fence, 0), (ReaderOrder::HeavyBarrier, 2)] {
        let walkers = Walkers::EveryOtherFromOutside;
        let counted = expect(Storm { walkers, ..Storm::new(EPOCH, order, 5) });
        assert_eq!(counted.walk_ipis, asked * counted.grace_periods, "{order:?}");
    }
}

#[test]
fn sixty_four_cpus_walk_and_one_unmaps() {
    expect(Storm::new(EPOCH, ReaderOrder::HeavyBarrier, 64));
}

/// The storm would notice: with the grace period left out, tables are freed under walks.
#[test]
fn a_storm_notices_that_a_grace_period_is_left_out() {
    for order in [ReaderOrder::Fence, ReaderOrder::HeavyBarrier] {
        for &rule in WalkRule::ALL {
            let caught = (1..8).any(|seed| {
                let plant = Some(Plant::TableWithoutGrace);
                run(Storm { seed, plant, ..Storm::new(rule, order, 6) }).is_err()
            });
            // Interrupts that are off hold the flush itself up (LR5): under these rules nothing goes wrong.
            assert_eq!(caught, rule.name() == "epoch", "{} {order:?}", rule.name());
        }
    }
}
