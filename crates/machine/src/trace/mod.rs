//! What the manager tells those who watch it.
//!
//! An event is built only where a machine asks for it ([`crate::Machine::trace`]); on ordinary machines all
//! of this is no code. Nothing in the manager may depend on an event having been seen, and building one
//! reads no shared word through the machine: watching changes nothing.
//!
//! An event is told at the place where the thing happens: a change of an entry under the lock of its table,
//! right after it; a decision right before what follows from it. So the events of one machine, in the order
//! in which they were told, are a history: a frame is freed in it before somebody else gets it.

mod why;

pub use why::{
    Asker, FaultOutcome, Held, Mapped, Mobility, Owner, Shared, Source, Toward, Uncached, Verdict, Work,
};

use crate::{
    Access, Asid, CpuId, Entry, FileKey, KernelFrame, Level, NodeId, Order, Pfn, VirtAddr, Vpn, VpnRange,
    Word,
};

/// Something that happened, at the moment it is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    // ---- locks ----
    /// The task took a lock.
    Locked(LockId),
    /// The task is about to give a lock back.
    Unlocked(LockId),
    /// The task is about to sleep until a key is woken (see [`crate::park`]).
    Waits {
        /// The key: the lock's ([`LockId::key`]), if it waits for one.
        key: u64,
    },

    // ---- frames ----
    /// A block was handed out.
    FrameAllocated {
        /// Its first frame.
        frame: Pfn,
        /// How many frames, as an order.
        order: Order,
        /// What can be done with it later.
        mobility: Mobility,
        /// Who reaches its bytes.
        owner: Owner,
        /// Its node.
        node: NodeId,
        /// Its zone: 0 DMA32, 1 Normal, 2 Movable.
        zone: u8,
        /// Where it was.
        source: Source,
    },
    /// A block's last reference is gone.
    FrameFreed {
        /// Its first frame.
        frame: Pfn,
        /// How many frames, as an order.
        order: Order,
        /// Where it goes.
        to: Source,
    },
    /// A frame becomes an anonymous page, exclusive to its first mapping.
    AnonBorn {
        /// The frame.
        frame: Pfn,
        /// The family of address spaces it belongs to.
        lineage: u32,
        /// Its linear index there: the page number at which it is born.
        index: u64,
    },
    /// A frame becomes the page of a file.
    PageCached {
        /// The frame.
        frame: Pfn,
        /// The file.
        file: FileKey,
        /// The page of the file.
        index: u64,
    },
    /// A file's page was read in.
    PageRead {
        /// The frame.
        frame: Pfn,
        /// The file.
        file: FileKey,
        /// The page of the file.
        index: u64,
    },
    /// A file's page leaves the cache.
    PageUncached {
        /// The frame.
        frame: Pfn,
        /// The file.
        file: FileKey,
        /// The page of the file.
        index: u64,
        /// Why.
        why: Uncached,
    },
    /// A file's page is, or is about to be, newer than the file.
    PageDirtied {
        /// The frame.
        frame: Pfn,
        /// The file.
        file: FileKey,
        /// The page of the file.
        index: u64,
    },
    /// A file's page is going to be written; its dirty mark is gone.
    WritebackBegun {
        /// The frame.
        frame: Pfn,
        /// The file.
        file: FileKey,
        /// The page of the file.
        index: u64,
    },
    /// A file's page was written, or could not be.
    WritebackEnded {
        /// The frame.
        frame: Pfn,
        /// The file.
        file: FileKey,
        /// The page of the file.
        index: u64,
        /// Whether its bytes are in the file.
        stored: bool,
    },

    /// A mapping is about to map a merged page in the place of its own, or its own as one.
    Merged {
        /// The space.
        asid: Asid,
        /// The page.
        page: Vpn,
        /// The frame it mapped.
        from: Pfn,
        /// The frame it will map.
        to: Pfn,
    },

    /// A block is so many frames that live by themselves from here on.
    FolioSplit {
        /// Its first frame.
        frame: Pfn,
        /// How many frames, as an order.
        order: Order,
    },

    // ---- pins and devices ----
    /// The task got a pin on a page.
    Pinned {
        /// The frame.
        frame: Pfn,
        /// What is counted of its folio, with the pin.
        held: Held,
    },
    /// The task is about to give a pin back.
    Unpinned {
        /// The frame.
        frame: Pfn,
    },
    /// The task gives a device a transfer to make.
    TransferBegun {
        /// The machine's number of the transfer.
        transfer: u64,
        /// The frame.
        frame: Pfn,
        /// The first byte.
        offset: u64,
        /// How many.
        len: u64,
        /// Which way they go.
        toward: Toward,
    },
    /// The device made a transfer, all of it at this moment.
    TransferEnded {
        /// The machine's number of the transfer.
        transfer: u64,
        /// The frame.
        frame: Pfn,
        /// Which way its bytes went.
        toward: Toward,
    },

    // ---- swap ----
    /// An anonymous page is in the swap cache from here on, which has a reference to it.
    SwapCached {
        /// The frame.
        frame: Pfn,
        /// The slot: page times 32 plus area.
        slot: u64,
    },
    /// An anonymous page is about to be in the swap cache no more; the cache's reference goes.
    SwapUncached {
        /// The frame.
        frame: Pfn,
    },
    /// An anonymous page is going to be written to its slot.
    SwappedOut {
        /// The frame.
        frame: Pfn,
        /// The slot: page times 32 plus area.
        slot: u64,
    },
    /// An anonymous page was read from its slot.
    SwappedIn {
        /// The frame.
        frame: Pfn,
        /// The slot: page times 32 plus area.
        slot: u64,
    },

    // ---- page tables ----
    /// An address space has page tables from here on.
    SpaceMade {
        /// Its name in TLBs.
        asid: Asid,
        /// The table of the highest level.
        root: KernelFrame,
    },
    /// An address space's last table is about to go.
    SpaceEnded {
        /// Its name in TLBs.
        asid: Asid,
    },
    /// A table was linked.
    TableLinked {
        /// The space.
        asid: Asid,
        /// The table.
        table: KernelFrame,
        /// Its level.
        level: Level,
        /// A page it leads to.
        page: Vpn,
    },
    /// An empty table was unlinked; it goes after a flush and a grace period.
    TableUnlinked {
        /// The space.
        asid: Asid,
        /// The table.
        table: KernelFrame,
        /// Its level.
        level: Level,
        /// A page it led to.
        page: Vpn,
    },
    /// The manager changed a leaf entry. (Accessed and dirty bits that hardware sets show in `before` of the
    /// next change.)
    EntryChanged {
        /// The space.
        asid: Asid,
        /// The page (of a large leaf: its first).
        page: Vpn,
        /// The entry's level.
        level: Level,
        /// The entry before.
        before: Entry,
        /// The entry from here on.
        after: Entry,
    },

    // ---- faults and copy-on-write ----
    /// Somebody wants to access a page that the tables do not let pass.
    FaultBegun {
        /// The space.
        asid: Asid,
        /// The address.
        addr: VirtAddr,
        /// What is wanted.
        access: Access,
        /// Who wants it.
        asker: Asker,
    },
    /// Something changed under a fault: it starts over.
    FaultRetried {
        /// The page.
        page: Vpn,
    },
    /// A fault is over.
    FaultEnded {
        /// The address.
        addr: VirtAddr,
        /// What it came to.
        outcome: FaultOutcome,
    },
    /// A page is mapped where nothing was.
    MapChosen {
        /// The page.
        page: Vpn,
        /// The frame it gets.
        frame: Pfn,
        /// What that is.
        mapped: Mapped,
    },
    /// A store met a page that is mapped without write permission: may it be written in place?
    StoreJudged {
        /// The page.
        page: Vpn,
        /// Its frame.
        frame: Pfn,
        /// The answer, and why.
        verdict: Verdict,
        /// What was counted when it was judged.
        held: Held,
    },
    /// A private page was copied, and the copy is mapped.
    Copied {
        /// The space the copy is in.
        asid: Asid,
        /// The page.
        page: Vpn,
        /// The frame that was copied.
        from: Pfn,
        /// The copy.
        to: Pfn,
    },
    /// Fork maps a page a second time instead of copying it.
    ForkShared {
        /// The page.
        page: Vpn,
        /// Its frame.
        frame: Pfn,
        /// The space that has it.
        parent: Asid,
        /// The space that gets it.
        child: Asid,
        /// What it is.
        what: Shared,
    },
    /// Fork may not share a page: it is copied for the child at once.
    ForkRefused {
        /// The page.
        page: Vpn,
        /// Its frame.
        frame: Pfn,
        /// What is counted of it.
        held: Held,
    },

    // ---- migration ----
    /// A page is in another frame from here on; its entries follow.
    Moved {
        /// The frame it was in.
        from: Pfn,
        /// The frame it is in.
        to: Pfn,
        /// How many frames.
        order: Order,
    },
    /// A page stays where it is, though somebody wanted it elsewhere.
    MoveRefused {
        /// Its frame.
        frame: Pfn,
        /// What is counted of it.
        held: Held,
    },

    // ---- changes of ranges ----
    /// The task begins to change the translations of a range; the changes of entries that follow are part of
    /// it.
    WorkBegun {
        /// The space.
        asid: Asid,
        /// The pages.
        pages: VpnRange,
        /// What is done.
        work: Work,
    },

    // ---- revocation ----
    /// CPUs are about to be asked to drop translations.
    FlushBegun {
        /// The space.
        asid: Asid,
        /// Which flush of the space it is.
        generation: u64,
        /// The pages; `None` is all of the space.
        pages: Option<VpnRange>,
        /// Whether cached upper levels go as well.
        tables: bool,
        /// How many CPUs are active in the space.
        cpus: u32,
    },
    /// No CPU has those translations any more.
    FlushEnded {
        /// The space.
        asid: Asid,
        /// Which flush of the space it was.
        generation: u64,
    },
    /// The task waits for those who may walk unlinked tables.
    GraceBegun,
    /// Nobody can be in them any more.
    GraceEnded,

    // ---- shortage ----
    /// Cached pages were dropped for want of memory.
    Reclaimed {
        /// How many.
        pages: u64,
    },
    /// An address space was chosen to die for want of memory.
    OomKilled {
        /// Which.
        asid: Asid,
        /// Its frames.
        badness: u64,
    },

    // ---- the machine ----
    /// A CPU is asked by interrupt to flush.
    IpiSent {
        /// Whom.
        to: CpuId,
        /// The machine's number of the flush.
        flush: u64,
    },
    /// This CPU takes such an interrupt.
    IpiTaken {
        /// Who asked.
        from: CpuId,
        /// The machine's number of the flush.
        flush: u64,
    },
    /// This CPU has flushed and says so.
    IpiAnswered {
        /// Who asked.
        from: CpuId,
        /// The machine's number of the flush.
        flush: u64,
    },
    /// This CPU translates through another space.
    SpaceLoaded {
        /// Which; `None`: no space.
        asid: Option<Asid>,
        /// Whether what it kept of the space was dropped.
        stale: bool,
    },
    /// The task gets the CPU.
    TaskRuns,
    /// The task lets the CPU go.
    TaskStops,
}

/// Which lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LockId {
    /// Its level (see [`crate::level`]).
    pub level: u8,
    /// Its word's address, which is also the key of those who sleep for it.
    pub key: u64,
}

impl LockId {
    /// The lock in a word.
    pub fn new(level: u8, word: &Word) -> LockId {
        LockId { level, key: core::ptr::from_ref(word) as u64 }
    }
}
