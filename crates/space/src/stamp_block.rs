//! Stamps that one granule gives to its VMAs, without asking the others each time.

use machine::Field;

/// Stamps of a block.
pub(crate) const BLOCK: u64 = 64;

machine::cells! {
    /// (granule) The stamp given last; a multiple of [`BLOCK`]: there is none left.
    pub(crate) struct StampBlock {
        last: Field<u64>,
    }
}

impl StampBlock {
    /// The next stamp. `block` answers where a block begins that nobody had: at a multiple of [`BLOCK`].
    pub(crate) fn next(&self, block: impl FnOnce() -> u64) -> u64 {
        if self.last.get().is_multiple_of(BLOCK) {
            self.last.set(block());
        }
        self.last.add(1);
        self.last.get()
    }
}
