//! Recordings of real programs' memory life: the format, the importers and the recorder.
//!
//! A [`Recording`] is what one run of a program did to its memory on Linux: the address spaces it
//! started with, the memory and process calls it made, the faults it took and, where the source
//! can tell, the pages it touched in between. It is written to a `.fhr` file, which is compact,
//! compressed and checksummed ([`mod@format`] draws it to the byte), and read back by whoever replays
//! it.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let recording = record::example();
//! let bytes = recording.to_bytes()?;
//! let again = record::Recording::from_bytes(&bytes)?;
//! assert_eq!(again, recording);
//! assert_eq!(again.summary().processes, 1);
//! # Ok(()) }
//! ```
//!
//! What is read is never trusted: every size is bounded before memory is taken for it, and every
//! defect is a [`ReadError`] that says what is wrong and where. A recording that was read holds the
//! rules of [`Recording::validate`], so a replayer may rely on them.
//!
//! | module | holds |
//! |---|---|
//! | [`model`] | what a recording says: events, calls, mappings, provenance |
//! | [`mod@format`] | the file, to the byte |
//! | [`import`] | `perf.data` and `strace` text into recordings |
//! | [`recorder`] | runs a program under `perf`, `strace` or `valgrind` and records it |
#![forbid(unsafe_code)]

pub mod format;
pub mod import;
pub mod model;
pub mod recorder;

pub use format::{ReadError, WriteError};
pub use model::*;
