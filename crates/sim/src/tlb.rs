//! One CPU's translations: they stay until they are flushed, whatever becomes of the tables.

use crate::config::TlbSize;
use machine::entry::Attrs;
use machine::{Asid, FlushScope, HUGE_ORDER, Perms, Pfn, VpnRange};
use std::collections::BTreeMap;

/// Ways of a set.
const WAYS: usize = 12;
/// Entries of the first level: a hint where in the second level a page was found last.
const FIRST_LEVEL: usize = 64;
/// Upper-level entries a CPU keeps (each leads to one leaf table).
const UPPER: usize = 32;
const HUGE_BIT: u64 = 1 << 62;

/// A translation as a CPU keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cached {
    /// Page number (of the 2 MiB page's first page, with `HUGE_BIT`), plus 1; 0 is an empty slot.
    key: u64,
    pub(crate) asid: Asid,
    /// First frame.
    pub(crate) frame: Pfn,
    pub(crate) perms: Perms,
    /// The entry in memory is known to be marked dirty.
    pub(crate) dirty: bool,
    /// How many discards there had been when the translation was read.
    pub(crate) discards: u32,
    /// Number of the flush that was the last to start when the translation was read.
    pub(crate) filled: u64,
}

impl Cached {
    const EMPTY: Cached = Cached {
        key: 0,
        asid: Asid(0),
        frame: Pfn(0),
        perms: Perms::NONE,
        dirty: false,
        discards: 0,
        filled: 0,
    };

    /// The pages it translates.
    pub(crate) fn pages(&self) -> VpnRange {
        let page = (self.key - 1) & !HUGE_BIT;
        let pages = if self.is_huge() { HUGE_ORDER.frames() } else { 1 };
        VpnRange::sized(machine::Vpn(page), pages)
    }

    pub(crate) fn is_huge(&self) -> bool {
        (self.key - 1) & HUGE_BIT != 0
    }
}

/// The size of the page a translation is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Size {
    Base,
    Huge,
}

impl Size {
    /// The number that chooses a page's set.
    fn index(self, page: u64) -> u64 {
        match self {
            Size::Base => page,
            Size::Huge => page >> HUGE_ORDER.0,
        }
    }
}

fn key(page: u64, size: Size) -> u64 {
    if size == Size::Huge { (page & !(HUGE_ORDER.frames() - 1) | HUGE_BIT) + 1 } else { page + 1 }
}

enum Store {
    /// Sets of `WAYS`; allocated at the first fill. `next` is the way that makes room next, a set.
    Sets {
        entries: Vec<Cached>,
        next: Vec<u8>,
        sets: usize,
    },
    All(BTreeMap<(Asid, u64), Cached>),
}

/// Where a lookup found its translation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    First,
    Second,
}

/// A CPU's TLB and its cache of upper-level entries.
pub(crate) struct Tlb {
    store: Store,
    live: usize,
    huge: usize,
    first: [u32; FIRST_LEVEL],
    upper: [(Asid, u64, u32); UPPER],
    /// Whether `upper` holds anything.
    upper_used: bool,
}

impl Tlb {
    pub(crate) fn new(size: TlbSize) -> Tlb {
        let store = match size {
            TlbSize::Entries(n) => {
                let sets = (n as usize).div_ceil(WAYS).max(1);
                Store::Sets { entries: Vec::new(), next: Vec::new(), sets }
            }
            TlbSize::Unbounded => Store::All(BTreeMap::new()),
        };
        let upper = [(Asid(0), 0, 0); UPPER];
        Tlb { store, live: 0, huge: 0, first: [0; FIRST_LEVEL], upper, upper_used: false }
    }

    /// The translation of a page, and where it was found.
    #[inline]
    pub(crate) fn lookup(&mut self, asid: Asid, page: u64) -> Option<(Cached, Found)> {
        if self.live == 0 {
            return None;
        }
        let hint = page as usize % FIRST_LEVEL;
        if let Store::Sets { entries, .. } = &self.store {
            let entry = &entries[self.first[hint] as usize];
            if entry.key == key(page, Size::Base) && entry.asid == asid {
                return Some((*entry, Found::First));
            }
        }
        let small = self.find(asid, key(page, Size::Base), page).map(|(slot, entry)| {
            self.first[hint] = slot as u32;
            entry
        });
        if small.is_none() && self.huge != 0 {
            let huge = key(page, Size::Huge);
            return self.find(asid, huge, Size::Huge.index(page)).map(|(_, entry)| (entry, Found::Second));
        }
        small.map(|entry| (entry, Found::Second))
    }

    /// Slot and entry of a key. `index` chooses the set.
    fn find(&self, asid: Asid, key: u64, index: u64) -> Option<(usize, Cached)> {
        match &self.store {
            Store::Sets { entries, sets, .. } => {
                let start = set_of(index, asid, *sets) * WAYS;
                let set = entries.get(start..start + WAYS)?;
                let way = set.iter().position(|e| e.key == key && e.asid == asid)?;
                Some((start + way, set[way]))
            }
            Store::All(all) => all.get(&(asid, key)).map(|entry| (0, *entry)),
        }
    }

    /// Keeps a translation; answers the one that made room for it, or that it replaced.
    pub(crate) fn insert(&mut self, page: u64, size: Size, mut entry: Cached) -> Option<Cached> {
        entry.key = key(page, size);
        let index = size.index(page);
        let known = self.find(entry.asid, entry.key, index).map(|(slot, _)| slot);
        let old = match &mut self.store {
            Store::All(all) => all.insert((entry.asid, entry.key), entry),
            Store::Sets { entries, next, sets } => {
                if entries.is_empty() {
                    *entries = vec![Cached::EMPTY; *sets * WAYS];
                    *next = vec![0; *sets];
                }
                let set = set_of(index, entry.asid, *sets);
                let start = set * WAYS;
                let free = || (start..start + WAYS).find(|&slot| entries[slot].key == 0);
                let slot = known.or_else(free).unwrap_or_else(|| {
                    let way = usize::from(next[set]);
                    next[set] = ((way + 1) % WAYS) as u8;
                    start + way
                });
                if size == Size::Base {
                    self.first[page as usize % FIRST_LEVEL] = slot as u32;
                }
                let old = std::mem::replace(&mut entries[slot], entry);
                (old.key != 0).then_some(old)
            }
        };
        self.count(&entry, 1);
        if let Some(old) = &old {
            self.count(old, usize::MAX);
        }
        old
    }

    /// A translation of the other size that covers a part of what this one does.
    pub(crate) fn other_size(&self, asid: Asid, page: u64, size: Size) -> Option<Cached> {
        match (size, &self.store) {
            (Size::Base, _) if self.huge == 0 => None,
            (Size::Huge, _) if self.live == self.huge => None,
            (Size::Base, _) => {
                self.find(asid, key(page, Size::Huge), Size::Huge.index(page)).map(|found| found.1)
            }
            (Size::Huge, Store::All(all)) => {
                let first = key(page & !(HUGE_ORDER.frames() - 1), Size::Base);
                let within = (asid, first)..(asid, first + HUGE_ORDER.frames());
                all.range(within).next().map(|(_, entry)| *entry)
            }
            (Size::Huge, Store::Sets { .. }) => {
                let first = page & !(HUGE_ORDER.frames() - 1);
                let small = |page| self.find(asid, key(page, Size::Base), page);
                (first..first + HUGE_ORDER.frames()).find_map(small).map(|found| found.1)
            }
        }
    }

    /// A translation to insert.
    pub(crate) fn entry(asid: Asid, frame: Pfn, attrs: &Attrs, age: (u32, u64)) -> Cached {
        let Attrs { perms, dirty, .. } = *attrs;
        Cached { key: 0, asid, frame, perms, dirty, discards: age.0, filled: age.1 }
    }

    fn count(&mut self, entry: &Cached, by: usize) {
        self.live = self.live.wrapping_add(by);
        if entry.is_huge() {
            self.huge = self.huge.wrapping_add(by);
        }
    }

    /// Drops one page's translation, if it is there.
    fn remove(&mut self, asid: Asid, page: u64, size: Size, dropped: &mut impl FnMut(&Cached)) {
        let key = key(page, size);
        let index = size.index(page);
        let Some((slot, entry)) = self.find(asid, key, index) else { return };
        match &mut self.store {
            Store::Sets { entries, .. } => entries[slot] = Cached::EMPTY,
            Store::All(all) => {
                all.remove(&(asid, key));
            }
        }
        self.count(&entry, usize::MAX);
        dropped(&entry);
    }

    /// Drops everything in the scope, telling of each translation dropped.
    pub(crate) fn flush(&mut self, scope: &FlushScope, mut dropped: impl FnMut(&Cached)) {
        if scope.tables || scope.pages.is_none() {
            self.flush_upper(scope);
        }
        if self.live == 0 {
            return;
        }
        if let Some(pages) = scope.pages.filter(|pages| pages.pages() <= 64) {
            for page in pages.start.0..pages.end.0 {
                self.remove(scope.asid, page, Size::Base, &mut dropped);
                if self.huge != 0 {
                    self.remove(scope.asid, page, Size::Huge, &mut dropped);
                }
            }
            return;
        }
        let in_scope =
            |e: &Cached| e.asid == scope.asid && scope.pages.is_none_or(|p| p.overlaps(&e.pages()));
        let mut gone = Vec::new();
        match &mut self.store {
            Store::Sets { entries, .. } => {
                for entry in entries.iter_mut().filter(|e| e.key != 0) {
                    if in_scope(entry) {
                        gone.push(std::mem::replace(entry, Cached::EMPTY));
                    }
                }
            }
            Store::All(all) => {
                gone.extend(all.values().filter(|e| in_scope(e)).copied());
                all.retain(|_, entry| !in_scope(entry));
            }
        }
        for entry in gone {
            self.count(&entry, usize::MAX);
            dropped(&entry);
        }
    }

    fn flush_upper(&mut self, scope: &FlushScope) {
        if !self.upper_used {
            return;
        }
        for slot in &mut self.upper {
            let region = VpnRange::sized(machine::Vpn(slot.1 << HUGE_ORDER.0), HUGE_ORDER.frames());
            if slot.0 == scope.asid && scope.pages.is_none_or(|pages| pages.overlaps(&region)) {
                *slot = (Asid(0), 0, 0);
            }
        }
    }

    /// The leaf table of a page, if the CPU remembers it.
    pub(crate) fn upper(&self, asid: Asid, page: u64) -> Option<u32> {
        let region = page >> HUGE_ORDER.0;
        let (known, at, table) = self.upper[region as usize % UPPER];
        (known == asid && at == region && asid != Asid(0)).then_some(table)
    }

    /// Remembers the leaf table of a page.
    pub(crate) fn remember_upper(&mut self, asid: Asid, page: u64, table: u32) {
        let region = page >> HUGE_ORDER.0;
        self.upper[region as usize % UPPER] = (asid, region, table);
        self.upper_used = true;
    }

    /// Every upper-level entry: space, first page of its 2 MiB, leaf table.
    pub(crate) fn uppers(&self) -> impl Iterator<Item = (Asid, u64, u32)> + '_ {
        self.upper.iter().filter(|u| u.0 != Asid(0)).map(|u| (u.0, u.1 << HUGE_ORDER.0, u.2))
    }

    /// Tells of every translation, in a fixed order.
    pub(crate) fn for_each(&self, mut see: impl FnMut(&Cached)) {
        if self.live == 0 {
            return;
        }
        match &self.store {
            Store::Sets { entries, .. } => entries.iter().filter(|e| e.key != 0).for_each(see),
            Store::All(all) => all.values().for_each(&mut see),
        }
    }

    /// How many translations it holds.
    pub(crate) fn len(&self) -> usize {
        self.live
    }
}

fn set_of(index: u64, asid: Asid, sets: usize) -> usize {
    (index.wrapping_add(u64::from(asid.0).wrapping_mul(0x9e37_79b9)) % sets as u64) as usize
}
