//! A machine made of this process: memory that exists once it is touched, CPUs that are threads of the test.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(unreachable_pub, reason = "a module of several test programs")]

pub mod audit;

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use frame::{Config, Frames};
use machine::{
    Backing, Boot, Core, CpuId, CpuSet, Cx, FileKey, FlushScope, IoError, KernelFrame, Machine, MemoryRange,
    NodeId, PAGE_SIZE, PageOp, Pfn, TaskId, UserFrame, Word,
};
use std::sync::Mutex;

/// No files.
pub struct NoFiles;

impl Backing for NoFiles {
    fn read(&self, _: CpuId, _: FileKey, _: u64, _: UserFrame) -> Result<(), IoError> {
        Err(IoError)
    }
    fn write(&self, _: CpuId, _: FileKey, _: u64, _: UserFrame) -> Result<(), IoError> {
        Err(IoError)
    }
}

/// Words that are zero, and cost nothing, until they are written.
struct LazyWords {
    map: memmap2::MmapMut,
}

impl LazyWords {
    fn new(words: usize) -> Self {
        let mut options = memmap2::MmapOptions::new();
        LazyWords { map: options.len(words * 8).no_reserve_swap().map_anon().unwrap() }
    }

    fn words(&self) -> &[Word] {
        // SAFETY: 1. the mapping is page-aligned, private and lives as long as `self`; 2. any bits are a
        // `Word`; 3. nothing refers to it but through `Word`s.
        unsafe { core::slice::from_raw_parts(self.map.as_ptr().cast(), self.map.len() / 8) }
    }
}

type Hook = &'static (dyn Fn() + Sync);

/// The machine.
pub struct Host {
    cpus: u32,
    nodes: u32,
    ranges: Vec<MemoryRange>,
    memmap: LazyWords,
    memory: LazyWords,
    irqs_off: Vec<AtomicBool>,
    /// Frames discarded so far.
    pub discarded: AtomicU64,
    /// Called once, just before a lock is given back.
    pub before_unlock: Mutex<Option<Hook>>,
}

/// `frames` frames of a node.
pub fn range(start: u32, frames: u64, node: u8) -> MemoryRange {
    MemoryRange { start: Pfn(start), frames, node: NodeId(node), movable: false }
}

/// Frames in so many MiB.
pub const fn mib(n: u64) -> u64 {
    n << 8
}

impl Host {
    pub fn new(cpus: u32, ranges: &[MemoryRange]) -> Self {
        let end = ranges.iter().map(|r| r.start.0 as usize + r.frames as usize).max().unwrap();
        let nodes = ranges.iter().map(|r| u32::from(r.node.0) + 1).max().unwrap();
        Host {
            cpus,
            nodes,
            ranges: ranges.to_vec(),
            memmap: LazyWords::new(end * 4),
            memory: LazyWords::new(end * 512),
            irqs_off: (0..cpus).map(|_| AtomicBool::new(false)).collect(),
            discarded: AtomicU64::new(0),
            before_unlock: Mutex::new(None),
        }
    }
}

impl Machine for Host {
    type Entry = machine::x86_64::X86_64;
    type Files = NoFiles;

    fn cpus(&self) -> u32 {
        self.cpus
    }
    fn nodes(&self) -> u32 {
        self.nodes
    }
    fn node_of(&self, cpu: CpuId) -> NodeId {
        NodeId((cpu.0 % self.nodes) as u8)
    }
    fn distance(&self, from: NodeId, to: NodeId) -> u32 {
        10 + 10 * u32::from(from.0.abs_diff(to.0))
    }
    fn memory(&self, index: usize) -> Option<MemoryRange> {
        self.ranges.get(index).copied()
    }
    fn tasks_max(&self) -> u32 {
        64
    }
    fn files(&self) -> &NoFiles {
        &NoFiles
    }
    fn memmap(&self) -> &[Word] {
        self.memmap.words()
    }
    fn kernel_area(&self, first: KernelFrame, frames: u64) -> &[Word] {
        &self.memory.words()[first.0.0 as usize * 512..][..frames as usize * 512]
    }
    fn page_op(&self, _: CpuId, op: PageOp) {
        if let PageOp::Discard { order, .. } = op {
            self.discarded.fetch_add(order.frames(), Ordering::Relaxed);
        }
    }
    fn read_frame(&self, _: CpuId, _: UserFrame, _: u64, _: &mut [u8]) {}
    fn write_frame(&self, _: CpuId, _: UserFrame, _: u64, _: &[u8]) {}
    fn same_bytes(&self, _: CpuId, _: UserFrame, _: UserFrame) -> bool {
        false
    }
    fn hash_bytes(&self, _: CpuId, _: UserFrame) -> u64 {
        0
    }
    fn store(&self, _: CpuId, word: &Word, value: u64, order: Ordering) {
        let unlocks = value == 0 && word.raw().load(Ordering::Relaxed) != 0;
        if unlocks && self.cpus == 1 {
            let hook = self.before_unlock.lock().unwrap().take();
            if let Some(hook) = hook {
                hook();
            }
        }
        word.raw().store(value, order);
    }
    fn relax(&self, _: CpuId, _: &Word) {
        std::thread::yield_now();
    }
    fn irq_save(&self, cpu: CpuId) -> bool {
        !self.irqs_off[cpu.0 as usize].swap(true, Ordering::Relaxed)
    }
    fn irq_restore(&self, cpu: CpuId, were_enabled: bool) {
        if were_enabled {
            self.irqs_off[cpu.0 as usize].store(false, Ordering::Relaxed);
        }
    }
    fn flush(&self, _: CpuId, _: &CpuSet, _: &FlushScope) {}
    fn load_space(&self, _: CpuId, _: Option<(KernelFrame, machine::Asid)>, _: bool) {}
    fn park(&self, cpu: CpuId, _: TaskId) -> CpuId {
        std::thread::yield_now();
        cpu
    }
    fn unpark(&self, _: CpuId, _: TaskId) {}
    fn now(&self, _: CpuId) -> u64 {
        0
    }
}

/// What most tests start with.
pub struct Started<'m> {
    pub host: &'m Host,
    pub core: Core<'m>,
    pub frames: Frames<'m, Host>,
}

impl<'m> Started<'m> {
    pub fn new(host: &'m Host, config: &Config) -> Self {
        Self::with(host, config, |_| ()).0
    }

    /// `more` takes what else it needs from boot memory.
    pub fn with<T>(host: &'m Host, config: &Config, more: impl FnOnce(&Boot<'m, Host>) -> T) -> (Self, T) {
        let boot = Boot::new(host).unwrap();
        let core = Core::new(&boot).unwrap();
        let other = more(&boot);
        let frames = Frames::new(host, &boot, config).unwrap();
        assert!(boot.taken().1 * PAGE_SIZE < 64 << 20);
        (Started { host, core, frames }, other)
    }

    /// A task on a CPU. No two at a time may be on one CPU.
    pub fn cx(&self, cpu: u32) -> Cx<'m, Host> {
        Cx::new(self.host, self.core, CpuId(cpu), TaskId(cpu))
    }
}
