//! A small machine for tests: threads are CPUs, each with a translation cache that stays stale until it is
//! flushed.
#![allow(dead_code)]

use machine::entry::Kind;
use machine::x86_64::X86_64;
use machine::{
    Access, Asid, Backing, Boot, Core, CpuId, CpuSet, Cx, Entry, EntryFormat, FileKey, FlushScope, Frames,
    IoError, KernelFrame, Level, Machine, MemoryRange, NodeId, PageOp, Pfn, TaskId, UserFrame, Vpn, Word,
};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

/// First frame of the machine's memory.
pub(crate) const FIRST: u32 = 16;

/// What one CPU's translation hardware holds.
#[derive(Default)]
pub(crate) struct Mmu {
    space: Option<(KernelFrame, Asid)>,
    cached: HashMap<(Asid, Vpn), (Entry, Level)>,
}

/// The machine.
pub(crate) struct Fake {
    cpus: u32,
    frames: u32,
    words: Vec<Word>,
    offset: usize,
    memmap: Vec<Word>,
    mmus: Vec<Mutex<Mmu>>,
    /// One value stands for the bytes of a user frame.
    pub(crate) contents: Vec<AtomicU64>,
    /// Every flush that was asked for.
    pub(crate) flushes: Mutex<Vec<(CpuSet, FlushScope)>>,
    /// How often a CPU was told to drop what it kept.
    pub(crate) stale_loads: AtomicU64,
    /// If not 0: about every so many accesses to shared words another thread gets its turn.
    pub(crate) chaos: AtomicU64,
    accesses: AtomicU64,
}

impl Fake {
    /// A machine that lives as long as the test process.
    pub(crate) fn start(cpus: u32, frames: u32) -> (&'static Fake, Boot<'static, Fake>, Core<'static>) {
        let count = frames as usize * 512 + 512;
        let words: Vec<Word> = (0..count).map(|_| Word::new(0)).collect();
        let offset = words.as_ptr().align_offset(4096);
        let fake = Box::leak(Box::new(Fake {
            cpus,
            frames,
            words,
            offset,
            memmap: (0..frames as usize * 4).map(|_| Word::new(0)).collect(),
            mmus: (0..cpus).map(|_| Mutex::default()).collect(),
            contents: (0..frames).map(|_| AtomicU64::new(0)).collect(),
            flushes: Mutex::default(),
            stale_loads: AtomicU64::new(0),
            chaos: AtomicU64::new(0),
            accesses: AtomicU64::new(0),
        }));
        let boot = Boot::new(&*fake).expect("memory for the start");
        let core = Core::new(&boot).expect("memory for the start");
        (fake, boot, core)
    }

    /// The context of the one task of a CPU.
    pub(crate) fn cx(&'static self, core: Core<'static>, cpu: u32) -> Cx<'static, Fake> {
        Cx::new(self, core, CpuId(cpu), TaskId(cpu))
    }

    /// A point where another CPU may go ahead.
    fn turn(&self) {
        let chaos = self.chaos.load(Ordering::Relaxed);
        if chaos != 0 {
            let n = self.accesses.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            if (n >> 32).is_multiple_of(chaos) {
                std::thread::yield_now();
            }
        }
    }

    fn mmu(&self, cpu: CpuId) -> MutexGuard<'_, Mmu> {
        self.mmus[cpu.0 as usize].lock().expect("no CPU died")
    }

    /// What a CPU's hardware does for an access: cached translation or walk, then `with` runs on the frame
    /// before any flush of this CPU can end. `None` is a page fault.
    pub(crate) fn access<T>(
        &self,
        cpu: CpuId,
        page: Vpn,
        access: Access,
        with: impl FnOnce(Pfn) -> T,
    ) -> Option<T> {
        self.turn();
        let mut mmu = self.mmu(cpu);
        let (root, asid) = mmu.space?;
        let cached = mmu.cached.get(&(asid, page)).copied();
        let usable = |&(entry, level): &(Entry, Level)| {
            X86_64::permits(entry, level, access) && (access != Access::Write || X86_64::attrs(entry).dirty)
        };
        let (entry, level) = match cached.filter(usable) {
            Some(hit) => hit,
            None => {
                let found = self.walk(root, page, access)?;
                mmu.cached.insert((asid, page), found);
                found
            }
        };
        let Kind::Leaf(frame) = X86_64::kind(entry, level) else { return None };
        let within = page.0 & ((1 << level.span_shift()) - 1);
        Some(with(frame.plus(within)))
    }

    /// The walk; sets accessed and dirty bits by atomic operations.
    fn walk(&self, root: KernelFrame, page: Vpn, access: Access) -> Option<(Entry, Level)> {
        let mut table = root;
        let mut level = Level::ROOT;
        loop {
            let index = (page.0 >> level.span_shift()) as usize & 511;
            let word = self.kernel_area(table, 1)[index].raw();
            let entry = Entry(word.load(Ordering::Acquire));
            if let Kind::Table(next) = X86_64::kind(entry, level) {
                (table, level) = (next, Level(level.0 - 1));
                continue;
            }
            if !X86_64::permits(entry, level, access) {
                return None;
            }
            let touched = X86_64::touched(entry, access);
            let done = word.compare_exchange(entry.0, touched.0, Ordering::AcqRel, Ordering::Relaxed);
            if done.is_ok() {
                return Some((touched, level));
            }
        }
    }

    /// Whether the CPU holds a translation.
    pub(crate) fn holds(&self, cpu: u32, asid: Asid, page: Vpn) -> bool {
        self.mmu(CpuId(cpu)).cached.contains_key(&(asid, page))
    }

    /// Makes the CPU hold a translation, as if it had walked.
    pub(crate) fn hold(&self, cpu: u32, asid: Asid, page: Vpn) {
        self.mmu(CpuId(cpu)).cached.insert((asid, page), (Entry::EMPTY, Level::LEAF));
    }
}

impl Backing for Fake {
    fn read(&self, _: CpuId, _: FileKey, _: u64, _: UserFrame) -> Result<(), IoError> {
        Err(IoError)
    }
    fn write(&self, _: CpuId, _: FileKey, _: u64, _: UserFrame) -> Result<(), IoError> {
        Err(IoError)
    }
}

impl Machine for Fake {
    type Entry = X86_64;
    type Files = Fake;

    fn cpus(&self) -> u32 {
        self.cpus
    }
    fn memory(&self, index: usize) -> Option<MemoryRange> {
        let range = MemoryRange {
            start: Pfn(FIRST),
            frames: u64::from(self.frames - FIRST),
            node: NodeId(0),
            movable: false,
        };
        (index == 0).then_some(range)
    }
    fn tasks_max(&self) -> u32 {
        self.cpus
    }
    fn files(&self) -> &Fake {
        self
    }
    fn memmap(&self) -> &[Word] {
        &self.memmap
    }
    fn kernel_area(&self, first: KernelFrame, frames: Frames) -> &[Word] {
        let start = self.offset + first.0.0 as usize * 512;
        &self.words[start..start + frames as usize * 512]
    }
    fn page_op(&self, _: CpuId, op: PageOp) {
        let content = |frame: Pfn| &self.contents[frame.0 as usize];
        match op {
            PageOp::Zero { to, order } => {
                (0..order.frames()).for_each(|i| content(to.0.plus(i)).store(0, Ordering::SeqCst));
            }
            PageOp::Copy { to, from, order } => (0..order.frames()).for_each(|i| {
                content(to.0.plus(i)).store(content(from.0.plus(i)).load(Ordering::SeqCst), Ordering::SeqCst);
            }),
            PageOp::Discard { .. } => {}
        }
    }
    fn read_frame(&self, _: CpuId, frame: UserFrame, offset: u64, into: &mut [u8]) {
        let bytes = self.contents[frame.0.0 as usize].load(Ordering::SeqCst).to_le_bytes();
        (0..into.len()).for_each(|i| into[i] = bytes[(offset as usize + i) % 8]);
    }
    fn write_frame(&self, _: CpuId, frame: UserFrame, _: u64, bytes: &[u8]) {
        let value = bytes.iter().rev().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte));
        self.contents[frame.0.0 as usize].store(value, Ordering::SeqCst);
    }
    fn same_bytes(&self, cpu: CpuId, a: UserFrame, b: UserFrame) -> bool {
        self.hash_bytes(cpu, a) == self.hash_bytes(cpu, b)
    }
    fn hash_bytes(&self, _: CpuId, frame: UserFrame) -> u64 {
        self.contents[frame.0.0 as usize].load(Ordering::SeqCst)
    }
    fn load(&self, _: CpuId, word: &Word, order: Ordering) -> u64 {
        self.turn();
        let value = word.raw().load(order);
        self.turn();
        value
    }
    fn store(&self, _: CpuId, word: &Word, value: u64, order: Ordering) {
        self.turn();
        word.raw().store(value, order);
    }
    fn swap(&self, _: CpuId, word: &Word, value: u64, order: Ordering) -> u64 {
        self.turn();
        word.raw().swap(value, order)
    }
    fn fetch_add(&self, _: CpuId, word: &Word, value: u64, order: Ordering) -> u64 {
        self.turn();
        word.raw().fetch_add(value, order)
    }
    fn relax(&self, _: CpuId, _: &Word) {
        std::thread::yield_now();
    }
    fn irq_save(&self, _: CpuId) -> bool {
        true
    }
    fn irq_restore(&self, _: CpuId, _: bool) {}
    fn flush(&self, _: CpuId, targets: &CpuSet, scope: &FlushScope) {
        self.flushes.lock().expect("no CPU died").push((*targets, *scope));
        for cpu in targets.iter() {
            self.mmu(cpu).cached.retain(|&(asid, page), _| {
                asid != scope.asid || scope.pages.is_some_and(|pages| !pages.contains(page))
            });
        }
    }
    fn load_space(&self, cpu: CpuId, root: Option<(KernelFrame, Asid)>, stale: bool) {
        let mut mmu = self.mmu(cpu);
        mmu.space = root;
        if let Some((_, space)) = root.filter(|_| stale) {
            self.stale_loads.fetch_add(1, Ordering::Relaxed);
            mmu.cached.retain(|&(asid, _), _| asid != space);
        }
    }
    fn park(&self, cpu: CpuId, _: TaskId) -> CpuId {
        std::thread::yield_now();
        cpu
    }
    fn unpark(&self, _: CpuId, _: TaskId) {}
    fn now(&self, _: CpuId) -> u64 {
        0
    }
}
