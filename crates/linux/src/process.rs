//! Processes and their threads, as far as memory needs them: which space, which limits, whose child.

use crate::limits::{RESOURCES, Resource, Rlimit};
use frame::Id;
use machine::lock::Spin;
use machine::{Field, TaskId, VirtAddr, Word, level};
use space::{Limits, Space};

/// A process lives.
pub(crate) const ALIVE: u64 = 1;
/// A process has exited; its parent has not asked yet.
pub(crate) const ZOMBIE: u64 = 2;

/// The last task of a process has left it: nobody joins it any more.
pub(crate) const ENDING: u64 = 3;

machine::cells! {
    /// A process, in a slab.
    pub struct Process {
        /// 0: free. `ALIVE`, `ENDING` or `ZOMBIE`. (registry)
        pub(crate) state: Field<u64>,
        /// Its address space, of which it holds one use; none once it has exited. Changed only by its own
        /// exec and exit.
        pub(crate) space: Field<Option<Id<Space>>>,
        /// (registry) Who waits for it.
        pub(crate) parent: Field<Option<Id<Process>>>,
        /// (registry) Its youngest child.
        pub(crate) child: Field<Option<Id<Process>>>,
        /// (registry) Its oldest child.
        pub(crate) eldest: Field<Option<Id<Process>>>,
        /// (registry) The next older child of the same parent.
        pub(crate) older: Field<Option<Id<Process>>>,
        /// (registry) The next younger child of the same parent.
        pub(crate) younger: Field<Option<Id<Process>>>,
        /// (registry) One of its threads.
        pub(crate) thread: Field<Option<TaskId>>,
        /// (registry) How many threads run in it.
        pub(crate) threads: Field<u64>,
        /// (registry) How it ended, as `wait` answers it.
        pub(crate) status: Field<u64>,
        /// Counts ends of children: who waits for one parks on it.
        pub(crate) ended: Word,
        /// Non-zero while the parent that called `vfork` must wait.
        pub(crate) borrowed: Word,
        /// (own thread) Soft limits, by [`Resource`].
        pub(crate) soft: [Field<u64>; RESOURCES],
        /// (own thread) Hard limits.
        pub(crate) hard: [Field<u64>; RESOURCES],
        /// (own exec) Where the heap starts.
        pub(crate) break_start: Field<VirtAddr>,
        /// (own exec) Where the program's code starts.
        pub(crate) code_start: Field<VirtAddr>,
        /// (own exec) Where it ends.
        pub(crate) code_end: Field<VirtAddr>,
    }
}

machine::cells! {
    /// A task's place among the threads of its process.
    pub(crate) struct TaskSlot {
        /// (registry) The process it runs.
        pub(crate) process: Field<Option<Id<Process>>>,
        /// (registry) The next thread of the same process.
        pub(crate) next: Field<Option<TaskId>>,
        /// (registry) The thread before.
        pub(crate) prev: Field<Option<TaskId>>,
    }
}

machine::cells! {
    /// What one CPU translates through.
    #[repr(align(64))]
    pub(crate) struct CpuSlot {
        /// (own CPU) The space, which the CPU holds.
        pub(crate) space: Field<Option<Id<Space>>>,
    }
}

machine::cells! {
    /// What all processes share.
    pub(crate) struct Shared {
        /// Covers who is whose child and thread (registry).
        pub(crate) registry: Spin<{ level::REGISTRY }>,
        /// (registry) How many processes there are, zombies included.
        pub(crate) processes: Field<u64>,
        /// (registry) How many pages rings have pinned for programs.
        pub(crate) pinned: Field<u64>,
    }
}

impl Process {
    /// Its address space, unless it has exited.
    pub fn space(&self) -> Option<Id<Space>> {
        self.space.get()
    }

    /// How many threads run in it.
    pub fn threads(&self) -> u64 {
        self.threads.get()
    }

    /// Its parent, if that has not exited.
    pub fn parent(&self) -> Option<Id<Process>> {
        self.parent.get()
    }

    /// A limit.
    pub fn limit(&self, resource: Resource) -> Rlimit {
        Rlimit { soft: self.soft[resource as usize].get(), hard: self.hard[resource as usize].get() }
    }

    pub(crate) fn set_limit(&self, resource: Resource, limit: Rlimit) {
        self.soft[resource as usize].set(limit.soft);
        self.hard[resource as usize].set(limit.hard);
    }

    /// The soft limits, as spaces take them.
    pub fn limits(&self) -> Limits {
        let soft = |resource: Resource| self.soft[resource as usize].get();
        Limits {
            address_space: soft(Resource::AddressSpace),
            data: soft(Resource::Data),
            stack: soft(Resource::Stack),
            memlock: soft(Resource::Memlock),
        }
    }

    /// Takes over what a new process inherits.
    pub(crate) fn inherit(&self, from: &Process) {
        for resource in Resource::ALL {
            self.set_limit(resource, from.limit(resource));
        }
        self.break_start.set(from.break_start.get());
        self.code_start.set(from.code_start.get());
        self.code_end.set(from.code_end.get());
    }
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// It called `exit` with this code.
    Code(u8),
    /// A signal of this number ended it.
    Signal(u8),
}

impl Exit {
    /// As `wait` stores it.
    pub const fn status(self) -> u64 {
        match self {
            Exit::Code(code) => (code as u64) << 8,
            Exit::Signal(number) => number as u64 & 0x7f,
        }
    }

    /// From what `wait` stores.
    pub const fn from_status(status: u64) -> Exit {
        match status & 0x7f {
            0 => Exit::Code((status >> 8) as u8),
            number => Exit::Signal(number as u8),
        }
    }
}
