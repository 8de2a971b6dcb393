//! Floor 6 of Freehold: making mappings true: page faults, copy-on-write, populate.
//!
//! A fault takes no lock of its space. It reads the VMA ([`space::vma`]), prepares the page, and installs it
//! under the lock of one leaf table, after checking there that neither the VMA nor the entry has changed
//! since. Every other outcome is a start over. Each kind of fault is a file.
#![no_std]
#![forbid(unsafe_code)]

mod anonymous;
mod copy;
mod error;
mod faults;
mod file;
pub mod guest;
mod handle;
mod huge;
mod moved;
mod numa;
pub mod pin;
mod populate;
mod swap_in;
mod swap_off;
mod unmerge;
mod write_protect;

pub use crate::error::{FaultError, SegvKind};
pub use crate::faults::Faults;
pub use crate::guest::{Guest, GuestError, Translated};
pub use crate::pin::{HoldError, How, Look, Rights, Term};
pub use crate::populate::Populate;
pub use crate::swap_off::SwapOffError;
