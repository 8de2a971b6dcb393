//! One table: a frame of 512 entries, and what its descriptor says of it.
//!
//! Of a table's descriptor the fourth word is the table's lock, and the third says whose table it is
//! (owner), its level, how many entries are not empty, and whether it is dead (unlinked from its parent for
//! good).

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use frame::Descriptor;
use frame::descriptor::INDEX_BITS;
use machine::cells::cast_words;
use machine::entry::Kind;
use machine::lock::{acquire, release};
use machine::{
    Cx, Entry, EntryFormat, Event, Field, FieldValue, KernelFrame, Level, LockId, Machine, Memory, Pfn, Vpn,
    VpnRange, Word, level,
};

/// Entries of a table.
pub const ENTRIES: u64 = 512;

/// What the third word of a table's descriptor says.
///
/// ```text
///  63..36  21     20    19..16  15..0
///  owner   spare  dead  level   used
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Number of the [`crate::PageTable`].
    pub owner: u32,
    /// The table's level.
    pub level: Level,
    /// How many entries are not empty.
    pub used: u16,
    /// Whether it is linked.
    pub life: Life,
}

/// Whether a table is part of its tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// It is.
    Linked,
    /// It was unlinked, and will be freed. Whoever locked it looks for its successor from the root.
    Dead,
    /// It never was: it is kept in reserve ([`crate::spare`]).
    Spare,
}

const LEVEL: u32 = 16;
const DEAD: u64 = 1 << 20;
const SPARE: u64 = 1 << 21;

impl FieldValue for Header {
    #[inline]
    fn to_bits(self) -> u64 {
        let life = match self.life {
            Life::Linked => 0,
            Life::Dead => DEAD,
            Life::Spare => SPARE,
        };
        u64::from(self.owner) << INDEX_BITS | life | u64::from(self.level.0) << LEVEL | u64::from(self.used)
    }
    #[inline]
    fn from_bits(bits: u64) -> Self {
        Header {
            owner: (bits >> INDEX_BITS) as u32,
            level: Level((bits >> LEVEL & 0xf) as u8),
            used: bits as u16,
            life: match bits & (DEAD | SPARE) {
                0 => Life::Linked,
                SPARE => Life::Spare,
                _ => Life::Dead,
            },
        }
    }
}

/// A table as a walk sees it. Valid inside the epoch it was found in, or while its lock is held and it is
/// not dead.
#[derive(Clone, Copy)]
pub(crate) struct Node<'m> {
    pub(crate) frame: KernelFrame,
    pub(crate) level: Level,
    words: &'m [Word],
}

impl<'m> Node<'m> {
    #[inline]
    pub(crate) fn new<M: Machine>(machine: &'m M, frame: KernelFrame, level: Level) -> Self {
        Node { frame, level, words: machine.kernel_area(frame, 1) }
    }

    #[inline]
    pub(crate) fn word(&self, page: Vpn) -> &'m Word {
        &self.words[(page.0 >> self.level.span_shift() & (ENTRIES - 1)) as usize]
    }

    /// The entry for a page, read once.
    #[inline]
    pub(crate) fn read<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, page: Vpn) -> Entry {
        // ORDERING: Acquire pairs with the Release in `write`: the table a link leads to is zeroed and
        // described.
        Entry(cx.load(self.word(page), Acquire))
    }

    /// Has the line of an entry fetched, if it is the line's first entry.
    pub(crate) fn fetch<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, page: Vpn) {
        if page.0 >> self.level.span_shift() & 7 == 0 {
            cx.machine().prefetch(cx.cpu(), self.word(page));
        }
    }

    /// The frame that an entry names, read again, whatever kind of entry it is: what a walk must not do.
    pub(crate) fn frame_again<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, page: Vpn) -> Option<Pfn> {
        match M::Entry::kind(self.read(cx, page), self.level) {
            Kind::Table(frame) => Some(frame.0),
            Kind::Leaf(frame) => Some(frame),
            Kind::Empty | Kind::Absent(_) => None,
        }
    }

    /// Writes an entry that hardware does not change meanwhile: the one before was empty. The lock is held.
    #[inline]
    pub(crate) fn write<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, page: Vpn, entry: Entry) {
        // ORDERING: Release pairs with the Acquire in `read`.
        cx.store(self.word(page), entry.0, Release);
    }

    /// Empties an entry and answers what it held, with all that hardware noted in it. The lock is held.
    #[inline]
    pub(crate) fn clear<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, page: Vpn) -> Entry {
        // ORDERING: AcqRel: hardware's bits up to here are in the answer; the flush that follows begins
        // with a fence.
        Entry(cx.swap(self.word(page), Entry::EMPTY.0, AcqRel))
    }

    /// Puts another entry in the place of one that is not empty; answers that with all that hardware noted.
    /// The lock is held.
    #[inline]
    pub(crate) fn exchange<M: Machine, const L: u8>(
        &self,
        cx: &Cx<'_, M, L>,
        page: Vpn,
        entry: Entry,
    ) -> Entry {
        // ORDERING: AcqRel: pairs with the Acquire in `read`, as in `write`.
        Entry(cx.swap(self.word(page), entry.0, AcqRel))
    }

    /// Changes an entry by `f`, again for as long as hardware sets bits in between. The lock is held.
    #[inline]
    pub(crate) fn update<M: Machine, const L: u8>(
        &self,
        cx: &Cx<'_, M, L>,
        page: Vpn,
        mut f: impl FnMut(Entry) -> Entry,
    ) -> (Entry, Entry) {
        let word = self.word(page);
        // RELAXED: under the lock only hardware's bits change; the compare-exchange decides.
        let mut old = cx.load(word, Relaxed);
        loop {
            let new = f(Entry(old));
            // ORDERING: AcqRel, as in `clear`.
            match cx.compare_exchange(word, old, new.0, AcqRel) {
                Ok(_) => return (Entry(old), new),
                Err(now) => old = now,
            }
        }
    }

    /// The pages all its entries span.
    #[inline]
    pub(crate) fn span(&self, page: Vpn) -> VpnRange {
        span(page, Level(self.level.0 + 1))
    }

    /// The entry for a page, on a quiet machine.
    #[inline]
    pub(crate) fn quiet_entry(&self, page: Vpn) -> Entry {
        // RELAXED: nobody writes.
        Entry(self.word(page).raw().load(Relaxed))
    }

    /// The entries, on a quiet machine.
    #[inline]
    pub(crate) fn quiet(&self) -> impl Iterator<Item = Entry> + 'm {
        // RELAXED: nobody writes.
        self.words.iter().map(|word| Entry(word.raw().load(Relaxed)))
    }
}

/// The pages one entry of `level` spans, around a page.
#[inline]
pub(crate) fn span(page: Vpn, level: Level) -> VpnRange {
    let pages = 1u64 << level.span_shift();
    VpnRange::sized(Vpn(page.0 & !(pages - 1)), pages)
}

/// (table's lock) The header. Reading it without the lock gives a hint.
#[inline]
pub(crate) fn header(descriptor: &Descriptor) -> &Field<Header> {
    &cast_words::<Field<Header>>(core::slice::from_ref(descriptor.owner_word()))[0]
}

/// Counts an entry that is no longer empty. The lock is held.
#[inline]
pub(crate) fn note_used(descriptor: &Descriptor) {
    let header = header(descriptor);
    let before = header.get();
    debug_assert!(u64::from(before.used) < ENTRIES, "more entries than a table has");
    header.set(Header { used: before.used + 1, ..before });
}

/// Counts an entry that is empty now. The lock is held.
#[inline]
pub(crate) fn note_empty(descriptor: &Descriptor) {
    let header = header(descriptor);
    let before = header.get();
    debug_assert!(before.used > 0, "an empty table loses an entry");
    header.set(Header { used: before.used - 1, ..before });
}

/// Waits for a table's lock. Inside an epoch: holders never wait for a grace period (they may not sleep),
/// so a reader that waits here holds nobody up for ever.
#[inline]
pub(crate) fn lock<M: Machine, const L: u8>(cx: &Cx<'_, M, L>, descriptor: &Descriptor) {
    acquire(cx, descriptor.link_word(), u64::from(cx.cpu().0) + 1);
    cx.trace(|| Event::Locked(LockId::new(level::TABLE1, descriptor.link_word())));
}

/// Gives a table's lock back.
#[inline]
pub(crate) fn unlock<M: Machine, const L: u8>(cx: &Cx<'_, M, L>, descriptor: &Descriptor) {
    cx.trace(|| Event::Unlocked(LockId::new(level::TABLE1, descriptor.link_word())));
    release(cx, descriptor.link_word());
}
