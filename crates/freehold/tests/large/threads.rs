//! Threads of one process that load and store, each its own words, while the pages under them become large
//! and small, are shared with children, pinned, and given up next to theirs.

use crate::dice::Dice;
use crate::world::*;
use freehold::fault::How;
use freehold::frame::Id;
use freehold::linux::{self, ExecImage, Process};
use freehold::machine::{Access, Counter, CpuId, HUGE_ORDER, VirtAddr, Vpn};
use freehold::object::Held;
use freehold::space::HugePages;
use sim::{Cause, Scope, TaskCtx};
use std::cell::Cell;
use std::time::{Duration, Instant};

const HUGE: u64 = HUGE_ORDER.frames();
const BASE: u64 = 0x1_0000;
/// Two places of 2 MiB have the threads' words; a third comes and goes.
const PAGES: u64 = 2 * HUGE;
const THREADS: u64 = 3;
const OPS: u64 = 40;

struct Run<'w, 'm> {
    world: &'w World<'m>,
    process: Cell<Option<Id<Process>>>,
    over: Cell<bool>,
    live: Cell<u32>,
    values: Cell<u64>,
    seed: u64,
}

/// A thread's word of a page.
fn word(page: u64, thread: u64) -> VirtAddr {
    VirtAddr((BASE + page) * P + 8 * (50 + thread))
}

impl<'m> Run<'_, 'm> {
    fn process(&self) -> Id<Process> {
        self.process.get().expect("it began")
    }

    fn first<'s>(&'s self, scope: &'s Scope<'s, '_>, ctx: TaskCtx<'s>) {
        let (world, linux) = (self.world, self.world.linux());
        let process = linux.first_process(&mut world.cx(ctx)).expect("a process");
        linux.attach(&mut world.cx(ctx), process, ctx.task()).expect("a task");
        let image =
            ExecImage { segments: &[], stack: None, break_start: P, code: (VirtAddr(0), VirtAddr(0)) };
        linux.exec(&mut world.cx(ctx), process, Some(ctx.task()), &image).expect("an empty program");
        self.process.set(Some(process));
        world.anon(ctx, process, BASE * P, PAGES + HUGE);
        for thread in 1..=THREADS {
            let spawned = scope.spawn(CpuId(thread as u32 % 3), move |ctx| self.use_words(ctx, thread));
            linux.attach(&mut world.cx(ctx), process, spawned.expect("room")).expect("free");
            self.live.set(self.live.get() + 1);
        }
        let mut dice = Dice::new(self.seed);
        for _ in 0..OPS {
            ctx.enter_user(world);
            self.disturb(scope, ctx, &mut dice);
        }
        self.over.set(true);
        world.exit(ctx);
    }

    /// What one thread does: nobody else stores to its words.
    fn use_words(&self, ctx: TaskCtx<'_>, thread: u64) {
        while self.world.linux().process_of(ctx.task()).is_none() {
            ctx.spend(Cause::User, 50);
        }
        let mut dice = Dice::new(self.seed ^ thread << 32);
        let mut own = vec![0; PAGES as usize];
        while !self.over.get() {
            ctx.enter_user(self.world);
            let page = if dice.one_in(2) { dice.below(PAGES) } else { HUGE - 4 + dice.below(8) };
            if dice.one_in(3) {
                self.values.set(self.values.get() + 1);
                let value = self.values.get();
                let stored = ctx.store(self.world, word(page, thread), value);
                own[page as usize] = value;
                self.must(stored == Ok(()), || format!("thread {thread}, page {page}: {stored:?}"));
            } else {
                let (found, wanted) = (ctx.load(self.world, word(page, thread)), own[page as usize]);
                self.must(found == Ok(wanted), || {
                    format!("thread {thread}, page {page}: {found:?}, not {wanted}")
                });
            }
        }
        self.world.exit(ctx);
    }

    fn must(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.world.complain(what());
        }
    }

    /// Things that take no word away from a thread.
    fn disturb<'s>(&'s self, scope: &'s Scope<'s, '_>, ctx: TaskCtx<'s>, dice: &mut Dice) {
        let (world, process) = (self.world, self.process());
        let place = dice.below(3) * HUGE;
        let third = (BASE + PAGES) * P;
        match dice.below(16) {
            0..4 => drop(world.madvise(ctx, process, (BASE * P + place * P, HUGE), 25)),
            4..7 => self.split(ctx, dice.below(PAGES)),
            7..9 => self.fork(scope, ctx),
            9 => self.pin(ctx, dice.below(PAGES)),
            10 => drop(world.madvise(ctx, process, (third, 1 + dice.below(HUGE)), DONTNEED)),
            11 => {
                let start = third + dice.below(HUGE) * P;
                world.munmap(ctx, process, start, (third + HUGE * P - start) / P);
                world.anon(ctx, process, third, HUGE);
            }
            12 => drop(world.linux().collapse_step(&mut world.cx(ctx), 3 * HUGE)),
            13 => world.reclaim(ctx),
            _ => {
                for page in 0..4 {
                    let at = VirtAddr(third + dice.below(HUGE) * P);
                    let stored = ctx.store(world, at, page);
                    self.must(stored == Ok(()), || format!("{at:?}: {stored:?}"));
                }
            }
        }
    }

    /// The child looks at everything, stores to everything, and leaves.
    fn fork<'s>(&'s self, scope: &'s Scope<'s, '_>, ctx: TaskCtx<'s>) {
        if self.live.get() > 8 {
            return;
        }
        ctx.syscall();
        let child = self.world.linux().fork(&mut self.world.cx(ctx), self.process()).expect("a child");
        self.live.set(self.live.get() + 1);
        let spawned = scope.spawn(CpuId(self.live.get() % 3), move |ctx| {
            while self.world.linux().process_of(ctx.task()).is_none() {
                ctx.spend(Cause::User, 50);
            }
            for page in (0..PAGES).step_by(61) {
                ctx.enter_user(self.world);
                let loaded = ctx.load(self.world, word(page, 1));
                let stored = ctx.store(self.world, word(page, 2), 1 << 40);
                self.must(loaded.is_ok() && stored == Ok(()), || format!("a child, page {page}"));
            }
            self.world.exit(ctx);
        });
        let number = spawned.expect("room for a task");
        self.world.linux().attach(&mut self.world.cx(ctx), child, number).expect("free");
    }

    fn split(&self, ctx: TaskCtx<'_>, page: u64) {
        let (linux, mut cx) = (self.world.linux(), self.world.cx(ctx));
        let space = linux.process(self.process()).space().expect("it has one");
        let _ = linux.spaces().split_folio_at(cx.at(), space, Vpn(BASE + page));
    }

    /// A pin for a moment: what is stored through it belongs to nobody's word.
    fn pin(&self, ctx: TaskCtx<'_>, page: u64) {
        let (linux, mut cx) = (self.world.linux(), self.world.cx(ctx));
        let Some(space) = linux.process(self.process()).space() else { return };
        let mut into = [Held::Nothing];
        let how = How::pin(Access::Write);
        if linux.faults().hold(cx.at(), space, (Vpn(BASE + page), how), &mut into).is_err() {
            return;
        }
        ctx.spend(Cause::User, 2000);
        let mut cx = self.world.cx(ctx);
        linux.faults().let_go_dirty(cx.at(), into[0]);
    }
}

fn run(seed: u64) -> Result<Vec<u64>, String> {
    let shape = Shape { memory: 64 << 20, ..Shape::new(3, seed) };
    let sim = shape.machine();
    let linux = linux::Config { huge_pages: HugePages::Always, ..linux::Config::default() };
    let world = World::with(&sim, &freehold::Config { linux, ..freehold::Config::default() });
    let (process, over) = (Cell::new(None), Cell::new(false));
    let run = Run { world: &world, process, over, live: Cell::new(1), values: Cell::new(0), seed };
    let result = sim.scope(|scope| {
        let run = &run;
        scope.spawn(CpuId(0), move |ctx| run.first(scope, ctx))?;
        scope.run()
    });
    if let Err(error) = result {
        let wrong = world.verdict().err().unwrap_or_default();
        return Err(format!("{error}\n{wrong}\n{:?}", sim.violations()));
    }
    world.assert_empty();
    let counts = MUST.iter().map(|&counter| world.manager.core().total(counter)).collect();
    world.verdict().map(|()| counts)
}

const MUST: [Counter; 5] = [
    Counter::ThpCollapseAlloc,
    Counter::ThpFaultAlloc,
    Counter::ThpSplitPmd,
    Counter::ThpSplitPage,
    Counter::FaultRetry,
];

#[test]
fn threads_keep_their_words_while_pages_grow_and_shrink() {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    let first = number("FREEHOLD_STRESS_FIRST").unwrap_or(0);
    let limit = Duration::from_secs(number("FREEHOLD_STRESS_SECONDS").unwrap_or(6));
    let last = number("FREEHOLD_STRESS_SEEDS").map_or(u64::MAX, |seeds| first + seeds);
    let (begun, mut totals) = (Instant::now(), vec![0; MUST.len()]);
    for seed in first..last {
        match run(seed) {
            Ok(counts) => totals.iter_mut().zip(counts).for_each(|(total, count)| *total += count),
            Err(what) => panic!("seed {seed}: {what}"),
        }
        if begun.elapsed() > limit {
            break;
        }
    }
    println!("{:?}", MUST.iter().zip(&totals).collect::<Vec<_>>());
    assert!(totals.iter().all(|&total| total > 0), "{MUST:?} came to pass so often: {totals:?}");
}
