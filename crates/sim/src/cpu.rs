//! One simulated CPU, and one task: what the scheduler knows of them.

use crate::config::TlbSize;
use crate::fiber::Fiber;
use crate::tlb::Tlb;
use machine::{Asid, CpuId, FlushScope, KernelFrame, TaskId};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};

/// What a CPU is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Activity {
    /// No task has it.
    Idle,
    /// Its task goes on as soon as it is chosen.
    Running,
    /// Its task waits until somebody writes a word.
    Spinning {
        /// The word's number in kernel memory, or its address if it is not in it.
        word: u64,
        /// What the word held.
        seen: u64,
    },
    /// Its task waits for other CPUs to answer its interrupts.
    Asking,
}

/// What a handler interrupted: a task, or an idle CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Interrupted {
    pub(crate) task: Option<TaskId>,
    pub(crate) activity: Activity,
}

/// What an interrupt is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asks {
    /// To drop these translations; and the number of the flush.
    Flush(FlushScope, u64),
    /// To pass a full fence, as every interrupt does.
    Fence,
}

/// A request on its way to a CPU.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    /// When the target can see it.
    pub(crate) arrival: u64,
    /// Decides between interrupts that arrive together.
    pub(crate) sequence: u64,
    /// Who waits for the answer.
    pub(crate) from: CpuId,
    pub(crate) asks: Asks,
    /// The step that sent it, in explored runs.
    pub(crate) event: u32,
}

/// A store on its way to memory, in explored runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Store {
    /// The word's number.
    pub(crate) number: u64,
    pub(crate) value: u64,
    /// The step that made it.
    pub(crate) event: u32,
}

/// A CPU.
pub(crate) struct Cpu {
    pub(crate) number: u32,
    /// Its clock while another CPU is being simulated.
    pub(crate) clock: Cell<u64>,
    pub(crate) activity: Cell<Activity>,
    /// The task that has it.
    pub(crate) task: Cell<Option<TaskId>>,
    /// The task that had it last.
    pub(crate) last: Cell<Option<TaskId>>,
    /// The task whose user side was last made ready here (its space was activated).
    pub(crate) user: Cell<Option<TaskId>>,
    pub(crate) irq_on: Cell<bool>,
    /// Ascending by arrival.
    pub(crate) pending: RefCell<Vec<Interrupt>>,
    /// Tasks that can run here: when they became ready, in which order, which.
    pub(crate) ready: RefCell<BTreeSet<(u64, u64, TaskId)>>,
    /// The end of the running task's slice of user time.
    pub(crate) slice_end: Cell<u64>,
    pub(crate) root: Cell<Option<(KernelFrame, Asid)>>,
    pub(crate) tlb: RefCell<Tlb>,
    /// CPUs that have not answered yet.
    pub(crate) unanswered: Cell<u32>,
    /// When the last answer came.
    pub(crate) answered_at: Cell<u64>,
    /// A task that interrupts this CPU once, in explored runs: see [`crate::Scope::interrupt`].
    pub(crate) handler: Cell<Option<TaskId>>,
    /// What the handler interrupted, while it runs.
    pub(crate) interrupted: Cell<Option<Interrupted>>,
    /// Whether a handler was given: the search asks where it comes.
    pub(crate) handles: Cell<bool>,
    /// Stores that have not reached memory, in explored runs.
    pub(crate) stores: RefCell<VecDeque<Store>>,
}

impl Cpu {
    pub(crate) fn new(number: u32, size: TlbSize) -> Cpu {
        Cpu {
            number,
            clock: Cell::new(0),
            activity: Cell::new(Activity::Idle),
            task: Cell::new(None),
            last: Cell::new(None),
            user: Cell::new(None),
            irq_on: Cell::new(true),
            pending: RefCell::default(),
            ready: RefCell::default(),
            slice_end: Cell::new(0),
            root: Cell::new(None),
            tlb: RefCell::new(Tlb::new(size)),
            unanswered: Cell::new(0),
            answered_at: Cell::new(0),
            handler: Cell::new(None),
            interrupted: Cell::new(None),
            handles: Cell::new(false),
            stores: RefCell::default(),
        }
    }

    /// Forgets tasks and requests, at the end of a scope.
    pub(crate) fn reset_tasks(&self) {
        self.activity.set(Activity::Idle);
        self.task.set(None);
        self.last.set(None);
        self.user.set(None);
        self.irq_on.set(true);
        self.pending.borrow_mut().clear();
        self.ready.borrow_mut().clear();
        self.unanswered.set(0);
        self.handler.set(None);
        self.interrupted.set(None);
        self.handles.set(false);
        self.stores.borrow_mut().clear();
    }

    /// Whether the handler can interrupt it now.
    pub(crate) fn can_be_handled(&self) -> bool {
        let stands = matches!(self.activity.get(), Activity::Running | Activity::Idle);
        stands && self.irq_on.get() && self.handler.get().is_some()
    }

    /// When the next interrupt can be taken.
    pub(crate) fn interrupt_at(&self) -> u64 {
        match self.irq_on.get() {
            true => self.pending.borrow().first().map_or(u64::MAX, |interrupt| interrupt.arrival),
            false => u64::MAX,
        }
    }

    /// When it has something to do next; `u64::MAX` if it has nothing.
    pub(crate) fn next(&self) -> u64 {
        let work = match self.activity.get() {
            Activity::Running => 0,
            Activity::Idle => self.ready.borrow().first().map_or(u64::MAX, |ready| ready.0),
            Activity::Spinning { .. } | Activity::Asking => u64::MAX,
        };
        match work.min(self.interrupt_at()) {
            u64::MAX => u64::MAX,
            at => at.max(self.clock.get()),
        }
    }
}

/// What a task is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TaskState {
    /// Nobody has this number.
    Free,
    /// In a CPU's queue, or on the CPU.
    Runnable,
    /// In [`machine::Machine::park`].
    Parked,
    /// In [`crate::TaskCtx::wait`].
    Waiting,
    /// In [`crate::TaskCtx::dma_wait`].
    Transferring,
    /// Until a moment: in a CPU's queue, to be ready then.
    Sleeping,
}

/// A task.
pub(crate) struct Task {
    /// Absent while it runs, and when the number is free.
    pub(crate) fiber: Option<Fiber>,
    pub(crate) cpu: u32,
    pub(crate) state: TaskState,
    /// Somebody called `unpark` since the last `park`.
    pub(crate) park_token: bool,
    /// Somebody called `notify` since the last `wait`.
    pub(crate) wait_token: bool,
    /// Why it sleeps, or what it does, in words for the deadlock report.
    pub(crate) what: &'static str,
    /// The step that made it ready, in explored runs.
    pub(crate) woken_by: u32,
}

impl Task {
    pub(crate) fn free() -> Task {
        Task {
            fiber: None,
            cpu: 0,
            state: TaskState::Free,
            park_token: false,
            wait_token: false,
            what: "",
            woken_by: 0,
        }
    }
}
