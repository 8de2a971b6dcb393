//! One address space, and what it is measured against.

use crate::granule::{Granule, Granules};
use crate::policy::MemPolicy;
use crate::stamp_block::BLOCK;
use crate::tree::Tree;
use crate::uses;
use crate::vma::VmaFlags;
use core::mem::offset_of;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use frame::Id;
use machine::lock::Sleep;
use machine::{Cx, Field, Machine, Memory, PAGE_SHIFT, Vpn, Word, level};
use object::Attachment;
use table::{Counted, PageTable};

/// Limits of a process on its memory, in bytes (`RLIM_INFINITY` is `u64::MAX`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// `RLIMIT_AS`: all of the address space.
    pub address_space: u64,
    /// `RLIMIT_DATA`: private writable memory.
    pub data: u64,
    /// `RLIMIT_STACK`: how far a stack grows; also where `mmap` starts searching.
    pub stack: u64,
    /// `RLIMIT_MEMLOCK`: locked memory.
    pub memlock: u64,
}

impl Limits {
    /// What Linux gives a program: an 8 MiB stack, 8 MiB of locked memory, no other limit.
    pub const DEFAULT: Limits =
        Limits { address_space: u64::MAX, data: u64::MAX, stack: 8 << 20, memlock: 8 << 20 };
}

machine::cells! {
    /// An address space, in a slab. What changes with the layout is on other lines than what faults read.
    #[repr(align(64))]
    pub struct Space {
        /// Who uses it, and on how many CPUs it is loaded ([`uses`]). 0: free.
        uses: Word,
        /// Covers the VMA tree and everything marked (layout).
        pub(crate) layout: Sleep<{ level::LAYOUT }>,
        /// (layout) How many stamps were given to VMAs.
        stamps: Field<u64>,
        /// (layout) Pages, by use.
        pub(crate) total: Field<u64>,
        /// (layout) Most pages ever mapped.
        pub(crate) peak_total: Field<u64>,
        /// (layout) Pages of private writable VMAs that are no stack.
        pub(crate) data: Field<u64>,
        /// (layout) Pages of executable, not writable VMAs.
        pub(crate) exec: Field<u64>,
        /// (layout; read inside an epoch) The VMAs by address.
        pub(crate) tree: Tree,
        /// Non-zero once its processes are to die.
        killed: Word,
        /// (set once) Translations.
        pub(crate) table: Field<Option<Id<PageTable>>>,
        /// (layout; set once) Parts of the layout with locks of their own.
        pub(crate) granules: Field<Option<Id<Granules>>>,
        /// (changed with the layout held) Which of them are open, a bit for each.
        pub(crate) open: Word,
        /// (set once) Its membership in a lineage: the reverse map of its anonymous pages.
        pub(crate) member: Field<Option<Id<Attachment>>>,
        /// (layout; read without it by faults) Which nodes new pages come from, if their VMA does not say.
        pub(crate) policy: Field<MemPolicy>,
        /// (a choice of the program) It gets no pages of 2 MiB.
        pub(crate) huge_refused: Field<bool>,
        /// (only ever set) Whether some VMA ever was mergeable: who scans looks here.
        has_mergeable: Field<bool>,
        /// (layout) One past the highest page `mmap` searches from, downwards.
        pub(crate) mmap_base: Field<Vpn>,
        /// (layout) Where the heap starts, in bytes.
        pub(crate) break_start: Field<u64>,
        /// (layout) Where the heap ends, in bytes.
        pub(crate) break_end: Field<u64>,
        /// (layout) Flags every new VMA gets (`mlockall(MCL_FUTURE)`).
        pub(crate) future: Field<VmaFlags>,
        /// (layout) New VMAs that can be merged may be.
        pub(crate) merge_any: Field<bool>,
        /// (layout) Fork took locks from its VMAs.
        pub(crate) lost_locks: Field<bool>,
        /// (layout) Pages of stacks.
        pub(crate) stack: Field<u64>,
        /// (layout) Pages of locked VMAs.
        pub(crate) locked: Field<u64>,
        /// (layout) Pages counted as committed.
        pub(crate) committed: Field<u64>,
        /// (statistic) Most pages ever resident.
        pub(crate) peak_rss: Field<u64>,
        /// (statistic) Most page tables ever held.
        pub(crate) peak_tables: Field<u64>,
        /// (layout) How often a change within one granule waited for the layout.
        pub(crate) waits: Field<u64>,
        limit_address_space: Field<u64>,
        limit_data: Field<u64>,
        limit_stack: Field<u64>,
        limit_memlock: Field<u64>,
    }
}

// The tree's root begins the line of what faults read.
const _: () = assert!(offset_of!(Space, killed) == 72 && offset_of!(Space, huge_refused) < 128);

impl Space {
    /// Whether what is mapped from now on will be locked (`MCL_FUTURE`).
    pub fn locks_new_memory(&self) -> bool {
        self.future.get().contains(VmaFlags::LOCKED)
    }

    /// Whether all that can be merged may be. (layout)
    pub fn merges_any(&self) -> bool {
        self.merge_any.get()
    }

    /// Whether some VMA ever was mergeable.
    pub(crate) fn has_mergeable(&self) -> bool {
        self.has_mergeable.get()
    }

    /// Some VMA is about to be.
    pub(crate) fn note_mergeable(&self) {
        self.has_mergeable.set(true);
    }

    /// Its translations.
    pub fn table(&self) -> Option<Id<PageTable>> {
        self.table.get()
    }

    /// Its membership in a lineage.
    pub fn member(&self) -> Option<Id<Attachment>> {
        self.member.get()
    }

    /// Whether fork took locks from its VMAs (or from those it was copied from): neighbours
    /// may be alike then. (layout)
    pub fn lost_locks(&self) -> bool {
        self.lost_locks.get()
    }

    /// The limits in force. (layout)
    pub fn limits(&self) -> Limits {
        Limits {
            address_space: self.limit_address_space.get(),
            data: self.limit_data.get(),
            stack: self.limit_stack.get(),
            memlock: self.limit_memlock.get(),
        }
    }

    /// Replaces the limits. (layout)
    pub(crate) fn set_limits(&self, limits: &Limits) {
        self.limit_address_space.set(limits.address_space);
        self.limit_data.set(limits.data);
        self.limit_stack.set(limits.stack);
        self.limit_memlock.set(limits.memlock);
    }

    /// Whether its processes are to die.
    pub fn is_killed<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> bool {
        // ORDERING: Acquire pairs with the Release in `kill`.
        cx.load(&self.killed, Acquire) != 0
    }

    /// The same, for checkers of a quiet machine.
    pub fn was_killed(&self) -> bool {
        self.killed.raw().load(Relaxed) != 0
    }

    /// Marks its processes to die.
    pub(crate) fn kill<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) {
        // ORDERING: Release pairs with the Acquire in `is_killed`.
        cx.store(&self.killed, 1, Release);
    }

    /// Ends what `kill` began, for a space that nobody knows yet.
    pub(crate) fn let_live<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) {
        // ORDERING: Release pairs with the Acquire in `is_killed`: who may choose it finds it complete.
        cx.store(&self.killed, 0, Release);
    }

    /// Notes how much is resident if it is more than ever before.
    pub(crate) fn note_peak(&self, table: &Counted<'_>) {
        let note = |peak: &Field<u64>, now: u64| {
            if now > peak.get() {
                peak.set(now);
            }
        };
        note(&self.peak_rss, table.resident());
        note(&self.peak_tables, table.tables());
    }

    /// Its users and holds.
    pub(crate) fn uses(&self) -> &Word {
        &self.uses
    }

    /// How many users: a hint, exact on a quiet machine.
    pub fn users(&self) -> u64 {
        uses::users(self.uses.raw().load(Relaxed))
    }

    /// On how many CPUs it is loaded, and one if it has users: for checkers of a quiet machine.
    pub fn holds(&self) -> u64 {
        uses::holds(self.uses.raw().load(Relaxed))
    }

    /// A stamp no VMA ever had while this space lives: the space's own number and a count. (A fault keeps its
    /// space in use, so a stamp it saw cannot come back under it.) (the whole layout)
    pub(crate) fn new_stamp(&self, id: Id<Space>) -> u64 {
        self.stamps.set(self.stamps.get() + 1);
        stamp(id, self.stamps.get())
    }

    /// The same for who has one granule.
    pub(crate) fn new_stamp_in(&self, granule: &Granule, id: Id<Space>) -> u64 {
        // Others take blocks at the same time: of a block that is twice as long a whole one is aligned.
        let block = || (self.stamps.add_shared(2 * BLOCK) - BLOCK) / BLOCK * BLOCK;
        stamp(id, granule.stamps.next(block))
    }

    /// What a granule counted joins the rest. (the whole layout)
    pub(crate) fn bring_home(&self, pages: u64, committed: u64) {
        self.total.add(pages);
        self.data.add(pages);
        self.committed.add(committed);
        self.peak_total.set(self.peak_total.get().max(self.total.get()));
    }

    /// Whether new plain VMAs need no look at limits, and become what they are asked to be.
    pub(crate) fn takes_plain(&self) -> bool {
        let limits = self.limits();
        let unlimited = limits.address_space == u64::MAX && limits.data == u64::MAX;
        unlimited && self.future.get() == VmaFlags::default() && !self.merge_any.get()
    }

    /// Books pages of a VMA with these flags (Linux: `vm_stat_account`). (layout)
    pub(crate) fn account(&self, flags: VmaFlags, pages: u64, sign: Sign) {
        let book = |field: &Field<u64>| match sign {
            Sign::Plus => field.add(pages),
            Sign::Minus => field.sub(pages),
        };
        book(&self.total);
        self.peak_total.set(self.peak_total.get().max(self.total.get()));
        if is_stack(flags) {
            book(&self.stack);
        } else if flags.contains(VmaFlags::EXEC) && !flags.contains(VmaFlags::WRITE) {
            book(&self.exec);
        } else if is_data(flags) {
            book(&self.data);
        }
        if flags.contains(VmaFlags::LOCKED) {
            book(&self.locked);
        }
    }
}

fn stamp(id: Id<Space>, count: u64) -> u64 {
    (u64::from(id.raw()) << 39 | count) << 1
}

/// Adding or taking away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sign {
    /// Pages came.
    Plus,
    /// Pages went.
    Minus,
}

fn is_stack(flags: VmaFlags) -> bool {
    flags.contains(VmaFlags::GROWS_DOWN)
}

/// Whether `RLIMIT_DATA` covers such a VMA (Linux: `is_data_mapping`).
pub(crate) fn is_data(flags: VmaFlags) -> bool {
    flags.contains(VmaFlags::WRITE) && flags.is_private() && !is_stack(flags)
}

/// What a space holds now, in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// All VMAs (`VmSize`).
    pub total: u64,
    /// Most pages ever mapped (`VmPeak`).
    pub peak_total: u64,
    /// Private writable VMAs (`VmData`).
    pub data: u64,
    /// Executable VMAs (`VmExe` and `VmLib`).
    pub exec: u64,
    /// Stacks (`VmStk`).
    pub stack: u64,
    /// Locked VMAs (`VmLck`).
    pub locked: u64,
    /// Committed pages.
    pub committed: u64,
    /// Resident anonymous pages (`RssAnon`).
    pub anon_rss: u64,
    /// Resident pages of files (`RssFile`).
    pub file_rss: u64,
    /// Resident pages of shared memory (`RssShmem`).
    pub shmem_rss: u64,
    /// Pages of anonymous memory that entries of 2 MiB map (Linux: `AnonHugePages` of smaps).
    pub anon_huge: u64,
    /// Resident pages that are locked in memory.
    pub mlocked: u64,
    /// Pages that are swapped out (Linux: `VmSwap`). Not resident.
    pub swapped: u64,
    /// Most pages ever resident (`VmHWM`).
    pub peak_rss: u64,
    /// Page tables (`VmPTE`).
    pub tables: u64,
    /// Most page tables ever held.
    pub peak_tables: u64,
    /// How many VMAs.
    pub vmas: u64,
}

/// Pages of a limit in bytes.
pub(crate) fn limit_pages(bytes: u64) -> u64 {
    bytes >> PAGE_SHIFT
}
