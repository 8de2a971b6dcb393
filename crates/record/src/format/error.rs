//! What can be wrong with a recording's file.

use std::io;

use thiserror::Error;

use crate::Invalid;

/// Why a recording could not be read. The messages are one line each and do not name the file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file cannot be opened or read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// There is nothing in it.
    #[error("the file is empty")]
    Empty,
    /// It does not start like a recording.
    #[error("not a Freehold recording: wrong magic at byte 0")]
    Magic,
    /// Another version of Freehold wrote it.
    #[error("version {found} at byte 8 is not supported, only version {supported} is")]
    Version {
        /// The file's version.
        found: u32,
        /// The version this reader knows.
        supported: u32,
    },
    /// The reserved word is in use.
    #[error("the reserved word at byte 12 is {found:#x} instead of 0")]
    Reserved {
        /// What it holds.
        found: u32,
    },
    /// The file ends too soon.
    #[error("truncated: the file has {have} bytes, but needs {need}")]
    Truncated {
        /// How many bytes there are.
        have: u64,
        /// How many there must be.
        need: u64,
    },
    /// Something follows the checksum.
    #[error("{extra} bytes follow the end at byte {end}")]
    Trailing {
        /// Where the file should end.
        end: u64,
        /// How many bytes follow.
        extra: u64,
    },
    /// A size is larger than the format allows.
    #[error("the {what} at byte {at} is {size}, more than the limit of {limit}")]
    TooLarge {
        /// Where the size stands.
        at: u64,
        /// What it is the size of.
        what: &'static str,
        /// The size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The bytes are not those that were written.
    #[error("checksum mismatch: the file is damaged")]
    Checksum,
    /// A part is not a proper zstd frame of the promised length.
    #[error("the {part} at byte {at} cannot be decompressed: {why}")]
    Compression {
        /// `header` or `body`.
        part: &'static str,
        /// Where it starts.
        at: u64,
        /// What went wrong.
        why: String,
    },
    /// A decompressed part ends inside a value.
    #[error("{part}, byte {at}{event}: it ends inside {what}", event = in_event(*event))]
    Short {
        /// `header` or `body`.
        part: &'static str,
        /// The offset in the decompressed part.
        at: u64,
        /// The event being read, in the body.
        event: Option<u64>,
        /// What was being read.
        what: &'static str,
    },
    /// A decompressed part holds a value that means nothing.
    #[error("{part}, byte {at}{event}: {value:#x} is no {what}", event = in_event(*event))]
    Value {
        /// `header` or `body`.
        part: &'static str,
        /// The offset in the decompressed part.
        at: u64,
        /// The event being read, in the body.
        event: Option<u64>,
        /// What was expected.
        what: &'static str,
        /// What was found.
        value: u64,
    },
    /// A decompressed part goes on after its end.
    #[error("{part}, byte {at}: {extra} bytes are left over")]
    LeftOver {
        /// `header` or `body`.
        part: &'static str,
        /// Where the left-over bytes start.
        at: u64,
        /// How many they are.
        extra: u64,
    },
    /// It decodes, but does not make sense.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

fn in_event(event: Option<u64>) -> String {
    event.map_or_else(String::new, |number| format!(" (event {number})"))
}

/// Why a recording could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The file cannot be written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It does not make sense.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It has more of something than the format allows.
    #[error("the {what} is {size}, more than the format's limit of {limit}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        size: u64,
        /// The limit.
        limit: u64,
    },
}
