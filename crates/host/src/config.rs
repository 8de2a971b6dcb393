//! What machine to build, and why it may be refused.

use machine::mask::CPUS_MAX;
use machine::{CpuId, MAX_ORDER, MemoryRange, NodeId, PAGE_SIZE, Pfn, ReaderOrder};
use thiserror::Error;

/// Frames the physical address space may span: `Pfn` has 32 bits.
const FRAMES_MAX: u64 = 1 << 32;
/// Memory ranges start at multiples of the largest buddy block; the first such block is a hole, as the
/// memory of a PC begins with one.
const RANGE_FRAMES: u64 = MAX_ORDER.frames();

/// Whether user frames have bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Contents {
    /// They have: pages are really zeroed, copied, compared.
    #[default]
    Real,
    /// They have none: they read as zero, and what is written is lost. A machine may then be much larger than
    /// the host, since only descriptors and kernel frames that are used take memory.
    None,
}

/// Where the host may use huge pages of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum HugePages {
    /// Nowhere: a word that is touched takes 4 KiB of the host.
    #[default]
    Never,
    /// For descriptors.
    Memmap,
    /// For descriptors and all memory, as a kernel's direct map has them.
    All,
}

/// How much the machine checks itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Checks {
    /// Not at all: for measuring.
    #[default]
    Off,
    /// After each flush, that no target kept a translation; see [`crate::HostMachine::violations`].
    Flushes,
}

/// The machine to build.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// How many CPUs, 1 to 512. More than the host has is allowed, and slow.
    pub cpus: u32,
    /// How many nodes, 1 to 64, at most one a CPU. Nodes are equally near, whatever they say.
    pub nodes: u32,
    /// Memory, split evenly over the nodes, in whole blocks of 4 MiB.
    pub memory_bytes: u64,
    /// Whether user frames have bytes.
    pub contents: Contents,
    /// Where the host may use huge pages.
    pub huge: HugePages,
    /// Whether all memory is taken from the host at the start, so that no page fault of the host's falls into
    /// what is measured.
    pub resident: bool,
    /// Whether a thread that claims a CPU is bound to a processor of the host.
    pub pin: bool,
    /// Who pays for the order of lockless readers: grace periods, by `membarrier(2)`, or each reader, by a
    /// fence. A host that refuses the first gets the second.
    pub readers: ReaderOrder,
    /// The same for accesses of user mode: flushes, by interrupting the processors of other CPUs as hardware
    /// does, or each access, by a fence.
    pub accesses: ReaderOrder,
    /// What is checked.
    pub checks: Checks,
}

impl Default for HostConfig {
    fn default() -> Self {
        HostConfig {
            cpus: 1,
            nodes: 1,
            memory_bytes: 64 << 20,
            contents: Contents::Real,
            huge: HugePages::Never,
            resident: false,
            pin: false,
            readers: ReaderOrder::HeavyBarrier,
            accesses: ReaderOrder::HeavyBarrier,
            checks: Checks::Off,
        }
    }
}

/// Why a machine could not be built, or a CPU not be had.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum HostError {
    /// The configuration makes no sense.
    #[error("{0}")]
    Config(&'static str),
    /// The host refused something.
    #[error("the host refused {what}: {error}")]
    Host {
        /// What it was for.
        what: &'static str,
        /// What the host said.
        error: String,
    },
    /// There is no such CPU.
    #[error("there is no CPU {}", .0.0)]
    NoSuchCpu(CpuId),
    /// Another thread has the CPU.
    #[error("CPU {} is claimed", .0.0)]
    Claimed(CpuId),
}

impl HostError {
    /// What the host said last.
    pub(crate) fn last(what: &'static str) -> HostError {
        HostError::Host { what, error: std::io::Error::last_os_error().to_string() }
    }
}

impl HostConfig {
    /// The memory ranges, once the configuration is found sound.
    pub(crate) fn ranges(&self) -> Result<Vec<MemoryRange>, HostError> {
        if self.cpus == 0 || self.cpus > CPUS_MAX {
            return Err(HostError::Config("cpus: from 1 to 512"));
        }
        if self.nodes == 0 || self.nodes > 64 || self.nodes > self.cpus {
            return Err(HostError::Config("nodes: from 1 to 64, and at most one a CPU"));
        }
        if self.contents == Contents::None && self.resident {
            return Err(HostError::Config("resident: memory without contents has nothing to take"));
        }
        let per_node = self.memory_bytes / PAGE_SIZE / u64::from(self.nodes) / RANGE_FRAMES * RANGE_FRAMES;
        if per_node == 0 || per_node.saturating_mul(u64::from(self.nodes)) > FRAMES_MAX - RANGE_FRAMES {
            return Err(HostError::Config("memory_bytes: from 4 MiB a node to just under 16 TiB"));
        }
        let range = |node: u32| MemoryRange {
            start: Pfn((RANGE_FRAMES + u64::from(node) * per_node) as u32),
            frames: per_node,
            node: NodeId(node as u8),
            movable: false,
        };
        Ok((0..self.nodes).map(range).collect())
    }
}
