//! What a protocol protects.

use loom::cell::UnsafeCell;

/// Plain memory that a protocol protects: no bytes, only who touches it. Loom reports each pair of touches,
/// one of them a write, that nothing orders, whichever comes first in a run.
#[derive(Debug)]
pub struct Data(UnsafeCell<()>);

// SAFETY: there is nothing in the cell; loom runs one thread at a time and tracks the touches.
unsafe impl Sync for Data {}

impl Default for Data {
    fn default() -> Self {
        Data(UnsafeCell::new(()))
    }
}

impl Data {
    /// Untouched memory. Inside a model only.
    pub fn new() -> Self {
        Data::default()
    }

    /// Reads it. Panics (loom's "Causality violation") if a write is not ordered with this.
    pub fn read(&self) {
        self.0.with(|_| ());
    }

    /// Writes it. Panics (the same) if any touch is not ordered with this.
    pub fn write(&self) {
        self.0.with_mut(|_| ());
    }
}
