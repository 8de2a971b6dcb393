//! The Linux system on top of one manager: its processes and what every call has in common.

use crate::config::Config;
use crate::errno::{Call, Errno, errno};
use crate::pipe::Pipe;
use crate::process::{CpuSlot, Process, Shared, TaskSlot};
use crate::ring::{Chunk, Ring};
use balance::{Balance, Policy};
use fault::Faults;
use frame::{Frames, Id, Slab, SlabView};
use machine::{Boot, Cx, Machine, Shortage, level};
use object::Objects;
use space::{Error, Space, Spaces};

/// Processes, their calls and their faults.
///
/// Calls take the context of the task that makes them and the process it runs. Arguments are what programs
/// pass: any bits. A call either succeeds or answers Linux's errno, and then has changed nothing, except
/// where Linux does too (`mprotect`, `mlock`, `madvise` and `msync` keep what they did before the first
/// hole).
///
/// What the kernel around promises: a task calls for its own process; `exec` and `exit` of a process come
/// after its other tasks have stopped.
pub struct Linux<'m, M: Machine> {
    pub(crate) faults: Faults<'m, M>,
    pub(crate) balance: Balance<'m>,
    pub(crate) processes: Slab<'m, M, Process>,
    pub(crate) pipes: Slab<'m, M, Pipe>,
    pub(crate) rings: Slab<'m, M, Ring>,
    pub(crate) chunks: Slab<'m, M, Chunk>,
    pub(crate) tasks: &'m [TaskSlot],
    pub(crate) cpus: &'m [CpuSlot],
    pub(crate) shared: &'m Shared,
    pub(crate) config: Config,
}

/// What the system needs of boot memory, laid out before the frames are handed to the zones.
pub struct Layout<'m, M: Machine> {
    balance: Balance<'m>,
    processes: Slab<'m, M, Process>,
    pipes: Slab<'m, M, Pipe>,
    rings: Slab<'m, M, Ring>,
    chunks: Slab<'m, M, Chunk>,
    tasks: &'m [TaskSlot],
    cpus: &'m [CpuSlot],
    shared: &'m Shared,
}

impl<'m, M: Machine> Layout<'m, M> {
    /// Takes boot memory: a place for every task of the machine.
    pub fn new(boot: &Boot<'m, M>) -> Result<Self, Shortage> {
        Ok(Layout {
            balance: Balance::new(boot)?,
            processes: Slab::new(boot)?,
            pipes: Slab::new(boot)?,
            rings: Slab::new(boot)?,
            chunks: Slab::new(boot)?,
            tasks: boot.array(boot.machine().tasks_max() as usize)?,
            cpus: boot.array(boot.machine().cpus() as usize)?,
            shared: &boot.array::<Shared>(1)?[0],
        })
    }
}

impl<'m, M: Machine> Linux<'m, M> {
    /// A system without processes.
    pub fn new(layout: Layout<'m, M>, faults: Faults<'m, M>, config: Config) -> Self {
        let Layout { balance, processes, pipes, rings, chunks, tasks, cpus, shared } = layout;
        faults.spaces().set_overcommit(config.overcommit);
        faults.spaces().set_huge_pages(config.huge_pages);
        balance.set_swappiness(config.swappiness);
        Linux { faults, balance, processes, pipes, rings, chunks, tasks, cpus, shared, config }
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What to do about shortage from now on. For tests that fail allocations; a running system keeps one
    /// policy.
    pub fn set_shortage_policy(&mut self, policy: Policy) {
        self.config.shortage = policy;
    }

    /// Address spaces.
    pub fn spaces(&self) -> &Spaces<'m, M> {
        self.faults.spaces()
    }

    /// Faults.
    pub fn faults(&self) -> &Faults<'m, M> {
        &self.faults
    }

    /// Files and reverse maps.
    pub fn objects(&self) -> &Objects<'m, M> {
        self.spaces().objects()
    }

    /// Frames.
    pub fn frames(&self) -> &Frames<'m, M> {
        self.spaces().frames()
    }

    /// Shortage and the OOM killer.
    pub fn balance(&self) -> &Balance<'m> {
        &self.balance
    }

    /// A process.
    pub fn process(&self, id: Id<Process>) -> &'m Process {
        self.processes.get(id)
    }

    /// All processes, zombies included, on a quiet machine.
    pub fn all_processes(&self) -> impl Iterator<Item = Id<Process>> + '_ {
        self.processes.ids()
    }

    /// Where processes are described: for checkers of a quiet machine.
    pub fn slab_view(&self) -> &dyn SlabView {
        &self.processes
    }

    /// The address space of a process that has not exited.
    pub(crate) fn space_of(&self, process: Id<Process>) -> Result<Id<Space>, Errno> {
        self.process(process).space.get().ok_or(Errno::ESRCH)
    }

    /// Whether the space's processes are to die.
    pub(crate) fn is_killed(&self, cx: &Cx<'m, M>, space: Id<Space>) -> bool {
        self.spaces().space(space).is_killed(cx)
    }

    /// Runs an operation on the process's space, reclaiming while it meets shortage; what it answers
    /// becomes an errno.
    pub(crate) fn run<T>(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        call: Call,
        mut op: impl FnMut(&mut Cx<'m, M, { level::PROCESS }>, Id<Space>) -> Result<T, Error>,
    ) -> Result<T, Errno> {
        let space = self.space_of(process)?;
        self.bring_limits(cx, process, space);
        self.with_memory(cx, Some(space), call, |cx| op(cx, space))
    }

    /// LINUX: rlimit(): the limits are the calling process's, also where others share its memory. (Two of
    /// them with different limits that call at one moment may meet each other's.)
    pub(crate) fn bring_limits(&self, cx: &mut Cx<'m, M>, process: Id<Process>, space: Id<Space>) {
        let limits = self.process(process).limits();
        if self.spaces().space(space).limits() != limits {
            self.spaces().set_limits(cx.at(), space, &limits);
        }
    }

    /// The same for an operation on no space in particular.
    pub(crate) fn with_memory<T>(
        &self,
        cx: &mut Cx<'m, M>,
        space: Option<Id<Space>>,
        call: Call,
        op: impl FnMut(&mut Cx<'m, M, { level::PROCESS }>) -> Result<T, Error>,
    ) -> Result<T, Errno> {
        self.balance
            .with_memory(cx, self.spaces(), space, self.config.shortage, op)
            .map_err(|error| errno(call, error))
    }
}
