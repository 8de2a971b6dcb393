//! Random programs: threads and processes that change, load and store in the same few pages at the same time.
//!
//! ```text
//!   slots     36 pages around a 2 MiB boundary, 3 a slot; slot n belongs to thread n % 4, neighbours to
//!             different threads
//!   commons   private memory and a private file: a word of every page for each thread
//!   shared    a shared file and shared memory: a word of every page for each task there ever was
//!   stack     grows under all threads
//!   heap      of thread 0
//!   chaos     around another 2 MiB boundary: everybody does anything
//! ```
//! What is free of races is compared with the [`model`](crate::model); of the rest the machine, the oracle
//! and the count of what is left judge.

mod chaos;
mod family;
mod slots;
mod words;

use crate::dice::Dice;
use crate::model::{Log, Space, State, THREADS};
use crate::world::*;
use freehold::frame::Id;
use freehold::linux::{Cloned, ExecImage, MapFile, Process};
use freehold::machine::{CpuId, FileKey, VirtAddr, Vpn, VpnRange};
use sim::{Cause, Scope, Signal, TaskCtx};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

const EDGE: u64 = 0x1_0200;
const SLOTS: u64 = EDGE - 18;
const SLOT_PAGES: u64 = 3;
const SLOTS_LEN: u64 = 12;
const COMMONS: u64 = EDGE + 100;
const COMMONS_ANON: u64 = 4;
const COMMONS_FILE: u64 = 4;
const SHARED_FILE: u64 = EDGE + 120;
const SHARED_FILE_PAGES: u64 = 8;
const SHARED_MEMORY: u64 = EDGE + 140;
const SHARED_MEMORY_PAGES: u64 = 4;
const STACK: u64 = EDGE + 2050;
const STACK_PAGES: u64 = 2;
const STACK_MOST: u64 = 24;
const CHAOS: u64 = EDGE + 506;
const CHAOS_PAGES: u64 = 12;
const HEAP: u64 = 0x2000_0000;

const A: u64 = 1;
const F: u64 = 2;
const G: u64 = 3;
const FILE_PAGES: u64 = 64;
const CUT_PAGES: u64 = 16;
/// Pages of shared memory are named so in the table of shared words.
const MEMORY: u64 = 1000;

/// What a program may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Plan {
    pub(crate) shape: Shape,
    pub(crate) tasks: u32,
    pub(crate) ops: u64,
    pub(crate) seed: u64,
    /// Operations of each kind are left out if its bit is not set: to find out which matter.
    pub(crate) kinds: u32,
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.seed == other.seed
    }
}
impl Eq for Shape {}

/// One program.
struct Program<'w, 'm> {
    world: &'w World<'m>,
    plan: Plan,
    a: MapFile,
    f: MapFile,
    g: MapFile,
    uids: Cell<u64>,
    values: Cell<u64>,
    /// What each task stored last to its word of each shared page.
    shared: RefCell<HashMap<(u64, u64), u64>>,
    /// What each task saw last of others' words.
    met: RefCell<HashMap<(u64, u64, u64), u64>>,
    cutting: Cell<bool>,
    // Pauses for audits.
    live: Cell<u32>,
    paused: Cell<u32>,
    pause: Cell<bool>,
    waiting: RefCell<Vec<freehold::machine::TaskId>>,
    done: Cell<u64>,
    trace: bool,
}

/// A task of it.
struct Task {
    process: Id<Process>,
    space: Rc<RefCell<Space>>,
    thread: usize,
    uid: u64,
    dice: Dice,
    /// Whether its process has the commons, the shared pages and the stack.
    native: Cell<bool>,
    /// Pages of the heap, if it is this thread's.
    heap: Cell<u64>,
}

/// Runs a program; answers how many operations it did.
pub(crate) fn run(plan: Plan) -> Result<u64, String> {
    let sim = plan.shape.machine();
    let world = World::new(&sim);
    let (a, f, g) = (world.file(A, FILE_PAGES), world.file(F, FILE_PAGES), world.file(G, CUT_PAGES));
    let program = Program {
        world: &world,
        plan,
        a,
        f,
        g,
        uids: Cell::new(0),
        values: Cell::new(0),
        shared: RefCell::default(),
        met: RefCell::default(),
        cutting: Cell::new(false),
        live: Cell::new(0),
        paused: Cell::new(0),
        pause: Cell::new(false),
        waiting: RefCell::default(),
        done: Cell::new(0),
        trace: std::env::var_os("FREEHOLD_STRESS_TRACE").is_some(),
    };
    let result = sim.scope(|scope| {
        let program = &program;
        program.live.set(1);
        scope.spawn(CpuId(0), move |ctx| program.first(scope, ctx))?;
        scope.run()
    });
    if let Err(error) = result {
        let wrong = world.verdict().err().unwrap_or_default();
        return Err(format!("{error}\n{wrong}\n{:?}", sim.violations()));
    }
    world.assert_empty();
    program.check_file();
    world.verdict().map(|()| program.done.get())
}

/// The word that stands for a page: by its place in its slot, so that it moves with it.
fn word_of(page: u64) -> u64 {
    page * P + 8 * (100 + 7 * (page.wrapping_sub(SLOTS) % SLOT_PAGES))
}

impl<'w, 'm> Program<'w, 'm> {
    fn fresh(&self, uid: u64) -> u64 {
        self.values.set(self.values.get() + 1);
        uid << 40 | self.values.get() << 8 | 0xa5
    }

    fn file_word(&self, key: u64, page: u64, addr: u64) -> u64 {
        self.world.sim.sim_files().word(FileKey(key), page, (addr % P / 8) as usize)
    }

    /// Tells what happens, if asked to.
    fn trace(&self, ctx: TaskCtx<'_>, task: &Task, what: impl FnOnce() -> String) {
        if self.trace {
            let Task { uid, thread, process, .. } = task;
            println!(
                "{:>9} cpu {} task {uid} thread {thread} of {process:?}: {}",
                ctx.now(),
                ctx.cpu().0,
                what()
            );
        }
    }

    fn complain(&self, task: &Task, what: String) {
        self.world.complain(format!("task {} (thread {}): {what}", task.uid, task.thread));
    }

    // ---- beginning ----

    fn first<'s>(&'s self, scope: &'s Scope<'s, '_>, ctx: TaskCtx<'s>) {
        let (world, linux) = (self.world, self.world.linux());
        let process = linux.first_process(&mut world.cx(ctx)).expect("a process");
        linux.attach(&mut world.cx(ctx), process, ctx.task()).expect("a task");
        let image =
            ExecImage { segments: &[], stack: None, break_start: HEAP, code: (VirtAddr(0), VirtAddr(0)) };
        linux.exec(&mut world.cx(ctx), process, Some(ctx.task()), &image).expect("an empty program");
        let space = Rc::new(RefCell::new(Space::default()));
        let map = |page: u64, pages: u64, flags: u64, file: Option<(&MapFile, u64)>| {
            let made = world.mmap(ctx, process, (page * P, pages), (RW, flags | FIXED), file);
            assert_eq!(made, Ok(page * P));
        };
        map(COMMONS, COMMONS_ANON, PRIVATE | ANON, None);
        map(COMMONS + COMMONS_ANON, COMMONS_FILE, PRIVATE, Some((&self.a, 40)));
        map(SHARED_FILE, SHARED_FILE_PAGES, SHARED, Some((&self.f, 0)));
        map(SHARED_MEMORY, SHARED_MEMORY_PAGES, SHARED | ANON, None);
        map(STACK, STACK_PAGES, PRIVATE | ANON | GROWSDOWN, None);
        for thread in 0..THREADS {
            for page in 0..COMMONS_ANON + COMMONS_FILE {
                let place = commons_word(page, thread);
                let value = match page.checked_sub(COMMONS_ANON) {
                    Some(of_file) => self.file_word(A, 40 + of_file, place),
                    None => 0,
                };
                space.borrow_mut().end(place, State::Private { value, base: value, prot: RW });
            }
            for page in STACK + STACK_PAGES - STACK_MOST..STACK + STACK_PAGES {
                let place = page * P + 8 * thread as u64;
                space.borrow_mut().end(place, State::Private { value: 0, base: 0, prot: RW });
            }
        }
        let mut dice = Dice::new(self.plan.seed);
        for thread in 1..self.plan.tasks as usize {
            let cpu = CpuId(thread as u32 % self.plan.shape.cpus);
            self.start(scope, ctx, cpu, (process, space.clone(), thread, true), &mut dice, None);
        }
        space.borrow_mut().taken[0] = true;
        let task = Task {
            process,
            space,
            thread: 0,
            uid: self.next_uid(),
            dice,
            native: Cell::new(true),
            heap: Cell::new(0),
        };
        self.live(scope, ctx, task);
    }

    fn next_uid(&self) -> u64 {
        self.uids.set(self.uids.get() + 1);
        self.uids.get()
    }

    /// Starts a task. `logs`: it is the first of a fork's child, and judges the copy.
    fn start<'s>(
        &'s self,
        scope: &'s Scope<'s, '_>,
        ctx: TaskCtx<'s>,
        cpu: CpuId,
        (process, space, thread, native): (Id<Process>, Rc<RefCell<Space>>, usize, bool),
        dice: &mut Dice,
        logs: Option<(Vec<Log>, u64)>,
    ) {
        space.borrow_mut().taken[thread] = true;
        let heap = logs.as_ref().map_or(0, |(_, heap)| *heap);
        let task = Task {
            process,
            space,
            thread,
            uid: self.next_uid(),
            dice: Dice::new(dice.next()),
            native: Cell::new(native),
            heap: Cell::new(heap),
        };
        self.live.set(self.live.get() + 1);
        let spawned = scope.spawn(cpu, move |ctx| {
            while self.world.linux().process_of(ctx.task()).is_none() {
                ctx.spend(Cause::User, 50);
            }
            if let Some((logs, _)) = &logs {
                self.judge_copy(ctx, &task, logs);
                if native {
                    // The copy may have been made while they were narrowed.
                    let pages = COMMONS_ANON + COMMONS_FILE;
                    self.world.mprotect(ctx, task.process, COMMONS * P, pages, RW);
                }
            }
            self.live(scope, ctx, task);
        });
        let number = spawned.expect("room for a task");
        self.world.linux().attach(&mut self.world.cx(ctx), process, number).expect("free");
    }

    // ---- running ----

    fn live<'s>(&'s self, scope: &'s Scope<'s, '_>, ctx: TaskCtx<'s>, mut task: Task) {
        for _ in 0..self.plan.ops {
            self.done.set(self.done.get() + 1);
            if self.world.wrong.borrow().len() > 3 {
                break;
            }
            ctx.enter_user(self.world);
            self.step(scope, ctx, &mut task);
            if task.dice.one_in(60) {
                self.pause.set(true);
            }
            self.rest(ctx);
            if task.dice.one_in(80) {
                break;
            }
        }
        task.space.borrow_mut().taken[task.thread] = false;
        self.trace(ctx, &task, || "exits".into());
        self.world.exit(ctx);
        self.live.set(self.live.get() - 1);
        self.audit_if_all_rest(ctx);
    }

    /// Stands still while an audit is due.
    fn rest(&self, ctx: TaskCtx<'_>) {
        if !self.pause.get() {
            return;
        }
        self.paused.set(self.paused.get() + 1);
        if !self.audit_if_all_rest(ctx) {
            self.waiting.borrow_mut().push(ctx.task());
            ctx.wait_until("an audit", || !self.waiting.borrow().contains(&ctx.task()));
        }
    }

    fn audit_if_all_rest(&self, ctx: TaskCtx<'_>) -> bool {
        let all = self.pause.get() && self.live.get() == self.paused.get();
        if all {
            self.world.audit("in between");
            self.pause.set(false);
            self.paused.set(0);
            let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
            for task in waiting {
                ctx.notify(task);
            }
        }
        all
    }

    fn step<'s>(&'s self, scope: &'s Scope<'s, '_>, ctx: TaskCtx<'s>, task: &mut Task) {
        let kind = match task.dice.below(100) {
            0..32 => 0,
            32..47 => 1,
            47..67 => 2,
            67..75 => 3,
            75..79 => 4,
            79..83 => 5,
            83..86 => 6,
            86..95 => 7,
            95..97 => 8,
            97 => 9,
            98 => 10,
            _ => 11,
        };
        if self.plan.kinds & 1 << kind == 0 {
            return ctx.spend(Cause::User, 300);
        }
        self.trace(ctx, task, || format!("operation {kind}"));
        match kind {
            0 => self.use_slot(ctx, task),
            1 => self.change_slot(ctx, task),
            2 if task.native.get() => self.use_commons(ctx, task),
            3 if task.native.get() => self.use_shared(ctx, task),
            4 if task.native.get() => self.narrow_commons(ctx, task),
            5 if task.native.get() => self.use_stack(ctx, task),
            6 => self.use_heap(ctx, task),
            7 => self.chaos(ctx, task),
            8 => self.fork(scope, ctx, task),
            9 => self.share(scope, ctx, task),
            10 => self.cut(ctx, task),
            11 => self.world.reclaim(ctx),
            _ => {}
        }
    }
}

/// The word of a page of the commons that is a thread's.
fn commons_word(page: u64, thread: usize) -> u64 {
    (COMMONS + page) * P + 8 * thread as u64
}

/// Whose word of the commons or the stack a place is; pages are no words.
fn thread_of_word(place: u64) -> Option<usize> {
    (place >= SLOTS * P).then_some((place % P / 8) as usize)
}

/// A word of the shared file that nobody stored.
fn sim_word(page: u64, uid: u64) -> u64 {
    thread_local!(static FILES: sim::SimFiles = {
        let files = sim::SimFiles::default();
        files.create(FileKey(F), FILE_PAGES * P);
        files
    });
    FILES.with(|files| files.word(FileKey(F), page, uid as usize))
}

/// Whether a load may find this in that state.
fn agrees(state: &State, found: Result<u64, Signal>) -> bool {
    match *state {
        State::Unmapped => found == Err(Signal::Segv),
        State::Private { prot: 0, .. } | State::Shared { prot: 0, .. } => found == Err(Signal::Segv),
        State::Private { value, .. } => found == Ok(value),
        State::Shared { .. } => found.is_ok(),
    }
}
