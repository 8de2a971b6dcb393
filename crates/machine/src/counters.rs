//! Event counters, one block a CPU. Names are Linux's (`/proc/vmstat`) where Linux has them.

use crate::Field;

macro_rules! counters {
    ($($(#[$meta:meta])* $variant:ident = $name:literal),* $(,)?) => {
        /// An event that is counted.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Counter { $($(#[$meta])* $variant),* }

        /// Every counter, in order of declaration.
        pub const COUNTERS: &[Counter] = &[$(Counter::$variant),*];

        impl Counter {
            /// The name under which it is reported.
            pub const fn name(self) -> &'static str {
                match self { $(Counter::$variant => $name),* }
            }
        }
    };
}

counters! {
    /// Page faults that were resolved or refused.
    PgFault = "pgfault",
    /// Faults that had to wait for a file to be read.
    PgMajFault = "pgmajfault",
    /// Frames handed out by the allocator.
    PgAlloc = "pgalloc",
    /// Frames given back to the allocator.
    PgFree = "pgfree",
    /// Frames taken from or given to a zone by whole batches of a per-CPU list.
    PcpRefill = "pcp_refill",
    /// Batches drained from per-CPU lists.
    PcpDrain = "pcp_drain",
    /// Blocks stolen from another migratetype.
    PgAllocFallback = "mm_page_alloc_extfrag",
    /// First faults on anonymous memory that got a new frame.
    FaultAnon = "fault_anon",
    /// Read faults on anonymous memory that got the zero page.
    FaultZero = "fault_zero_page",
    /// Read faults on file pages.
    FaultFileRead = "fault_file_read",
    /// Write faults on private file pages (copied at once).
    FaultFileCow = "fault_file_cow",
    /// Write faults on shared file pages.
    FaultFileShared = "fault_file_shared",
    /// Write faults on write-protected anonymous pages.
    FaultWriteProtect = "fault_wp",
    /// Faults that found the entry already good.
    FaultSpurious = "fault_spurious",
    /// Faults that started over because something changed under them.
    FaultRetry = "fault_retry",
    /// Faults answered with SIGSEGV.
    FaultSegv = "fault_segv",
    /// Faults answered with SIGBUS.
    FaultBus = "fault_bus",
    /// Pages mapped around a faulting file page.
    FaultAround = "fault_around",
    /// Anonymous (or zero, or private file) pages copied on write.
    CowCopied = "cow_copied",
    /// Pages found exclusive, or made so, and written in place.
    CowReused = "cow_reused",
    /// Pages made exclusive for a read-only pin, by reuse or by copying.
    CowUnshared = "cow_unshared",
    /// Pages pinned.
    PinAcquired = "nr_foll_pin_acquired",
    /// Pages unpinned.
    PinReleased = "nr_foll_pin_released",
    /// Pages held, by pins and by references, without a lock.
    HeldFast = "gup_fast",
    /// Pages held under the lock of their leaf.
    HeldSlow = "gup_slow",
    /// Merged pages (KSM) copied on write.
    CowKsm = "cow_ksm",
    /// Entries shared by fork.
    ForkShared = "fork_shared",
    /// First faults that got 2 MiB at once.
    ThpFaultAlloc = "thp_fault_alloc",
    /// First faults that wanted 2 MiB and got a small page.
    ThpFaultFallback = "thp_fault_fallback",
    /// Tables that became one entry of 2 MiB.
    ThpCollapseAlloc = "thp_collapse_alloc",
    /// Collapses for which no 2 MiB could be had.
    ThpCollapseAllocFailed = "thp_collapse_alloc_failed",
    /// Folios of 2 MiB that became small ones.
    ThpSplitPage = "thp_split_page",
    /// Folios of 2 MiB that could not become small ones: somebody has a pin or a reference.
    ThpSplitPageFailed = "thp_split_page_failed",
    /// Entries of 2 MiB that became 512 of 4 KiB.
    ThpSplitPmd = "thp_split_pmd",
    /// Folios of 2 MiB that were moved whole.
    ThpMigrationSuccess = "thp_migration_success",
    /// Folios of 2 MiB that were to be moved and stayed.
    ThpMigrationFail = "thp_migration_fail",
    /// Folios of 2 MiB that were split to be moved: there was no free block of their size.
    ThpMigrationSplit = "thp_migration_split",
    /// Pages read from files.
    PgPgIn = "pgpgin",
    /// Pages written to files.
    PgPgOut = "pgpgout",
    /// Pages read from swap areas.
    PSwpIn = "pswpin",
    /// Pages written to swap areas.
    PSwpOut = "pswpout",
    /// Anonymous pages that were to leave memory and stayed.
    SwpOutRefused = "swpout_refused",
    /// Pages read from swap areas before anybody asked for them.
    SwapRa = "swap_ra",
    /// Flush rounds: one request to some CPUs to drop translations, waited for once.
    TlbFlushRounds = "nr_tlb_remote_flush",
    /// CPUs asked by interrupt to flush.
    TlbIpis = "nr_tlb_remote_flush_received",
    /// Flushes of this CPU's own translations that needed no other CPU.
    TlbLocal = "nr_tlb_local_flush_all",
    /// Grace periods waited for.
    GracePeriods = "grace_periods",
    /// Requests to some CPUs to pass a full fence, waited for once: on behalf of lockless readers.
    HeavyBarriers = "heavy_barriers",
    /// CPUs asked so: interrupts that are not flushes.
    WalkIpis = "walk_ipis",
    /// Revocation batches settled.
    Batches = "revoke_batches",
    /// Page tables allocated.
    TableAlloc = "page_table_alloc",
    /// Page tables freed.
    TableFree = "page_table_free",
    /// Anonymous pages looked at by reclaim.
    PgScanAnon = "pgscan_anon",
    /// File pages looked at by reclaim.
    PgScanFile = "pgscan_file",
    /// Anonymous pages that reclaim freed.
    PgStealAnon = "pgsteal_anon",
    /// Cached file pages dropped by reclaim.
    PgSteal = "pgsteal_file",
    /// Pages that entries of locked memory came to map.
    UnevictablePgMlocked = "unevictable_pgs_mlocked",
    /// Pages that entries of locked memory no longer map.
    UnevictablePgMunlocked = "unevictable_pgs_munlocked",
    /// Pages that reclaim would have evicted and found locked.
    UnevictablePgCulled = "unevictable_pgs_culled",
    /// Pages that were moved to another frame.
    PgMigrateSuccess = "pgmigrate_success",
    /// Pages that were to be moved and stayed.
    PgMigrateFail = "pgmigrate_fail",
    /// Entries that lost their rights so that the next use is seen (NUMA balancing).
    NumaPteUpdates = "numa_pte_updates",
    /// Entries of 2 MiB among them (each is 512 of those).
    NumaHugePteUpdates = "numa_huge_pte_updates",
    /// Such uses.
    NumaHintFaults = "numa_hint_faults",
    /// Those from the node the page is on.
    NumaHintFaultsLocal = "numa_hint_faults_local",
    /// Pages moved to the node they are used from.
    NumaPagesMigrated = "numa_pages_migrated",
    /// Frames compaction looked at for pages to move.
    CompactMigrateScanned = "compact_migrate_scanned",
    /// Pageblocks compaction took free frames from.
    CompactFreeScanned = "compact_free_scanned",
    /// Pages and free frames compaction took.
    CompactIsolated = "compact_isolated",
    /// Times an allocation waited for compaction.
    CompactStall = "compact_stall",
    /// Times that gave no block.
    CompactFail = "compact_fail",
    /// Times that gave one.
    CompactSuccess = "compact_success",
    /// Processes killed for want of memory.
    OomKill = "oom_kill",
    /// Allocations that failed.
    AllocFail = "alloc_fail",
}

crate::cells! {
    /// One CPU's counts.
    #[repr(align(64))]
    pub struct Block {
        /// (own CPU) Indexed by [`Counter`].
        pub counts: [Field<u64>; COUNTERS.len()],
    }
}
