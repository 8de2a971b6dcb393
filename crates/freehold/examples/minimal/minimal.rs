//! The smallest machine Freehold runs on: one CPU, one node, one piece of memory, nothing to wait for.
//!
//! It needs neither std, nor a heap, nor unsafe code. Hardware is replaced by a few loops: "physical memory"
//! is a slice of words, and [`Minimal::translate`] walks the page tables as a processor would. Everything
//! else is what a kernel has to tell Freehold about itself, in the order of [`Machine`]; the comments say
//! what a real kernel does in the same place.

use core::cell::Cell;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use machine::entry::Kind;
use machine::x86_64::X86_64;
use machine::{
    Access, Asid, Backing, CpuId, CpuSet, Entry, EntryFormat, FileKey, FlushScope, Frames, IoError,
    KernelFrame, Level, Machine, MemoryRange, NodeId, PageOp, Pfn, TaskId, UserFrame, VirtAddr, Word,
};

/// Words in a frame, and entries in a page table.
const WORDS: usize = 512;
/// Words of memmap for each frame.
const MEMMAP_WORDS: usize = 4;
/// The first frame. Below 2 MiB this machine has no memory, as a PC has none of its own there.
const FIRST: Pfn = Pfn(512);

/// The machine.
pub(crate) struct Minimal<'a> {
    /// The bytes of all frames.
    frames: &'a [Word],
    /// What Freehold notes about each frame.
    memmap: &'a [Word],
    /// The root that translates user addresses now: x86's `CR3`.
    space: Cell<Option<(KernelFrame, Asid)>>,
    /// Whether interrupts are on: x86's `RFLAGS.IF`.
    interrupts: Cell<bool>,
    /// A clock that ticks when it is read.
    time: Cell<u64>,
}

impl<'a> Minimal<'a> {
    /// A machine whose memory is `arena`, which is zero; `None` if that is too small to hold a frame.
    pub(crate) fn new(arena: &'a [Word]) -> Option<Self> {
        let aligned = arena.get(arena.as_ptr().align_offset(WORDS * size_of::<Word>())..)?;
        let pages = aligned.len() / WORDS;
        let memmap_pages = ((FIRST.0 as usize + pages) * MEMMAP_WORDS).div_ceil(WORDS);
        let (memmap, frames) = aligned[..pages * WORDS].split_at_checked(memmap_pages * WORDS)?;
        (!frames.is_empty()).then(|| Minimal {
            frames,
            memmap,
            space: Cell::new(None),
            interrupts: Cell::new(true),
            time: Cell::new(0),
        })
    }

    /// What the processor does on each access: the frame behind an address, or `None` for a page fault.
    pub(crate) fn translate(&self, addr: VirtAddr, access: Access) -> Option<UserFrame> {
        let (mut table, _) = self.space.get()?;
        let mut level = Level::ROOT;
        loop {
            let index = (addr.page().0 >> level.span_shift()) as usize % WORDS;
            let word = self.words(table.0, 1)[index].raw();
            // ORDERING: Acquire pairs with the Release of whoever linked the table or the leaf.
            let entry = Entry(word.load(Acquire));
            match X86_64::kind(entry, level) {
                Kind::Table(next) => table = next,
                Kind::Leaf(first) if X86_64::permits(entry, level, access) => {
                    // ORDERING: AcqRel, as hardware's locked update of the accessed and dirty bits.
                    word.fetch_or(X86_64::touched(entry, access).0, AcqRel);
                    let inside = addr.page().0 & ((1 << level.span_shift()) - 1);
                    return Some(UserFrame(first.plus(inside)));
                }
                _ => return None,
            }
            level = Level(level.0 - 1);
        }
    }

    /// The words of `count` frames.
    fn words(&self, first: Pfn, count: Frames) -> &[Word] {
        let start = (first.0 - FIRST.0) as usize * WORDS;
        &self.frames[start..][..count as usize * WORDS]
    }
}

/// A kernel reads and writes through its file systems here. This machine has one file, which cannot be
/// written and never ends: each word of it is the number of its page.
impl Backing for Minimal<'_> {
    fn read(&self, _: CpuId, _: FileKey, page: u64, into: UserFrame) -> Result<(), IoError> {
        self.words(into.0, 1).iter().for_each(|word| word.raw().store(page, Relaxed));
        Ok(())
    }
    fn write(&self, _: CpuId, _: FileKey, _: u64, _: UserFrame) -> Result<(), IoError> {
        Err(IoError)
    }
}

impl Machine for Minimal<'_> {
    type Entry = X86_64;
    type Files = Self;

    // ---- shape: from the firmware's tables (ACPI's MADT, SRAT, SLIT and the memory map) ----

    fn cpus(&self) -> u32 {
        1
    }
    fn memory(&self, index: usize) -> Option<MemoryRange> {
        let frames = (self.frames.len() / WORDS) as u64;
        (index == 0).then_some(MemoryRange { start: FIRST, frames, node: NodeId(0), movable: false })
    }
    fn tasks_max(&self) -> u32 {
        1
    }
    fn files(&self) -> &Self {
        self
    }

    // ---- memory: through the kernel's direct map ----

    fn memmap(&self) -> &[Word] {
        self.memmap
    }
    fn kernel_area(&self, first: KernelFrame, frames: Frames) -> &[Word] {
        self.words(first.0, frames)
    }
    fn page_op(&self, _: CpuId, op: PageOp) {
        match op {
            PageOp::Zero { to, order } => {
                self.words(to.0, order.frames()).iter().for_each(|word| word.raw().store(0, Relaxed));
            }
            PageOp::Copy { to, from, order } => {
                let from = self.words(from.0, order.frames());
                for (to, from) in self.words(to.0, order.frames()).iter().zip(from) {
                    to.raw().store(from.raw().load(Relaxed), Relaxed);
                }
            }
            PageOp::Discard { .. } => {}
        }
    }
    fn read_frame(&self, _: CpuId, frame: UserFrame, offset: u64, into: &mut [u8]) {
        let words = self.words(frame.0, 1);
        for (i, byte) in (offset as usize..).zip(into) {
            *byte = words[i / 8].raw().load(Relaxed).to_le_bytes()[i % 8];
        }
    }
    fn write_frame(&self, _: CpuId, frame: UserFrame, offset: u64, bytes: &[u8]) {
        let words = self.words(frame.0, 1);
        for (i, byte) in (offset as usize..).zip(bytes) {
            let word = words[i / 8].raw();
            let mut all = word.load(Relaxed).to_le_bytes();
            all[i % 8] = *byte;
            word.store(u64::from_le_bytes(all), Relaxed);
        }
    }
    fn same_bytes(&self, _: CpuId, a: UserFrame, b: UserFrame) -> bool {
        let value = |word: &Word| word.raw().load(Relaxed);
        self.words(a.0, 1).iter().map(value).eq(self.words(b.0, 1).iter().map(value))
    }
    fn hash_bytes(&self, _: CpuId, frame: UserFrame) -> u64 {
        // FNV-1a, a word at a time.
        let step = |hash: u64, word: &Word| (hash ^ word.raw().load(Relaxed)).wrapping_mul(0x100_0000_01b3);
        self.words(frame.0, 1).iter().fold(0xcbf2_9ce4_8422_2325, step)
    }

    // ---- CPUs and interrupts: `cli` and `sti` ----

    fn irq_save(&self, _: CpuId) -> bool {
        self.interrupts.replace(false)
    }
    fn irq_restore(&self, _: CpuId, were_enabled: bool) {
        self.interrupts.set(were_enabled || self.interrupts.get());
    }

    // ---- translations: `invlpg` and interrupts to other CPUs; a load of `CR3` ----

    fn flush(&self, _: CpuId, _: &CpuSet, _: &FlushScope) {
        // `translate` reads the tables each time: nothing is cached that could be stale.
    }
    fn load_space(&self, _: CpuId, root: Option<(KernelFrame, Asid)>, _stale: bool) {
        self.space.set(root);
    }

    // ---- tasks and time: the kernel's scheduler and clock ----

    fn park(&self, cpu: CpuId, _: TaskId) -> CpuId {
        // The only task never waits for another; `park` may always return early.
        cpu
    }
    fn unpark(&self, _: CpuId, _: TaskId) {}
    fn now(&self, _: CpuId) -> u64 {
        self.time.set(self.time.get() + 1);
        self.time.get()
    }
}
