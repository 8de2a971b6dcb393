//! Swap areas: where pages go, and which of their slots are taken.
//!
//! An area is a file of the machine's [`machine::Backing`] (page of the file = slot), or compressed memory
//! (`store.rs`). Slots are taken next-fit, from areas with the highest priority first, in turn where
//! priorities are equal (Linux: `get_swap_pages`).

use crate::swap::slot::{self, SlotState};
use crate::swap::store::Store;
use crate::swap::words::Words;
use machine::lock::Spin;
use machine::{Cx, Field, FieldValue, FileKey, Machine, Pfn, Word, level};
use table::Slot;

/// What an area is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SwapDevice {
    /// A file of the machine.
    File {
        /// Which. Nobody else uses it.
        key: FileKey,
        /// How many pages of it are slots.
        pages: u64,
    },
    /// Memory, in which pages are kept compressed (Linux: zram with lz4).
    Compressed {
        /// How many slots. How much memory they take depends on what they hold.
        pages: u64,
    },
}

/// Where an area is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    /// The number is nobody's.
    Unused = 0,
    /// Being made.
    Starting = 1,
    /// In use.
    Live = 2,
    /// No slot is handed out any more: its pages are being brought back.
    Ending = 3,
}

impl FieldValue for Life {
    fn to_bits(self) -> u64 {
        self as u64
    }
    fn from_bits(bits: u64) -> Self {
        match bits {
            0 => Life::Unused,
            1 => Life::Starting,
            2 => Life::Live,
            _ => Life::Ending,
        }
    }
}

/// What kind of area.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    File = 0,
    Compressed = 1,
}

impl FieldValue for Kind {
    fn to_bits(self) -> u64 {
        self as u64
    }
    fn from_bits(bits: u64) -> Self {
        if bits == 0 { Kind::File } else { Kind::Compressed }
    }
}

machine::cells! {
    /// A swap area.
    #[repr(align(64))]
    pub(crate) struct Area {
        /// Covers what says (area).
        pub(crate) lock: Spin<{ level::REGISTRY }>,
        /// (area)
        pub(crate) life: Field<Life>,
        /// (set while starting)
        pub(crate) kind: Field<Kind>,
        /// (set while starting) The file, if it is one.
        pub(crate) file: Field<FileKey>,
        /// (set while starting) Whether bytes must not change while they are written.
        pub(crate) stable: Field<bool>,
        /// (set while starting) Higher is used first.
        pub(crate) priority: Field<i64>,
        /// (set while starting) How many slots.
        pub(crate) pages: Field<u64>,
        /// (area) Where the search for a free slot goes on.
        pub(crate) hand: Field<u64>,
        /// (hint) When a slot of it was last handed out.
        pub(crate) turn: Field<u64>,
        /// (atomic) Slots that are not free.
        pub(crate) used: Field<u64>,
        /// A word a slot: see [`slot`].
        pub(crate) words: Words,
        /// Two words a slot of compressed memory: see [`crate::swap::store`].
        pub(crate) places: Words,
        /// Where compressed pages are.
        pub(crate) store: Store,
    }
}

impl Area {
    /// The word of one of its slots.
    pub(crate) fn word<'m, M: Machine>(&self, machine: &'m M, page: u64) -> Option<&'m Word> {
        if page < self.pages.get() { self.words.word(machine, page) } else { None }
    }

    /// Slots nobody has: a hint.
    pub(crate) fn free(&self) -> u64 {
        self.pages.get().saturating_sub(self.used.get())
    }

    /// Takes a free slot for a page, whose frame is in the cache then, busy. `None` if there is none, or the
    /// area ends.
    pub(crate) fn take<'m, M: Machine>(
        &self,
        cx: &mut Cx<'m, M, { level::CACHE }>,
        frame: Pfn,
    ) -> Option<u64> {
        let held = self.lock.lock(cx);
        if self.life.get() != Life::Live {
            return None;
        }
        let (pages, hand) = (self.pages.get(), self.hand.get());
        let page = (hand..pages).chain(0..hand.min(pages)).find(|&page| {
            let word = self.word(held.machine(), page);
            word.is_some_and(|word| slot::read(&*held, word).is_free() && slot::claim(&*held, word, frame))
        })?;
        self.hand.set(page + 1);
        self.used.add_shared(1);
        Some(page)
    }
}

/// What is known of an area.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AreaReport {
    /// Its number.
    pub area: u8,
    /// What it is made of.
    pub device: SwapDevice,
    /// Its priority.
    pub priority: i16,
    /// Whether bytes must not change while they are written to it.
    pub stable: bool,
    /// Slots in use.
    pub used: u64,
    /// Kernel frames that hold compressed pages.
    pub stored_frames: u64,
}

/// A slot that is in use: for checkers of a quiet machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotReport {
    /// Which.
    pub slot: Slot,
    /// What its word says.
    pub state: SlotState,
}
