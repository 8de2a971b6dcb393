//! What happened, one event at a time.

use crate::{Call, Mapping, ProcessId, TaskId};

/// One thing a task did.
///
/// Events stand in the order in which they took effect, which for calls that overlap in time is
/// neither the order of their starts nor that of their ends: a call that takes memory away stands
/// at its start, one that gives memory stands at its end, so an address is always given back
/// before it is given out again. Times are kept as they were measured and need not rise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it began, in nanoseconds from the start of the recording.
    pub time_ns: u64,
    /// When it ended; the same as `time_ns` for everything that is a moment.
    pub end_ns: u64,
    /// Who did it.
    pub task: TaskId,
    /// What it was.
    pub kind: EventKind,
}

/// What an event was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The task made another task.
    Fork {
        /// The process the new task belongs to: the caller's own for a thread.
        child_process: ProcessId,
        /// The new task.
        child_task: TaskId,
        /// What becomes of the caller's memory.
        memory: ForkMemory,
    },
    /// The task's process got a new address space from `execve`.
    Exec {
        /// What Linux put into it, sorted by address, without overlaps.
        mappings: Vec<Mapping>,
        /// Where the `brk` area starts; 0 where the program never asked.
        brk_start: u64,
    },
    /// The task ended. Its process ends with its last task.
    Exit,
    /// The task made a memory call.
    Call {
        /// Which, with its arguments.
        call: Call,
        /// What it returned: a negated errno on failure.
        ret: i64,
    },
    /// The task took a page fault.
    Fault {
        /// The exact address.
        addr: u64,
        /// What the task wanted to do there.
        access: Access,
        /// Which mode the CPU was in.
        origin: Origin,
    },
    /// The task's process touched these pages since the process's event before this one.
    ///
    /// A page in `read` only was only read; a page in `written` only was written before it was
    /// ever read; a page in both was read first and written later. Doing all reads and then all
    /// writes therefore takes the same first fault on every page as the program did.
    Touch {
        /// The number of the epoch within its process, from 0.
        epoch: u32,
        /// Pages read (or executed) before any write to them.
        read: Vec<PageRun>,
        /// Pages written.
        written: Vec<PageRun>,
    },
    /// The content of a page of the task's process was seen: equal classes are equal bytes.
    ///
    /// A recorder may leave out a class that it saw in one place only: a page that was written and
    /// has no such event after it is taken for one that is like no other.
    Content {
        /// The page number (address divided by 4096).
        page: u64,
        /// The class; 0 is the page of zeros.
        class: u64,
    },
}

impl EventKind {
    /// A short name for listings.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Fork { .. } => "fork",
            Self::Exec { .. } => "exec",
            Self::Exit => "exit",
            Self::Call { .. } => "call",
            Self::Fault { .. } => "fault",
            Self::Touch { .. } => "touch",
            Self::Content { .. } => "content",
        }
    }
}

/// What a new task shares with the one that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ForkMemory {
    /// A process of its own with a copy of the memory (`fork`).
    Copied,
    /// A process of its own in the same memory until it execs or exits (`vfork`, `posix_spawn`).
    /// The caller sleeps until then.
    BorrowedUntilExec,
    /// A process of its own in the same memory (`CLONE_VM` without `CLONE_THREAD`).
    Shared,
    /// A thread of the same process.
    Thread,
}

/// What a faulting access was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Execute,
}

/// Which mode the CPU was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The program itself.
    User,
    /// The kernel, copying from or to the program's memory in a system call.
    Kernel,
}

/// Neighbouring pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PageRun {
    /// The number of the first (address divided by 4096).
    pub first_page: u64,
    /// How many there are, at least one.
    pub count: u64,
}
