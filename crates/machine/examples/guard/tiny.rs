//! A machine that has nothing but words: enough for epochs.

use machine::x86_64::X86_64;
use machine::{
    Asid, Backing, CpuId, CpuSet, FileKey, FlushScope, Frames, IoError, KernelFrame, Machine, MemoryRange,
    NodeId, PageOp, Pfn, ReaderOrder, TaskId, UserFrame, Word,
};
use std::sync::atomic::Ordering;

/// Words in a frame.
const WORDS: usize = 512;
/// Frames it has.
const FRAMES: usize = 64;

/// Who is told of each access to a shared word, before it is made.
pub(crate) trait Watcher {
    /// One comes.
    fn access(&self, machine: &Tiny<Self>, access: Access)
    where
        Self: Sized;
}

/// A kind of access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    Load,
    Store,
    Fence,
    Barrier,
}

/// The machine.
pub(crate) struct Tiny<W> {
    words: Vec<Word>,
    order: ReaderOrder,
    pub(crate) watcher: W,
}

impl<W: Watcher> Tiny<W> {
    pub(crate) fn new(order: ReaderOrder, watcher: W) -> Self {
        let words = std::iter::repeat_with(|| Word::new(0)).take((FRAMES + 1) * WORDS).collect();
        Tiny { words, order, watcher }
    }
}

impl<W: Watcher> Backing for Tiny<W> {
    fn read(&self, _: CpuId, _: FileKey, _: u64, _: UserFrame) -> Result<(), IoError> {
        Err(IoError)
    }
    fn write(&self, _: CpuId, _: FileKey, _: u64, _: UserFrame) -> Result<(), IoError> {
        Err(IoError)
    }
}

impl<W: Watcher> Machine for Tiny<W> {
    type Entry = X86_64;
    type Files = Self;

    fn cpus(&self) -> u32 {
        2
    }
    fn memory(&self, index: usize) -> Option<MemoryRange> {
        let range = MemoryRange { start: Pfn(0), frames: FRAMES as u64, node: NodeId(0), movable: false };
        (index == 0).then_some(range)
    }
    fn tasks_max(&self) -> u32 {
        2
    }
    fn files(&self) -> &Self {
        self
    }
    fn memmap(&self) -> &[Word] {
        &[]
    }
    fn kernel_area(&self, first: KernelFrame, frames: Frames) -> &[Word] {
        let aligned = self.words.as_ptr().align_offset(WORDS * size_of::<Word>());
        &self.words[aligned + first.0.0 as usize * WORDS..][..frames as usize * WORDS]
    }
    // Frames have no bytes.
    fn page_op(&self, _: CpuId, _: PageOp) {}
    fn read_frame(&self, _: CpuId, _: UserFrame, _: u64, _: &mut [u8]) {}
    fn write_frame(&self, _: CpuId, _: UserFrame, _: u64, _: &[u8]) {}
    fn same_bytes(&self, _: CpuId, _: UserFrame, _: UserFrame) -> bool {
        true
    }
    fn hash_bytes(&self, _: CpuId, _: UserFrame) -> u64 {
        0
    }

    #[inline]
    fn load(&self, _: CpuId, word: &Word, order: Ordering) -> u64 {
        self.watcher.access(self, Access::Load);
        word.raw().load(order)
    }
    #[inline]
    fn store(&self, _: CpuId, word: &Word, value: u64, order: Ordering) {
        self.watcher.access(self, Access::Store);
        word.raw().store(value, order);
    }
    #[inline]
    fn swap(&self, _: CpuId, word: &Word, value: u64, order: Ordering) -> u64 {
        self.watcher.access(self, Access::Store);
        self.watcher.access(self, Access::Fence);
        word.raw().swap(value, order)
    }
    #[inline]
    fn fence(&self, _: CpuId, order: Ordering) {
        self.watcher.access(self, Access::Fence);
        std::sync::atomic::fence(order);
    }
    #[inline]
    fn reader_order(&self) -> ReaderOrder {
        self.order
    }
    fn heavy_barrier(&self, _: CpuId, _: &CpuSet) {
        self.watcher.access(self, Access::Barrier);
        std::sync::atomic::fence(Ordering::SeqCst);
    }

    fn irq_save(&self, _: CpuId) -> bool {
        true
    }
    fn irq_restore(&self, _: CpuId, _: bool) {}
    fn flush(&self, _: CpuId, _: &CpuSet, _: &FlushScope) {}
    fn load_space(&self, _: CpuId, _: Option<(KernelFrame, Asid)>, _: bool) {}
    fn park(&self, cpu: CpuId, _: TaskId) -> CpuId {
        cpu
    }
    fn unpark(&self, _: CpuId, _: TaskId) {}
    fn now(&self, _: CpuId) -> u64 {
        0
    }
}
