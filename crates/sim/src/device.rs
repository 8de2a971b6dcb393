//! The device's transfers: those it is to make, and those it made.

pub use machine::trace::Toward;
use machine::{Pfn, TaskId};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

/// Names a transfer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Transfer(pub(crate) u64);

/// A transfer that was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moved {
    /// Which.
    pub transfer: Transfer,
    /// When, in simulated ns (in explored runs moments mean nothing).
    pub at_ns: u64,
    /// The frame.
    pub frame: Pfn,
    /// Where in it.
    pub offset: u64,
    /// Which way.
    pub toward: Toward,
    /// What was loaded or stored.
    pub bytes: Vec<u8>,
}

impl Moved {
    /// The aligned words that lie wholly in the transfer, each with its offset in the frame.
    pub fn words(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let first = self.offset.next_multiple_of(8);
        let skipped = ((first - self.offset) as usize).min(self.bytes.len());
        let words = self.bytes[skipped..].chunks_exact(8);
        let value = |word: &[u8]| word.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte));
        words.zip(0..).map(move |(word, index)| (first + index * 8, value(word)))
    }
}

/// A transfer that is to be made.
pub(crate) struct Pending {
    pub(crate) transfer: Transfer,
    pub(crate) at: u64,
    pub(crate) channel: u32,
    pub(crate) frame: Pfn,
    /// The frame's generation when the device was given it.
    pub(crate) given: u32,
    pub(crate) offset: u64,
    pub(crate) toward: Toward,
    /// What is to be stored, or room for what is loaded.
    pub(crate) bytes: Vec<u8>,
    /// The CPU and the step that gave it.
    pub(crate) from: (u32, u32),
    pub(crate) waiters: Vec<TaskId>,
}

/// The device.
pub(crate) struct Device {
    pub(crate) channels: u32,
    pub(crate) submitted: Cell<u64>,
    /// In the order in which they were given.
    pub(crate) pending: RefCell<Vec<Pending>>,
    /// In the order in which they were made.
    pub(crate) moved: RefCell<VecDeque<Moved>>,
}

impl Device {
    pub(crate) fn new(channels: u32) -> Device {
        Device { channels, submitted: Cell::new(0), pending: RefCell::default(), moved: RefCell::default() }
    }

    pub(crate) fn is_busy(&self) -> bool {
        !self.pending.borrow().is_empty()
    }

    /// Every channel that has something to do.
    pub(crate) fn for_each_busy(&self, see: impl FnMut(u32)) {
        self.pending.borrow().iter().map(|pending| pending.channel).for_each(see);
    }

    pub(crate) fn is_pending(&self, transfer: Transfer) -> bool {
        self.pending.borrow().iter().any(|pending| pending.transfer == transfer)
    }

    /// When the next transfer is due, and its place.
    pub(crate) fn next(&self) -> Option<(u64, usize)> {
        let pending = self.pending.borrow();
        let due = pending.iter().enumerate().map(|(place, pending)| (pending.at, place));
        due.min()
    }
}
