//! One race: threads of one process that start together, again and again under different schedules.

use crate::dice::Dice;
use crate::world::*;
use freehold::frame::Id;
use freehold::linux::{Exit, MapFile, Process, Waiting};
use freehold::machine::{CpuId, TaskId, VirtAddr};
use sim::{Cause, Scope, Signal, TaskCtx};
use std::cell::{Cell, RefCell};

/// Where the races take place: the last page before a 2 MiB boundary.
pub(crate) const BASE: u64 = 0x1040_0000 - P;

/// One run of a race.
pub(crate) struct Race<'w, 'm> {
    pub(crate) world: &'w World<'m>,
    pub(crate) process: Id<Process>,
    pub(crate) file: MapFile,
    /// For what the threads tell each other.
    pub(crate) note: Cell<u64>,
    pub(crate) over: Cell<bool>,
    dice: RefCell<Dice>,
    ready: Cell<usize>,
    done: Cell<usize>,
    ended: Cell<bool>,
}

/// The file that races may map, and its pages.
pub(crate) const FILE: u64 = 7;
pub(crate) const FILE_PAGES: u64 = 8;

pub(crate) type Body<'b> = &'b dyn Fn(&Race<'_, '_>, TaskCtx<'_>);

/// Runs the bodies as threads of one process on a CPU each, under so many schedules: `setup` before, `after`
/// when all are over. Then everything exits, and nothing may be left or wrong.
pub(crate) fn race(schedules: u64, setup: Body<'_>, threads: &[Body<'_>], after: Body<'_>) {
    for seed in 0..schedules {
        if let Err(wrong) = run(Shape::new(threads.len() as u32, seed), setup, threads, after) {
            panic!("schedule {seed}: {wrong}");
        }
    }
}

/// The same on a machine of one's own.
pub(crate) fn run(
    shape: Shape,
    setup: Body<'_>,
    threads: &[Body<'_>],
    after: Body<'_>,
) -> Result<(), String> {
    let sim = shape.machine();
    let world = World::new(&sim);
    let file = world.file(FILE, FILE_PAGES);
    let process = world.linux().first_process(&mut world.manager.cx(CpuId(0), TaskId(0))).expect("a process");
    let race = Race {
        world: &world,
        process,
        file,
        note: Cell::new(0),
        over: Cell::new(false),
        dice: RefCell::new(Dice::new(shape.seed)),
        ready: Cell::new(0),
        done: Cell::new(0),
        ended: Cell::new(false),
    };
    let ended = sim.scope(|scope| {
        let (race, world) = (&race, &world);
        scope.spawn(CpuId(0), move |ctx| {
            race.attach(ctx);
            setup(race, ctx);
            for (cpu, body) in threads.iter().enumerate().skip(1) {
                race.start(scope, CpuId(cpu as u32), threads.len(), *body);
            }
            race.meet(ctx, threads.len());
            threads[0](race, ctx);
            race.done.set(race.done.get() + 1);
            while race.done.get() < threads.len() {
                ctx.spend(Cause::User, 200);
            }
            after(race, ctx);
            race.ended.set(true);
            world.exit(ctx);
        })?;
        scope.run()
    });
    let violations = || sim.violations().iter().map(|violation| format!("\n{violation}")).collect::<String>();
    ended.map_err(|error| format!("{error}{}", violations()))?;
    world.assert_empty();
    world.verdict()
}

impl<'w, 'm> Race<'w, 'm> {
    fn attach(&self, ctx: TaskCtx<'_>) {
        let mut cx = self.world.cx(ctx);
        self.world.linux().attach(&mut cx, self.process, ctx.task()).expect("alive");
    }

    fn start<'s>(&'s self, scope: &'s Scope<'s, '_>, cpu: CpuId, all: usize, body: Body<'s>) {
        let started = scope.spawn(cpu, move |ctx| {
            self.attach(ctx);
            self.meet(ctx, all);
            body(self, ctx);
            self.done.set(self.done.get() + 1);
            // The process lives while its first thread plays a child.
            while !self.ended.get() {
                ctx.spend(Cause::User, 200);
            }
            self.world.exit(ctx);
        });
        started.expect("room for a task");
    }

    /// Waits for all threads, and then for a moment of its own.
    fn meet(&self, ctx: TaskCtx<'_>, all: usize) {
        ctx.enter_user(self.world);
        self.ready.set(self.ready.get() + 1);
        while self.ready.get() < all {
            ctx.spend(Cause::User, 10);
        }
        self.pause(ctx);
    }

    /// Lets a random time go by: none to a few microseconds.
    pub(crate) fn pause(&self, ctx: TaskCtx<'_>) {
        let most = [1, 300, 1500, 6000][self.dice.borrow_mut().below(4) as usize];
        let time = self.dice.borrow_mut().below(most);
        ctx.spend(Cause::User, time);
    }

    /// The task goes on as a thread of another process.
    fn become_thread_of(&self, ctx: TaskCtx<'_>, process: Id<Process>) {
        let (world, linux) = (self.world, self.world.linux());
        linux.detach(&mut world.cx(ctx), ctx.task());
        linux.attach(&mut world.cx(ctx), process, ctx.task()).expect("alive");
        linux.enter(&mut world.cx(ctx), process);
    }

    pub(crate) fn below(&self, n: u64) -> u64 {
        self.dice.borrow_mut().below(n)
    }

    pub(crate) fn load(&self, ctx: TaskCtx<'_>, addr: u64) -> Result<u64, Signal> {
        ctx.load(self.world, VirtAddr(addr))
    }

    pub(crate) fn store(&self, ctx: TaskCtx<'_>, addr: u64, value: u64) -> Result<(), Signal> {
        ctx.store(self.world, VirtAddr(addr), value)
    }

    pub(crate) fn anon(&self, ctx: TaskCtx<'_>, addr: u64, pages: u64) {
        self.world.anon(ctx, self.process, addr, pages);
    }

    pub(crate) fn map_file(&self, ctx: TaskCtx<'_>, addr: u64, pages: u64, flags: u64) {
        let file = Some((&self.file, 0));
        let made = self.world.mmap(ctx, self.process, (addr, pages), (RW, flags | FIXED), file);
        assert_eq!(made, Ok(addr));
    }

    pub(crate) fn munmap(&self, ctx: TaskCtx<'_>, addr: u64, pages: u64) {
        self.world.munmap(ctx, self.process, addr, pages);
    }

    pub(crate) fn mprotect(&self, ctx: TaskCtx<'_>, addr: u64, pages: u64, prot: u64) {
        self.world.mprotect(ctx, self.process, addr, pages, prot);
    }

    pub(crate) fn fork(&self, ctx: TaskCtx<'_>) -> Id<Process> {
        ctx.syscall();
        self.world.linux().fork(&mut self.world.cx(ctx), self.process).expect("a child")
    }

    /// Runs as the child for a moment, as if it were scheduled here; then the child exits.
    pub(crate) fn as_child(&self, ctx: TaskCtx<'_>, child: Id<Process>, body: impl FnOnce()) {
        let (world, linux) = (self.world, self.world.linux());
        self.become_thread_of(ctx, child);
        body();
        linux.detach(&mut world.cx(ctx), ctx.task());
        linux.exit(&mut world.cx(ctx), child, Exit::Code(0));
        linux.attach(&mut world.cx(ctx), self.process, ctx.task()).expect("alive");
        linux.enter(&mut world.cx(ctx), self.process);
        let ended = linux.wait(&mut world.cx(ctx), self.process, Some(child), Waiting::Block);
        assert!(ended.is_ok());
    }

    pub(crate) fn expect(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.world.complain(what());
        }
    }
}

/// Nothing.
pub(crate) fn nothing(_: &Race<'_, '_>, _: TaskCtx<'_>) {}
