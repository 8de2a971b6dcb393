//! What the manager tells those who watch it.
//!
//! An event is built only where a machine asks for it ([`crate::Machine::trace`]); on ordinary machines all
//! of this is no code. Nothing in the manager may depend on an event having been seen.

use crate::Word;

/// Something that happened, at the moment it is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The task took a lock.
    Locked(LockId),
    /// The task is about to give a lock back.
    Unlocked(LockId),
    /// The task is about to sleep until a key is woken (see [`crate::park`]).
    Waits {
        /// The key: the lock's ([`LockId::key`]), if it waits for one.
        key: u64,
    },
}

/// Which lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LockId {
    /// Its level (see [`crate::level`]).
    pub level: u8,
    /// Its word's address, which is also the key of those who sleep for it.
    pub key: u64,
}

impl LockId {
    /// The lock in a word.
    pub fn new(level: u8, word: &Word) -> LockId {
        LockId { level, key: core::ptr::from_ref(word) as u64 }
    }
}
