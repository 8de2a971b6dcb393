//! The answers that events give to "why" and "which".

use crate::{Asid, Vpn};

/// What can be done with a frame later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mobility {
    /// Nothing: it stays where it is.
    Unmovable,
    /// It can be dropped on demand.
    Reclaimable,
    /// It can be moved.
    Movable,
}

/// Who reaches a frame's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// User space, or a file.
    User,
    /// The kernel.
    Kernel,
}

/// Where free frames are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// In a CPU's lists.
    CpuList,
    /// In the zone itself.
    Zone,
}

/// Why a page leaves its file's cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Uncached {
    /// The file ends before it now, or is gone.
    Truncated,
    /// Memory is short, or somebody said that it is not needed, and nobody uses it.
    Dropped,
    /// It could not be read.
    Unreadable,
}

/// Who asks for a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asker {
    /// The program, by an access: a fault that is counted.
    Program,
    /// A call that makes pages resident.
    Call,
}

/// What a fault came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultOutcome {
    /// The access passes now.
    Resolved,
    /// Nothing is mapped there (`SEGV_MAPERR`).
    NotMapped,
    /// The mapping does not allow it (`SEGV_ACCERR`).
    NotAllowed,
    /// The object has no such page (`SIGBUS`).
    Bus,
    /// The space is dying.
    Killed,
    /// No frame could be had.
    Shortage,
}

/// What is mapped where nothing was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mapped {
    /// A load of anonymous memory: the page of zeros.
    ZeroPage,
    /// A store to anonymous memory: a new frame.
    NewPage,
    /// A load of a file: the file's own page.
    FilePage,
    /// A store to a shared mapping: the file's own page, writable.
    SharedPage,
    /// A page of the file beside the one that was asked for.
    Around,
    /// A store to a private mapping of a file: a copy of the file's page.
    PrivateCopy,
}

/// Whether a page may be written in place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Yes: it is exclusive to this mapping.
    Exclusive,
    /// Yes: one reference, one mapping, no pin: it becomes exclusive.
    Alone,
    /// Yes: the mapping is shared, stores are for everybody.
    SharedMapping,
    /// Yes: somebody else made it writable meanwhile.
    Spurious,
    /// No: somebody else may see it.
    Shared,
    /// No: it is a page of a file, mapped privately.
    FilePage,
    /// No: it is the page of zeros.
    ZeroPage,
    /// No: it stands for several equal pages.
    Merged,
}

impl Verdict {
    /// Whether the page is copied.
    pub const fn copies(self) -> bool {
        matches!(self, Verdict::Shared | Verdict::FilePage | Verdict::ZeroPage | Verdict::Merged)
    }
}

/// What is counted of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Held {
    /// References.
    pub refs: u32,
    /// Mappings.
    pub maps: u32,
    /// Pins.
    pub pins: u32,
}

/// Which way a device moves bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Toward {
    /// The device loads them.
    Device,
    /// The device stores them.
    Memory,
}

/// What fork shares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shared {
    /// An anonymous page: exclusive to nobody from here on.
    Anonymous,
    /// A page of a file.
    File,
    /// The page of zeros.
    Zero,
}

/// What is done to the translations of a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    /// They go, and the mapping with them.
    Unmap,
    /// They go, the mapping stays (`MADV_DONTNEED`, a killed space).
    Discard,
    /// They go, for the file ends before them now.
    Truncate,
    /// They lose what lets stores pass unseen: the file's pages are being written.
    Clean,
    /// They allow what the mapping allows now (`mprotect`).
    Protect,
    /// They lose their accessed and dirty bits (`MADV_FREE`).
    Forget,
    /// They become one page of 2 MiB, by copying.
    Collapse,
    /// They move.
    Move {
        /// Where the first of them goes.
        to: Vpn,
    },
    /// They are copied to a child.
    Fork {
        /// The child.
        child: Asid,
    },
    /// They are not copied to a child: it finds the pages again by faulting.
    ForkPasses {
        /// The child.
        child: Asid,
    },
}
