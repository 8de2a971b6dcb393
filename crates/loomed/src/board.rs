//! A machine whose words loom watches, for code that wants a whole context.

use crate::memory::Weak;
use crate::{LOST, Loomed, Word as Watched, word};
use machine::x86_64::X86_64;
use machine::{
    Asid, Backing, CpuId, CpuSet, Event, FileKey, FlushScope, Frames, IoError, KernelFrame, Machine, Memory,
    MemoryRange, NodeId, PAGE_SIZE, PageOp, Pfn, TaskId, UserFrame, Word,
};
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{self, Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Words in a frame.
const WORDS: usize = PAGE_SIZE as usize / 8;
/// The first frame.
const FIRST: Pfn = Pfn(512);
/// Turns a task sleeps, in one run, before its wake-up counts as lost.
const TURNS: u32 = 100;

/// Orderings made weaker at the words of one kind of lock.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// The level of the locks; [`machine::level::NONE`] for words that are no locks, and for fences.
    pub level: u8,
    /// What is weaker there.
    pub weak: &'static [Weak],
}

/// A machine of a few CPUs, each of which is a thread of a loom model, and as many tasks.
///
/// What a model sets up, before its threads run, touches plain words. [`Board::watch`] then hands loom the
/// words of all locks that were taken so far, and a number of words that are zero, as threads touch them.
/// Words that are not watched, and `Field`s, are plain: they always read what was stored last, and order
/// nothing. Sleeping never ends by itself, but is left to look again, as [`Machine::park`] allows.
pub struct Board {
    frames: usize,
    memory: Vec<Word>,
    memmap: Vec<Word>,
    weak: &'static [At],
    run: Mutex<Run>,
    slept: AtomicBool,
}

/// What is known in one run of a model.
#[derive(Default)]
struct Run {
    /// The locks taken before the threads run: address and level.
    locks: Vec<(usize, u8)>,
    watched: HashMap<usize, (u8, Arc<Watched>)>,
    /// Words that loom knows, and that are not yet anybody's.
    spare: Vec<Arc<Watched>>,
    slept: HashMap<u32, u32>,
    turn: Option<Arc<Watched>>,
}

impl Board {
    /// A board with so many frames. It lives as long as the process: the threads of a model borrow it.
    pub fn new(frames: usize, weak: &'static [At]) -> &'static Board {
        let zeros = |words| std::iter::repeat_with(|| Word::new(0)).take(words).collect();
        let memory = zeros((frames + 1) * WORDS);
        let memmap = zeros((FIRST.0 as usize + frames) * 4);
        Box::leak(Box::new(Board {
            frames,
            memory,
            memmap,
            weak,
            run: Mutex::default(),
            slept: AtomicBool::new(false),
        }))
    }

    /// Begins a run: nothing is known, and no frame was ever used. (Boot memory and tables are zeroed by
    /// those who take them.)
    pub fn reset(&self) {
        // RELAXED: one thread runs.
        self.memmap.iter().for_each(|word| word.raw().store(0, Relaxed));
        *self.run() = Run::default();
    }

    /// Hands loom the locks taken so far, and the next `spare` other words that are zero when they are first
    /// touched.
    pub fn watch(&self, spare: usize) {
        let locks = self.run().locks.clone();
        for (address, level) in locks {
            let lock = (level, Arc::new(word(0)));
            self.run().watched.insert(address, lock);
        }
        let words = std::iter::repeat_with(|| Arc::new(word(0))).take(spare).collect();
        let mut run = self.run();
        run.spare = words;
        run.turn = Some(Arc::new(word(0)));
    }

    /// Lets loom try every order of this moment and the other threads' such moments. It orders nothing. For
    /// the start of an operation whose first look is at plain memory, which loom does not see.
    pub fn step(&self) {
        let turn = self.run().turn.clone();
        if let Some(turn) = turn {
            Loomed::EXACT.store(&turn, 0, Relaxed);
        }
    }

    /// Whether a task slept in any run so far: else a model shows nothing about wake-ups.
    pub fn ever_slept(&self) -> bool {
        self.slept.load(Relaxed)
    }

    fn run(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What loom plays for a word, and how exactly.
    fn find(&self, word: &Word) -> Option<(Loomed, Arc<Watched>)> {
        let address = std::ptr::from_ref(word) as usize;
        let mut run = self.run();
        if !run.watched.contains_key(&address) && word.raw().load(Relaxed) == 0 {
            let spare = run.spare.pop()?;
            run.watched.insert(address, (machine::level::NONE, spare));
        }
        let (level, watched) = run.watched.get(&address)?;
        Some((self.at(*level), Arc::clone(watched)))
    }

    fn at(&self, level: u8) -> Loomed {
        let weak = self.weak.iter().find(|at| at.level == level);
        Loomed::weakened(weak.map_or(&[], |at| at.weak))
    }
}

/// No files.
impl Backing for Board {
    fn read(&self, _: CpuId, _: FileKey, _: u64, _: UserFrame) -> Result<(), IoError> {
        Err(IoError)
    }
    fn write(&self, _: CpuId, _: FileKey, _: u64, _: UserFrame) -> Result<(), IoError> {
        Err(IoError)
    }
}

impl Machine for Board {
    type Entry = X86_64;
    type Files = Self;

    fn cpus(&self) -> u32 {
        4
    }
    fn nodes(&self) -> u32 {
        1
    }
    fn node_of(&self, _: CpuId) -> NodeId {
        NodeId(0)
    }
    fn distance(&self, _: NodeId, _: NodeId) -> u32 {
        10
    }
    fn memory(&self, index: usize) -> Option<MemoryRange> {
        let frames = self.frames as u64;
        (index == 0).then_some(MemoryRange { start: FIRST, frames, node: NodeId(0), movable: false })
    }
    fn tasks_max(&self) -> u32 {
        4
    }
    fn files(&self) -> &Self {
        self
    }

    fn memmap(&self) -> &[Word] {
        &self.memmap
    }
    fn kernel_area(&self, first: KernelFrame, frames: Frames) -> &[Word] {
        let aligned = self.memory.as_ptr().align_offset(PAGE_SIZE as usize);
        let start = aligned + (first.0.0 - FIRST.0) as usize * WORDS;
        &self.memory[start..][..frames as usize * WORDS]
    }
    // Frames have no bytes that anybody looks at.
    fn page_op(&self, _: CpuId, _: PageOp) {}
    fn read_frame(&self, _: CpuId, _: UserFrame, _: u64, _: &mut [u8]) {}
    fn write_frame(&self, _: CpuId, _: UserFrame, _: u64, _: &[u8]) {}
    fn same_bytes(&self, _: CpuId, _: UserFrame, _: UserFrame) -> bool {
        false
    }
    fn hash_bytes(&self, _: CpuId, _: UserFrame) -> u64 {
        0
    }

    fn load(&self, _: CpuId, word: &Word, order: Ordering) -> u64 {
        match self.find(word) {
            Some((memory, watched)) => memory.load(&watched, order),
            None => word.raw().load(Relaxed),
        }
    }
    fn store(&self, _: CpuId, word: &Word, value: u64, order: Ordering) {
        match self.find(word) {
            Some((memory, watched)) => memory.store(&watched, value, order),
            None => word.raw().store(value, Relaxed),
        }
    }
    fn store_fenced(&self, cpu: CpuId, word: &Word, value: u64) {
        self.store(cpu, word, value, Ordering::Release);
        self.fence(cpu, Ordering::SeqCst);
    }
    fn swap(&self, _: CpuId, word: &Word, value: u64, order: Ordering) -> u64 {
        match self.find(word) {
            Some((memory, watched)) => memory.swap(&watched, value, order),
            None => word.raw().swap(value, Relaxed),
        }
    }
    fn compare_exchange(
        &self,
        _: CpuId,
        word: &Word,
        current: u64,
        new: u64,
        order: Ordering,
    ) -> Result<u64, u64> {
        match self.find(word) {
            Some((memory, watched)) => memory.compare_exchange(&watched, current, new, order),
            None => word.raw().compare_exchange(current, new, Relaxed, Relaxed),
        }
    }
    fn fetch_add(&self, _: CpuId, word: &Word, value: u64, order: Ordering) -> u64 {
        match self.find(word) {
            Some((memory, watched)) => memory.fetch_add(&watched, value, order),
            None => word.raw().fetch_add(value, Relaxed),
        }
    }
    fn fetch_or(&self, _: CpuId, word: &Word, bits: u64, order: Ordering) -> u64 {
        match self.find(word) {
            Some((memory, watched)) => memory.fetch_or(&watched, bits, order),
            None => word.raw().fetch_or(bits, Relaxed),
        }
    }
    fn fetch_and(&self, _: CpuId, word: &Word, bits: u64, order: Ordering) -> u64 {
        match self.find(word) {
            Some((memory, watched)) => memory.fetch_and(&watched, bits, order),
            None => word.raw().fetch_and(bits, Relaxed),
        }
    }
    fn fence(&self, _: CpuId, order: Ordering) {
        self.at(machine::level::NONE).fence(order);
    }
    fn relax(&self, _: CpuId, _: &Word) {
        loom::thread::yield_now();
    }

    fn irq_save(&self, _: CpuId) -> bool {
        true
    }
    fn irq_restore(&self, _: CpuId, _: bool) {}
    fn flush(&self, _: CpuId, _: &CpuSet, _: &FlushScope) {}
    fn load_space(&self, _: CpuId, _: Option<(KernelFrame, Asid)>, _: bool) {}

    fn park(&self, cpu: CpuId, task: TaskId) -> CpuId {
        self.slept.store(true, Relaxed);
        let slept = {
            let mut run = self.run();
            let slept = run.slept.entry(task.0).or_default();
            *slept += 1;
            *slept
        };
        assert!(slept < TURNS, "{LOST}");
        loom::thread::yield_now();
        cpu
    }
    fn unpark(&self, _: CpuId, _: TaskId) {}
    fn now(&self, _: CpuId) -> u64 {
        0
    }
    fn trace(&self, _: CpuId, _: TaskId, event: impl FnOnce() -> Event) {
        if let Event::Locked(lock) = event() {
            let mut run = self.run();
            if run.watched.is_empty() && !run.locks.contains(&(lock.key as usize, lock.level)) {
                run.locks.push((lock.key as usize, lock.level));
            }
        }
    }
}
