//! The machine's parts.

use crate::arena::Mapping;
use crate::barrier::Barrier;
use crate::config::{Checks, Contents, HostConfig, HostError, HugePages};
use crate::cpu::Cpu;
use crate::files::HostFiles;
use crate::task::Parker;
use machine::{CpuId, KernelFrame, MemoryRange, PAGE_SIZE, Word};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Words of a descriptor.
pub(crate) const DESCRIPTOR_WORDS: u64 = 4;
/// Words of a frame.
pub(crate) const FRAME_WORDS: u64 = PAGE_SIZE / 8;
/// Violations that are kept.
const VIOLATIONS_MAX: usize = 20;

/// The machine.
pub struct HostMachine {
    /// All frames, from number 0.
    pub(crate) frames: Mapping,
    pub(crate) memmap: Mapping,
    pub(crate) ranges: Vec<MemoryRange>,
    pub(crate) nodes: u32,
    /// The frame behind the last.
    pub(crate) end: u64,
    pub(crate) contents: Contents,
    pub(crate) cpus: Box<[Cpu]>,
    /// Of readers: epochs, and interrupts that are off.
    pub(crate) readers: Barrier,
    /// Of accesses of user mode.
    pub(crate) accesses: Barrier,
    pub(crate) parkers: Box<[Parker]>,
    pub(crate) stored: HostFiles,
    pub(crate) started: Instant,
    pub(crate) pin: bool,
    pub(crate) checks: Checks,
    /// How many flushes began, if they are checked.
    pub(crate) flushes: AtomicU64,
    violations: Mutex<Vec<String>>,
}

impl HostMachine {
    /// Builds a machine. Its memory is the host's, taken as it is touched.
    pub fn new(config: &HostConfig) -> Result<HostMachine, HostError> {
        let ranges = config.ranges()?;
        let end = ranges.iter().map(|range| u64::from(range.start.0) + range.frames).max().unwrap_or(0);
        let frames = Mapping::new(end * PAGE_SIZE, "memory")?;
        let memmap = Mapping::new(end * DESCRIPTOR_WORDS * 8, "frame descriptors")?;
        frames.advise_huge(config.huge == HugePages::All);
        memmap.advise_huge(config.huge != HugePages::Never);
        if config.resident {
            frames.populate("memory")?;
            memmap.populate("frame descriptors")?;
        }
        Ok(HostMachine {
            frames,
            memmap,
            ranges,
            nodes: config.nodes,
            end,
            contents: config.contents,
            cpus: (0..config.cpus).map(|_| Cpu::new(config.checks)).collect(),
            readers: Barrier::register(config.readers),
            accesses: Barrier::register(config.accesses),
            parkers: (0..config.cpus).map(|_| Parker::default()).collect(),
            stored: HostFiles::default(),
            started: Instant::now(),
            pin: config.pin,
            checks: config.checks,
            flushes: AtomicU64::new(0),
            violations: Mutex::default(),
        })
    }

    /// One word of a kernel frame, for walks: `None` past the end of memory.
    #[inline]
    pub(crate) fn table_word(&self, table: KernelFrame, index: u64) -> Option<&Word> {
        self.frames.words().get((u64::from(table.0.0) * FRAME_WORDS + index) as usize)
    }

    /// Whether a frame is one of the machine's.
    #[inline]
    pub(crate) fn exists(&self, frame: u64) -> bool {
        frame < self.end
    }

    /// Notes that something is wrong.
    #[cold]
    pub(crate) fn violate(&self, what: String) {
        let mut violations = self.violations.lock().unwrap_or_else(PoisonError::into_inner);
        if violations.len() < VIOLATIONS_MAX {
            violations.push(what);
        }
    }

    /// What was found wrong with the machine's use: translations that outlived a flush, entries that lead
    /// past the end of memory. At most 20.
    pub fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    #[inline]
    pub(crate) fn cpu(&self, cpu: CpuId) -> &Cpu {
        &self.cpus[cpu.0 as usize]
    }
}
