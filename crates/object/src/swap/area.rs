//! Swap areas: where pages go, and which of their slots are taken.
//!
//! An area is a file of the machine's [`machine::Backing`] (page of the file = slot), or compressed memory
//! (`store.rs`). Slots are taken next-fit, from areas with the highest priority first, in turn where
//! priorities are equal (Linux: `get_swap_pages`).

use crate::swap::slot::{self, SlotState};
use crate::swap::store::Store;
use crate::swap::words::Words;
use core::sync::atomic::Ordering::Relaxed;
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
        /// Which of them (Linux: the number of the zram device).
        disk: u64,
        /// How many slots. How much memory they take depends on what they hold.
        pages: u64,
    },
}

impl SwapDevice {
    /// How many slots it has.
    pub const fn pages(self) -> u64 {
        let (SwapDevice::File { pages, .. } | SwapDevice::Compressed { pages, .. }) = self;
        pages
    }
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
        /// (set when starting begins)
        pub(crate) kind: Field<Kind>,
        /// (set when starting begins) The file, if it is one.
        pub(crate) file: Field<FileKey>,
        /// (set when starting begins) Which compressed memory, if it is that.
        disk: Field<u64>,
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
        /// Slots that are not free. It falls when a slot's word is free.
        pub(crate) used: Word,
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

    /// Whether it is made of this device, of whatever size.
    pub(crate) fn is_made_of(&self, device: SwapDevice) -> bool {
        match device {
            SwapDevice::File { key, .. } => self.kind.get() == Kind::File && self.file.get() == key,
            SwapDevice::Compressed { disk, .. } => {
                self.kind.get() == Kind::Compressed && self.disk.get() == disk
            }
        }
    }

    /// Says what it is made of. The caller makes it an area.
    pub(crate) fn name(&self, device: SwapDevice) {
        match device {
            SwapDevice::File { key, .. } => {
                self.kind.set(Kind::File);
                self.file.set(key);
            }
            SwapDevice::Compressed { disk, .. } => {
                self.kind.set(Kind::Compressed);
                self.disk.set(disk);
            }
        }
    }

    /// What it is made of.
    pub(crate) fn device(&self) -> SwapDevice {
        let pages = self.pages.get();
        match self.kind.get() {
            Kind::File => SwapDevice::File { key: self.file.get(), pages },
            Kind::Compressed => SwapDevice::Compressed { disk: self.disk.get(), pages },
        }
    }

    /// Slots that are not free.
    pub(crate) fn used(&self) -> u64 {
        // RELAXED: a statistic; who acts on it asks again (`end_swap_off`).
        self.used.raw().load(Relaxed)
    }

    /// Slots nobody has: a hint.
    pub(crate) fn free(&self) -> u64 {
        self.pages.get().saturating_sub(self.used())
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
        // RELAXED: the slot is claimed, so the area does not end; its lock orders this before `swapoff`.
        self.used.raw().fetch_add(1, Relaxed);
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
