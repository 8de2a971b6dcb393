//! One munmap of many entries of 2 MiB on a simulated machine, with the other CPUs walking the same space or
//! running.

use std::cell::Cell;

use freehold::frame::Id;
use freehold::linux::{ExecImage, Mmap, Process};
use freehold::machine::{Access, Counter, CpuId, Cx, Machine, VirtAddr, Vpn, WalkRule};
use freehold::space::HugePages;
use freehold::table::PageTable;
use freehold::{Config, Manager};
use sim::{
    Bytes, CacheModel, Cause, Checks, Kernel, Outcome, PageFault, Profile, Scope, SimConfig, SimMachine,
    TaskCtx,
};

/// Bytes of an entry.
pub(crate) const HUGE: u64 = 2 << 20;
/// Entries of 496 GiB.
pub(crate) const ENTRIES: u64 = 496 * 512;
/// All CPUs; the last unmaps.
pub(crate) const CPUS: u32 = 128;
/// Where the memory is mapped: a table of level 2 starts there.
const A: u64 = 1 << 39;
const RW: u64 = 3;
/// `MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS`.
const FIXED: u64 = 0x32;
/// Pages of 2 MiB that a walker goes round in.
const ROUND: u64 = 64;
/// When walkers begin, how long they get to have their lines, and for how long they are watched before the
/// munmap (simulated ns).
const START: u64 = 50_000_000;
const WARM: u64 = 100_000;
const WATCHED: u64 = 300_000;

/// How long a CPU runs the program's code at a time: interrupts come between.
const OWN: u64 = 50;

/// What the other CPUs do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Others {
    /// They walk back to back: every second one in what is unmapped, the others in memory of the same space
    /// that stays. The walks of these are counted (walks of the others get shorter as tables go).
    Walking,
    /// They run the program's own code.
    Running,
}

/// What is measured.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) profile: Profile,
    pub(crate) entries: u64,
    pub(crate) others: Others,
    pub(crate) rule: WalkRule,
}

impl Setup {
    /// How far CPUs run ahead of each other. Where they share a line it has to be little for the line to go
    /// back and forth.
    fn quantum(&self) -> u64 {
        match (self.others, self.rule) {
            (Others::Walking, WalkRule::Other(rule)) if rule.name() == "counter" => 50,
            _ => 1_000,
        }
    }
}

/// What it was.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Measured {
    pub(crate) entries: u64,
    /// Of the whole call.
    pub(crate) ns: u64,
    pub(crate) flush_rounds: u64,
    pub(crate) grace_periods: u64,
    pub(crate) ipis: u64,
    /// Of the CPU that unmaps: waited for in full, and fetched ahead.
    pub(crate) cold: (u64, u64),
    /// Of the walkers in memory that stays, before and during the munmap.
    pub(crate) walks_per_ms: (f64, f64),
}

impl Measured {
    /// The part of their walks that walkers lose meanwhile.
    pub(crate) fn loss(&self) -> f64 {
        let (before, during) = self.walks_per_ms;
        if before > 0.0 { 1.0 - during / before } else { 0.0 }
    }
}

/// Nobody faults: pages are made by calls.
struct NoFaults;

impl Kernel for NoFaults {
    fn page_fault(&self, _: TaskCtx<'_>, _: PageFault) -> Outcome {
        Outcome::Signal(sim::Signal::Segv)
    }
}

/// Runs it. The text of an error is one line.
pub(crate) fn measure(setup: &Setup) -> Result<Measured, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let sim = SimMachine::new(&config(setup)).map_err(|e| text(&e))?;
    let mut config = Config::default();
    config.linux.huge_pages = HugePages::Always;
    config.walk = setup.rule;
    let manager = Manager::new(&sim, &config).map_err(|e| format!("{e:?}"))?;
    let process = Cell::new(None);
    let filled = sim.scope(|scope| {
        scope.spawn(CpuId(CPUS - 1), |ctx| process.set(Some(fill(&manager, ctx, setup.entries))))?;
        scope.run()
    });
    filled.map_err(|e| text(&e))?;
    let process = process.take().ok_or("the memory was not made")??;
    sim.restart_clock();
    let run = Run { manager: &manager, process, setup, walks: Cell::new(0), over: Cell::new(false) };
    let found = Cell::new(None);
    let ran = sim.scope(|scope| {
        for cpu in 0..CPUS - 1 {
            run.spawn_other(scope, CpuId(cpu))?;
        }
        scope.spawn(CpuId(CPUS - 1), |ctx| found.set(Some(run.unmap(ctx))))?;
        scope.run()
    });
    ran.map_err(|e| text(&e))?;
    if let Some(violation) = sim.violations().first() {
        return Err(violation.to_string());
    }
    found.take().ok_or("the munmap did not end")?
}

fn config(setup: &Setup) -> SimConfig {
    // What is mapped, its spare tables, the page descriptors, and some.
    let pages = setup.entries * HUGE;
    SimConfig {
        cpus: CPUS,
        nodes: 1,
        memory_bytes: pages + pages / 64 + (2 << 30),
        profile: setup.profile.clone(),
        caches: CacheModel::Finite,
        bytes: Bytes::Ignored,
        checks: Checks::Off,
        tasks_max: CPUS * 2,
        quantum_ns: setup.quantum(),
        ..SimConfig::default()
    }
}

/// A process with so many entries of 2 MiB, made by faults.
fn fill(manager: &Manager<'_, SimMachine>, ctx: TaskCtx<'_>, entries: u64) -> Result<Id<Process>, String> {
    let linux = manager.linux();
    let mut cx = manager.cx(ctx.cpu(), ctx.task());
    let text = |what: &dyn std::fmt::Debug| format!("{what:?}");
    let process = linux.first_process(&mut cx).map_err(|e| text(&e))?;
    let none = VirtAddr(0);
    let image = ExecImage { segments: &[], stack: None, break_start: 0x2000_0000, code: (none, none) };
    linux.exec(&mut cx, process, None, &image).map_err(|e| text(&e))?;
    for (addr, entries) in [(A, entries), (stays_at(entries), ROUND)] {
        let args = Mmap { addr, len: entries * HUGE, prot: RW, flags: FIXED, offset: 0 };
        linux.mmap(&mut cx, process, &args, None).map_err(|e| text(&e))?;
        for entry in 0..entries {
            let at = VirtAddr(addr + entry * HUGE);
            linux.user_fault(&mut cx, process, at, Access::Write).map_err(|e| text(&e))?;
        }
    }
    Ok(process)
}

/// Where memory is that stays: in a table of its own.
fn stays_at(entries: u64) -> u64 {
    (A + entries * HUGE).next_multiple_of(1 << 30) + (1 << 30)
}

struct Run<'a, 'm> {
    manager: &'a Manager<'m, SimMachine>,
    process: Id<Process>,
    setup: &'a Setup,
    walks: Cell<u64>,
    over: Cell<bool>,
}

impl<'m> Run<'_, 'm> {
    fn spawn_other<'s>(&'s self, scope: &'s Scope<'s, '_>, cpu: CpuId) -> Result<(), sim::SimError> {
        scope.spawn(cpu, move |ctx| {
            if self.join(ctx).is_ok() && self.setup.others == Others::Walking {
                return self.walk(ctx);
            }
            while !self.over.get() {
                ctx.spend(Cause::User, OWN);
                ctx.yield_user();
            }
        })?;
        Ok(())
    }

    /// The task runs the process.
    fn join(&self, ctx: TaskCtx<'_>) -> Result<Cx<'m, SimMachine>, String> {
        let linux = self.manager.linux();
        let mut cx = self.manager.cx(ctx.cpu(), ctx.task());
        linux.attach(&mut cx, self.process, ctx.task()).map_err(|e| format!("{e:?}"))?;
        linux.enter(&mut cx, self.process);
        ctx.enter_user(&NoFaults);
        Ok(cx)
    }

    fn table(&self) -> Option<Id<PageTable>> {
        let space = self.manager.linux().process(self.process).space()?;
        self.manager.spaces().space(space).table()
    }

    /// Walks back to back, round and round in a part of the memory, until it is over.
    fn walk(&self, ctx: TaskCtx<'_>) {
        let Some(table) = self.table() else { return };
        let walker = self.manager.spaces().walker(table);
        let mut cx = self.manager.cx(ctx.cpu(), ctx.task());
        let (cpu, entries) = (u64::from(ctx.cpu().0), self.setup.entries);
        let stays = cpu % 2 == 1;
        let first = if stays { stays_at(entries) / HUGE } else { A / HUGE + cpu * entries / u64::from(CPUS) };
        ctx.sleep_until(START);
        let mut step = 0;
        while !self.over.get() {
            let entry = first + step % ROUND;
            std::hint::black_box(walker.peek(cx.at(), Vpn(entry * 512)));
            self.walks.set(self.walks.get() + u64::from(stays));
            step += 7;
        }
    }

    fn unmap(&self, ctx: TaskCtx<'_>) -> Result<Measured, String> {
        let mut cx = self.join(ctx)?;
        let done = self.unmap_in(ctx, &mut cx);
        self.over.set(true);
        done
    }

    fn unmap_in(&self, ctx: TaskCtx<'_>, cx: &mut Cx<'m, SimMachine>) -> Result<Measured, String> {
        ctx.sleep_until(START + WARM);
        let before = self.walks.get();
        ctx.spend(Cause::User, WATCHED);
        // Others catch up with this CPU's clock.
        ctx.sleep_until(ctx.now() + 1);
        let begun = self.now(ctx);
        ctx.syscall();
        let len = self.setup.entries * HUGE;
        self.manager.linux().munmap(cx, self.process, A, len).map_err(|e| format!("{e:?}"))?;
        ctx.enter_user(&NoFaults);
        let ended = self.now(ctx);
        ctx.sleep_until(ctx.now() + 1);
        let walks = self.walks.get();
        let rate = |walks: u64, ns: u64| walks as f64 * 1e6 / ns as f64;
        let ns = ended.at - begun.at;
        Ok(Measured {
            entries: self.setup.entries,
            ns,
            flush_rounds: ended.flushes - begun.flushes,
            grace_periods: ended.graces - begun.graces,
            ipis: ended.ipis - begun.ipis,
            cold: (ended.cold.0 - begun.cold.0, ended.cold.1 - begun.cold.1),
            walks_per_ms: (rate(begun.walks - before, WATCHED), rate(walks - begun.walks, ns)),
        })
    }

    fn now(&self, ctx: TaskCtx<'_>) -> Moment {
        let events = ctx.sim().report().events;
        Moment {
            at: ctx.sim().now(ctx.cpu()),
            flushes: events.flushes,
            ipis: events.ipis,
            graces: self.manager.core().total(Counter::GracePeriods),
            cold: ctx.sim().cold_lines(ctx.cpu()),
            walks: self.walks.get(),
        }
    }
}

struct Moment {
    at: u64,
    flushes: u64,
    ipis: u64,
    graces: u64,
    cold: (u64, u64),
    walks: u64,
}
