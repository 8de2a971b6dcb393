//! A machine, a process, and a thread of it on each CPU.

use std::cell::{Cell, RefCell};
use std::fmt::Debug;

use freehold::Manager;
use freehold::frame::Id;
use freehold::linux::{Errno, ExecImage, Mmap, Process};
use freehold::machine::{Counter, CpuId, Cx, PAGE_SIZE, VirtAddr};
use sim::{CacheModel, Cause, Checks, Kernel, Outcome, PageFault, Profile, RunReport, Signal};
use sim::{SimConfig, SimMachine, TaskCtx};

use super::super::super::Trouble;
use crate::policy::Policy;

const GIB: u64 = 1 << 30;
/// Readable and writable.
const RW: u64 = 3;
/// `MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS`.
const FIXED: u64 = 0x32;
/// When all threads are warm, and begin to be measured: simulated time.
const START: u64 = 100_000_000;
/// Times a thread maps and unmaps before it is measured: so many that locks which are found to be waited for
/// have been divided.
const WARM: u64 = 300;
/// The same where pages are touched: these wait for longer.
const WARM_TOUCHING: u64 = 20;
/// Pages that a thread walks to, in turn.
const WALKED: u64 = 64;
/// How far a CPU may be ahead of the others, in ns, where they may all want one line: it has to go round.
const QUANTUM_WALKING: u64 = 50;
/// CPUs a node.
const PER_NODE: u32 = 32;

/// What each thread does, in its own GiB.
#[derive(Clone, Copy)]
pub(super) enum Work {
    /// It stores to each page of memory that is mapped already.
    Fault { pages: u64 },
    /// It maps pages at a fixed address, stores to some, and unmaps them.
    Cycle { pages: u64, touched: u64, times: u64 },
    /// It walks the tables to one page after another without a lock.
    Walk { times: u64 },
}

impl Work {
    /// How many operations that is: faults, or cycles.
    fn operations(self) -> u64 {
        match self {
            Work::Fault { pages } => pages,
            Work::Cycle { times, .. } | Work::Walk { times } => times,
        }
    }

    /// What memory it needs before it begins.
    fn mapped(self) -> Option<u64> {
        match self {
            Work::Fault { .. } => Some(GIB / 2),
            Work::Walk { .. } => Some(WALKED * PAGE_SIZE),
            Work::Cycle { .. } => None,
        }
    }
}

/// What was measured.
pub(super) struct Figures {
    pub(super) cpus: u32,
    /// Simulated time of an operation of one thread, on average.
    pub(super) ns: f64,
    /// All threads together.
    pub(super) counts: [(&'static str, u64); 4],
}

/// Faults go to the manager; each CPU runs one task, so nothing is switched.
struct Faults<'a, 'm>(&'a Manager<'m, SimMachine>);

impl Kernel for Faults<'_, '_> {
    fn page_fault(&self, ctx: TaskCtx<'_>, fault: PageFault) -> Outcome {
        let linux = self.0.linux();
        let mut cx = self.0.cx(ctx.cpu(), ctx.task());
        let process = linux.process_of(ctx.task());
        let done = process.map(|process| linux.user_fault(&mut cx, process, fault.addr, fault.access));
        if done == Some(Ok(())) { Outcome::Resolved } else { Outcome::Signal(Signal::Segv) }
    }
}

/// A thread, from its own inside.
struct Thread<'a, 'm> {
    manager: &'a Manager<'m, SimMachine>,
    process: Id<Process>,
    ctx: TaskCtx<'a>,
    base: u64,
}

fn trouble(why: impl Debug) -> Trouble {
    Trouble::new(&format!("{why:?}"))
}

impl<'m> Thread<'_, 'm> {
    fn cx(&self) -> Cx<'m, SimMachine> {
        self.manager.cx(self.ctx.cpu(), self.ctx.task())
    }

    fn call<T>(&self, body: impl FnOnce(&mut Cx<'m, SimMachine>) -> Result<T, Errno>) -> Result<(), Trouble> {
        self.ctx.syscall();
        let done = body(&mut self.cx());
        self.ctx.enter_user(&Faults(self.manager));
        done.map(drop).map_err(trouble)
    }

    fn map(&self, len: u64) -> Result<(), Trouble> {
        let args = Mmap { addr: self.base, len, prot: RW, flags: FIXED, offset: 0 };
        self.call(|cx| self.manager.linux().mmap(cx, self.process, &args, None))
    }

    fn unmap(&self, len: u64) -> Result<(), Trouble> {
        self.call(|cx| self.manager.linux().munmap(cx, self.process, self.base, len))
    }

    fn touch(&self, pages: u64) -> Result<(), Trouble> {
        let store = |page| self.ctx.store(&Faults(self.manager), VirtAddr(self.base + page * PAGE_SIZE), 1);
        (0..pages).try_for_each(store).map_err(trouble)
    }

    fn work(&self, work: Work) -> Result<(), Trouble> {
        match work {
            Work::Fault { pages } => self.touch(pages),
            Work::Cycle { pages, touched, times } => (0..times).try_for_each(|_| {
                self.map(pages * PAGE_SIZE)?;
                self.touch(touched)?;
                self.unmap(pages * PAGE_SIZE)
            }),
            Work::Walk { times } => self.walk(times),
        }
    }

    fn walk(&self, times: u64) -> Result<(), Trouble> {
        let space = self.manager.linux().process(self.process).space();
        let table = space.and_then(|space| self.manager.spaces().space(space).table());
        let table = table.ok_or_else(|| Trouble::new(&"the process has no tables"))?;
        let walker = self.manager.spaces().walker(table);
        let mut cx = self.cx();
        for page in 0..times {
            let walk = walker.walk(cx.at());
            std::hint::black_box(walk.see(VirtAddr(self.base + page % WALKED * PAGE_SIZE).page()));
        }
        Ok(())
    }

    /// Tables are there, and the CPU's lists are filled, before anything is measured.
    fn warm(&self, work: Work) -> Result<(), Trouble> {
        match work {
            Work::Fault { .. } => Thread { base: self.base + GIB / 4, ..*self }.touch(1),
            Work::Walk { .. } => self.touch(WALKED).and_then(|()| self.walk(WALKED)),
            Work::Cycle { pages, touched, .. } => {
                let times = if touched == 0 { WARM } else { WARM_TOUCHING };
                self.work(Work::Cycle { pages, touched, times })
            }
        }
    }

    fn enter(&self) -> Result<(), Trouble> {
        let mut cx = self.cx();
        self.manager.linux().attach(&mut cx, self.process, self.ctx.task()).map_err(trouble)?;
        self.manager.linux().enter(&mut cx, self.process);
        Ok(())
    }

    fn leave(&self) {
        self.manager.linux().detach(&mut self.cx(), self.ctx.task());
    }

    /// Answers when it was ready, and waits for the others.
    fn wait_for_start(&self) -> Result<(), Trouble> {
        if self.ctx.now() >= START {
            return Err(Trouble::new(&"a thread was not ready in time"));
        }
        while self.ctx.now() < START {
            self.ctx.spend(Cause::User, (START - self.ctx.now()).clamp(1, 1000));
        }
        Ok(())
    }
}

/// Measures a number of CPUs.
pub(super) fn measure(cpus: u32, work: Work, policy: &Policy, profile: &Profile) -> Result<Figures, Trouble> {
    let default = SimConfig::default();
    let (caches, quantum_ns) = match work {
        Work::Walk { .. } => (CacheModel::Finite, QUANTUM_WALKING),
        _ => (default.caches, default.quantum_ns),
    };
    let config = SimConfig {
        cpus,
        caches,
        quantum_ns,
        nodes: cpus.div_ceil(PER_NODE),
        memory_bytes: 16 * GIB,
        checks: Checks::Off,
        profile: profile.clone(),
        ..default
    };
    let sim = SimMachine::new(&config).map_err(trouble)?;
    let manager = Manager::new(&sim, &policy.config()).map_err(trouble)?;
    let process = start(&sim, &manager, work, cpus)?;
    let seen = Seen::default();
    sim.restart_clock();
    sim.scope(|scope| {
        for cpu in 0..cpus {
            let (manager, seen) = (&manager, &seen);
            let body = move |ctx| {
                let base = (4 + u64::from(cpu)) * GIB;
                let done = seen.run(&Thread { manager, process, ctx, base }, work);
                seen.note(done);
            };
            scope.spawn(CpuId(cpu), body).map_err(trouble)?;
        }
        scope.run().map_err(trouble)
    })?;
    seen.figures(&sim, &manager, cpus, work)
}

/// Makes the process, and maps what is to be faulted in.
fn start(
    sim: &SimMachine,
    manager: &Manager<'_, SimMachine>,
    work: Work,
    cpus: u32,
) -> Result<Id<Process>, Trouble> {
    let made = Cell::new(None);
    sim.scope(|scope| {
        scope.spawn(CpuId(0), |ctx| made.set(Some(first(manager, ctx, work, cpus)))).map_err(trouble)?;
        scope.run().map_err(trouble)
    })?;
    made.take().unwrap_or_else(|| Err(Trouble::new(&"the first thread did not end")))
}

fn first(
    manager: &Manager<'_, SimMachine>,
    ctx: TaskCtx<'_>,
    work: Work,
    cpus: u32,
) -> Result<Id<Process>, Trouble> {
    let mut cx = manager.cx(ctx.cpu(), ctx.task());
    let process = manager.linux().first_process(&mut cx).map_err(trouble)?;
    let none = VirtAddr(0);
    let image = ExecImage { segments: &[], stack: None, break_start: 0x2000_0000, code: (none, none) };
    manager.linux().exec(&mut cx, process, None, &image).map_err(trouble)?;
    let thread = Thread { manager, process, ctx, base: 0 };
    thread.enter()?;
    if let Some(len) = work.mapped() {
        for cpu in 0..u64::from(cpus) {
            Thread { base: (4 + cpu) * GIB, ..thread }.map(len)?;
        }
    }
    thread.leave();
    Ok(process)
}

/// What the threads have to say.
#[derive(Default)]
struct Seen {
    /// Costs when the first of them began, and the kernel's counts.
    before: RefCell<Option<(RunReport, [u64; 2])>>,
    /// How long all of them took together.
    ns: Cell<u64>,
    trouble: RefCell<Option<Trouble>>,
}

fn counted(manager: &Manager<'_, SimMachine>) -> [u64; 2] {
    [Counter::TlbFlushRounds, Counter::GracePeriods].map(|counter| manager.core().total(counter))
}

impl Seen {
    fn run(&self, thread: &Thread<'_, '_>, work: Work) -> Result<(), Trouble> {
        thread.enter()?;
        thread.warm(work)?;
        thread.wait_for_start()?;
        self.before.borrow_mut().get_or_insert_with(|| (thread.ctx.sim().report(), counted(thread.manager)));
        thread.work(work)?;
        self.ns.set(self.ns.get() + (thread.ctx.now() - START));
        thread.leave();
        Ok(())
    }

    fn note(&self, done: Result<(), Trouble>) {
        if let Err(trouble) = done {
            self.trouble.borrow_mut().get_or_insert(trouble);
        }
    }

    fn figures(
        self,
        sim: &SimMachine,
        manager: &Manager<'_, SimMachine>,
        cpus: u32,
        work: Work,
    ) -> Result<Figures, Trouble> {
        if let Some(trouble) = self.trouble.into_inner() {
            return Err(trouble);
        }
        if let Some(violation) = sim.violations().first() {
            return Err(Trouble::new(violation));
        }
        let before = self.before.into_inner();
        let (before, [rounds, periods]) = before.ok_or_else(|| Trouble::new(&"nobody was measured"))?;
        let (after, [rounds_now, periods_now]) = (sim.report(), counted(manager));
        let counts = [
            ("flush_rounds", rounds_now - rounds),
            ("grace_periods", periods_now - periods),
            ("ipis", after.events.ipis - before.events.ipis),
            ("cold_lines", after.events.line_transfers - before.events.line_transfers),
        ];
        let operations = work.operations() * u64::from(cpus);
        Ok(Figures { cpus, ns: self.ns.get() as f64 / operations as f64, counts })
    }
}
