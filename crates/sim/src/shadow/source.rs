//! Where the model's bytes come from.

use machine::FileKey;

/// Where the bytes of a mapped range come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// Zero until stored to; private to the process.
    Anonymous,
    /// The file's bytes until stored to; then private to the process, a page at a time.
    Private {
        /// The file.
        file: FileKey,
        /// Page of the file at the range's start.
        page: u64,
    },
    /// The bytes of the file (or of an object in memory, which is a file of zero bytes): stores go to it.
    Shared {
        /// The file.
        file: FileKey,
        /// Page of the file at the range's start.
        page: u64,
    },
}

/// What becomes of the old range of a move.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// It is unmapped.
    Nothing,
    /// It stays mapped.
    Mapping,
}
