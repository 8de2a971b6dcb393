//! Needless copies: a write fault copied a page that nobody else could see.
//!
//! The manager decided by its counts; this judges from outside. It follows every entry that maps a block of
//! frames or names the slot of one in the swap cache, from the events that tell of entries, and looks at that
//! when a store is judged: if all these entries are the storing space's own, and the block has no pin and no
//! reference beyond those of its mappings and of the swap cache, then nobody could have told the copy from
//! the page itself.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use freehold::machine::entry::Kind;
use freehold::machine::trace::{Held, Owner, Verdict};
use freehold::machine::x86_64::X86_64;
use freehold::machine::{Asid, Entry, EntryFormat, Event, Level, Pfn};
use freehold::table::Soft;
use sim::Told;

/// A store that was judged.
#[derive(Clone, Copy)]
struct Judged {
    frame: Pfn,
    /// The only space that could see the page then.
    only: Option<Asid>,
}

/// The spaces that map a frame, and how many entries of each do.
type Spaces = Vec<(Asid, u32)>;

/// Who maps what, and the copies that were needless.
#[derive(Default)]
struct Copies {
    /// User blocks of several frames: their first frames, and how many.
    large: BTreeMap<u32, u32>,
    /// By level of the entries and frame.
    maps: HashMap<(Level, u32), Spaces>,
    /// By frame in the swap cache: its slot.
    cached: HashMap<u32, u64>,
    /// By slot: whose entries name it.
    swapped: HashMap<u64, Spaces>,
    /// By task.
    judged: HashMap<Option<u32>, Judged>,
    needless: u64,
}

impl Copies {
    fn hear(&mut self, told: &Told) {
        let task = told.task.map(|task| task.0);
        match told.event {
            Event::FrameAllocated { frame, order, owner: Owner::User, .. } if order.0 > 0 => {
                self.large.insert(frame.0, 1 << order.0);
            }
            Event::FrameFreed { frame, .. } | Event::FolioSplit { frame, .. } => {
                self.large.remove(&frame.0);
            }
            Event::SwapCached { frame, slot } => {
                self.cached.insert(frame.0, slot);
            }
            Event::SwapUncached { frame } => {
                self.cached.remove(&frame.0);
            }
            Event::EntryChanged { asid, level, before, after, .. } => {
                self.entry_changed(asid, level, (before, after));
            }
            Event::StoreJudged { frame, verdict: Verdict::Shared, held, .. } => {
                let only = self.only_viewer(frame, held);
                self.judged.insert(task, Judged { frame, only });
            }
            Event::FaultEnded { .. } => {
                self.judged.remove(&task);
            }
            Event::Copied { asid, from, .. } => {
                let judged = self.judged.remove(&task).filter(|judged| judged.frame == from);
                self.needless += u64::from(judged.is_some_and(|judged| judged.only == Some(asid)));
            }
            _ => {}
        }
    }

    fn entry_changed(&mut self, asid: Asid, level: Level, (before, after): (Entry, Entry)) {
        let (before, after) = (named(before, level), named(after, level));
        if before == after {
            return;
        }
        match before {
            Some(Named::Frame(frame)) => remove(&mut self.maps, (level, frame), asid),
            Some(Named::Slot(slot)) => remove(&mut self.swapped, slot, asid),
            None => {}
        }
        match after {
            Some(Named::Frame(frame)) => add(self.maps.entry((level, frame)).or_default(), (asid, 1)),
            Some(Named::Slot(slot)) => add(self.swapped.entry(slot).or_default(), (asid, 1)),
            None => {}
        }
    }

    /// The frames of the block that a frame is in.
    fn block(&self, frame: Pfn) -> Range<u32> {
        let large = self.large.range(..=frame.0).next_back();
        let large = large.map(|(&first, &frames)| first..first + frames);
        large.filter(|block| block.contains(&frame.0)).unwrap_or(frame.0..frame.0 + 1)
    }

    /// The only space that can see a page, if there is no more than one and nobody else holds the page.
    fn only_viewer(&self, frame: Pfn, held: Held) -> Option<Asid> {
        let block = self.block(frame);
        let mut spaces = Spaces::new();
        for at in block.clone().map(|frame| (Level::LEAF, frame)).chain([(Level::HUGE, block.start)]) {
            self.maps.get(&at).into_iter().flatten().for_each(|&more| add(&mut spaces, more));
        }
        let [(space, entries)] = spaces[..] else { return None };
        let slot = self.cached.get(&frame.0);
        let swapped = slot.and_then(|slot| self.swapped.get(slot));
        let others = swapped.into_iter().flatten().any(|&(other, _)| other != space);
        let refs = entries + u32::from(slot.is_some());
        (held.pins == 0 && held.refs == refs && !others).then_some(space)
    }
}

/// What an entry leads to.
#[derive(PartialEq, Eq)]
enum Named {
    Frame(u32),
    Slot(u64),
}

fn named(entry: Entry, level: Level) -> Option<Named> {
    match X86_64::kind(entry, level) {
        Kind::Leaf(frame) => Some(Named::Frame(frame.0)),
        Kind::Absent(payload) => match Soft::from_payload(payload) {
            Some(Soft::Swap { slot, .. }) => Some(Named::Slot(slot.to_bits())),
            _ => None,
        },
        Kind::Empty | Kind::Table(_) => None,
    }
}

/// One entry of a space less.
fn remove<K: Hash + Eq>(all: &mut HashMap<K, Spaces>, at: K, asid: Asid) {
    let Some(spaces) = all.get_mut(&at) else { return };
    if let Some(place) = spaces.iter().position(|(space, _)| *space == asid) {
        spaces[place].1 -= 1;
        if spaces[place].1 == 0 {
            spaces.swap_remove(place);
        }
    }
    if spaces.is_empty() {
        all.remove(&at);
    }
}

fn add(spaces: &mut Spaces, (asid, more): (Asid, u32)) {
    match spaces.iter_mut().find(|(space, _)| *space == asid) {
        Some((_, entries)) => *entries += more,
        None => spaces.push((asid, more)),
    }
}

/// Counts the needless copies of one run. Copies are the same count.
#[derive(Clone, Default)]
pub(crate) struct Needless(Arc<Mutex<Copies>>);

impl Needless {
    /// What the machine is told to tell its events to; `further` is told, too.
    pub(crate) fn sink(&self, further: Option<sim::Sink>) -> sim::Sink {
        let (copies, mut further) = (self.0.clone(), further);
        Box::new(move |told| {
            copies.lock().unwrap_or_else(PoisonError::into_inner).hear(told);
            if let Some(further) = &mut further {
                further(told);
            }
        })
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).needless
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use freehold::machine::entry::Attrs;
    use freehold::machine::trace::{Asker, FaultOutcome, Mobility, Source};
    use freehold::machine::{Access, CpuId, NodeId, Order, TaskId, VirtAddr, Vpn};
    use freehold::table::{Slot, Sole};

    const PARENT: Asid = Asid(1);
    const CHILD: Asid = Asid(2);

    fn tell(copies: &mut Copies, event: Event) {
        copies.hear(&Told { at_ns: 0, step: 0, cpu: CpuId(0), task: Some(TaskId(1)), event });
    }

    fn map(copies: &mut Copies, asid: Asid, frame: u32, level: Level) {
        let after = X86_64::leaf(Pfn(frame), Attrs::default(), level);
        tell(copies, Event::EntryChanged { asid, page: Vpn(9), level, before: Entry(0), after });
    }

    fn unmap(copies: &mut Copies, asid: Asid, frame: u32) {
        let before = X86_64::leaf(Pfn(frame), Attrs::default(), Level::LEAF);
        let (page, after) = (Vpn(9), Entry(0));
        tell(copies, Event::EntryChanged { asid, page, level: Level::LEAF, before, after });
    }

    fn judge(copies: &mut Copies, frame: u32, (refs, maps, pins): (u32, u32, u32)) {
        let (held, verdict) = (Held { refs, maps, pins }, Verdict::Shared);
        tell(copies, Event::StoreJudged { page: Vpn(9), frame: Pfn(frame), verdict, held });
    }

    fn copy(copies: &mut Copies, asid: Asid, frame: u32) -> u64 {
        let before = copies.needless;
        tell(copies, Event::Copied { asid, page: Vpn(9), from: Pfn(frame), to: Pfn(900) });
        copies.needless - before
    }

    #[test]
    fn a_copy_is_needless_where_nobody_else_maps_holds_or_pins() {
        let copies = &mut Copies::default();
        map(copies, PARENT, 5, Level::LEAF);
        map(copies, CHILD, 5, Level::LEAF);
        judge(copies, 5, (2, 2, 0));
        assert_eq!(copy(copies, PARENT, 5), 0, "the child maps it");
        unmap(copies, CHILD, 5);
        judge(copies, 5, (1, 1, 1));
        assert_eq!(copy(copies, PARENT, 5), 0, "it is pinned");
        judge(copies, 5, (2, 1, 0));
        assert_eq!(copy(copies, PARENT, 5), 0, "somebody has a reference");
        judge(copies, 5, (1, 1, 0));
        assert_eq!(copy(copies, PARENT, 5), 1);
        assert_eq!(copy(copies, PARENT, 5), 0, "a judgement is for one copy");
        judge(copies, 5, (1, 1, 0));
        assert_eq!(copy(copies, CHILD, 5), 0, "who copies does not map it");
    }

    #[test]
    fn a_large_page_is_seen_by_all_who_map_any_of_it() {
        let copies = &mut Copies::default();
        let (frame, order, owner) = (Pfn(512), Order(9), Owner::User);
        let (mobility, node, source) = (Mobility::Movable, NodeId(0), Source::Zone);
        tell(copies, Event::FrameAllocated { frame, order, mobility, owner, node, zone: 1, source });
        map(copies, PARENT, 514, Level::LEAF);
        map(copies, PARENT, 515, Level::LEAF);
        map(copies, CHILD, 516, Level::LEAF);
        judge(copies, 514, (3, 3, 0));
        assert_eq!(copy(copies, PARENT, 514), 0);
        unmap(copies, CHILD, 516);
        judge(copies, 514, (2, 2, 0));
        assert_eq!(copy(copies, PARENT, 514), 1);
        map(copies, CHILD, 512, Level::HUGE);
        judge(copies, 514, (3, 3, 0));
        assert_eq!(copy(copies, PARENT, 514), 0, "the child maps all of it");
    }

    #[test]
    fn a_large_page_that_was_split_is_small_ones() {
        let copies = &mut Copies::default();
        let (frame, order, owner) = (Pfn(512), Order(9), Owner::User);
        let (mobility, node, source) = (Mobility::Movable, NodeId(0), Source::Zone);
        tell(copies, Event::FrameAllocated { frame, order, mobility, owner, node, zone: 1, source });
        map(copies, PARENT, 514, Level::LEAF);
        map(copies, CHILD, 516, Level::LEAF);
        judge(copies, 514, (1, 1, 0));
        assert_eq!(copy(copies, PARENT, 514), 0, "the child maps some of it");
        tell(copies, Event::FolioSplit { frame, order });
        judge(copies, 514, (1, 1, 0));
        assert_eq!(copy(copies, PARENT, 514), 1);
    }

    fn swap_entry(slot: Slot) -> Entry {
        X86_64::absent(Soft::Swap { slot, sole: Sole::Shared }.to_payload())
    }

    #[test]
    fn the_swap_cache_is_nobody_who_sees_a_page() {
        let copies = &mut Copies::default();
        let slot = Slot { area: 1, page: 77 };
        tell(copies, Event::SwapCached { frame: Pfn(5), slot: slot.to_bits() });
        map(copies, PARENT, 5, Level::LEAF);
        judge(copies, 5, (3, 1, 0));
        assert_eq!(copy(copies, PARENT, 5), 0, "somebody beside the cache has a reference");
        judge(copies, 5, (2, 1, 0));
        assert_eq!(copy(copies, PARENT, 5), 1);
        let (page, level, before, after) = (Vpn(9), Level::LEAF, Entry(0), swap_entry(slot));
        tell(copies, Event::EntryChanged { asid: CHILD, page, level, before, after });
        judge(copies, 5, (2, 1, 0));
        assert_eq!(copy(copies, PARENT, 5), 0, "the child comes to see it by its slot");
        tell(copies, Event::EntryChanged { asid: CHILD, page, level, before: after, after: before });
        tell(copies, Event::SwapUncached { frame: Pfn(5) });
        judge(copies, 5, (2, 1, 0));
        assert_eq!(copy(copies, PARENT, 5), 0, "the cache's reference would be another's");
        judge(copies, 5, (1, 1, 0));
        assert_eq!(copy(copies, PARENT, 5), 1);
    }

    #[test]
    fn a_judgement_ends_with_its_fault() {
        let copies = &mut Copies::default();
        map(copies, PARENT, 5, Level::LEAF);
        let addr = VirtAddr(9 << 12);
        tell(copies, Event::FaultBegun { asid: PARENT, addr, access: Access::Write, asker: Asker::Program });
        judge(copies, 5, (1, 1, 0));
        tell(copies, Event::FaultEnded { addr, outcome: FaultOutcome::Shortage });
        assert_eq!(copy(copies, PARENT, 5), 0, "fork copied it");
    }
}
