//! The `.fhr` file, to the byte.
//!
//! ```text
//! offset  bytes  what
//!      0      8  magic: 89 46 48 52 0d 0a 1a 0a  ("\x89FHR\r\n\x1a\n")
//!      8      4  version: 1
//!     12      4  reserved: 0
//!     16      8  length of the header as stored (H)
//!     24      8  length of the header when decompressed
//!     32      8  length of the body as stored (B)
//!     40      8  length of the body when decompressed
//!     48      8  number of events
//!     56      H  the header: one zstd frame
//!   56+H      B  the body: one zstd frame
//! 56+H+B     32  BLAKE3 of everything before
//! ```
//!
//! Fixed-width numbers are little-endian. Inside header and body a number is a varint (LEB128, at
//! most ten bytes), a signed one is zigzag-coded first, and a string or list is its length and its
//! items. The header holds provenance, Linux's counts, files, processes and tasks, in that order;
//! the body holds the events. `docs/recordings.md` lists every field.
//!
//! Addresses and times are stored as differences from the last address and the last end of an
//! event, which makes most of them one to three bytes long.

mod call;
mod error;
mod event;
mod file;
mod header;
mod wire;

pub use error::{ReadError, WriteError};
pub use file::{MAX_BODY, MAX_EVENTS, MAX_FILE, MAX_HEADER, MAX_RATIO, VERSION};
