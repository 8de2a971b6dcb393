//! Floor 8 of Freehold: the Linux surface: calls, flags, errno, limits.
//!
//! A kernel hands this floor what a program passed: raw numbers. [`Linux`] has one method a call, each in a
//! file of its own under `calls`; it parses the numbers into types, in the order in which Linux 6.12 looks
//! at them, runs the operation of the floors below under [`balance`], and answers Linux's errno.
//!
//! ```text
//! u64, u64, ... ──parse──> ranges, flags ──balance──> space, fault, object ──table──> Errno
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod args;
pub mod calls;
pub mod config;
pub mod errno;
mod family;
mod faults;
pub mod file;
pub mod flags;
mod held;
mod inspect;
pub mod limits;
pub mod pipe;
pub mod proc;
pub mod process;
pub mod ring;
mod running;
pub mod signal;
pub mod sys;
mod system;
mod walks;

pub use crate::calls::exec::{ExecImage, Segment};
pub use crate::calls::fork::{CloneFlags, Cloned};
pub use crate::calls::map::Mmap;
pub use crate::calls::move_pages::MovePages;
pub use crate::calls::remap::Mremap;
pub use crate::calls::resident::CopyOut;
pub use crate::calls::wait::Waiting;
pub use crate::config::Config;
pub use crate::errno::Errno;
pub use crate::file::{FileRights, MapFile};
pub use crate::held::{IOV_MAX, Iovec};
pub use crate::limits::{Resource, Rlimit, UNLIMITED};
pub use crate::pipe::Pipe;
pub use crate::proc::maps::{FileName, FileNames};
pub use crate::process::{Exit, Process};
pub use crate::ring::Ring;
pub use crate::signal::{BusCode, SegvCode, Signal};
pub use crate::system::{Layout, Linux};
pub use balance::{KsmReport, KsmSettings, Policy, Run as KsmRun, Scanned, Swappiness};
pub use object::swap::SwapDevice;
