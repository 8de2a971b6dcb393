//! The replay itself: every task of the recording is a task of the simulated machine and
//! does its events in turn.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use freehold::Manager;
use freehold::frame::Id;
use freehold::linux::Process;
use freehold::machine::{Counter, CpuId, Cx, FileKey};
use record::{EventKind, ProcessId, Recording, TaskId};
use sim::shadow::Shadow;
use sim::{RunReport, Scope, SimError, SimMachine, TaskCtx};

use super::files::Files;
use super::ledger::SparseLedger;
use super::memories::Memories;
use super::order::Order;
use super::tally::Tally;
use super::upkeep::Upkeep;
use super::when::When;
use super::words::words;
use crate::exit::Error;
use crate::trace::{Ears, Program, Record, What};

/// A process of the recording, on Freehold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Live {
    /// On Freehold.
    pub(crate) id: Id<Process>,
    /// The number of its memory, by which the shadow knows it.
    pub(crate) shadow: u32,
    /// Whether it was killed: its events are skipped.
    pub(crate) killed: bool,
}

/// What is held against a replay.
#[derive(Debug)]
pub(crate) struct Judges {
    /// When the whole state is audited.
    pub(crate) when: When,
    /// Rules that the manager does not claim to keep under its policy.
    pub(crate) unclaimed: Vec<oracle::Rule>,
}

/// What a replay came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What was counted.
    pub(crate) tally: Tally,
    /// Loads that the shadow judged.
    pub(crate) loads: u64,
    /// Stores that it recorded.
    pub(crate) stores: u64,
}

/// One replay.
pub(crate) struct Engine<'e> {
    pub(crate) recording: &'e Recording,
    pub(crate) sim: &'e SimMachine,
    pub(crate) manager: &'e Manager<'e, SimMachine>,
    pub(crate) files: &'e Files,
    pub(crate) shadow: RefCell<Shadow>,
    pub(crate) tally: RefCell<Tally>,
    /// By the recording's number.
    pub(crate) processes: RefCell<Vec<Option<Live>>>,
    /// Who uses which memory.
    pub(crate) memories: RefCell<Memories>,
    /// By task of the machine: which process it runs. None before it is born.
    pub(crate) runs: Vec<Cell<Option<record::ProcessId>>>,
    /// By CPU and process: how many of its tasks live there.
    pub(crate) placed: RefCell<BTreeMap<(CpuId, record::ProcessId), u32>>,
    /// How many nameless shared memories there were.
    pub(crate) nameless: Cell<u64>,
    /// The oracle's memory.
    pub(crate) ledger: RefCell<SparseLedger>,
    /// Nameless shared memory by its file's number: what the shadow calls it.
    pub(crate) nameless_keys: RefCell<BTreeMap<u32, FileKey>>,
    stores: Cell<u64>,
    steps: Cell<usize>,
    events_of: Vec<Vec<u32>>,
    order: RefCell<Order>,
    waiting: RefCell<Vec<(freehold::machine::TaskId, usize)>>,
    pub(crate) judges: Judges,
    pub(crate) upkeep: Upkeep,
    progress: &'e dyn Fn(usize),
    ears: Option<&'e Ears>,
    failed: RefCell<Option<Error>>,
}

impl<'e> Engine<'e> {
    /// A replay that has not begun.
    pub(crate) fn new(
        recording: &'e Recording,
        manager: &'e Manager<'e, SimMachine>,
        (files, shadow): (&'e Files, Shadow),
        (judges, upkeep): (Judges, Upkeep),
        (progress, ears): (&'e dyn Fn(usize), Option<&'e Ears>),
    ) -> Self {
        let sim = manager.machine();
        let tasks = freehold::machine::Machine::tasks_max(sim) as usize;
        let mut events_of = vec![Vec::new(); recording.tasks.len()];
        for (number, event) in recording.events.iter().enumerate() {
            events_of[event.task.0 as usize].push(number as u32);
        }
        Engine {
            recording,
            sim,
            manager,
            files,
            shadow: RefCell::new(shadow),
            tally: RefCell::default(),
            processes: RefCell::new(vec![None; recording.processes.len()]),
            memories: RefCell::default(),
            runs: vec![Cell::new(None); tasks],
            placed: RefCell::default(),
            nameless: Cell::new(0),
            ledger: RefCell::default(),
            nameless_keys: RefCell::default(),
            stores: Cell::new(0),
            steps: Cell::new(0),
            events_of,
            order: RefCell::new(Order::new(recording)),
            waiting: RefCell::default(),
            judges,
            upkeep,
            progress,
            ears,
            failed: RefCell::default(),
        }
    }

    /// Runs it to its end.
    pub(crate) fn run(&self) -> Result<RunReport, Error> {
        let mut cx = self.manager.cx(CpuId(0), freehold::machine::TaskId(0));
        let first = self.manager.linux().first_process(&mut cx);
        let first = first.map_err(|errno| Error::new(&format!("the first process: {errno}")))?;
        self.upkeep.begin(self.manager, &mut cx, first)?;
        let shadow = self.memories.borrow_mut().fresh();
        self.processes.borrow_mut()[0] = Some(Live { id: first, shadow, killed: false });
        self.tell_space(&cx, ProcessId(0), first);
        self.shadow.borrow_mut().process(shadow);
        let result = self.sim.scope(|scope| {
            self.spawn(scope, &mut cx, TaskId(0))?;
            scope.run()
        });
        match (self.failed.take(), result) {
            (Some(error), _) => Err(error),
            (None, Ok(report)) => Ok(report),
            (None, Err(error)) => Err(Error::broken(&shortened(&error.to_string()))),
        }
    }

    /// What the replay counted.
    pub(crate) fn into_outcome(self) -> Outcome {
        let shadow = self.shadow.into_inner();
        Outcome { tally: self.tally.into_inner(), loads: shadow.loads(), stores: shadow.stores() }
    }

    /// Starts a task of the recording. It is a thread of its process before its maker does anything else.
    fn spawn<'s>(
        &'s self,
        scope: &'s Scope<'s, '_>,
        cx: &mut Cx<'e, SimMachine>,
        task: TaskId,
    ) -> Result<freehold::machine::TaskId, SimError> {
        let cpu = CpuId(task.0 % freehold::machine::Machine::cpus(self.sim));
        let process = self.recording.tasks[task.0 as usize].process;
        let born = scope.spawn(cpu, move |ctx| self.live(scope, ctx, task))?;
        if let Some(live) = self.live_process(process) {
            let attached = self.manager.linux().attach(cx, live.id, born);
            debug_assert!(attached.is_ok(), "its maker runs");
        }
        *self.placed.borrow_mut().entry((cpu, process)).or_default() += 1;
        self.runs[born.0 as usize].set(Some(process));
        self.tell(cx.cpu(), born, || Program::Born { task: task.0 });
        Ok(born)
    }

    /// A task's life: its events, each in its turn.
    fn live<'s>(&'s self, scope: &'s Scope<'s, '_>, ctx: TaskCtx<'s>, task: TaskId) {
        let runs = &self.runs[ctx.task().0 as usize];
        ctx.wait_until("its birth", || runs.get().is_some());
        for &event in &self.events_of[task.0 as usize] {
            let event = event as usize;
            self.take_turn(ctx, event);
            ctx.enter_user(self);
            self.tell_step(ctx, || Program::Begins {
                event: event as u32,
                text: words(self.recording, &self.recording.events[event].kind),
            });
            let started = self.execute(ctx, task, event);
            self.tell_step(ctx, || Program::Ends { event: event as u32 });
            match started {
                Ok(None) => {}
                Ok(Some(child)) => match self.spawn(scope, &mut self.cx(ctx), child) {
                    Ok(born) => ctx.notify(born),
                    Err(error) => self.fail(ctx, Error::new(&error).in_event(event)),
                },
                Err(error) => self.fail(ctx, error.in_event(event)),
            }
            self.upkeep.step(self.manager, &mut self.cx(ctx));
            self.end_turn(ctx, event);
        }
        runs.set(None);
        // Without an exit in the recording it is still there: its thread is not.
        self.manager.linux().detach(&mut self.cx(ctx), ctx.task());
    }

    /// Tells those who listen what a task of the program does.
    fn tell(&self, cpu: CpuId, task: freehold::machine::TaskId, program: impl FnOnce() -> Program) {
        if let Some(ears) = self.ears {
            let at_ns = freehold::machine::Machine::now(self.sim, cpu);
            let what = What::Program(program());
            ears.hear(&Record { at_ns, cpu: cpu.0, task: Some(task.0), what });
        }
    }

    /// The same for the running task.
    pub(crate) fn tell_step(&self, ctx: TaskCtx<'_>, program: impl FnOnce() -> Program) {
        self.tell(ctx.cpu(), ctx.task(), program);
    }

    /// Tells those who listen which space a process has.
    pub(crate) fn tell_space(&self, cx: &Cx<'e, SimMachine>, process: ProcessId, id: Id<Process>) {
        let spaces = self.manager.spaces();
        let space = self.manager.linux().process(id).space();
        if let Some(table) = space.and_then(|space| spaces.space(space).table()) {
            let asid = spaces.tables().get(table).domain().asid().0;
            self.tell(cx.cpu(), cx.task(), || Program::HasSpace { process: process.0, asid });
        }
    }

    /// The context of the manager for a task of the machine.
    pub(crate) fn cx(&self, ctx: TaskCtx<'_>) -> Cx<'e, SimMachine> {
        self.manager.cx(ctx.cpu(), ctx.task())
    }

    /// A process that has started.
    pub(crate) fn live_process(&self, process: record::ProcessId) -> Option<Live> {
        self.processes.borrow()[process.0 as usize]
    }

    /// A value that no store had before.
    pub(crate) fn fresh_value(&self) -> u64 {
        self.stores.set(self.stores.get() + 1);
        self.stores.get() << 8 | 0xa5
    }

    /// Ends the run with an error.
    fn fail(&self, ctx: TaskCtx<'_>, error: Error) -> ! {
        self.failed.borrow_mut().get_or_insert(error);
        ctx.stop("the replay cannot go on".into())
    }

    fn take_turn(&self, ctx: TaskCtx<'_>, event: usize) {
        let ready = || self.order.borrow().is_ready(event);
        if !ready() {
            self.waiting.borrow_mut().push((ctx.task(), event));
            ctx.wait_until("its turn", ready);
            self.waiting.borrow_mut().retain(|&(_, waiting)| waiting != event);
        }
        self.order.borrow_mut().start(event);
    }

    fn end_turn(&self, ctx: TaskCtx<'_>, event: usize) {
        let done = self.order.borrow_mut().finish(event);
        (self.progress)(done);
        if self.step() || (done == self.recording.events.len() && self.judges.when != When::Off) {
            self.order.borrow_mut().pause();
        }
        self.audit_if_quiet();
        self.wake_ready(ctx);
    }

    /// Between two accesses of an event: if an audit is due, the event stands still for it.
    pub(crate) fn breathe(&self, ctx: TaskCtx<'_>) {
        if self.step() {
            self.order.borrow_mut().pause();
        }
        if !self.order.borrow().is_paused() {
            return;
        }
        self.order.borrow_mut().stand_still();
        if self.audit_if_quiet() {
            self.wake_ready(ctx);
        } else {
            let event = usize::MAX;
            self.waiting.borrow_mut().push((ctx.task(), event));
            ctx.wait_until("an audit", || !self.order.borrow().is_paused());
            self.waiting.borrow_mut().retain(|&(task, waiting)| (task, waiting) != (ctx.task(), event));
        }
        self.order.borrow_mut().go_on();
    }

    /// Counts a step; whether an audit is due.
    fn step(&self) -> bool {
        self.steps.set(self.steps.get() + 1);
        self.judges.when.is_due(self.steps.get())
    }

    fn audit_if_quiet(&self) -> bool {
        let quiet = self.order.borrow().is_quiet();
        if quiet {
            self.audit();
            self.order.borrow_mut().resume();
        }
        quiet
    }

    /// Wakes the tasks whose turn has come.
    fn wake_ready(&self, ctx: TaskCtx<'_>) {
        let ready: Vec<_> = {
            let order = self.order.borrow();
            let waiting = self.waiting.borrow();
            waiting.iter().filter(|&&(_, event)| order.may_go(event)).map(|&(task, _)| task).collect()
        };
        for task in ready {
            ctx.notify(task);
        }
    }

    /// Does one event; answers a task that it started.
    fn execute(&self, ctx: TaskCtx<'_>, task: TaskId, number: usize) -> Result<Option<TaskId>, Error> {
        let event = &self.recording.events[number];
        let process = self.recording.tasks[task.0 as usize].process;
        let Some(live) = self.live_process(process) else { return Ok(still_born(event)) };
        if let EventKind::Exit = event.kind {
            self.exit(ctx, process, live);
            return Ok(None);
        }
        // Exec ends the other threads.
        let is_over = self.manager.linux().process_of(ctx.task()) != Some(live.id);
        if live.killed || is_over {
            return Ok(still_born(event));
        }
        match &event.kind {
            EventKind::Exec { mappings, brk_start } => self.exec(ctx, process, mappings, *brk_start)?,
            EventKind::Fork { child_process, child_task, memory } => {
                self.fork(ctx, (process, live), *child_process, *memory)?;
                return Ok(Some(*child_task));
            }
            EventKind::Call { call, ret } => self.call(ctx, (process, live), call, *ret, number)?,
            EventKind::Fault { addr, access, .. } => self.access(ctx, process, *addr, *access),
            EventKind::Touch { read, written, .. } => self.touch(ctx, process, read, written),
            EventKind::Content { page, class } => self.content(ctx, process, *page, *class),
            EventKind::Exit => {}
        }
        self.note_peaks();
        Ok(None)
    }

    fn note_peaks(&self) {
        let spaces = self.manager.spaces();
        let mut tally = self.tally.borrow_mut();
        let (mut all, mut tables, mut huge) = (0, 0, 0);
        for id in spaces.ids() {
            let stats = spaces.stats(id);
            let rss = stats.anon_rss + stats.file_rss + stats.shmem_rss;
            tally.peak_rss_one_pages = tally.peak_rss_one_pages.max(rss);
            all += rss;
            tables += stats.tables;
            huge += stats.anon_huge;
        }
        tally.peaks.look(self.manager, huge);
        tally.peak_rss_pages = tally.peak_rss_pages.max(all);
        tally.peak_tables = tally.peak_tables.max(tables);
        let core = self.manager.core();
        let frames = core.total(Counter::PgAlloc).wrapping_sub(core.total(Counter::PgFree));
        tally.peak_frames = tally.peak_frames.max(frames);
    }
}

/// A deadlock names every task; a line has room for some.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(LINE) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text.into(),
    }
}

/// The longest error.
const LINE: usize = 1000;

/// The child of a task that is over still has events, which are skipped in their turn.
fn still_born(event: &record::Event) -> Option<TaskId> {
    match event.kind {
        EventKind::Fork { child_task, .. } => Some(child_task),
        _ => None,
    }
}
