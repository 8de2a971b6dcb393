//! The machine: the only boundary to hardware.

use crate::word::failure_order;
use crate::{
    Asid, Corrupt, CpuId, CpuSet, EntryFormat, Event, FileKey, Frames, IoError, KernelFrame, NodeId, Order,
    PAGE_SIZE, Pfn, Plant, TaskId, UserFrame, VpnRange, Word,
};
use core::cmp;
use core::sync::atomic::{self, Ordering};

/// How many bytes of a frame the default methods look at in one go.
const LOOK: usize = 256;

/// A range of physical memory present at boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryRange {
    /// First frame.
    pub start: Pfn,
    /// How many frames.
    pub frames: Frames,
    /// Node the frames belong to.
    pub node: NodeId,
    /// Whether the firmware says the range may be removed: it goes to the Movable zone.
    pub movable: bool,
}

/// Which translations a flush is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlushScope {
    /// The address space.
    pub asid: Asid,
    /// The pages; `None` means all of the space.
    pub pages: Option<VpnRange>,
    /// Whether page tables go away too, so that cached upper levels must be dropped as well
    /// (Linux's `mmu_gather.freed_tables`; SDM Vol. 3A 4.10.4).
    pub tables: bool,
}

/// An operation on the bytes of whole frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageOp {
    /// Fill `2^order` frames with zero bytes.
    Zero {
        /// First frame.
        to: UserFrame,
        /// How many, as an order.
        order: Order,
    },
    /// Copy `2^order` frames.
    Copy {
        /// First frame written.
        to: UserFrame,
        /// First frame read.
        from: UserFrame,
        /// How many, as an order.
        order: Order,
    },
    /// The bytes of `2^order` frames are of no more use to anybody: their owner freed them. A machine that
    /// checks poisons them; hardware ignores it.
    Discard {
        /// First frame.
        frame: Pfn,
        /// How many, as an order.
        order: Order,
    },
}

/// Who orders a lockless reader's mark before its reads: one of the two passes a full fence there, for both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReaderOrder {
    /// The reader, each time it enters.
    Fence,
    /// Who waits for readers, by [`Machine::heavy_barrier`]: entering is a plain store.
    HeavyBarrier,
}

/// Where the bytes of files come from and go to. Calls may sleep (park the task); no spin lock is held.
pub trait Backing {
    /// Fills `into` with page `page` of the file. Bytes past the end of the file read as zero.
    fn read(&self, cpu: CpuId, file: FileKey, page: u64, into: UserFrame) -> Result<(), IoError>;
    /// Stores `from` as page `page` of the file.
    fn write(&self, cpu: CpuId, file: FileKey, page: u64, from: UserFrame) -> Result<(), IoError>;
    /// Whether the bytes of a frame must not change while they are written to this file, because its device
    /// checksums, encrypts or mirrors them (Linux's `SWP_STABLE_WRITES`, `AS_STABLE_WRITES`).
    fn stable_writes(&self, file: FileKey) -> bool {
        let _ = file;
        false
    }
}

/// What Freehold needs of a machine. Implemented by the simulator, by this process, by bare metal, and by the
/// documented minimal example.
///
/// Methods with a body are right for ordinary hardware; the simulator overrides them to decide the order of
/// events.
pub trait Machine: Sized {
    /// Format of page-table entries.
    type Entry: EntryFormat;
    /// Where files are stored.
    type Files: Backing;

    // ---- shape ----

    /// How many CPUs, at most [`crate::mask::CPUS_MAX`].
    fn cpus(&self) -> u32;
    /// How many NUMA nodes. A machine with more than one says too how they lie.
    fn nodes(&self) -> u32 {
        1
    }
    /// The node a CPU belongs to.
    fn node_of(&self, cpu: CpuId) -> NodeId {
        let _ = cpu;
        NodeId(0)
    }
    /// Distance between nodes, as in ACPI's SLIT: 10 is local.
    fn distance(&self, from: NodeId, to: NodeId) -> u32 {
        let _ = (from, to);
        10
    }
    /// The memory present at boot, ascending and disjoint; `None` past the last range.
    fn memory(&self, index: usize) -> Option<MemoryRange>;
    /// How many tasks may exist at a time. Task numbers are below it.
    fn tasks_max(&self) -> u32;
    /// The files.
    fn files(&self) -> &Self::Files;

    // ---- memory ----

    /// Room for the frame descriptors: four words for each frame below the last present or hot-pluggable one,
    /// reading as zero until written. Pages of it need exist only once touched.
    fn memmap(&self) -> &[Word];
    /// The kernel's own view of frames it owns, page-aligned, 512 words a frame.
    fn kernel_area(&self, first: KernelFrame, frames: Frames) -> &[Word];
    /// Fills kernel frames with zero words.
    fn zero_kernel(&self, cpu: CpuId, first: KernelFrame, frames: Frames) {
        let _ = cpu;
        for word in self.kernel_area(first, frames) {
            // RELAXED: the frames are not shared yet; publishing them orders this.
            word.raw().store(0, Ordering::Relaxed);
        }
    }
    /// Does something to the bytes of whole frames.
    fn page_op(&self, cpu: CpuId, op: PageOp);
    /// Reads bytes of a user frame; `offset + into.len()` is at most a page.
    fn read_frame(&self, cpu: CpuId, frame: UserFrame, offset: u64, into: &mut [u8]);
    /// Writes bytes of a user frame; `offset + bytes.len()` is at most a page.
    fn write_frame(&self, cpu: CpuId, frame: UserFrame, offset: u64, bytes: &[u8]);
    /// Whether two frames hold the same bytes.
    fn same_bytes(&self, cpu: CpuId, a: UserFrame, b: UserFrame) -> bool;
    /// A hash of a frame's bytes: equal bytes, equal hash.
    fn hash_bytes(&self, cpu: CpuId, frame: UserFrame) -> u64;
    /// Orders two frames by their bytes, the first that differ decide (C's `memcmp`).
    fn compare_bytes(&self, cpu: CpuId, a: UserFrame, b: UserFrame) -> cmp::Ordering {
        let (mut left, mut right) = ([0; LOOK], [0; LOOK]);
        for offset in (0..PAGE_SIZE).step_by(LOOK) {
            self.read_frame(cpu, a, offset, &mut left);
            self.read_frame(cpu, b, offset, &mut right);
            let order = left.cmp(&right);
            if order.is_ne() {
                return order;
            }
        }
        cmp::Ordering::Equal
    }
    /// Whether a frame holds zero bytes only.
    fn is_zero(&self, cpu: CpuId, frame: UserFrame) -> bool {
        let mut bytes = [0; LOOK];
        (0..PAGE_SIZE).step_by(LOOK).all(|offset| {
            self.read_frame(cpu, frame, offset, &mut bytes);
            bytes == [0; LOOK]
        })
    }
    /// Stores the bytes of a frame in fewer, and answers how many; `None` if they do not fit or the machine
    /// compresses nothing. What is in `into` beyond the answer is unspecified.
    fn compress(&self, cpu: CpuId, from: UserFrame, into: &mut [u8]) -> Option<usize> {
        let _ = (cpu, from, into);
        None
    }
    /// Fills a frame with what [`Machine::compress`] made `from` of. Damaged bytes are safe: they are
    /// refused, and the frame is as it was, or they give other bytes; whoever has to tell the latter keeps
    /// [`Machine::hash_bytes`].
    fn decompress(&self, cpu: CpuId, from: &[u8], to: UserFrame) -> Result<(), Corrupt> {
        let _ = (cpu, from, to);
        Err(Corrupt)
    }

    // ---- shared words ----

    /// Reads a shared word.
    #[inline]
    fn load(&self, cpu: CpuId, word: &Word, order: Ordering) -> u64 {
        let _ = cpu;
        word.raw().load(order)
    }
    /// Writes a shared word.
    #[inline]
    fn store(&self, cpu: CpuId, word: &Word, value: u64, order: Ordering) {
        let _ = cpu;
        word.raw().store(value, order);
    }
    /// Exchanges a shared word.
    #[inline]
    fn swap(&self, cpu: CpuId, word: &Word, value: u64, order: Ordering) -> u64 {
        let _ = cpu;
        word.raw().swap(value, order)
    }
    /// Compare-and-exchange on a shared word.
    #[inline]
    fn compare_exchange(
        &self,
        cpu: CpuId,
        word: &Word,
        current: u64,
        new: u64,
        order: Ordering,
    ) -> Result<u64, u64> {
        let _ = cpu;
        word.raw().compare_exchange(current, new, order, failure_order(order))
    }
    /// Wrapping addition on a shared word.
    #[inline]
    fn fetch_add(&self, cpu: CpuId, word: &Word, value: u64, order: Ordering) -> u64 {
        let _ = cpu;
        word.raw().fetch_add(value, order)
    }
    /// Bitwise or on a shared word.
    #[inline]
    fn fetch_or(&self, cpu: CpuId, word: &Word, bits: u64, order: Ordering) -> u64 {
        let _ = cpu;
        word.raw().fetch_or(bits, order)
    }
    /// Bitwise and on a shared word.
    #[inline]
    fn fetch_and(&self, cpu: CpuId, word: &Word, bits: u64, order: Ordering) -> u64 {
        let _ = cpu;
        word.raw().fetch_and(bits, order)
    }
    /// A memory fence.
    #[inline]
    fn fence(&self, cpu: CpuId, order: Ordering) {
        let _ = cpu;
        atomic::fence(order);
    }
    /// Writes a shared word with Release, then passes a full fence.
    ///
    /// On x86 that is one instruction: no load or store is reordered with a locked exchange (SDM Vol. 3A,
    /// Memory Ordering).
    #[inline]
    fn store_fenced(&self, cpu: CpuId, word: &Word, value: u64) {
        if cfg!(target_arch = "x86_64") {
            self.swap(cpu, word, value, Ordering::SeqCst);
            atomic::compiler_fence(Ordering::SeqCst);
        } else {
            self.store(cpu, word, value, Ordering::Release);
            self.fence(cpu, Ordering::SeqCst);
        }
    }
    /// One turn of a spin loop on `word`, with interrupts as they are.
    #[inline]
    fn relax(&self, cpu: CpuId, word: &Word) {
        let _ = (cpu, word);
        core::hint::spin_loop();
    }

    /// Says that `word` will be read soon. A hint: nothing waits for it.
    #[inline]
    fn prefetch(&self, cpu: CpuId, word: &Word) {
        let _ = (cpu, word);
    }

    // ---- the order of lockless readers ----

    /// Who pays for the order between a lockless reader's mark and what it reads then.
    #[inline]
    fn reader_order(&self) -> ReaderOrder {
        ReaderOrder::Fence
    }
    /// Every CPU of `targets` passes a full fence between the call and its return, and so does this one
    /// (Linux: `membarrier(2)`; a kernel sends an interrupt to those that run). Waits for CPUs whose
    /// interrupts are off until they are on. Interrupts are on here.
    ///
    /// A machine whose readers fence themselves and that runs no policy with interrupts needs none.
    fn heavy_barrier(&self, cpu: CpuId, targets: &CpuSet) {
        let _ = (cpu, targets);
        atomic::fence(Ordering::SeqCst);
    }

    /// Whether every CPU that [`Machine::flush`] was asked to flush has passed a full fence between the call
    /// and its return: true where flushes are interrupts that are waited for, false where hardware broadcasts
    /// them.
    #[inline]
    fn flush_fences(&self) -> bool {
        false
    }

    // ---- CPUs and interrupts ----

    /// Disables interrupts on this CPU; answers whether they were enabled.
    fn irq_save(&self, cpu: CpuId) -> bool;
    /// Enables interrupts again if `were_enabled`.
    fn irq_restore(&self, cpu: CpuId, were_enabled: bool);

    // ---- translations ----

    /// Drops translations on every CPU of `targets` (this one included if it is named).
    ///
    /// Post-condition: when it returns, no CPU of `targets` holds a translation in `scope` that was read from
    /// the tables before the call. Interrupts are on: a target may be asked by interrupt and waited for.
    fn flush(&self, cpu: CpuId, targets: &CpuSet, scope: &FlushScope);
    /// Makes this CPU translate through `root` (`None`: the kernel's tables only, user translations
    /// unreachable). With `stale`, translations kept of `asid` from earlier are dropped first.
    fn load_space(&self, cpu: CpuId, root: Option<(KernelFrame, Asid)>, stale: bool);

    // ---- tasks and time ----

    /// Sleeps until somebody calls [`Machine::unpark`] for this task, or at once if that happened since the
    /// last `park`. May return early. Answers the CPU the task then runs on.
    fn park(&self, cpu: CpuId, task: TaskId) -> CpuId;
    /// Wakes a task.
    fn unpark(&self, cpu: CpuId, task: TaskId);
    /// Nanoseconds since some fixed moment.
    fn now(&self, cpu: CpuId) -> u64;

    // ---- for those who watch and judge ----

    /// Something happened on this CPU, for this task. A machine that nobody watches does not build the event.
    #[inline]
    fn trace(&self, cpu: CpuId, task: TaskId, event: impl FnOnce() -> Event) {
        let _ = (cpu, task, event);
    }
    /// Whether a test planted this bug (see [`crate::plant`]).
    #[inline]
    fn planted(&self, plant: Plant) -> bool {
        let _ = plant;
        false
    }
}
