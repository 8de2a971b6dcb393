//! Page-table entries, behind a format.

use crate::{KernelFrame, Pfn};

/// Level of a page table or entry: 1 maps 4 KiB pages, 2 maps 2 MiB, 4 is the root.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Level(pub u8);

impl Level {
    /// The level whose entries map base pages.
    pub const LEAF: Level = Level(1);
    /// The level whose entries map 2 MiB.
    pub const HUGE: Level = Level(2);
    /// The root.
    pub const ROOT: Level = Level(4);

    /// log2 of the pages one entry of this level spans.
    pub const fn span_shift(self) -> u32 {
        9 * (self.0 as u32 - 1)
    }
}

/// What an access wants to do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Access {
    /// Load.
    Read,
    /// Store.
    Write,
    /// Instruction fetch.
    Execute,
}

/// What an entry (or a VMA) allows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Perms {
    /// Loads.
    pub read: bool,
    /// Stores.
    pub write: bool,
    /// Instruction fetches.
    pub execute: bool,
}

impl Perms {
    /// Nothing: Linux's `PROT_NONE`.
    pub const NONE: Perms = Perms { read: false, write: false, execute: false };

    /// Whether the access is allowed. As on x86, what is writable or executable is readable too.
    pub const fn allow(self, access: Access) -> bool {
        match access {
            Access::Read => self.read || self.write || self.execute,
            Access::Write => self.write,
            Access::Execute => self.execute,
        }
    }

    /// What both allow.
    pub const fn and(self, other: Perms) -> Perms {
        Perms {
            read: self.read && other.read,
            write: self.write && other.write,
            execute: self.execute && other.execute,
        }
    }

    /// The same without stores.
    pub const fn read_only(self) -> Perms {
        Perms { write: false, ..self }
    }
}

/// One entry, as the bits that are stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Entry(pub u64);

impl Entry {
    /// Nothing is mapped.
    pub const EMPTY: Entry = Entry(0);
}

/// What an entry means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Nothing.
    Empty,
    /// The table of the next level.
    Table(KernelFrame),
    /// A mapped frame (of 4 KiB at level 1, the first of 2 MiB at level 2). Hardware uses it unless the
    /// permissions are [`Perms::NONE`].
    Leaf(Pfn),
    /// Software's own: hardware faults on it (swap and migration entries).
    Absent(u64),
}

/// A leaf's attributes beside its frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Attrs {
    /// What hardware lets pass.
    pub perms: Perms,
    /// Hardware (or software) saw an access.
    pub accessed: bool,
    /// Hardware (or software) saw a store.
    pub dirty: bool,
    /// The frame is not counted: the zero page.
    pub special: bool,
    /// Software's own: the VMA is locked, so the page must not leave memory. Hardware does not look at it.
    pub locked: bool,
}

/// How entries are laid out. Pure functions over values: an entry is read once, then interpreted (LR1).
pub trait EntryFormat: 'static {
    /// log2 of the pages the root spans (36 for 48-bit addresses).
    const ROOT_SPAN_SHIFT: u32 = 36;
    /// First address user space may not use (Linux's `TASK_SIZE`).
    const USER_END: u64;

    /// What the entry means at this level.
    fn kind(entry: Entry, level: Level) -> Kind;
    /// The attributes of a leaf.
    fn attrs(entry: Entry) -> Attrs;
    /// A leaf.
    fn leaf(frame: Pfn, attrs: Attrs, level: Level) -> Entry;
    /// A link to a table.
    fn table(frame: KernelFrame) -> Entry;
    /// A software entry; `payload` fits 58 bits.
    fn absent(payload: u64) -> Entry;
    /// The entry as hardware leaves it after an access it allowed, with the accessed (and dirty) bit set.
    fn touched(entry: Entry, access: Access) -> Entry;

    /// The same leaf with other attributes.
    fn with_attrs(entry: Entry, attrs: Attrs, level: Level) -> Entry {
        match Self::kind(entry, level) {
            Kind::Leaf(frame) => Self::leaf(frame, attrs, level),
            _ => entry,
        }
    }

    /// Whether hardware lets the access pass.
    fn permits(entry: Entry, level: Level, access: Access) -> bool {
        matches!(Self::kind(entry, level), Kind::Leaf(_)) && Self::attrs(entry).perms.allow(access)
    }
}
