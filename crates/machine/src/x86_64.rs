//! The x86-64 four-level entry format (Intel SDM Vol. 3A, 4.5; software's encodings are our own).

use crate::entry::{Access, Attrs, Entry, EntryFormat, Kind, Level, Perms};
use crate::{KernelFrame, Pfn};

const PRESENT: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const HUGE: u64 = 1 << 7;
/// Ignored by hardware: the frame is not counted (the zero page).
const SPECIAL: u64 = 1 << 9;
/// Ignored by hardware: the page is locked in memory.
const LOCKED: u64 = 1 << 10;
/// Only where hardware sees "not present": a leaf without any permission (`PROT_NONE`) rather than software's
/// own.
const NO_ACCESS: u64 = 1 << 8;
const NO_EXECUTE: u64 = 1 << 63;
const FRAME: u64 = 0x000f_ffff_ffff_f000;

/// x86-64, four levels, 48-bit addresses.
pub struct X86_64;

impl EntryFormat for X86_64 {
    /// Linux's `TASK_SIZE_MAX`: the last page below 2^47 is left out.
    const USER_END: u64 = (1 << 47) - 4096;

    #[inline]
    fn kind(entry: Entry, level: Level) -> Kind {
        let bits = entry.0;
        let frame = Pfn(((bits & FRAME) >> 12) as u32);
        match bits {
            0 => Kind::Empty,
            _ if bits & PRESENT == 0 && bits & NO_ACCESS != 0 => Kind::Leaf(frame),
            _ if bits & PRESENT == 0 => Kind::Absent((bits & !NO_EXECUTE) >> 9 << 4 | (bits >> 1 & 0xf)),
            _ if level == Level::LEAF || bits & HUGE != 0 => Kind::Leaf(frame),
            _ => Kind::Table(KernelFrame(frame)),
        }
    }

    #[inline]
    fn attrs(entry: Entry) -> Attrs {
        let bits = entry.0;
        let present = bits & PRESENT != 0;
        Attrs {
            perms: Perms {
                read: present,
                write: present && bits & WRITE != 0,
                execute: present && bits & NO_EXECUTE == 0,
            },
            accessed: bits & ACCESSED != 0,
            dirty: bits & DIRTY != 0,
            special: bits & SPECIAL != 0,
            locked: bits & LOCKED != 0,
        }
    }

    #[inline]
    fn leaf(frame: Pfn, attrs: Attrs, level: Level) -> Entry {
        let Attrs { perms, accessed, dirty, special, locked } = attrs;
        let mut bits = u64::from(frame.0) << 12 | USER;
        bits |= if perms.allow(Access::Read) { PRESENT } else { NO_ACCESS };
        for (set, bit) in [
            (perms.write, WRITE),
            (!perms.execute, NO_EXECUTE),
            (accessed, ACCESSED),
            (dirty, DIRTY),
            (special, SPECIAL),
            (locked, LOCKED),
            (level != Level::LEAF, HUGE),
        ] {
            bits |= if set { bit } else { 0 };
        }
        Entry(bits)
    }

    #[inline]
    fn table(frame: KernelFrame) -> Entry {
        Entry(u64::from(frame.0.0) << 12 | PRESENT | WRITE | USER)
    }

    #[inline]
    fn absent(payload: u64) -> Entry {
        // Bits 0 and 8 stay clear: not present, and not a leaf without permissions. Bit 5 marks it as not
        // empty.
        Entry(payload >> 4 << 9 & !NO_EXECUTE | (payload & 0xf) << 1 | ACCESSED)
    }

    #[inline]
    fn touched(entry: Entry, access: Access) -> Entry {
        Entry(entry.0 | ACCESSED | if access == Access::Write { DIRTY } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_keeps_frame_and_attributes() {
        for bits in 0..128u32 {
            let bit = |n: u32| bits & (1 << n) != 0;
            let readable = bit(0) || bit(1) || bit(2);
            let perms = Perms { read: readable, write: bit(1), execute: bit(2) };
            let attrs = Attrs { perms, accessed: bit(3), dirty: bit(4), special: bit(5), locked: bit(6) };
            for level in [Level::LEAF, Level::HUGE] {
                let entry = X86_64::leaf(Pfn(0xabc200), attrs, level);
                assert_eq!(X86_64::kind(entry, level), Kind::Leaf(Pfn(0xabc200)));
                assert_eq!(X86_64::attrs(entry), attrs);
            }
        }
    }

    #[test]
    fn an_absent_entry_keeps_its_payload_and_is_not_present() {
        for payload in [0, 1, 15, 16, 0x123_4567_89ab, (1 << 57) - 1] {
            let entry = X86_64::absent(payload);
            assert_eq!(X86_64::kind(entry, Level::LEAF), Kind::Absent(payload), "{payload:#x}");
            assert!(!X86_64::permits(entry, Level::LEAF, Access::Read));
        }
    }

    #[test]
    fn tables_and_huge_leaves_are_told_apart() {
        let table = X86_64::table(KernelFrame(Pfn(7)));
        assert_eq!(X86_64::kind(table, Level::HUGE), Kind::Table(KernelFrame(Pfn(7))));
        assert_eq!(X86_64::kind(Entry::EMPTY, Level::ROOT), Kind::Empty);
    }
}
