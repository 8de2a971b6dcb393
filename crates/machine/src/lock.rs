//! Locks whose level is part of their type.
//!
//! [`Spin`] waits on the CPU; [`Sleep`] is a reader-writer lock that parks. Neither owns the data it covers:
//! the fields it covers name it at their declaration, because most of them live in zeroed kernel frames (see
//! [`crate::cells!`]).

pub use crate::lock_word::{Spin, acquire, release, try_acquire};
pub use crate::sleep::{Right, Sleep, SleepHeld, Waited, key};
pub use crate::spin::Held;
