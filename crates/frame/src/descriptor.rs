//! The page descriptor: what is known of one frame, in 32 bytes.
//!
//! A block of frames (free, in a per-CPU list, or handed out as a folio) is described by its first
//! descriptor, its head, which alone bears [`Meta::is_head`]. The other descriptors of the block, its tails,
//! are never written: their node and zone are right, the rest of them is whatever it was. So freeing a 2 MiB
//! folio writes one descriptor, not 512.

use crate::counts::{self, AtCap, Counts, Exclusive, Freed, Pinned};
pub use crate::flags::Flags;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use machine::cells::cast_words;
use machine::trace::Held;
use machine::{
    Cx, Event, Field, FieldValue, LockId, Machine, Memory, NodeId, Order, Pfn, Plant, Word, level,
};

/// What a block is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum State {
    /// No memory is there, or its section was not used yet.
    Absent = 0,
    /// In a free list of its zone.
    Free,
    /// In a list of free frames of a CPU, or on its way there.
    PerCpu,
    /// Taken before the allocator started, for good.
    Reserved,
    /// Handed out; its owner has not said yet what for.
    Fresh,
    /// Objects of a slab, or its directory.
    Slab,
    /// A page table.
    Table,
    /// Any other kernel use.
    Kernel,
    /// An anonymous page.
    Anon,
    /// A page of a file.
    File,
    /// The page of zeros.
    Zero,
    /// Present, but withdrawn from use (HR6).
    Offline,
    /// A page that stands for several equal anonymous pages (KSM).
    Ksm,
}

impl State {
    const ALL: [State; 13] = [
        State::Absent,
        State::Free,
        State::PerCpu,
        State::Reserved,
        State::Fresh,
        State::Slab,
        State::Table,
        State::Kernel,
        State::Anon,
        State::File,
        State::Zero,
        State::Offline,
        State::Ksm,
    ];

    /// Whether somebody the allocator handed the block to has it.
    #[inline]
    pub const fn is_handed_out(self) -> bool {
        !matches!(self, State::Absent | State::Free | State::PerCpu | State::Reserved | State::Offline)
    }

    /// Whether its bytes belong to user space or a file, so that the kernel does not look at them.
    #[inline]
    pub const fn is_user(self) -> bool {
        matches!(self, State::Fresh | State::Anon | State::File | State::Zero | State::Ksm)
    }
}

/// What a request asked about moving: the kinds of free lists, and of pageblocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum MigrateType {
    /// Cannot be moved or dropped.
    Unmovable = 0,
    /// Can be moved.
    Movable,
    /// Can be dropped on demand.
    Reclaimable,
    /// Kept for requests that cannot wait.
    HighAtomic,
    /// On its way offline, or being emptied for a large block: nothing is handed out from it (HR11).
    Isolate,
}

/// How many [`MigrateType`]s there are.
pub const MIGRATE_TYPES: usize = 5;

impl MigrateType {
    /// All of them, in order.
    pub const ALL: [MigrateType; MIGRATE_TYPES] = [
        MigrateType::Unmovable,
        MigrateType::Movable,
        MigrateType::Reclaimable,
        MigrateType::HighAtomic,
        MigrateType::Isolate,
    ];

    #[inline]
    pub(crate) const fn from_bits(bits: u64) -> MigrateType {
        let bits = bits as usize;
        Self::ALL[if bits < MIGRATE_TYPES { bits } else { 0 }]
    }
}

/// Parts of a node's memory that differ in what may be put there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[repr(u8)]
pub enum ZoneKind {
    /// Below 4 GiB.
    Dma32 = 0,
    /// The rest of what anybody may use.
    Normal,
    /// Only for what can be moved.
    Movable,
}

/// How many [`ZoneKind`]s there are.
pub const ZONE_KINDS: usize = 3;

impl ZoneKind {
    /// All of them, lowest first.
    pub const ALL: [ZoneKind; ZONE_KINDS] = [ZoneKind::Dma32, ZoneKind::Normal, ZoneKind::Movable];

    #[inline]
    pub(crate) const fn from_bits(bits: u64) -> ZoneKind {
        match bits {
            0 => ZoneKind::Dma32,
            1 => ZoneKind::Normal,
            _ => ZoneKind::Movable,
        }
    }
}

pub(crate) const FLAGS: u64 = 0xffff;
const STATE: (u32, u64) = (16, 0xf);
const ORDER: (u32, u64) = (20, 0xf);
const HEAD: u64 = 1 << 24;
const LIST: (u32, u64) = (25, 0x7);
const ZONE: (u32, u64) = (28, 0x3);
const NODE: (u32, u64) = (30, 0xff);
const GENERATION: (u32, u64) = (38, 0xffff);
pub(crate) const AGE: (u32, u64) = (54, 0x7);
pub(crate) const USER_NODE: (u32, u64) = (57, 0x7f);

/// The second word of a descriptor, at one moment.
///
/// ```text
///  56..54 53..38     37..30 29..28 27..25 24   23..20 19..16 15..0
///  age    generation node   zone   list   head order  state  flags
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Meta(pub u64);

impl Meta {
    #[inline]
    pub(crate) const fn part(self, (shift, mask): (u32, u64)) -> u64 {
        self.0 >> shift & mask
    }

    #[inline]
    pub(crate) const fn with(self, (shift, mask): (u32, u64), value: u64) -> Meta {
        Meta(self.0 & !(mask << shift) | (value & mask) << shift)
    }

    /// The flags.
    #[inline]
    pub const fn flags(self) -> Flags {
        Flags((self.0 & FLAGS) as u16)
    }

    /// What the block is used for.
    #[inline]
    pub fn state(self) -> State {
        State::ALL.get(self.part(STATE) as usize).copied().unwrap_or(State::Absent)
    }

    /// Order of the block.
    #[inline]
    pub const fn order(self) -> Order {
        Order(self.part(ORDER) as u8)
    }

    /// Whether the frame is the first of a block.
    #[inline]
    pub const fn is_head(self) -> bool {
        self.0 & HEAD != 0
    }

    /// Which of the free lists of its order a free block is in.
    pub const fn list(self) -> MigrateType {
        MigrateType::from_bits(self.part(LIST))
    }

    /// The frame's zone.
    #[inline]
    pub const fn zone(self) -> ZoneKind {
        ZoneKind::from_bits(self.part(ZONE))
    }

    /// The frame's node.
    #[inline]
    pub const fn node(self) -> NodeId {
        NodeId(self.part(NODE) as u8)
    }

    /// Grows each time the block is freed: a reader without a lock can tell one life of
    /// a frame from the next.
    pub const fn generation(self) -> u16 {
        self.part(GENERATION) as u16
    }

    /// A tail of a block in that zone, never used yet.
    pub(crate) const fn unused(zone: ZoneKind, node: NodeId) -> Meta {
        Meta(0).with(ZONE, zone as u64).with(NODE, node.0 as u64)
    }

    #[inline]
    pub(crate) const fn with_state(self, state: State) -> Meta {
        self.with(STATE, state as u64)
    }

    #[inline]
    pub(crate) const fn as_head(self, order: Order) -> Meta {
        Meta(self.with(ORDER, order.0 as u64).0 | HEAD)
    }

    pub(crate) const fn as_tail(self) -> Meta {
        Meta(self.0 & !HEAD)
    }

    pub(crate) const fn with_list(self, list: MigrateType) -> Meta {
        self.with(LIST, list as u64)
    }

    /// Without the flags that describe what a frame holds rather than the frame.
    #[inline]
    pub(crate) const fn without_contents(self) -> Meta {
        Meta(self.0 & !(FLAGS & !(Flags::UNMAPPED.0 as u64))).with(AGE, 0).with(USER_NODE, 0)
    }

    #[inline]
    pub(crate) const fn next_generation(self) -> Meta {
        self.with(GENERATION, self.part(GENERATION) + 1)
    }
}

impl core::fmt::Debug for Meta {
    #[inline]
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let part = if self.is_head() { "head" } else { "tail" };
        let (state, order, flags) = (self.state(), self.order().0, self.flags().0);
        write!(f, "{part} {state:?} order {order} {:?} node {} flags {flags:#x}", self.zone(), self.node().0)
    }
}

impl FieldValue for Meta {
    #[inline]
    fn to_bits(self) -> u64 {
        self.0
    }
    #[inline]
    fn from_bits(bits: u64) -> Self {
        Meta(bits)
    }
}

/// Two frames a block is linked to. [`Links::NONE`] in a half means nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Links {
    pub(crate) previous: Option<Pfn>,
    pub(crate) next: Option<Pfn>,
}

impl Links {
    const NONE: u32 = u32::MAX;
}

impl FieldValue for Links {
    #[inline]
    fn to_bits(self) -> u64 {
        let half = |link: Option<Pfn>| u64::from(link.map_or(Links::NONE, |pfn| pfn.0));
        half(self.previous) << 32 | half(self.next)
    }
    #[inline]
    fn from_bits(bits: u64) -> Self {
        let half = |bits: u32| (bits != Links::NONE).then_some(Pfn(bits));
        Links { previous: half((bits >> 32) as u32), next: half(bits as u32) }
    }
}

/// How many bits of the third word name the owner.
pub const OWNER_BITS: u32 = 28;
/// How many bits of the third word are an index.
pub const INDEX_BITS: u32 = 36;

machine::cells! {
    /// What is known of one frame.
    pub struct Descriptor {
        /// See [`crate::counts`].
        counts: Word,
        /// See [`Meta`].
        pub(crate) meta: Word,
        /// Whose it is (28 bits, high) and where in it (36 bits, low). Meaning: the state's.
        owner: Word,
        /// Free blocks: the list's neighbours. Folios: the owner's to use.
        links: Word,
    }
}

const _: () = assert!(size_of::<Descriptor>() == 32, "a descriptor costs 32 bytes a frame");

impl Descriptor {
    /// Has its line fetched: it is needed soon.
    #[inline]
    pub fn fetch<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) {
        cx.machine().prefetch(cx.cpu(), &self.counts);
    }

    /// The counts now.
    #[inline]
    pub fn counts<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> Counts {
        counts::read(cx, &self.counts)
    }

    /// The references now.
    #[inline]
    pub fn refs<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> u64 {
        self.counts(cx).refs()
    }

    /// The number of mappings now.
    #[inline]
    pub fn maps<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> u64 {
        self.counts(cx).maps()
    }

    /// The pins now.
    #[inline]
    pub fn pins<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> u64 {
        self.counts(cx).pins()
    }

    /// Whether the exclusive bit is set now.
    #[inline]
    pub fn is_exclusive<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> bool {
        self.counts(cx).is_exclusive()
    }

    /// See [`counts::try_get`].
    #[must_use]
    #[inline]
    pub fn try_get<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> bool {
        if cx.planted(Plant::GetFromZero) {
            return counts::get(cx, &self.counts).is_ok();
        }
        counts::try_get(cx, &self.counts)
    }

    /// See [`counts::get`].
    pub fn get<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> Result<(), AtCap> {
        counts::get(cx, &self.counts)
    }

    /// See [`counts::put`]; most callers want [`crate::Frames::put`], which also frees.
    #[inline]
    pub fn put<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> Freed {
        counts::put(cx, &self.counts)
    }

    /// See [`counts::freeze`].
    #[must_use]
    pub fn freeze<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> bool {
        counts::freeze(cx, &self.counts)
    }

    /// See [`counts::unfreeze`].
    pub fn unfreeze<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) {
        counts::unfreeze(cx, &self.counts);
    }

    /// See [`counts::freeze_at`].
    #[must_use]
    pub fn freeze_at<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, refs: u64) -> bool {
        counts::freeze_at(cx, &self.counts, refs)
    }

    /// See [`counts::unfreeze_to`].
    pub fn unfreeze_to<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, refs: u64) {
        counts::unfreeze_to(cx, &self.counts, refs);
    }

    /// See [`counts::add_entries`].
    #[inline]
    pub fn add_entries<M: Machine, const L: u8>(
        &self,
        cx: &Cx<'_, M, L>,
        entries: u64,
        most: u64,
    ) -> Result<(), AtCap> {
        counts::add_entries(cx, &self.counts, entries, most)
    }

    /// See [`counts::add_map`].
    #[inline]
    pub fn add_map<M: Machine, const L: u8>(
        &self,
        cx: &Cx<'_, M, L>,
        exclusive: Exclusive,
    ) -> Result<(), AtCap> {
        counts::add_map(cx, &self.counts, exclusive)
    }

    /// See [`counts::remove_map`].
    #[inline]
    pub fn remove_map<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> Counts {
        counts::remove_map(cx, &self.counts)
    }

    /// See [`counts::put_entry`]; who is told that it was the last reference frees the folio.
    #[inline]
    pub fn put_entry<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> Freed {
        counts::put_entry(cx, &self.counts)
    }

    /// See [`counts::pin`].
    #[inline]
    pub fn pin<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> Result<(), AtCap> {
        counts::pin(cx, &self.counts)
    }

    /// See [`counts::try_pin`].
    #[must_use]
    #[inline]
    pub fn try_pin<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> bool {
        counts::try_pin(cx, &self.counts)
    }

    /// See [`counts::pin_exclusive`].
    #[must_use]
    #[inline]
    pub fn pin_exclusive<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> bool {
        counts::pin_exclusive(cx, &self.counts)
    }

    /// See [`counts::unpin`]; most callers want [`crate::Frames::unpin`], which also frees.
    #[inline]
    pub fn unpin<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> Freed {
        counts::unpin(cx, &self.counts)
    }

    /// See [`counts::share`].
    pub fn share<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> Result<(), Pinned> {
        counts::share(cx, &self.counts)
    }

    /// See [`counts::share_again`].
    #[inline]
    pub fn share_again<M: Machine, const L: u8>(
        &self,
        cx: &Cx<'_, M, L>,
        most: u64,
    ) -> Result<(), counts::NotShared> {
        counts::share_again(cx, &self.counts, most)
    }

    /// See [`counts::forget_exclusive`].
    pub fn forget_exclusive<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) {
        counts::forget_exclusive(cx, &self.counts);
    }

    /// See [`counts::make_exclusive`].
    #[inline]
    pub fn make_exclusive<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) {
        counts::make_exclusive(cx, &self.counts);
    }

    // ---- the second word ----

    /// The second word now.
    #[inline]
    pub fn meta<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> Meta {
        // ORDERING: Acquire pairs with the Release in `set_state` and the AcqRel of the flags.
        Meta(cx.load(&self.meta, Acquire))
    }

    /// What the block is used for. Only a head's answer means something.
    #[inline]
    pub fn state<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> State {
        self.meta(cx).state()
    }

    /// Says what the block is used for. Only its owner does.
    #[inline]
    pub fn set_state<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, state: State) {
        // RELAXED: the compare-exchange decides.
        let mut seen = cx.load(&self.meta, Relaxed);
        debug_assert!(Meta(seen).is_head(), "a tail has no state of its own");
        // ORDERING: AcqRel: who sees the state sees what its owner did before, owner and index among it.
        while let Err(now) = cx.compare_exchange(&self.meta, seen, Meta(seen).with_state(state).0, AcqRel) {
            seen = now;
        }
    }

    /// Order of the block. Only a head's answer means something.
    #[inline]
    pub fn order<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> Order {
        self.meta(cx).order()
    }

    /// The frame's zone.
    #[inline]
    pub fn zone<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> ZoneKind {
        self.meta(cx).zone()
    }

    /// The frame's node.
    #[inline]
    pub fn node<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> NodeId {
        self.meta(cx).node()
    }

    /// All flags now.
    #[inline]
    pub fn flags<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> Flags {
        self.meta(cx).flags()
    }

    /// Whether one of the flags is set.
    #[inline]
    pub fn test<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, flags: Flags) -> bool {
        self.flags(cx).has(flags)
    }

    /// Sets flags.
    #[inline]
    pub fn set<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, flags: Flags) {
        // ORDERING: AcqRel: a flag orders what it tells of (bytes that are up to date, say) before itself.
        cx.fetch_or(&self.meta, u64::from(flags.0), AcqRel);
    }

    /// Clears flags.
    #[inline]
    pub fn clear<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, flags: Flags) {
        // ORDERING: AcqRel, as in `set`.
        cx.fetch_and(&self.meta, !u64::from(flags.0), AcqRel);
    }

    /// Sets flags; answers whether one of them was set before.
    #[inline]
    pub fn test_and_set<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, flags: Flags) -> bool {
        // ORDERING: AcqRel, as in `set`.
        Meta(cx.fetch_or(&self.meta, u64::from(flags.0), AcqRel)).flags().has(flags)
    }

    /// Clears flags; answers whether one of them was set before.
    pub fn test_and_clear<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, flags: Flags) -> bool {
        // ORDERING: AcqRel, as in `set`.
        Meta(cx.fetch_and(&self.meta, !u64::from(flags.0), AcqRel)).flags().has(flags)
    }

    /// Takes the page lock if it is free.
    #[must_use]
    #[inline]
    pub fn try_lock<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> bool {
        let taken = !self.test_and_set(cx, Flags::LOCKED);
        if taken {
            cx.trace(|| Event::Locked(LockId::new(level::PAGE, &self.meta)));
        }
        taken
    }

    /// Gives the page lock back, and takes the mark of waiters away; answers whether it was there.
    /// The caller then wakes all who wait at [`Descriptor::wait_key`]; who still has something to
    /// wait for marks it again.
    #[must_use = "waiters are woken by the caller"]
    #[inline]
    pub fn unlock<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> bool {
        cx.trace(|| Event::Unlocked(LockId::new(level::PAGE, &self.meta)));
        let gone = Flags::LOCKED.and(Flags::WAITERS);
        // ORDERING: AcqRel: pairs with `try_lock`; what was done under the lock is seen by the next holder.
        let before = Meta(cx.fetch_and(&self.meta, !u64::from(gone.0), AcqRel)).flags();
        debug_assert!(before.has(Flags::LOCKED), "the page was not locked");
        before.has(Flags::WAITERS)
    }

    /// Where to park for this page: its own queue, never one shared with other pages.
    pub fn wait_key(&self) -> u64 {
        machine::lock::key(&self.meta)
    }

    // ---- owner, index, links ----

    /// Whose it is: 28 bits, the state says of what.
    #[inline]
    pub fn owner<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> u32 {
        self.owner_and_index(cx).0
    }

    /// Where in its owner it is: 36 bits.
    #[inline]
    pub fn index<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> u64 {
        self.owner_and_index(cx).1
    }

    /// Owner and index, read in one step.
    #[inline]
    pub fn owner_and_index<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> (u32, u64) {
        // ORDERING: Acquire pairs with the Release in `set_owner`.
        let bits = cx.load(&self.owner, Acquire);
        ((bits >> INDEX_BITS) as u32, bits & ((1 << INDEX_BITS) - 1))
    }

    /// Writes owner and index in one step.
    #[inline]
    pub fn set_owner<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, owner: u32, index: u64) {
        debug_assert!(owner >> OWNER_BITS == 0 && index >> INDEX_BITS == 0, "owner or index is too large");
        // ORDERING: Release pairs with the Acquire in `owner_and_index`.
        cx.store(&self.owner, u64::from(owner) << INDEX_BITS | index, Release);
    }

    /// The third word, for owners that want all 64 bits of it.
    #[inline]
    pub fn owner_word(&self) -> &Word {
        &self.owner
    }

    /// The fourth word: the owner's to use while the folio is handed out.
    pub fn link_word(&self) -> &Word {
        &self.links
    }

    // ---- views for the allocator, and for checkers of a quiet machine ----

    /// The counts, on a quiet machine.
    #[inline]
    pub fn quiet_counts(&self) -> Counts {
        Counts(self.counts.raw().load(Relaxed))
    }

    /// What is counted of it, for events: the caller knows why it does not change just now.
    pub fn held(&self) -> Held {
        let counts = self.quiet_counts();
        Held { refs: counts.refs() as u32, maps: counts.maps() as u32, pins: counts.pins() as u32 }
    }

    /// The second word, on a quiet machine.
    pub fn quiet_meta(&self) -> Meta {
        Meta(self.meta.raw().load(Relaxed))
    }

    /// Owner and index, on a quiet machine.
    pub fn quiet_owner(&self) -> (u32, u64) {
        let bits = self.owner.raw().load(Relaxed);
        ((bits >> INDEX_BITS) as u32, bits & ((1 << INDEX_BITS) - 1))
    }

    #[inline]
    pub(crate) fn counts_word(&self) -> &Word {
        &self.counts
    }

    /// The second word of a block the allocator has: covered by the zone's or the list's lock, or by
    /// being on its way. Looking at a neighbour that is handed out is allowed too: only under the zone
    /// lock does a block become free.
    #[inline]
    pub(crate) fn meta_field(&self) -> &Field<Meta> {
        &cast_words::<Field<Meta>>(core::slice::from_ref(&self.meta))[0]
    }

    /// The links of a block the allocator has (same locks).
    #[inline]
    pub(crate) fn links_field(&self) -> &Field<Links> {
        &cast_words::<Field<Links>>(core::slice::from_ref(&self.links))[0]
    }

    /// Wipes what an owner wrote into the third and fourth word: for a block the allocator has, in no list.
    #[inline]
    pub(crate) fn wipe_owner(&self) {
        for word in [&self.owner, &self.links] {
            cast_words::<Field<u64>>(core::slice::from_ref(word))[0].set(0);
        }
    }
}
