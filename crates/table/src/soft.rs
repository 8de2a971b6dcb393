//! Software's own entries: pages that are swapped out, and pages that are on their way to another frame.
//!
//! ```text
//!  57..9               8..4      3..0
//!  slot                area      1 swap, shared; 2 swap, exclusive
//!  frame 32, bits 5            3 writable, 4 readable and exclusive, 5 readable (migration)
//! ```
//!
//! Both carry what the entry they replaced said of exclusivity, so that it is not lost while the page has no
//! mapping (CR14, CR18). Linux: `include/linux/swapops.h`.

use machine::entry::{Attrs, Kind};
use machine::{Entry, EntryFormat, Level, Machine, Perms, Pfn};

/// A place for one page in a swap area.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot {
    /// Which area: below [`Slot::AREAS`].
    pub area: u8,
    /// Which page of the area: below [`Slot::PAGES_MAX`].
    pub page: u64,
}

impl Slot {
    /// How many areas there can be. Linux: `MAX_SWAPFILES` is a little less.
    pub const AREAS: usize = 32;
    /// How many pages an area can have: 16 TiB.
    pub const PAGES_MAX: u64 = 1 << 32;

    /// As one number below 2^37.
    pub const fn to_bits(self) -> u64 {
        self.page << 5 | self.area as u64
    }

    /// The other way round.
    pub const fn from_bits(bits: u64) -> Slot {
        Slot { area: (bits & 0x1f) as u8, page: bits >> 5 & (Slot::PAGES_MAX - 1) }
    }
}

/// Whether a swap entry is the only one of its slot, so that its page comes back exclusive (CR15).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Sole {
    /// It is: the page was exclusive.
    Exclusive,
    /// Other entries may name the slot.
    Shared,
}

/// What the entry was that a migration entry stands for (CR18).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MigrationKind {
    /// Writable, so exclusive.
    Writable,
    /// Read-only and exclusive.
    ReadableExclusive,
    /// Read-only; others may have the page.
    Readable,
}

impl MigrationKind {
    /// Whether the page comes back exclusive.
    pub const fn is_exclusive(self) -> bool {
        !matches!(self, MigrationKind::Readable)
    }
}

/// An entry of software's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Soft {
    /// The page is in a swap area, or in the swap cache.
    Swap {
        /// Where.
        slot: Slot,
        /// Whether the entry is the slot's only one.
        sole: Sole,
    },
    /// The page is being moved: who wants it waits for the page's lock. Holds no reference and no mapping.
    Migration {
        /// The (first) frame it is moved from.
        frame: Pfn,
        /// What comes back.
        kind: MigrationKind,
        /// What the entry said beside that. Whether it lets stores pass is the kind's to say.
        attrs: Attrs,
    },
}

const TYPE: u64 = 0xf;
const SWAP_SHARED: u64 = 1;
const SWAP_EXCLUSIVE: u64 = 2;
const WRITABLE: u64 = 3;
const READABLE_EXCLUSIVE: u64 = 4;
const READABLE: u64 = 5;
const VALUE: u32 = 4;
const DIRTY: u64 = 1 << 32;
const ACCESSED: u64 = 1 << 33;
const READ: u64 = 1 << 34;
const EXECUTE: u64 = 1 << 35;
const LOCKED: u64 = 1 << 36;

const fn attr_bits(attrs: Attrs) -> u64 {
    const fn bit(set: bool, bit: u64) -> u64 {
        if set { bit } else { 0 }
    }
    let Attrs { perms, accessed, dirty, locked, .. } = attrs;
    let used = bit(dirty, DIRTY) | bit(accessed, ACCESSED) | bit(locked, LOCKED);
    used | bit(perms.read, READ) | bit(perms.execute, EXECUTE)
}

const fn attrs_of(value: u64, kind: MigrationKind) -> Attrs {
    let write = matches!(kind, MigrationKind::Writable);
    let perms = Perms { read: value & READ != 0, write, execute: value & EXECUTE != 0 };
    Attrs {
        perms,
        accessed: value & ACCESSED != 0,
        dirty: value & DIRTY != 0,
        special: false,
        locked: value & LOCKED != 0,
    }
}

impl Soft {
    /// The payload of [`Kind::Absent`].
    pub const fn to_payload(self) -> u64 {
        match self {
            Soft::Swap { slot, sole } => {
                let tag = match sole {
                    Sole::Shared => SWAP_SHARED,
                    Sole::Exclusive => SWAP_EXCLUSIVE,
                };
                slot.to_bits() << VALUE | tag
            }
            Soft::Migration { frame, kind, attrs } => {
                let tag = match kind {
                    MigrationKind::Writable => WRITABLE,
                    MigrationKind::ReadableExclusive => READABLE_EXCLUSIVE,
                    MigrationKind::Readable => READABLE,
                };
                (frame.0 as u64 | attr_bits(attrs)) << VALUE | tag
            }
        }
    }

    /// What a payload says; `None` for what nobody here wrote.
    pub const fn from_payload(payload: u64) -> Option<Soft> {
        let value = payload >> VALUE;
        let kind = match payload & TYPE {
            SWAP_SHARED => return Some(Soft::Swap { slot: Slot::from_bits(value), sole: Sole::Shared }),
            SWAP_EXCLUSIVE => {
                return Some(Soft::Swap { slot: Slot::from_bits(value), sole: Sole::Exclusive });
            }
            WRITABLE => MigrationKind::Writable,
            READABLE_EXCLUSIVE => MigrationKind::ReadableExclusive,
            READABLE => MigrationKind::Readable,
            _ => return None,
        };
        Some(Soft::Migration { frame: Pfn(value as u32), kind, attrs: attrs_of(value, kind) })
    }

    /// The entry.
    pub fn entry<M: Machine>(self) -> Entry {
        M::Entry::absent(self.to_payload())
    }

    /// What an entry says, if it is software's own.
    pub fn of<M: Machine>(entry: Entry, level: Level) -> Option<Soft> {
        match M::Entry::kind(entry, level) {
            Kind::Absent(payload) => Soft::from_payload(payload),
            _ => None,
        }
    }

    /// The next store through what comes back faults, and finds its page as exclusive as it was.
    pub const fn read_only(self) -> Soft {
        match self {
            Soft::Migration { frame, kind: MigrationKind::Writable, attrs } => {
                let attrs = Attrs { perms: attrs.perms.read_only(), ..attrs };
                Soft::Migration { frame, kind: MigrationKind::ReadableExclusive, attrs }
            }
            soft => soft,
        }
    }

    /// What a fork leaves in parent and child: nothing is exclusive any more (rows 16 and 20 of the COW
    /// table).
    pub const fn shared(self) -> Soft {
        match self {
            Soft::Swap { slot, .. } => Soft::Swap { slot, sole: Sole::Shared },
            Soft::Migration { frame, attrs, .. } => {
                let attrs = Attrs { perms: attrs.perms.read_only(), ..attrs };
                Soft::Migration { frame, kind: MigrationKind::Readable, attrs }
            }
        }
    }

    /// What of that the child gets: its memory is not locked.
    pub const fn for_child(self) -> Soft {
        match self.shared() {
            Soft::Migration { frame, kind, attrs } => {
                Soft::Migration { frame, kind, attrs: Attrs { locked: false, ..attrs } }
            }
            swap => swap,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_soft_entry_survives_being_a_number() {
        let slots = [(0, 0), (31, Slot::PAGES_MAX - 1), (3, 77)].map(|(area, page)| Slot { area, page });
        let swaps = slots
            .into_iter()
            .flat_map(|slot| [Sole::Exclusive, Sole::Shared].map(|sole| Soft::Swap { slot, sole }));
        let kinds = [MigrationKind::Writable, MigrationKind::ReadableExclusive, MigrationKind::Readable];
        let moves = kinds.into_iter().flat_map(|kind| {
            [(false, true), (true, false)].map(|(dirty, accessed)| {
                let perms = Perms { read: dirty, write: kind == MigrationKind::Writable, execute: accessed };
                let attrs = Attrs { perms, accessed, dirty, locked: dirty, ..Attrs::default() };
                Soft::Migration { frame: Pfn(0xffff_fe00), kind, attrs }
            })
        });
        for soft in swaps.chain(moves) {
            assert!(soft.to_payload() >> 57 == 0, "{soft:?} fits an entry");
            assert_eq!(Soft::from_payload(soft.to_payload()), Some(soft));
        }
        assert_eq!(Soft::from_payload(0), None);
        assert_eq!(Soft::from_payload(u64::MAX), None);
    }
}
