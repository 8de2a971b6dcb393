//! What a run cost, by cause.

use std::cell::Cell;

macro_rules! causes {
    ($($(#[$meta:meta])* $variant:ident = $name:literal),* $(,)?) => {
        /// What simulated time was spent on.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Cause { $($(#[$meta])* $variant),* }

        /// Every cause, in order of declaration.
        pub const CAUSES: &[Cause] = &[$(Cause::$variant),*];

        impl Cause {
            /// The name under which it is reported.
            pub const fn name(self) -> &'static str {
                match self { $(Cause::$variant => $name),* }
            }
        }
    };
}

causes! {
    /// The program's own instructions.
    User = "user",
    /// Entering and leaving the kernel by system calls.
    Syscall = "syscall",
    /// Entering and leaving the kernel by page faults.
    FaultEntry = "fault_entry",
    /// Translations found in the TLB.
    TlbHit = "tlb_hit",
    /// Walks of page tables by hardware.
    Walk = "walk",
    /// Shared words whose cache line was here.
    Words = "words",
    /// Atomic read-modify-writes whose cache line was here, and fences.
    Atomics = "atomics",
    /// Cache lines that came from other CPUs.
    Lines = "lines",
    /// Waiting in spin loops.
    Spin = "spin",
    /// Dropping this CPU's own translations.
    FlushLocal = "flush_local",
    /// Asking other CPUs by interrupt, and waiting for them.
    IpiWait = "ipi_wait",
    /// Handling other CPUs' interrupts.
    IpiHandle = "ipi_handle",
    /// Loading address spaces.
    LoadSpace = "load_space",
    /// Zeroing user frames.
    Zero = "zero",
    /// Copying, comparing, hashing and moving bytes of user frames.
    Copy = "copy",
    /// Compressing and decompressing user frames.
    Compress = "compress",
    /// Zeroing kernel frames: page tables, slabs.
    TableAlloc = "table_alloc",
    /// Starting reads of files (their latency is idle time or other tasks' time).
    FileRead = "file_read",
    /// Starting writes of files.
    FileWrite = "file_write",
    /// Switching CPUs between tasks.
    ContextSwitch = "context_switch",
    /// Going to sleep and waking others.
    Park = "park",
    /// No task to run.
    Idle = "idle",
}

/// How many causes there are.
pub const CAUSES_LEN: usize = CAUSES.len();

macro_rules! events {
    ($($(#[$meta:meta])* $name:ident),* $(,)?) => {
        /// What happened in the machine, counted.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct Events { $($(#[$meta])* pub $name: u64),* }

        impl Events {
            /// Every count with its name.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name)),*].into_iter()
            }
        }

        #[derive(Default)]
        pub(crate) struct Counts { $(pub(crate) $name: Cell<u64>),* }

        impl Counts {
            pub(crate) fn clear(&self) {
                $(self.$name.set(0);)*
            }

            pub(crate) fn snapshot(&self) -> Events {
                Events { $($name: self.$name.get()),* }
            }
        }
    };
}

events! {
    /// User loads.
    loads,
    /// User stores.
    stores,
    /// Translations found in the TLB's first level.
    tlb_l1_hits,
    /// Translations found in the TLB's second level.
    tlb_l2_hits,
    /// Walks of page tables.
    walks,
    /// Accesses that hardware refused.
    page_faults,
    /// System calls.
    syscalls,
    /// Calls of [`machine::Machine::flush`].
    flushes,
    /// CPUs asked by interrupt to flush.
    ipis,
    /// Of these, for some pages of a space.
    ipis_pages,
    /// Of these, for a whole space.
    ipis_space,
    /// Of these, because page tables went too.
    ipis_tables,
    /// CPUs asked by interrupt to pass a full fence, and nothing else.
    fence_ipis,
    /// Single pages dropped from a TLB.
    pages_flushed,
    /// Whole spaces dropped from a TLB.
    full_flushes,
    /// Loads of a space onto a CPU.
    space_loads,
    /// Shared words read or written.
    word_accesses,
    /// Cache lines that moved between CPUs.
    line_transfers,
    /// Lines that were in no cache of the CPU, or in another's, and were waited for (for more than half of
    /// their way). Counted where caches are modelled ([`crate::SimConfig::caches`]).
    cold_lines,
    /// Lines that were asked for ahead.
    cold_lines_prefetched,
    /// Times a CPU stopped in a spin loop.
    spins,
    /// User frames zeroed.
    frames_zeroed,
    /// User frames copied.
    frames_copied,
    /// User frames compared with others, looked through for zero bytes, or hashed.
    frames_compared,
    /// User frames compressed.
    frames_compressed,
    /// User frames filled from compressed bytes.
    frames_decompressed,
    /// Frames discarded.
    frames_discarded,
    /// Kernel frames zeroed.
    kernel_frames_zeroed,
    /// Pages read from files.
    file_reads,
    /// Pages written to files.
    file_writes,
    /// Transfers in which a device loaded bytes of frames.
    dma_loads,
    /// Transfers in which a device stored bytes to frames.
    dma_stores,
    /// Switches of a CPU between tasks.
    context_switches,
    /// Times a task went to sleep.
    parks,
    /// Times a task was woken.
    unparks,
    /// Times the scheduler moved from one task to another (not a cost; a measure of interleaving).
    scheduler_switches,
    /// Tasks started.
    tasks,
}

impl Counts {
    #[inline]
    pub(crate) fn add(counter: &Cell<u64>, n: u64) {
        counter.set(counter.get().wrapping_add(n));
    }
}

/// What a run did and cost. Equal for equal configuration and input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunReport {
    /// The latest CPU's clock.
    pub sim_ns: u64,
    /// Simulated time over all CPUs, by cause, indexed by [`Cause`].
    pub by_cause: [u64; CAUSES_LEN],
    /// What happened.
    pub events: Events,
    /// How many violations were found so far.
    pub violations: u64,
}

impl RunReport {
    /// Simulated time spent on a cause, over all CPUs.
    pub fn time(&self, cause: Cause) -> u64 {
        self.by_cause[cause as usize]
    }
}

/// Time by cause, as it is booked.
#[derive(Default)]
pub(crate) struct Ledger([Cell<u64>; CAUSES_LEN]);

impl Ledger {
    #[inline]
    pub(crate) fn book(&self, cause: Cause, ns: u64) {
        let slot = &self.0[cause as usize];
        slot.set(slot.get() + ns);
    }

    pub(crate) fn clear(&self) {
        self.0.iter().for_each(|slot| slot.set(0));
    }

    pub(crate) fn snapshot(&self) -> [u64; CAUSES_LEN] {
        std::array::from_fn(|i| self.0[i].get())
    }
}
