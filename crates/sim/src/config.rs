//! What machine to build, and why it may be refused.

use crate::explore::CHANNELS_MAX;
use crate::profile::{Profile, ProfileError};
use crate::violation::Violation;
use machine::mask::CPUS_MAX;
use machine::{MemoryRange, PAGE_SIZE, ReaderOrder};
use thiserror::Error;

/// How much the machine checks itself and its manager.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Checks {
    /// Nothing: for measuring.
    Off,
    /// What costs nothing to speak of: poison read or written through a translation, stale translations used.
    #[default]
    Basic,
    /// Also scans of whole TLBs at flushes and loads of spaces.
    Heavy,
}

/// How many translations a CPU keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TlbSize {
    /// This many (rounded up to a whole number of 12-way sets); the oldest of a set makes room.
    Entries(u32),
    /// All of them, until flushed: nothing stale is ever hidden by eviction.
    Unbounded,
}

/// Whether lines leave a CPU's caches by themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CacheModel {
    /// No: a line leaves only because another CPU writes it, and one that nobody had is there.
    #[default]
    Endless,
    /// Yes: a CPU keeps the `cache_lines` it touched last, and prefetching is modelled.
    Finite,
}

/// Whether user frames have bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Bytes {
    /// Yes, and what nobody gave a value is not read.
    #[default]
    Kept,
    /// No: filling and discarding frames costs its time and leaves nothing. For measuring large machines;
    /// nobody may read or write user memory.
    Ignored,
}

/// The machine to build.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// How many CPUs, 1 to 512.
    pub cpus: u32,
    /// How many nodes, 1 to 64, at most one a CPU.
    pub nodes: u32,
    /// Memory, split evenly over the nodes.
    pub memory_bytes: u64,
    /// The memory, range by range, instead of what `memory_bytes` and `movable_percent` say.
    pub ranges: Option<Vec<MemoryRange>>,
    /// How much of each node the firmware calls removable.
    pub movable_percent: u32,
    /// Varies the schedule: 0 follows the clocks exactly, another number adds jitter to the quantum.
    pub seed: u64,
    /// What events cost.
    pub profile: Profile,
    /// What CPUs' caches hold.
    pub caches: CacheModel,
    /// What user frames hold.
    pub bytes: Bytes,
    /// How many tasks may exist at a time.
    pub tasks_max: u32,
    /// What is checked.
    pub checks: Checks,
    /// Size of the TLBs.
    pub tlb: TlbSize,
    /// Who orders a lockless reader's mark before its reads.
    pub reader_order: ReaderOrder,
    /// How far (simulated ns) a CPU may get ahead of the one behind it before that one runs.
    pub quantum_ns: u64,
    /// How long (simulated ns) a task runs in user mode while others wait for its CPU.
    pub slice_ns: u64,
    /// The run is given up when the CPU furthest behind has passed this moment (simulated ns): a livelock.
    pub run_ns_max: u64,
    /// Stack of a task; committed as it is touched.
    pub stack_bytes: usize,
    /// How many channels devices have for their transfers ([`crate::TaskCtx::dma_load`]), 0 to 8. In explored
    /// runs each is an agent: transfers of one channel are made in order, those of several in any order.
    pub dma_channels: u32,
}

impl Default for SimConfig {
    fn default() -> Self {
        SimConfig {
            cpus: 4,
            nodes: 1,
            memory_bytes: 4 << 30,
            ranges: None,
            movable_percent: 0,
            seed: 0,
            profile: Profile::default(),
            caches: CacheModel::default(),
            bytes: Bytes::default(),
            tasks_max: 4096,
            checks: Checks::Basic,
            tlb: TlbSize::Entries(1536),
            reader_order: ReaderOrder::Fence,
            quantum_ns: 1_000,
            slice_ns: 1_000_000,
            run_ns_max: u64::MAX,
            stack_bytes: 256 << 10,
            dma_channels: 1,
        }
    }
}

/// Why a machine could not be built, or a run did not end well.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum SimError {
    /// The configuration makes no sense.
    #[error("{0}")]
    Config(String),
    /// The profile could not be read.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The host refused memory.
    #[error("the host gave no memory for {what}: {error}")]
    Host {
        /// What it was for.
        what: &'static str,
        /// What the host said.
        error: String,
    },
    /// As many tasks exist as the configuration allows.
    #[error("all {0} tasks exist already (tasks_max)")]
    TooManyTasks(u32),
    /// Tasks are left and none of them can ever run again.
    #[error("deadlock at {at_ns} ns:\n{}", waits.join("\n"))]
    Deadlock {
        /// The latest CPU's clock.
        at_ns: u64,
        /// One line for each task: what it waits for.
        waits: Vec<String>,
    },
    /// The run passed [`SimConfig::run_ns_max`].
    #[error("still running at {at_ns} ns:\n{}", waits.join("\n"))]
    TooLong {
        /// The clock of the CPU furthest behind.
        at_ns: u64,
        /// One line for each task: what it does.
        waits: Vec<String>,
    },
    /// An explored run passed [`crate::explore::Bounds::steps`].
    #[error("still running after {steps} steps:\n{}", waits.join("\n"))]
    Livelock {
        /// How many points it passed.
        steps: u64,
        /// One line for each task: what it does.
        waits: Vec<String>,
    },
    /// An explored run broke a rule of the machine.
    #[error("{0}")]
    Violated(Violation),
    /// A task panicked: a broken assertion in the manager or in the lab.
    #[error("task {task} panicked: {message}")]
    Panicked {
        /// The task's number.
        task: u32,
        /// The panic's message.
        message: String,
    },
    /// A task called [`crate::TaskCtx::stop`].
    #[error("stopped: {0}")]
    Stopped(String),
}

/// Frames the physical address space may span: `Pfn` has 32 bits.
const FRAMES_MAX: u64 = 1 << 32;
/// Memory ranges start at multiples of the largest buddy block.
const RANGE_FRAMES: u64 = machine::MAX_ORDER.frames();

impl SimConfig {
    /// The memory ranges, once the configuration is found sound.
    pub(crate) fn validate(&self) -> Result<Vec<MemoryRange>, SimError> {
        let fail = |what: &str| Err(SimError::Config(what.into()));
        if self.cpus == 0 || self.cpus > CPUS_MAX {
            return fail("cpus: from 1 to 512");
        }
        if self.nodes == 0 || self.nodes > 64 || self.nodes > self.cpus {
            return fail("nodes: from 1 to 64, and at most one a CPU");
        }
        if self.tasks_max == 0 || self.tasks_max > 1 << 20 {
            return fail("tasks_max: from 1 to 1048576");
        }
        if self.movable_percent > 100 {
            return fail("movable_percent: from 0 to 100");
        }
        if self.quantum_ns == 0 || self.quantum_ns > 1 << 40 || self.slice_ns > 1 << 40 {
            return fail("quantum_ns: from 1 to 2^40, slice_ns: up to 2^40");
        }
        if !(16 << 10..=1 << 30).contains(&self.stack_bytes) {
            return fail("stack_bytes: from 16 KiB to 1 GiB");
        }
        if matches!(self.tlb, TlbSize::Entries(n) if n == 0 || n > 1 << 20) {
            return fail("tlb: from 1 to 1048576 entries");
        }
        if self.dma_channels > CHANNELS_MAX {
            return fail("dma_channels: from 0 to 8");
        }
        if self.profile.costs.cpus_per_socket == 0 {
            return fail("profile: cpus_per_socket is zero");
        }
        match &self.ranges {
            Some(ranges) => self.check_ranges(ranges).map(|()| ranges.clone()),
            None => self.even_ranges(),
        }
    }

    fn even_ranges(&self) -> Result<Vec<MemoryRange>, SimError> {
        let per_node = self.memory_bytes / PAGE_SIZE / u64::from(self.nodes) / RANGE_FRAMES * RANGE_FRAMES;
        if per_node == 0 || per_node.saturating_mul(u64::from(self.nodes)) > FRAMES_MAX - RANGE_FRAMES {
            return Err(SimError::Config("memory_bytes: from 4 MiB a node to just under 16 TiB".into()));
        }
        let movable = per_node * u64::from(self.movable_percent) / 100 / RANGE_FRAMES * RANGE_FRAMES;
        let fixed = per_node - movable;
        let mut ranges = Vec::new();
        for node in 0..self.nodes {
            let start = u64::from(node) * per_node;
            for (start, frames, movable) in [(start, fixed, false), (start + fixed, movable, true)] {
                if frames != 0 {
                    let start = machine::Pfn(start as u32);
                    ranges.push(MemoryRange { start, frames, node: machine::NodeId(node as u8), movable });
                }
            }
        }
        Ok(ranges)
    }

    fn check_ranges(&self, ranges: &[MemoryRange]) -> Result<(), SimError> {
        let mut end = 0;
        for range in ranges {
            let start = u64::from(range.start.0);
            let room = range.frames <= FRAMES_MAX - RANGE_FRAMES && start + range.frames < FRAMES_MAX;
            if start < end || range.frames == 0 || !room || u32::from(range.node.0) >= self.nodes {
                return Err(SimError::Config(format!("ranges: {range:?} is empty, overlaps or has no node")));
            }
            end = start + range.frames;
        }
        if ranges.is_empty() { Err(SimError::Config("ranges: no memory".into())) } else { Ok(()) }
    }
}
