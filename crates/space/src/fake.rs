//! The least machine that trees and counts run on: threads are CPUs, memory is a vector.

use core::sync::atomic::Ordering;
use machine::x86_64::X86_64;
use machine::{
    Asid, Backing, Boot, Core, CpuId, CpuSet, Cx, FileKey, FlushScope, IoError, KernelFrame, Machine,
    MemoryRange, NodeId, PageOp, Pfn, TaskId, UserFrame, Word,
};
use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::thread;
use std::vec::Vec;

const FIRST: u32 = 16;

type Pending = Option<(u64, Box<dyn FnOnce()>)>;

std::thread_local!(static PENDING: RefCell<Pending> = const { RefCell::new(None) });

/// Whether CPUs are interrupted between their accesses to shared words.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    Straight,
    Jittery,
}

pub(crate) struct Fake {
    frames: u32,
    pace: Pace,
    words: Vec<Word>,
    offset: usize,
    memmap: Vec<Word>,
}

impl Fake {
    pub(crate) fn start(frames: u32, pace: Pace) -> (&'static Fake, Boot<'static, Fake>, Core<'static>) {
        let words: Vec<Word> = (0..frames as usize * 512 + 512).map(|_| Word::new(0)).collect();
        let offset = words.as_ptr().align_offset(4096);
        let memmap =
            (0..(FIRST + frames).next_multiple_of(1024) as usize * 4).map(|_| Word::new(0)).collect();
        let fake: &'static Fake = Box::leak(Box::new(Fake { frames, pace, words, offset, memmap }));
        let boot = Boot::new(fake).unwrap();
        let core = Core::new(&boot).unwrap();
        (fake, boot, core)
    }

    pub(crate) fn cx(&'static self, core: Core<'static>, cpu: u32) -> Cx<'static, Fake> {
        Cx::new(self, core, CpuId(cpu), TaskId(cpu))
    }

    /// Runs `f`, and `interruption` on the same thread right before `f` touches shared words for the
    /// `step`-th time (from 0). Answers what `f` does, and whether it came that far.
    pub(crate) fn interrupt<T>(
        step: u64,
        interruption: impl FnOnce() + 'static,
        f: impl FnOnce() -> T,
    ) -> (T, bool) {
        PENDING.with(|pending| *pending.borrow_mut() = Some((step, Box::new(interruption))));
        let result = f();
        let left = PENDING.with(|pending| pending.borrow_mut().take());
        (result, left.is_none())
    }

    /// A shared word is touched: an interruption that is due happens.
    fn step() {
        let due = PENDING.with(|pending| {
            let mut pending = pending.borrow_mut();
            match pending.as_mut() {
                Some((0, _)) => pending.take(),
                Some((steps, _)) => {
                    *steps -= 1;
                    None
                }
                None => None,
            }
        });
        if let Some((_, interruption)) = due {
            interruption();
        }
    }

    /// Now and then another thread runs.
    fn pause(&self) {
        Fake::step();
        std::thread_local!(static STEPS: Cell<u64> = const { Cell::new(0x2545_f491_4f6c_dd1d) });
        if self.pace == Pace::Jittery {
            STEPS.with(|steps| {
                let mut x = steps.get();
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                steps.set(x);
                if x.is_multiple_of(61) {
                    thread::yield_now();
                }
            });
        }
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
        8
    }
    fn memory(&self, index: usize) -> Option<MemoryRange> {
        let range = MemoryRange {
            start: Pfn(FIRST),
            frames: u64::from(self.frames),
            node: NodeId(0),
            movable: false,
        };
        (index == 0).then_some(range)
    }
    fn tasks_max(&self) -> u32 {
        8
    }
    fn files(&self) -> &Fake {
        self
    }
    fn memmap(&self) -> &[Word] {
        &self.memmap
    }
    fn kernel_area(&self, first: KernelFrame, frames: u64) -> &[Word] {
        let start = self.offset + (first.0.0 - FIRST) as usize * 512;
        &self.words[start..start + frames as usize * 512]
    }
    fn page_op(&self, _: CpuId, _: PageOp) {}
    fn read_frame(&self, _: CpuId, _: UserFrame, _: u64, _: &mut [u8]) {
        unreachable!("trees have no pages")
    }
    fn write_frame(&self, _: CpuId, _: UserFrame, _: u64, _: &[u8]) {
        unreachable!("trees have no pages")
    }
    fn same_bytes(&self, _: CpuId, _: UserFrame, _: UserFrame) -> bool {
        unreachable!("trees have no pages")
    }
    fn hash_bytes(&self, _: CpuId, _: UserFrame) -> u64 {
        unreachable!("trees have no pages")
    }
    fn load(&self, _: CpuId, word: &Word, order: Ordering) -> u64 {
        self.pause();
        word.raw().load(order)
    }
    fn store(&self, _: CpuId, word: &Word, value: u64, order: Ordering) {
        self.pause();
        word.raw().store(value, order);
    }
    fn fetch_add(&self, _: CpuId, word: &Word, value: u64, order: Ordering) -> u64 {
        self.pause();
        word.raw().fetch_add(value, order)
    }
    fn irq_save(&self, _: CpuId) -> bool {
        true
    }
    fn irq_restore(&self, _: CpuId, _: bool) {}
    fn flush(&self, _: CpuId, _: &CpuSet, _: &FlushScope) {}
    fn load_space(&self, _: CpuId, _: Option<(KernelFrame, Asid)>, _: bool) {}
    fn park(&self, cpu: CpuId, _: TaskId) -> CpuId {
        thread::yield_now();
        cpu
    }
    fn unpark(&self, _: CpuId, _: TaskId) {}
    fn now(&self, _: CpuId) -> u64 {
        0
    }
}
