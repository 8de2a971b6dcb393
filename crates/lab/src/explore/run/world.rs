//! The little kernel that a scenario runs on: its processes, files, variables and events, and who waits.

use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering;

use freehold::Manager;
use freehold::frame::Id;
use freehold::linux::{self, FileRights, MapFile, Process};
use freehold::machine::{CpuId, Cx, FileKey, KernelFrame, Machine, PAGE_SIZE, TaskId, VirtAddr};
use freehold::object::{File, FileKind};
use sim::{Cause, Kernel, Outcome, PageFault, Signal, SimMachine, TaskCtx};

use super::super::script::{Place, ProcessName, Scenario, Step, Value, VariableName};
use super::ears::Ears;
use super::holds::Holds;
use super::judge::Judge;
use super::log::{Entry, Log, What};
use super::outcome::{Failure, Kind, Spot};
use super::shared::Shared;
use crate::policy::Policy;
use crate::watch;

/// A process of the scenario.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live {
    /// On Freehold.
    pub(super) id: Id<Process>,
    /// The number of its memory in the shadow.
    pub(super) memory: u32,
    /// Whether it has not exited.
    pub(super) is_alive: bool,
}

/// A file of the scenario.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenFile {
    pub(super) map: MapFile,
    pub(super) key: FileKey,
}

/// Who does a step: a task, as a process.
#[derive(Clone, Copy)]
pub(super) struct Actor<'s> {
    pub(super) ctx: TaskCtx<'s>,
    pub(super) process: ProcessName,
}

/// One run.
pub(super) struct World<'w> {
    pub(super) scenario: &'w Scenario,
    pub(super) sim: &'w SimMachine,
    pub(super) manager: Manager<'w, SimMachine>,
    pub(super) judge: RefCell<Judge>,
    /// By [`ProcessName`]; none before it is born.
    pub(super) processes: RefCell<Vec<Option<Live>>>,
    pub(super) files: Vec<OpenFile>,
    /// By [`super::super::script::FileName`]: whether somebody changes its size. (Linux: `i_rwsem`.)
    pub(super) resizing: RefCell<Vec<bool>>,
    pub(super) values: RefCell<Vec<Value>>,
    pub(super) happened: RefCell<Vec<bool>>,
    /// Variables that several CPUs name.
    shared: &'w [bool],
    /// Tasks that wait for something in this world.
    waiting: RefCell<Vec<(Shared, TaskId)>>,
    /// Shared memories without a name, so far.
    nameless: Cell<u64>,
    /// Frames that a shortage took.
    pub(super) taken: RefCell<Vec<KernelFrame>>,
    /// Pages that others hold.
    pub(super) holds: RefCell<Holds>,
    /// Rules that the chosen policy does not claim to keep.
    pub(super) unclaimed: Vec<oracle::Rule>,
    pub(super) failure: RefCell<Option<Failure>>,
    pub(super) log: Option<&'w RefCell<Log>>,
    /// For what the machine tells.
    pub(super) ears: Ears,
    /// Violations of the machine that were seen.
    violations: Cell<u64>,
}

impl<'w> World<'w> {
    /// The machine is set up: files are there, and the first process.
    pub(super) fn new(
        (scenario, shared): (&'w Scenario, &'w [bool]),
        sim: &'w SimMachine,
        policy: &Policy,
        log: Option<&'w RefCell<Log>>,
    ) -> Result<World<'w>, Failure> {
        let short = |what: &str| Failure::new(Kind::Misuse, format!("too little memory for {what}"));
        let manager = Manager::new(sim, &policy.config()).map_err(|_| short("the manager"))?;
        let mut judge = Judge::default();
        let mut cx = manager.cx(CpuId(0), TaskId(0));
        let mut files = Vec::with_capacity(scenario.files.len());
        for (number, file) in scenario.files.iter().enumerate() {
            let (key, size) = (FileKey(number as u64 + 1), file.pages * PAGE_SIZE);
            sim.sim_files().create(key, size);
            judge.shadow().file(key, size);
            let open = manager.linux().objects().open(cx.at(), key, FileKind::Regular, size);
            let file = open.map_err(|_| short("a file"))?;
            files.push(OpenFile { map: MapFile { file, rights: FileRights::READ | FileRights::WRITE }, key });
        }
        let id = manager.linux().first_process(&mut cx).map_err(|_| short("a process"))?;
        let mut processes = vec![None; scenario.processes.len()];
        processes[0] = Some(Live { id, memory: judge.fresh_memory(), is_alive: true });
        Ok(World {
            scenario,
            sim,
            manager,
            judge: RefCell::new(judge),
            processes: RefCell::new(processes),
            resizing: RefCell::new(vec![false; files.len()]),
            files,
            values: RefCell::new(vec![Value::Word(0); scenario.variables.len()]),
            happened: RefCell::new(vec![false; scenario.events.len()]),
            shared,
            waiting: RefCell::default(),
            nameless: Cell::new(0),
            taken: RefCell::default(),
            holds: RefCell::default(),
            unclaimed: policy.unclaimed(),
            failure: RefCell::default(),
            log,
            ears: Ears::default(),
            violations: Cell::new(0),
        })
    }

    /// The context of the manager for a task.
    pub(super) fn cx(&self, ctx: TaskCtx<'_>) -> Cx<'w, SimMachine> {
        if ctx.in_interrupt() {
            return Cx::interrupt(self.sim, self.manager.core(), ctx.cpu(), ctx.task());
        }
        self.manager.cx(ctx.cpu(), ctx.task())
    }

    /// A process that was born, dead or alive.
    pub(super) fn known(&self, process: ProcessName) -> Option<Live> {
        self.processes.borrow()[process.0]
    }

    /// The process of an actor.
    pub(super) fn live(&self, who: Actor<'_>, at: Place) -> Live {
        match self.known(who.process).filter(|live| live.is_alive) {
            Some(live) => live,
            None => self.misused(who.ctx, at, format!("{} has exited", self.name_of(who.process))),
        }
    }

    pub(super) fn name_of(&self, process: ProcessName) -> &'w str {
        &self.scenario.processes[process.0]
    }

    // ---- failing ----

    /// The run ends here.
    pub(super) fn fail(&self, ctx: TaskCtx<'_>, at: Place, failure: Failure) -> ! {
        let why = failure.text.clone();
        let spot = Some(Spot { cpu: ctx.cpu().0, at });
        self.failure.borrow_mut().get_or_insert(Failure { spot, ..failure });
        ctx.stop(why)
    }

    /// The scenario asks for what makes no sense.
    pub(super) fn misused(&self, ctx: TaskCtx<'_>, at: Place, what: String) -> ! {
        self.fail(ctx, at, Failure::new(Kind::Misuse, what))
    }

    /// What the machine itself found to be wrong since it was asked last.
    pub(super) fn violation(&self) -> Option<Failure> {
        let count = self.sim.violation_count();
        if count == self.violations.replace(count) {
            return None;
        }
        let first = self.sim.violations().into_iter().next()?;
        let stale = matches!(
            first.rule,
            sim::Rule::StaleTranslation
                | sim::Rule::KeptStale
                | sim::Rule::FlushIncomplete
                | sim::Rule::MixedSizes
                | sim::Rule::WildEntry
        );
        let (kind, rule) = match first.rule {
            sim::Rule::InterruptsOff => (Kind::Machine, "O4"),
            sim::Rule::FaultLoop => (Kind::Livelock, "O6"),
            _ if stale => (Kind::StaleTranslation, "O2"),
            _ => (Kind::Machine, "O2"),
        };
        let text = format!("{:?}: {}", first.rule, first.text);
        Some(Failure { rule: Some(rule.into()), ..Failure::new(kind, text) })
    }

    // ---- telling ----

    /// Tells of a step, if somebody listens.
    pub(super) fn tell(&self, who: Actor<'_>, what: impl FnOnce() -> What) {
        if let Some(log) = self.log {
            let process = Some(self.name_of(who.process).to_string());
            let step = self.sim.explored_steps();
            self.write_down();
            log.borrow_mut().entries.push(Entry { step, cpu: who.ctx.cpu().0, process, what: what() });
        }
    }

    /// Writes down what the machine told so far, if somebody listens.
    pub(super) fn write_down(&self) {
        if let Some(log) = self.log {
            self.ears.write_down(&mut log.borrow_mut());
        }
    }

    /// A step begins.
    pub(super) fn tell_begin(&self, who: Actor<'_>, step: &Step) {
        self.tell(who, || What::Begins(step.at, step.text.clone()));
    }

    // ---- waiting ----

    /// Waits until something in this world is so.
    pub(super) fn wait_until(
        &self,
        ctx: TaskCtx<'_>,
        (what, name): (&[Shared], &'static str),
        ready: impl Fn() -> bool,
    ) {
        loop {
            what.iter().for_each(|what| what.read(ctx));
            if ready() {
                return;
            }
            self.waiting.borrow_mut().extend(what.iter().map(|what| (*what, ctx.task())));
            ctx.wait(name);
            self.waiting.borrow_mut().retain(|waiting| waiting.1 != ctx.task());
        }
    }

    /// Something has changed: who waits for it looks again.
    pub(super) fn wake(&self, ctx: TaskCtx<'_>, what: Shared) {
        what.change(ctx);
        let waiting = self.waiting.borrow().clone();
        for (_, task) in waiting.into_iter().filter(|waiting| waiting.0 == what) {
            ctx.notify(task);
        }
    }

    /// Whoever learns something from this CPU, by a wake-up or a variable, sees all that it stored before: a
    /// wake-up is a full barrier, and x86 keeps stores in order.
    pub(super) fn settle(&self, ctx: TaskCtx<'_>) {
        self.sim.fence(ctx.cpu(), Ordering::SeqCst);
    }

    // ---- variables ----

    /// What a variable holds.
    pub(super) fn value(&self, ctx: TaskCtx<'_>, name: VariableName) -> Value {
        if self.shared[name.0] {
            Shared::Variable(name).read(ctx);
        }
        self.values.borrow()[name.0]
    }

    /// A variable gets a value.
    pub(super) fn set(&self, ctx: TaskCtx<'_>, name: VariableName, value: Value) {
        if self.shared[name.0] {
            self.settle(ctx);
            Shared::Variable(name).change(ctx);
        }
        self.values.borrow_mut()[name.0] = value;
        if self.shared[name.0] {
            self.wake(ctx, Shared::Variable(name));
        }
    }

    /// A step that touches nothing of the machine is a step all the same: another CPU may go first.
    pub(super) fn point(&self, ctx: TaskCtx<'_>) {
        ctx.spend(Cause::User, 1);
    }

    /// Waits until a process is born.
    pub(super) fn wait_for_birth(&self, ctx: TaskCtx<'_>, process: ProcessName) {
        self.wait_until(ctx, (&[Shared::Birth(process)], "a process to be born"), || {
            self.known(process).is_some()
        });
    }

    // ---- files ----

    /// How often a file is open, not counting mappings.
    pub(super) fn opens(&self, file: Id<File>) -> u64 {
        self.files.iter().filter(|open| open.map.file == file).count() as u64
    }

    /// A name in the shadow for new shared memory that has none.
    pub(super) fn next_nameless(&self, size: u64) -> FileKey {
        let key = FileKey(NAMELESS + self.nameless.get());
        self.nameless.set(self.nameless.get() + 1);
        self.judge.borrow_mut().shadow().file_zeroed(key, size);
        key
    }

    /// Tells the shadow if a fault extended a stack down to this address.
    fn note_growth(&self, ctx: TaskCtx<'_>, live: Live, addr: VirtAddr) {
        let known = || self.judge.borrow_mut().shadow().next_mapped(live.memory, addr.page());
        let grown = watch::grown_stack(&self.manager, &mut self.cx(ctx), live.id, addr, &known);
        if let Some(grown) = grown {
            self.judge.borrow_mut().grown(live.memory, grown);
        }
    }

    /// The process that a task runs.
    fn live_of(&self, task: TaskId) -> Option<Live> {
        let id = self.manager.linux().process_of(task)?;
        self.processes.borrow().iter().flatten().find(|live| live.id == id && live.is_alive).copied()
    }
}

/// Keys from here on are nameless shared memory.
const NAMELESS: u64 = 1 << 32;

impl Kernel for World<'_> {
    fn page_fault(&self, ctx: TaskCtx<'_>, fault: PageFault) -> Outcome {
        let linux = self.manager.linux();
        let Some(process) = linux.process_of(ctx.task()) else { return Outcome::Signal(Signal::Kill) };
        let answer = linux.user_fault(&mut self.cx(ctx), process, fault.addr, fault.access);
        // A stack grows before it is asked whether it allows the access.
        if let Some(live) = self.live_of(ctx.task()) {
            self.note_growth(ctx, live, fault.addr);
        }
        match answer {
            Ok(()) => Outcome::Resolved,
            Err(linux::Signal::Segv { .. }) => Outcome::Signal(Signal::Segv),
            Err(linux::Signal::Bus { .. }) => Outcome::Signal(Signal::Bus),
            Err(linux::Signal::Kill) => Outcome::Signal(Signal::Kill),
        }
    }

    fn switch_in(&self, ctx: TaskCtx<'_>, _before: Option<TaskId>) {
        match self.manager.linux().process_of(ctx.task()) {
            Some(process) => self.manager.linux().enter(&mut self.cx(ctx), process),
            None => self.manager.linux().idle(&mut self.cx(ctx)),
        }
    }
}
