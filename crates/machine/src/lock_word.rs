//! The word of a spin lock, and how it is taken and given back.

use crate::{Cells, Memory, Word};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Takes a lock word if it is free. `owner` is not 0.
#[inline]
pub fn try_acquire<A: Memory>(memory: &A, word: &A::Word, owner: u64) -> bool {
    // ORDERING: Acquire pairs with the Release in `release`.
    memory.compare_exchange(word, 0, owner, Acquire).is_ok()
}

/// Takes a lock word, waiting for it.
#[inline]
pub fn acquire<A: Memory>(memory: &A, word: &A::Word, owner: u64) {
    while !try_acquire(memory, word, owner) {
        // RELAXED: only a hint; `try_acquire` decides.
        while memory.load(word, Relaxed) != 0 {
            memory.relax(word);
        }
    }
}

/// Gives a lock word back.
#[inline]
pub fn release<A: Memory>(memory: &A, word: &A::Word) {
    // ORDERING: Release pairs with the Acquire in `try_acquire`.
    memory.store(word, 0, Release);
}

/// A spin lock of level `L`. The word holds 0, or 1 + the owner's CPU.
#[derive(Default)]
#[repr(transparent)]
pub struct Spin<const L: u8>(pub(crate) Word);

// SAFETY: transparent over a `Word`.
unsafe impl<const L: u8> Cells for Spin<L> {}

impl<const L: u8> Spin<L> {
    /// A free lock.
    #[inline]
    pub const fn new() -> Self {
        Spin(Word::new(0))
    }

    /// Whether somebody holds it: for checkers of a quiet machine.
    #[inline]
    pub fn is_held(&self) -> bool {
        self.0.raw().load(Relaxed) != 0
    }
}
