//! The sparse memmap: descriptors by frame number, and one word of state for each 2 MiB.
//!
//! Frames come in sections of 128 MiB, the unit in which descriptors are initialised and memory is fed to the
//! zones, and in subsections of 2 MiB, the unit whose [`SubsectionState`] says whether descriptors may be
//! touched (HR1). A subsection is also a pageblock: it has a [`MigrateType`], and the order of the folio that
//! covers all of it, if any.

use crate::descriptor::{Descriptor, MigrateType, ZoneKind};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use machine::cells::cast_words;
use machine::{Boot, CpuId, Cx, HUGE_ORDER, MAX_ORDER, Machine, Memory, NodeId, Order, Pfn, Shortage, Word};

/// log2 of the frames of a section: 128 MiB.
pub const SECTION_ORDER: Order = Order(15);
/// Order of a subsection, and of a pageblock: 2 MiB.
pub const SUBSECTION_ORDER: Order = HUGE_ORDER;

/// What is known of 2 MiB of physical addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum SubsectionState {
    /// No memory.
    Absent = 0,
    /// Memory, whose descriptors are not initialised.
    Present,
    /// Memory in use: its descriptors may be touched.
    Active,
    /// Being taken away: no new walker touches its descriptors.
    Quiescing,
}

const STATE: (u32, u64) = (0, 0x3);
const ZONE: (u32, u64) = (2, 0x3);
const NODE: (u32, u64) = (4, 0xff);
const TYPE: (u32, u64) = (12, 0x7);
const WHOLE: (u32, u64) = (16, 0xf);
const SKIP: (u32, u64) = (20, 0x1);

/// The word of a subsection, at one moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Subsection(pub u64);

impl Subsection {
    #[inline]
    const fn part(self, (shift, mask): (u32, u64)) -> u64 {
        self.0 >> shift & mask
    }

    #[inline]
    const fn with(self, (shift, mask): (u32, u64), value: u64) -> Self {
        Subsection(self.0 & !(mask << shift) | (value & mask) << shift)
    }

    /// Its state.
    #[inline]
    pub const fn state(self) -> SubsectionState {
        match self.part(STATE) {
            0 => SubsectionState::Absent,
            1 => SubsectionState::Present,
            2 => SubsectionState::Active,
            _ => SubsectionState::Quiescing,
        }
    }

    /// Zone of its first memory.
    #[inline]
    pub const fn zone(self) -> ZoneKind {
        ZoneKind::from_bits(self.part(ZONE))
    }

    /// Node of its first memory.
    #[inline]
    pub const fn node(self) -> NodeId {
        NodeId(self.part(NODE) as u8)
    }

    /// The pageblock's type.
    #[inline]
    pub const fn migrate_type(self) -> MigrateType {
        MigrateType::from_bits(self.part(TYPE))
    }

    /// Order of the handed-out folio that covers all of it (and perhaps its neighbour).
    #[inline]
    pub const fn whole(self) -> Option<Order> {
        match self.part(WHOLE) {
            0 => None,
            order => Some(Order(order as u8)),
        }
    }

    /// Whether compaction found nothing to move in it the last time.
    #[inline]
    pub const fn is_skipped(self) -> bool {
        self.part(SKIP) != 0
    }

    #[inline]
    pub(crate) const fn skipped(self) -> Self {
        self.with(SKIP, 1)
    }

    #[inline]
    pub(crate) const fn not_skipped(self) -> Self {
        self.with(SKIP, 0)
    }

    /// Fresh memory: present, and movable, as Linux starts every pageblock.
    #[inline]
    pub(crate) const fn present(zone: ZoneKind, node: NodeId) -> Self {
        Subsection(0)
            .with(STATE, SubsectionState::Present as u64)
            .with(ZONE, zone as u64)
            .with(NODE, node.0 as u64)
            .with(TYPE, MigrateType::Movable as u64)
    }

    #[inline]
    pub(crate) const fn with_state(self, state: SubsectionState) -> Self {
        self.with(STATE, state as u64)
    }

    #[inline]
    pub(crate) const fn with_type(self, list: MigrateType) -> Self {
        self.with(TYPE, list as u64)
    }

    #[inline]
    pub(crate) const fn with_whole(self, order: Option<Order>) -> Self {
        self.with(
            WHOLE,
            match order {
                Some(order) => order.0 as u64,
                None => 0,
            },
        )
    }
}

/// The descriptors and the subsections. A handle: copying it copies references.
#[derive(Clone, Copy)]
pub struct MemMap<'m> {
    descriptors: &'m [Descriptor],
    subsections: &'m [Word],
}

impl<'m> MemMap<'m> {
    /// Lays descriptors over the machine's memmap. Touches none of it.
    #[inline]
    pub(crate) fn new<M: Machine>(boot: &Boot<'m, M>) -> Result<Self, Shortage> {
        let descriptors = cast_words::<Descriptor>(boot.machine().memmap());
        let subsections = boot.array(descriptors.len().div_ceil(SUBSECTION_ORDER.frames() as usize))?;
        Ok(MemMap { descriptors, subsections })
    }

    /// One past the last frame that has a descriptor.
    #[inline]
    pub fn end(&self) -> Pfn {
        Pfn(self.descriptors.len() as u32)
    }

    /// The descriptor of a frame known to be present and in use.
    ///
    /// # Panics
    /// If the machine has no such frame (a bug: frame numbers come from the allocator).
    #[inline]
    pub fn descriptor(&self, pfn: Pfn) -> &'m Descriptor {
        &self.descriptors[pfn.0 as usize]
    }

    #[inline]
    fn word(&self, pfn: Pfn) -> Option<&'m Word> {
        self.subsections.get((pfn.0 >> SUBSECTION_ORDER.0) as usize)
    }

    /// What is known of the 2 MiB around a frame number. Any number may be asked about.
    #[inline]
    pub fn subsection<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, pfn: Pfn) -> Subsection {
        // ORDERING: Acquire pairs with the AcqRel in `update`: who sees Active
        // sees initialised descriptors (HR2).
        Subsection(self.word(pfn).map_or(0, |word| cx.load(word, Acquire)))
    }

    /// The same, on a quiet machine.
    #[inline]
    pub fn quiet_subsection(&self, pfn: Pfn) -> Subsection {
        Subsection(self.word(pfn).map_or(0, |word| word.raw().load(Relaxed)))
    }

    /// Has fetched what is known of a subsection and its neighbours, if it is the first on its line.
    #[inline]
    pub(crate) fn fetch<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, pfn: Pfn) {
        if pfn.0 >> SUBSECTION_ORDER.0 & 7 == 0
            && let Some(word) = self.word(pfn)
        {
            cx.machine().prefetch(cx.cpu(), word);
        }
    }

    /// Changes what is known of a subsection.
    #[inline]
    pub(crate) fn update<M: Machine, const L: u8>(
        &self,
        cx: &Cx<'_, M, L>,
        pfn: Pfn,
        change: impl Fn(Subsection) -> Subsection,
    ) {
        let Some(word) = self.word(pfn) else { return };
        // RELAXED: a guess, so not a step of its own; the compare-exchange decides.
        let mut seen = word.raw().load(Relaxed);
        // ORDERING: AcqRel pairs with the Acquire in `subsection`.
        while let Err(now) = cx.compare_exchange(word, seen, change(Subsection(seen)).0, AcqRel) {
            seen = now;
        }
    }

    /// Marks fresh memory as present, before anything runs; memory that came first to
    /// a subsection names its zone.
    #[inline]
    pub(crate) fn mark_present<M: Machine>(&self, machine: &M, pfn: Pfn, zone: ZoneKind, node: NodeId) {
        let Some(word) = self.word(pfn) else { return };
        // RELAXED: nothing else runs yet.
        if machine.load(CpuId(0), word, Relaxed) == 0 {
            machine.store(CpuId(0), word, Subsection::present(zone, node).0, Relaxed);
        }
    }

    /// The head of the block the frame is in, and the block's order. Stable while the caller has a
    /// reference to the folio (or the machine is quiet); otherwise a guess, to be checked again
    /// once a reference was taken.
    #[inline]
    pub fn head<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, pfn: Pfn) -> Option<(Pfn, Order)> {
        if let Some(order) = self.subsection(cx, pfn).whole() {
            return Some((aligned(pfn, order), order));
        }
        // ORDERING: Acquire, as in `Descriptor::meta`.
        self.find_head(pfn, |d| d.meta(cx))
    }

    /// The same, on a quiet machine.
    #[inline]
    pub fn quiet_head(&self, pfn: Pfn) -> Option<(Pfn, Order)> {
        self.find_head(pfn, Descriptor::quiet_meta)
    }

    /// Blocks are aligned and disjoint and only their first descriptor is a head, so of the aligned frames at
    /// or before `pfn` the nearest head that reaches `pfn` is that of its block.
    #[inline]
    fn find_head(
        &self,
        pfn: Pfn,
        meta: impl Fn(&'m Descriptor) -> crate::descriptor::Meta,
    ) -> Option<(Pfn, Order)> {
        (0..=MAX_ORDER.0).find_map(|order| {
            let candidate = aligned(pfn, Order(order));
            let meta = meta(self.descriptor(candidate));
            let covers = meta.is_head() && meta.order().0 >= order;
            covers.then(|| (candidate, meta.order()))
        })
    }
}

/// The first frame of the block of this order that a frame lies in.
#[inline]
pub(crate) const fn aligned(pfn: Pfn, order: Order) -> Pfn {
    Pfn(pfn.0 & !((1 << order.0) - 1))
}
