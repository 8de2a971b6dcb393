//! Shared words, and the way they are touched.

use core::sync::atomic::{AtomicU64, Ordering};

/// 64 bits that several CPUs touch without a common lock. Only a [`Memory`] reads or writes it.
#[derive(Default)]
#[repr(transparent)]
pub struct Word(pub(crate) AtomicU64);

impl Word {
    /// A word holding `value`, not yet shared.
    pub const fn new(value: u64) -> Self {
        Word(AtomicU64::new(value))
    }

    /// The atomic itself: for implementors of [`crate::Machine`] (hardware walks, store buffers) and checkers
    /// that look at a quiet machine. Managers go through [`Memory`].
    pub fn raw(&self) -> &AtomicU64 {
        &self.0
    }
}

/// How a protocol touches shared words. The context [`crate::Cx`] is one (its words are [`Word`]); a model
/// checker supplies another, so that each small lock-free protocol is written once and run under both.
pub trait Memory {
    /// The shared 64-bit word.
    type Word;

    /// Reads the word.
    fn load(&self, word: &Self::Word, order: Ordering) -> u64;
    /// Writes the word.
    fn store(&self, word: &Self::Word, value: u64, order: Ordering);
    /// Writes the word, then passes a full fence: what comes next is behind the write for other CPUs, too.
    fn store_fenced(&self, word: &Self::Word, value: u64) {
        // ORDERING: Release, and the full fence: pairs with whoever looks at the word behind a fence of
        // theirs.
        self.store(word, value, Ordering::Release);
        self.fence(Ordering::SeqCst);
    }
    /// Writes the word and answers what it held.
    fn swap(&self, word: &Self::Word, value: u64, order: Ordering) -> u64;
    /// Writes `new` if the word holds `current` (`order` on success, `Relaxed`-or-acquire of it on failure);
    /// `Err` carries what it held instead.
    fn compare_exchange(
        &self,
        word: &Self::Word,
        current: u64,
        new: u64,
        order: Ordering,
    ) -> Result<u64, u64>;
    /// Adds (wrapping) and answers what the word held.
    fn fetch_add(&self, word: &Self::Word, value: u64, order: Ordering) -> u64;
    /// Sets bits and answers what the word held.
    fn fetch_or(&self, word: &Self::Word, bits: u64, order: Ordering) -> u64;
    /// Keeps only `bits` and answers what the word held.
    fn fetch_and(&self, word: &Self::Word, bits: u64, order: Ordering) -> u64;
    /// A full fence when `SeqCst`.
    fn fence(&self, order: Ordering);
    /// One turn of a wait loop on `word`: lets other CPUs run.
    fn relax(&self, word: &Self::Word);
}

/// The ordering of a failed compare-exchange that goes with `order` on success.
pub const fn failure_order(order: Ordering) -> Ordering {
    match order {
        Ordering::SeqCst => Ordering::SeqCst,
        Ordering::Acquire | Ordering::AcqRel => Ordering::Acquire,
        _ => Ordering::Relaxed,
    }
}
