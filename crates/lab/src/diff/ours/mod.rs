//! The same programs on Freehold: each slot is a task of a simulated machine of two CPUs, and the turn goes
//! from task to task as it does between the worker's processes.

mod audit;
mod calls;
mod copies;
mod files;
mod life;
mod look;
mod pipe;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use freehold::Manager;
use freehold::frame::Id;
use freehold::linux::{ExecImage, Process, Resource, Rlimit, Segment, Signal};
use freehold::machine::{CpuId, Cx, FileKey, Perms, TaskId, VirtAddr, Vpn, VpnRange};
use freehold::object::swap::SwapDevice;
use freehold::space::Overcommit;
use native::arena::{HEAP, PAGE, START};
use native::{Answer, Call, Op, SLOTS, STACK_SOFT};
use sim::{Checks, Kernel, Outcome, PageFault, SimConfig, SimMachine, TaskCtx};

use super::host::Host;
use super::known::{self, Known};
use super::native::Answers;
use super::program::{Program, Traits};
use crate::exit::Error;
use files::Files;
use pipe::Held;

pub(crate) use files::disk_contents;

/// Memory of the machine: far more than programs use.
const MEMORY: u64 = 32 << 20;
/// The same, for programs that map 2 MiB at once.
const WIDE_MEMORY: u64 = 512 << 20;
/// The swap area of programs that send pages out.
const SWAP: SwapDevice = SwapDevice::File { key: SWAP_FILE, pages: SWAP_PAGES };
const SWAP_FILE: FileKey = FileKey(9);
const SWAP_PAGES: u64 = 8192;
/// Among how many pages equal ones are looked for, at some operations of programs that ask for it.
const MERGE_PAGES: u64 = 500;
/// Pages that stand for what the worker has mapped beside the arena: no access is allowed, so they cost
/// nothing. They lie where no program looks.
const BALLAST: VpnRange = VpnRange::sized(Vpn(0x1234_5678_9000 / PAGE), 4096);
/// Simulated time no program needs.
const RUN_NS: u64 = 10_000_000_000;

/// What a program came to here.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    /// As the worker answers.
    pub(crate) answers: Answers,
    /// Operations that would meet a known difference, by number: neither side does them.
    pub(crate) dropped: BTreeSet<usize>,
    /// Which differences those were.
    pub(crate) known: Vec<Known>,
    /// Bits of answers that may differ, by number among the answers: see [`World::doubt`].
    pub(crate) doubt: BTreeMap<usize, u64>,
    /// Calls of `mremap` whose mapping Linux may not have as one, numbered alike.
    pub(crate) moves: BTreeMap<usize, Known>,
    /// Whether a mapping was placed outside of the arena first.
    pub(crate) has_landed: bool,
    /// What the oracle or the machine found to be wrong.
    pub(crate) wrong: Vec<String>,
}

/// A program that runs.
struct World<'w> {
    sim: &'w SimMachine,
    manager: Manager<'w, SimMachine>,
    host: &'w Host,
    files: Files,
    pipe: Held,
    traits: Traits,
    /// Whether what was copied between processes stopped short: Linux brought in more than it copied.
    has_stopped_short: Cell<bool>,
    ops: &'w [Op],
    next: Cell<usize>,
    turn: Cell<usize>,
    is_over: Cell<bool>,
    /// Tasks by slot.
    tasks: [Cell<Option<TaskId>>; SLOTS],
    /// The serial number of the process of each slot, and whether it lives.
    serials: [Cell<usize>; SLOTS],
    alive: [Cell<bool>; SLOTS],
    /// By serial number; `None` once waited for.
    processes: RefCell<Vec<Option<Id<Process>>>>,
    /// By serial number: the parent's.
    parents: RefCell<Vec<usize>>,
    /// By serial number: whether its memory is, or was made as, a copy of another's.
    copies: RefCell<Vec<bool>>,
    /// Why the last access failed.
    signal: Cell<Option<Signal>>,
    ran: RefCell<Ran>,
}

/// Runs a program.
///
/// # Errors
///
/// If there can be no such machine.
pub(crate) fn run(program: &Program, host: &Host) -> Result<Ran, Error> {
    let traits = Traits::of(&program.ops);
    let config = SimConfig {
        cpus: 2,
        memory_bytes: if traits.is_wide { WIDE_MEMORY } else { MEMORY },
        tasks_max: 16,
        checks: Checks::Basic,
        run_ns_max: RUN_NS,
        ..SimConfig::default()
    };
    let sim = SimMachine::new(&config).map_err(|error| Error::new(&error))?;
    let mut config = freehold::Config::default();
    config.linux.overcommit = if host.overcommit == 1 { Overcommit::Always } else { Overcommit::Heuristic };
    let manager = Manager::new(&sim, &config).map_err(|shortage| Error::new(&shortage))?;
    let files = Files::open(&manager)?;
    let pipe = Held::open(&manager)?;
    let world = World {
        sim: &sim,
        manager,
        host,
        files,
        pipe,
        traits,
        has_stopped_short: Cell::new(false),
        ops: &program.ops,
        next: Cell::new(0),
        turn: Cell::new(0),
        is_over: Cell::new(false),
        tasks: Default::default(),
        serials: Default::default(),
        alive: Default::default(),
        processes: RefCell::default(),
        parents: RefCell::new(vec![usize::MAX]),
        copies: RefCell::new(vec![false]),
        signal: Cell::new(None),
        ran: RefCell::default(),
    };
    world.prepare(program, host)?;
    let here = &world;
    let result = sim.scope(|scope| {
        for slot in 0..SLOTS {
            let cpu = CpuId(slot as u32 % 2);
            let task = scope.spawn(cpu, move |ctx| here.live(ctx, slot))?;
            here.tasks[slot].set(Some(task));
            if slot == 0 {
                here.attach_first(task);
            }
        }
        scope.run()
    });
    match result {
        // A panic, a deadlock: what was answered so far shows where.
        Err(error) => world.complain(&error.to_string()),
        Ok(_) => world.check_end(),
    }
    Ok(world.ran.into_inner())
}

impl<'w> World<'w> {
    fn cx(&self, ctx: TaskCtx<'_>) -> Cx<'w, SimMachine> {
        self.manager.cx(ctx.cpu(), ctx.task())
    }

    fn complain(&self, what: &str) {
        let wrong = &mut self.ran.borrow_mut().wrong;
        if wrong.len() < 20 {
            wrong.push(what.into());
        }
    }

    /// The first process, with its heap and what stands for the worker's own memory.
    fn prepare(&self, program: &Program, host: &Host) -> Result<(), Error> {
        let mut cx = self.manager.cx(CpuId(0), TaskId(0));
        let linux = self.manager.linux();
        let memlock = Rlimit { soft: program.memlock, hard: program.memlock };
        let stack = Rlimit { soft: STACK_SOFT.min(host.stack_max), hard: host.stack_max };
        let limits = [(Resource::Memlock, memlock), (Resource::Stack, stack)];
        let refused = |errno| Error::new(&format!("the first process: {errno}"));
        let process = linux.first_process_with(&mut cx, &limits).map_err(refused)?;
        let ballast = Segment { range: BALLAST, perms: Perms::NONE, object: None };
        if self.traits.swaps {
            self.sim.sim_files().create(SWAP_FILE, SWAP_PAGES * PAGE);
            linux.swapon(&mut cx, SWAP, None).map_err(refused)?;
        }
        let image = ExecImage {
            segments: &[ballast],
            stack: None,
            break_start: START + HEAP.0 * PAGE,
            code: (VirtAddr(0), VirtAddr(0)),
        };
        linux.exec(&mut cx, process, None, &image).map_err(refused)?;
        self.processes.borrow_mut().push(Some(process));
        self.alive[0].set(true);
        Ok(())
    }

    fn attach_first(&self, task: TaskId) {
        if let Some(Some(process)) = self.processes.borrow().first() {
            let attached =
                self.manager.linux().attach(&mut self.manager.cx(CpuId(0), TaskId(0)), *process, task);
            debug_assert!(attached.is_ok(), "nobody runs yet");
        }
    }

    /// The process of a slot.
    fn process(&self, slot: usize) -> Option<Id<Process>> {
        self.processes.borrow().get(self.serials[slot].get()).copied().flatten()
    }

    /// A task's life: it sleeps until it is its turn.
    fn live(&self, ctx: TaskCtx<'_>, me: usize) {
        loop {
            ctx.wait_until("its turn", || self.is_over.get() || self.turn.get() == me);
            if self.is_over.get() {
                return self.end(ctx, me);
            }
            self.take_turn(ctx, me);
        }
    }

    fn take_turn(&self, ctx: TaskCtx<'_>, me: usize) {
        while let Some(op) = self.ops.get(self.next.get()) {
            let whose = usize::from(op.process);
            if !self.alive[whose].get() {
                self.answer(Answer::SKIPPED);
            } else if whose != me {
                self.turn.set(whose);
                self.tasks[whose].get().into_iter().for_each(|task| ctx.notify(task));
                return;
            } else {
                self.step(ctx, me, op);
            }
        }
        self.audit("at the end");
        self.is_over.set(true);
        self.tasks.iter().filter_map(Cell::get).for_each(|task| ctx.notify(task));
    }

    fn answer(&self, answer: Answer) {
        self.ran.borrow_mut().answers.answers.push(answer);
        self.next.set(self.next.get() + 1);
    }

    fn step(&self, ctx: TaskCtx<'_>, me: usize, op: &Op) {
        if let Some(process) = self.process(me) {
            // The slot's task may run another process than before.
            self.manager.linux().enter(&mut self.cx(ctx), process);
        }
        ctx.enter_user(self);
        let known = known::before(op, self.host, &|page| self.vma_at(ctx, me, page));
        if let Some(known) = known.or_else(|| self.known_of_pages(ctx, me, op)) {
            let ran = &mut *self.ran.borrow_mut();
            ran.dropped.insert(self.next.get());
            ran.known.push(known);
            return self.next.set(self.next.get() + 1);
        }
        if op.call == Call::Mremap
            && let Some(known) = self.merged(ctx, me, (op.args[0], op.args[1]))
        {
            let ran = &mut *self.ran.borrow_mut();
            ran.moves.insert(ran.answers.answers.len(), known);
        }
        let answer = self.execute(ctx, me, op);
        self.note_store(me, op);
        let is_time = matches!(op.call, Call::Madvise | Call::Fork | Call::Wait | Call::Layout);
        if self.traits.merges && is_time {
            self.manager.linux().ksm_scan(&mut self.cx(ctx), MERGE_PAGES);
        }
        self.answer(answer);
    }
}

impl Kernel for World<'_> {
    fn page_fault(&self, ctx: TaskCtx<'_>, fault: PageFault) -> Outcome {
        let linux = self.manager.linux();
        let Some(process) = linux.process_of(ctx.task()) else { return Outcome::Signal(sim::Signal::Kill) };
        match linux.user_fault(&mut self.cx(ctx), process, fault.addr, fault.access) {
            Ok(()) => Outcome::Resolved,
            Err(signal) => {
                self.signal.set(Some(signal));
                Outcome::Signal(match signal {
                    Signal::Segv { .. } => sim::Signal::Segv,
                    Signal::Bus { .. } => sim::Signal::Bus,
                    Signal::Kill => sim::Signal::Kill,
                })
            }
        }
    }

    fn switch_in(&self, ctx: TaskCtx<'_>, _before: Option<TaskId>) {
        match self.manager.linux().process_of(ctx.task()) {
            Some(process) => self.manager.linux().enter(&mut self.cx(ctx), process),
            None => self.manager.linux().idle(&mut self.cx(ctx)),
        }
    }
}
