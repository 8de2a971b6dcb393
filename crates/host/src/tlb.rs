//! The translations that a CPU keeps: a direct-mapped array of pages of 4 KiB.
//!
//! Only the CPU itself fills slots and uses them; any CPU may empty one, or all by another `whole` (see
//! [`crate::flush`]). A page of 2 MiB takes a slot for each 4 KiB that is used, as on processors that break
//! large pages of guests up.

use crate::config::Checks;
use machine::entry::Attrs;
use machine::{Access, Asid, CpuId, FlushScope, Perms, Pfn, Vpn};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU64, fence};

/// Slots of a CPU.
const SLOTS: usize = 1024;
/// Ranges up to this many pages are dropped page by page; more costs less as a whole.
const PAGES_MAX: u64 = 256;
/// Bits of a page number, plus one; the space's number is above them.
const PAGE_BITS: u32 = 36;
/// Spaces with larger numbers have no translations kept.
const ASID_MAX: u32 = u32::MAX >> (PAGE_BITS - 32);
/// Bits of a leaf: the frame, then rights, then the number of the last flush of everything.
const READ: u64 = 1 << 32;
const WRITE: u64 = 1 << 33;
const EXECUTE: u64 = 1 << 34;
const DIRTY: u64 = 1 << 35;
const WHOLE_SHIFT: u32 = 36;
/// How many flushes of everything a slot can tell apart.
const WHOLES: u64 = 1 << (64 - WHOLE_SHIFT);

/// A slot. `tag` is zero, or page + 1 and space.
struct Slot {
    tag: AtomicU64,
    leaf: AtomicU64,
}

/// A CPU's translations.
pub(crate) struct Tlb {
    slots: Box<[Slot]>,
    /// How many flushes of everything there were. Others add; slots filled under an older number are empty.
    whole: AtomicU64,
    /// How many flushes of single slots there were. Others add.
    parts: AtomicU64,
    /// The number the CPU saw last.
    seen: AtomicU64,
    /// For each slot the number of the last flush to begin when it was filled; empty if nobody checks.
    stamps: Box<[AtomicU64]>,
}

/// A translation that a CPU holds, for checkers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TlbEntry {
    /// Who holds it.
    pub cpu: CpuId,
    /// The space.
    pub asid: Asid,
    /// The page.
    pub page: Vpn,
    /// The frame.
    pub frame: Pfn,
    /// What it allows.
    pub perms: Perms,
    /// The CPU believes that the entry in memory is marked dirty.
    pub dirty: bool,
}

/// Who empties slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum By {
    /// The CPU itself, outside of an access: no fill is under way.
    Itself,
    /// Another.
    Other,
}

/// What is filled, and when.
#[derive(Clone, Copy)]
pub(crate) struct Fill {
    pub(crate) frame: Pfn,
    pub(crate) attrs: Attrs,
    /// What was known before the tables were read.
    pub(crate) age: Age,
}

/// Which flushes had begun when an access missed.
#[derive(Clone, Copy)]
pub(crate) struct Age {
    /// What [`Tlb::begin`] answered.
    whole: u64,
    /// Flushes of single slots.
    parts: u64,
    /// The machine's number of the last flush to begin, if flushes are checked.
    stamp: u64,
}

#[inline]
fn tag(asid: Asid, page: u64) -> u64 {
    u64::from(asid.0) << PAGE_BITS | (page + 1)
}

#[inline]
fn index(asid: Asid, page: u64) -> usize {
    (page.wrapping_add(u64::from(asid.0).wrapping_mul(0x9e37_79b9)) % SLOTS as u64) as usize
}

/// What a leaf must have for an access. A store goes only through a translation that was filled by a store,
/// or it would not be marked in memory.
#[inline]
fn needed(access: Access) -> u64 {
    match access {
        Access::Read => READ,
        Access::Write => WRITE | DIRTY,
        Access::Execute => EXECUTE,
    }
}

impl Tlb {
    pub(crate) fn new(checks: Checks) -> Tlb {
        let slot = |_| Slot { tag: AtomicU64::new(0), leaf: AtomicU64::new(0) };
        let stamps = if checks == Checks::Off { 0 } else { SLOTS };
        Tlb {
            slots: (0..SLOTS).map(slot).collect(),
            whole: AtomicU64::new(0),
            parts: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            stamps: (0..stamps).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    // ---- the CPU itself ----

    /// The flushes of everything so far. First in each section of an access.
    #[inline]
    pub(crate) fn begin(&self) -> u64 {
        // RELAXED: read behind the section's mark; `flush` says why it is new enough.
        let whole = self.whole.load(Relaxed);
        if whole / WHOLES != self.seen.load(Relaxed) / WHOLES {
            self.wrap(whole);
        }
        whole
    }

    /// The number of flushes that a slot knows has come round: old slots must not look new.
    #[cold]
    fn wrap(&self, whole: u64) {
        // RELAXED: only this CPU reads slots for use.
        self.slots.iter().for_each(|slot| slot.tag.store(0, Relaxed));
        self.seen.store(whole, Relaxed);
    }

    /// The frame of a page, if a translation is kept that allows the access.
    #[inline]
    pub(crate) fn lookup(&self, asid: Asid, page: u64, access: Access, whole: u64) -> Option<Pfn> {
        let slot = &self.slots[index(asid, page)];
        // RELAXED: both words are written by this CPU; others only write a zero tag, see `flush`.
        let leaf = slot.leaf.load(Relaxed);
        let usable = slot.tag.load(Relaxed) == tag(asid, page)
            && leaf & needed(access) == needed(access)
            && leaf >> WHOLE_SHIFT == whole % WHOLES;
        usable.then_some(Pfn(leaf as u32))
    }

    /// Which flushes have begun: before the tables are read.
    pub(crate) fn age(&self, whole: u64, stamp: u64) -> Age {
        // ORDERING: Acquire pairs with the SeqCst addition in `drop_scope`: who sees a flush counted sees the
        // tables changed.
        Age { whole, parts: self.parts.load(Acquire), stamp }
    }

    /// Keeps a translation, unless somebody began to empty single slots since the tables were read.
    pub(crate) fn fill(&self, asid: Asid, page: u64, fill: &Fill) {
        if asid.0 > ASID_MAX {
            return;
        }
        let at = index(asid, page);
        if let Some(stamp) = self.stamps.get(at) {
            // RELAXED: before the tag, which releases it.
            stamp.store(fill.age.stamp, Relaxed);
        }
        let Attrs { perms, dirty, .. } = fill.attrs;
        let rights = [(perms.allow(Access::Read), READ), (perms.write, WRITE), (perms.execute, EXECUTE)];
        let mut leaf = u64::from(fill.frame.0) | (fill.age.whole % WHOLES) << WHOLE_SHIFT;
        for (set, bit) in rights.into_iter().chain([(dirty, DIRTY)]) {
            leaf |= if set { bit } else { 0 };
        }
        let slot = &self.slots[at];
        // ORDERING: Release pairs with the Acquire in `read`, so that stamp and rights are not older.
        slot.leaf.store(leaf, Release);
        slot.tag.store(tag(asid, page), Release);
        // ORDERING: SeqCst pairs with the fence in `drop_scope` (a Dekker pair): this CPU sees the flush
        // counted, or who flushes sees the tag.
        fence(SeqCst);
        // RELAXED: the fence orders it.
        if self.parts.load(Relaxed) != fill.age.parts {
            slot.tag.store(0, Relaxed);
        }
    }

    // ---- any CPU ----

    /// Empties slots in the scope. The tables are changed.
    pub(crate) fn drop_scope(&self, scope: &FlushScope, by: By) {
        let few = scope.pages.filter(|pages| pages.pages() <= PAGES_MAX);
        let Some(pages) = few else { return self.drop_all() };
        if by == By::Other {
            // ORDERING: SeqCst pairs with the Acquire in `age`, and, through the fence, with the fence in
            // `fill`.
            self.parts.fetch_add(1, SeqCst);
            fence(SeqCst);
        }
        for page in pages.start.0..pages.end.0 {
            let slot = &self.slots[index(scope.asid, page)];
            // RELAXED: the heavy barrier of `flush` follows. A tag that the CPU writes in between is lost,
            // which is allowed.
            if slot.tag.load(Relaxed) == tag(scope.asid, page) {
                slot.tag.store(0, Relaxed);
            }
        }
    }

    /// Empties all slots: those filled later by an access that began before are empty too.
    pub(crate) fn drop_all(&self) {
        // RELAXED: `flush` orders it.
        self.whole.fetch_add(1, Relaxed);
    }

    /// A slot as it is, with the number of the last flush to begin when it was filled.
    fn read(&self, at: usize) -> Option<(u64, u64, u64)> {
        let slot = &self.slots[at];
        // ORDERING: Acquire pairs with the Releases in `fill`.
        let (tag, leaf) = (slot.tag.load(Acquire), slot.leaf.load(Acquire));
        // RELAXED: behind both.
        let stamp = self.stamps.get(at).map_or(0, |stamp| stamp.load(Relaxed));
        fence(Acquire);
        let same = slot.tag.load(Relaxed) == tag && slot.leaf.load(Relaxed) == leaf;
        let valid = leaf >> WHOLE_SHIFT == self.whole.load(Relaxed) % WHOLES;
        (tag != 0 && same && valid).then_some((tag, leaf, stamp))
    }

    /// Tells of every translation.
    pub(crate) fn for_each(&self, cpu: CpuId, mut see: impl FnMut(TlbEntry, u64)) {
        for (tag, leaf, stamp) in (0..SLOTS).filter_map(|at| self.read(at)) {
            let (read, write, execute) = (leaf & READ != 0, leaf & WRITE != 0, leaf & EXECUTE != 0);
            let entry = TlbEntry {
                cpu,
                asid: Asid((tag >> PAGE_BITS) as u32),
                page: Vpn((tag & ((1 << PAGE_BITS) - 1)) - 1),
                frame: Pfn(leaf as u32),
                perms: Perms { read, write, execute },
                dirty: leaf & DIRTY != 0,
            };
            see(entry, stamp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::VpnRange;

    const ASID: Asid = Asid(3);
    const PAGE: u64 = 77;
    const RW: Attrs = Attrs {
        perms: Perms { read: true, write: true, execute: false },
        accessed: true,
        dirty: true,
        special: false,
        locked: false,
    };

    fn part() -> FlushScope {
        FlushScope { asid: ASID, pages: Some(VpnRange::sized(Vpn(PAGE), 1)), tables: false }
    }

    fn all() -> FlushScope {
        FlushScope { asid: ASID, pages: None, tables: true }
    }

    fn found(tlb: &Tlb) -> Option<Pfn> {
        tlb.lookup(ASID, PAGE, Access::Read, tlb.begin())
    }

    fn fill(tlb: &Tlb, age: Age) {
        tlb.fill(ASID, PAGE, &Fill { frame: Pfn(5), attrs: RW, age });
    }

    #[test]
    fn what_is_flushed_is_gone_and_nothing_else() {
        let tlb = Tlb::new(Checks::Off);
        for scope in [part(), all()] {
            fill(&tlb, tlb.age(tlb.begin(), 0));
            assert_eq!(found(&tlb), Some(Pfn(5)));
            assert_eq!(tlb.lookup(Asid(4), PAGE, Access::Read, tlb.begin()), None);
            assert_eq!(tlb.lookup(ASID, PAGE, Access::Execute, tlb.begin()), None);
            tlb.drop_scope(&FlushScope { asid: Asid(4), ..part() }, By::Itself);
            assert_eq!(found(&tlb), Some(Pfn(5)));
            tlb.drop_scope(&scope, By::Itself);
            assert_eq!(found(&tlb), None);
        }
    }

    /// The tables were read before the flush, and the slot is filled behind it.
    #[test]
    fn a_fill_that_a_flush_overtook_is_not_kept() {
        let tlb = Tlb::new(Checks::Off);
        for scope in [part(), all()] {
            let age = tlb.age(tlb.begin(), 0);
            tlb.drop_scope(&scope, By::Other);
            fill(&tlb, age);
            assert_eq!(found(&tlb), None, "{scope:?}");
        }
    }

    #[test]
    fn a_slot_does_not_come_back_when_the_number_of_flushes_comes_round() {
        let tlb = Tlb::new(Checks::Off);
        fill(&tlb, tlb.age(tlb.begin(), 0));
        tlb.whole.fetch_add(WHOLES, Relaxed);
        assert_eq!(found(&tlb), None);
    }

    #[test]
    fn a_store_needs_a_slot_that_a_store_filled() {
        let tlb = Tlb::new(Checks::Off);
        let clean = Attrs { dirty: false, ..RW };
        tlb.fill(ASID, PAGE, &Fill { frame: Pfn(5), attrs: clean, age: tlb.age(tlb.begin(), 0) });
        assert_eq!(tlb.lookup(ASID, PAGE, Access::Write, tlb.begin()), None);
        assert_eq!(found(&tlb), Some(Pfn(5)));
    }
}
