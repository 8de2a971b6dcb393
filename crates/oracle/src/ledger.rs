//! What an audit remembers of each frame.

use machine::Pfn;

/// Claims on one frame, found so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    /// Entries that map it, or a part of the folio it is the head of, and count.
    pub entries: u32,
    /// Entries of 4 KiB that map this very frame, if it is part of a large folio.
    pub parts: u16,
    /// References that [`crate::Holders`] told of.
    pub held: u16,
    /// Pins that [`crate::Holders`] told of.
    pub pins: u16,
    /// Cache slots that have it, or kernel structures that own it.
    pub owners: u8,
    /// Whether its cache slot is marked dirty.
    pub is_dirty: bool,
}

/// Memory for one [`Tally`] a frame. An audit asks only for frames that were ever touched.
pub trait Ledger {
    /// Makes every tally zero.
    fn clear(&mut self);
    /// The tally of a frame, which is below the memmap's end.
    fn tally(&mut self, frame: Pfn) -> &mut Tally;
}

/// A ledger in an array that has a place for every frame: 12 bytes a frame.
#[derive(Debug)]
pub struct DenseLedger<'a>(pub &'a mut [Tally]);

impl Ledger for DenseLedger<'_> {
    fn clear(&mut self) {
        self.0.fill(Tally::default());
    }

    fn tally(&mut self, frame: Pfn) -> &mut Tally {
        &mut self.0[frame.0 as usize]
    }
}
