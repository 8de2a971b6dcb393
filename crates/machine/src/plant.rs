//! Planted bugs: steps that a test can have left out, to see that a judge notices.
//!
//! The manager asks [`crate::Cx::planted`] where a step of a protocol could be forgotten. Ordinary machines
//! answer no at compile time, so the question costs nothing; the simulated machine answers yes to the one bug
//! that a test planted in it. `docs/judges.md` tells what catches each.
//!
//! Identifiers such as L-9 or CR11 are those of the facts the project started from (see `docs/rules.md`).

use core::fmt;
use core::str::FromStr;

macro_rules! plants {
    ($($(#[doc = $doc:literal])+ $id:ident = $name:literal,)*) => {
        /// A bug that can be planted.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum Plant {
            $($(#[doc = $doc])+ $id,)*
        }

        impl Plant {
            /// All of them.
            pub const ALL: &[Plant] = &[$(Plant::$id),*];

            /// Its name, as tests and command lines write it.
            pub const fn name(self) -> &'static str {
                match self { $(Plant::$id => $name,)* }
            }
        }
    };
}

plants! {
    // ---- the batch ----
    /// Changed entries are never flushed: CPUs go on with what they remember (L-4, W-4). Every flush that an
    /// architecture or a driver forgot looks like this.
    FlushForgotten = "flush-forgotten",
    /// Frames are freed first, and flushed then (L-9): a CPU goes on writing what is somebody else's by
    /// then. Linux gathers pages (`mmu_gather`) so as not to.
    FreedBeforeFlush = "freed-before-flush",
    /// Unlinked tables are freed without a grace period (L-2): a walk without a lock goes on in what is
    /// somebody else's by then. Linux waits by interrupts or RCU (`tlb_remove_table`).
    TableWithoutGrace = "table-without-grace",
    /// Unlinking a table flushes nothing of its own: CPUs keep the cached upper levels that lead to it
    /// (L-13). Linux: `freed_tables` of `mmu_gather`.
    UpperLevelsKept = "upper-levels-kept",
    /// Who finds entries empty does not ask whether whoever emptied them has flushed (L-10): Linux's
    /// `mm_tlb_flush_nested`, for two `MADV_DONTNEED` of one range at once.
    NestedIgnored = "nested-ignored",
    /// The generation is raised after the flush and not before it (L-16): a CPU that comes in between is
    /// neither flushed nor told. On Linux `inc_mm_tlb_gen` comes before `mm_cpumask` is read.
    GenerationRaisedLate = "generation-raised-late",
    /// A CPU that comes back to a space does not compare generations (L-15): lazy TLB mode without
    /// `tlb_gen`.
    GenerationIgnored = "generation-ignored",
    /// An entry of 2 MiB that `MADV_DONTNEED` took is flushed when the batch is settled, after its lock was
    /// dropped (LR8, L-8): a fault puts small pages there, and a CPU has both sizes at once. Linux's
    /// `zap_huge_pmd` on powerpc.
    HugeFlushedLate = "huge-flushed-late",
    /// `munmap` takes its mapping off the file's list before it has flushed (L-14): a truncation that comes
    /// then finds no mapping, and does not know that a flush is owed. Linux frees page tables, and so
    /// flushes, after `unlink_file_vma` but for `VM_PFNMAP` (b67fbebd4cf9).
    MappingLeftEarly = "mapping-left-early",
    /// The CPUs to flush are looked up before the entries change (L-16): one that joins the space in between
    /// is not asked, and the generation it finds is still the old one.
    MaskReadEarly = "mask-read-early",
    // ---- walks without a lock ----
    /// A walk keeps the place of an entry of 2 MiB, and reads it again when it needs the frame (LR1, L-1): by
    /// then a table is linked there, and its frame is taken for the page's.
    WalkerKeepsPlace = "walker-keeps-place",
    /// A walk looks at an entry twice, first for its kind and then for the table it leads to (LR1, L-1): in
    /// between the table has made room for a page.
    EntryReadTwice = "entry-read-twice",
    /// A walk's guard ends before the last entry is read (LR2, L-21): the table is somebody else's by then.
    GuardEndsEarly = "guard-ends-early",
    /// A walk that ends early, for want of a table, does not give its guard back (L-23): who frees tables
    /// waits for ever.
    GuardLeaked = "guard-leaked",
    /// A batch that finds no room for more payloads is settled early, and does not wait for walks then (LR5,
    /// L-3): the path that is never taken. Linux: `tlb_remove_table_sync_one` in `tlb_remove_table_one`.
    FallbackUnwaited = "fallback-unwaited",
    /// A walk marks its CPU and passes no fence (LR12, L-4): its first look comes before the mark is to be
    /// seen. The counting series had no barriers until its fifth version.
    EnterUnfenced = "enter-unfenced",
    /// Who frees tables waits until no CPU walks at all, not for the walks that may have seen the table
    /// (LR14, LR15, L-5): two CPUs that walk in turns hold it up for ever.
    WaitForNobody = "wait-for-nobody",
    // ---- swap ----
    /// A page that turns out to be pinned gets its entry back, and its slot is not given back (row 15 of the
    /// COW table): the slot is never free again. Linux: the `swap_free` on that path of `try_to_unmap_one`.
    SwapCountLeaked = "swap-count-leaked",
    /// Fork leaves swap entries exclusive (CR15, C-15): both sides bring the page back, take it for theirs
    /// alone, and write it in place. Linux clears `pte_swp_exclusive` in `copy_nonpresent_pte`.
    SwapSoleKeptByFork = "swap-sole-kept-by-fork",
    /// A swap entry does not remember that its page was exclusive when it comes back (CR16, C-4): the next
    /// store copies it away from whoever refers to it for a device. Linux before `pte_swp_exclusive` (5.19).
    SwapSoleForgotten = "swap-sole-forgotten",
    /// `swapoff` brings pages back as if none had been exclusive (CR17, C-4).
    SwapOffForgetsSole = "swapoff-forgets-sole",
    /// A fault reads its slot past the cache (C-17): another fault brings the page back, a program stores to
    /// it, it is swapped out to the same slot, and the first maps what it read before. Linux had this for
    /// devices that read at once, until commit 13ddaf26be32.
    SwapReadsRoundCache = "swap-reads-round-cache",
    /// A page that is being written to a device that wants its bytes stable comes back exclusive (CR16,
    /// C-16), and is stored to while it is written.
    StableWritesIgnored = "stable-writes-ignored",
    // ---- locked memory ----
    /// `mlock` changes the VMA and leaves what is mapped there as it was: those pages are evicted. Linux:
    /// `mlock_pte_range`.
    MlockMarksNothing = "mlock-marks-nothing",
    /// Reclaim asks whether a page is locked and takes its mappings away then: a `mlock` comes between.
    /// Linux asks each VMA again, under the table's lock, in `try_to_unmap_one`.
    EvictsLocked = "evicts-locked",
    /// A page that was given up lazily is dropped without asking whether a program has stored to it since.
    /// Linux: the dirty bit that `try_to_unmap_one` looks at again.
    LazyFreeDropsWritten = "lazy-free-drops-written",
    /// A page that was given up lazily is dropped although somebody refers to it, or a device has stored to
    /// it and let go. Linux: the references, and then the dirty flag, that `try_to_unmap_one` compares.
    LazyFreeDropsReferred = "lazy-free-drops-referred",
    /// The entry of a page that was given up lazily is flushed after its leaf is unlocked: the next fault's
    /// page is there beside the old one. Linux: `ptep_clear_flush` in `try_to_unmap_one`.
    LazyFreeFlushedLate = "lazy-free-flushed-late",
    // ---- faults and tables ----
    /// A fault does not ask under the leaf's lock whether the VMA is still what it saw (LR3): Linux's
    /// speculative faults and per-VMA locks stand and fall with this look.
    StampUnchecked = "stamp-unchecked",
    /// A fault does not ask under the leaf's lock whether the entry is still what it saw (LR3, C-5): the
    /// `pte_same` that follows every `pte_offset_map_lock`.
    EntryUnchecked = "entry-unchecked",
    /// A changer of VMAs skips leaf tables that are empty: a fault may be about to fill one.
    EmptyLeafSkipped = "empty-leaf-skipped",
    /// A fault that finds a hole without the lock believes it: a VMA that is being split is not seen for a
    /// moment, and the program is killed for it.
    HoleBelieved = "hole-believed",
    // ---- copy-on-write ----
    /// Fork leaves the parent's entries writable (CR1, CR6): the child sees what the parent stores later.
    ForkLeavesWritable = "fork-leaves-writable",
    /// Fork leaves the exclusive bit set on what it shares (CR2, CR6): the next write fault reuses the page
    /// in place.
    ForkLeavesExclusive = "fork-leaves-exclusive",
    /// Fork shares pages whoever has them pinned (CR6, C-24): the program's next store goes to a copy, and
    /// the device goes on with the old page. Linux with `MMF_HAS_PINNED` set after the walk, or without
    /// `write_protect_seq`.
    ForkIgnoresPins = "fork-ignores-pins",
    /// Faults of the parent go on during fork, before its old translations are flushed: a page is copied that
    /// another thread can still store to, and that store is lost. Linux holds `mmap_lock` and
    /// `write_protect_seq` over it.
    ForkUnmarked = "fork-unmarked",
    /// A write fault reuses a page that is mapped once, whatever else refers to it (C-1): who reads it
    /// through a pipe needs no mapping. Linux's reuse by the mapping count showed a child what its parent
    /// stored (CVE-2020-29374).
    ReuseByMapcount = "reuse-by-mapcount",
    /// A copy is mapped before the old translation is flushed (row 9 of the copy-on-write table): one thread
    /// writes the new page while another reads the old one. Linux: `ptep_clear_flush` in `wp_page_copy`.
    CopyBeforeFlush = "copy-before-flush",
    /// A split forgets that the VMA had private pages: fork leaves those of the upper part out.
    SplitForgetsPrivate = "split-forgets-private",
    // ---- pins ----
    /// A pin taken without a lock is kept though the entry has changed meanwhile (CR9 B4, C-5): the frame is
    /// another page's by then, and a device stores there. Linux looks at the entry again in
    /// `gup_fast_pte_range`.
    PinWithoutRecheck = "pin-without-recheck",
    /// A pin is taken whatever the exclusive bit says (CR3, CR9 B5, C-8): the program's next store goes to a
    /// copy, and the device goes on with the old page. Linux: `gup_must_unshare`.
    PinWhateverTheBit = "pin-whatever-the-bit",
    /// Exclusivity is taken away in two steps, first a look at the pins and then the bit (CR8, C-7): a pin
    /// comes between.
    ShareInTwoSteps = "share-in-two-steps",
    /// Exclusivity of a page of a large folio is taken away after a look at the pins, and they are not looked
    /// at again (CR8, C-7): a pin comes between. On Linux the second barrier of
    /// `folio_try_share_anon_rmap_pte`, and what it orders.
    PartSharedInTwoSteps = "part-shared-in-two-steps",
    /// `mprotect` makes entries writable whoever shares their pages (CR13): the child sees what its parent
    /// stores. Linux: `can_change_private_writable`.
    UpgradeWithoutExclusive = "upgrade-without-exclusive",
    /// A debugger's store to a read-only private page does not ask whether the page is exclusive (C-20): it
    /// reaches everybody who has the page (CVE-2016-5195, Dirty COW, was of this class).
    ForceWithoutExclusive = "force-without-exclusive",
    /// A read-only pin does not make the page exclusive first (CR12, C-22): it keeps the zero page, or a page
    /// that others share, and never sees what the program stores later.
    UnshareForgotten = "unshare-forgotten",
    // ---- large pages ----
    /// An entry of 2 MiB becomes 512 whose pages are exclusive to nobody: a pinned one is copied under its
    /// pin (row 23). Linux: `__split_huge_pmd_locked`.
    SplitDropsExclusive = "split-drops-exclusive",
    /// A fault fills an entry of 2 MiB without having claimed it first: who changes the mapping meanwhile
    /// skips an entry that it finds empty.
    HugeUnclaimed = "huge-unclaimed",
    /// A large folio is split though a page of it stayed mapped, or somebody has a reference to it (C-9).
    /// Linux: `folio_ref_freeze` of `split_huge_page_to_list_to_order`.
    SplitIgnoresRefusal = "split-ignores-refusal",
    /// Collapse does not wait for walks without a lock that saw the table it takes out, and a pin does not
    /// look at the way to its entry again (C-25): it is taken on a page that has been copied already. Linux
    /// until 70cbc3cc78a9, where walks are not waited for by interrupts.
    CollapseUnwaited = "collapse-unwaited",
    /// Pages are copied into a large one though somebody else has references: what a device stores to the
    /// old ones is lost (C-25). Linux: the counts that `__collapse_huge_page_isolate` compares.
    CollapseUnchecked = "collapse-unchecked",
    // ---- migration ----
    /// A page moves although others have references to it (CR19): they go on with the old frame. Linux:
    /// `folio_ref_freeze` in `__folio_migrate_mapping`.
    MigrateWithUsers = "migrate-with-users",
    /// Fork copies migration entries as they are (C-14, row 20): both sides take the page for theirs alone
    /// when it has arrived. Linux: the migration entries of `copy_nonpresent_pte`.
    MigrationKeptByFork = "migration-kept-by-fork",
    /// A migration entry of a read-only page forgets that the page was exclusive (C-13). Linux:
    /// `make_readable_exclusive_migration_entry`.
    MigrationForgets = "migration-forgets",
    /// An entry of 2 MiB is empty for a moment while it becomes a migration entry: whoever unmaps it then
    /// finds nothing to unmap, and the page comes back where nothing is mapped. Linux looks for it under the
    /// lock of the PMD, and clears it by `pmdp_invalidate`.
    LiftedToNothing = "lifted-to-nothing",
    /// Pages of a large folio that is mapped by pages come back from a move exclusive to nobody (CR18, CR24):
    /// a store that nobody asked about goes to a page that is copied under its pin later. Linux: the
    /// `RMAP_EXCLUSIVE` of `remove_migration_pte`, for each page of a large folio.
    MovedPartsForget = "moved-parts-forget",
    // ---- merging ----
    /// An entry that is read-only and clean counts as harmless: bytes are compared before it is flushed, and
    /// a store through an old translation comes in between (C-12). Linux: `mm_tlb_flush_pending` in
    /// `write_protect_page`.
    KsmIgnoresPendingFlush = "ksm-ignores-pending-flush",
    /// Bytes are compared when twins are found, and not again once nobody can change them (W-3). Linux: the
    /// `pages_identical` of `try_to_merge_one_page`.
    KsmComparesEarly = "ksm-compares-early",
    /// The scanner takes a merged page for gone while it is moved to another frame: its node goes, and nobody
    /// finds the page's mappings any more. Linux: the second look at `kpfn` in `ksm_get_folio`.
    KsmNodeForgotten = "ksm-node-forgotten",
    /// A page is merged whoever has a reference or a pin on it (C-11): the device goes on writing to a page
    /// that its program does not map any more.
    KsmMergesPinned = "ksm-merges-pinned",
    // ---- files ----
    /// Writeback takes the dirty mark away after it write-protected the page, not before: a store in between
    /// is never written (L-19). Linux: the order of `folio_clear_dirty_for_io`.
    DirtyClearedLate = "dirty-cleared-late",
    /// Truncation visits the tables first and takes pages out of the cache then: a fault maps one behind it.
    /// Linux calls `unmap_mapping_range` twice.
    DisownedLate = "disowned-late",
    /// A page is marked up to date before it was read: its other readers see what the frame held.
    UptodateEarly = "uptodate-early",
    /// A lookup without a lock takes a reference to a page that has none left: reclaim has taken it already.
    /// Linux: `folio_try_get`.
    GetFromZero = "get-from-zero",
    // ---- waiting ----
    /// Who waits for a page looks at its lock first and says that it waits then (W-18): an unlock in between
    /// wakes nobody.
    WaiterFlagLate = "waiter-flag-late",
    /// A page is unlocked and nobody is woken.
    UnlockWithoutWake = "unlock-without-wake",
    // ---- accounts ----
    /// Unmapping does not take back what was promised: `Committed_AS` only ever grows.
    PromiseKept = "promise-kept",
    /// A `mmap` that fails for want of memory keeps its promise.
    PromiseLeaked = "promise-leaked",
    /// Frames drained from a CPU's lists never reach their zone.
    DrainForgotten = "drain-forgotten",
    /// A stack grows up to its neighbour: no guard gap (CVE-2017-1000364, Stack Clash).
    GuardGapForgotten = "guard-gap-forgotten",
}

impl fmt::Display for Plant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No planted bug has this name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnknownPlant;

impl fmt::Display for UnknownPlant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no planted bug has this name")
    }
}

impl core::error::Error for UnknownPlant {}

impl FromStr for Plant {
    type Err = UnknownPlant;

    fn from_str(name: &str) -> Result<Plant, UnknownPlant> {
        Plant::ALL.iter().copied().find(|plant| plant.name() == name).ok_or(UnknownPlant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for &plant in Plant::ALL {
            assert_eq!(plant.name().parse(), Ok(plant));
        }
        assert_eq!("".parse::<Plant>(), Err(UnknownPlant));
    }
}
