//! The system calls a recording keeps.

use crate::FileId;

/// A memory call, with its arguments exactly as the program passed them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the arguments bear the names of the calls' manual pages")]
pub enum Call {
    /// `mmap`; `file` is what its descriptor named, when that is known.
    Mmap { addr: u64, len: u64, prot: u64, flags: u64, file: Option<FileId>, offset: u64 },
    /// `munmap`.
    Munmap { addr: u64, len: u64 },
    /// `mprotect`.
    Mprotect { addr: u64, len: u64, prot: u64 },
    /// `mremap`; `new_addr` counts only with `MREMAP_FIXED` or `MREMAP_DONTUNMAP`.
    Mremap { addr: u64, old_len: u64, new_len: u64, flags: u64, new_addr: u64 },
    /// `brk`; its result is the new end of the heap, never an error.
    Brk { addr: u64 },
    /// `madvise`.
    Madvise { addr: u64, len: u64, advice: u64 },
    /// `mlock`.
    Mlock { addr: u64, len: u64 },
    /// `mlock2`.
    Mlock2 { addr: u64, len: u64, flags: u64 },
    /// `munlock`.
    Munlock { addr: u64, len: u64 },
    /// `mlockall`.
    Mlockall { flags: u64 },
    /// `munlockall`.
    Munlockall,
    /// `msync`.
    Msync { addr: u64, len: u64, flags: u64 },
    /// `mincore`.
    Mincore { addr: u64, len: u64 },
    /// `setrlimit`, or `prlimit64` on the caller itself.
    Setrlimit { resource: u64, soft: u64, hard: u64 },
    /// `ftruncate` of a file that is mapped at some time.
    Ftruncate { file: FileId, len: u64 },
    /// `fsync` or `fdatasync` of a file that is mapped at some time.
    Fsync { file: FileId },
}

impl Call {
    /// The name of the call on Linux.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Mmap { .. } => "mmap",
            Self::Munmap { .. } => "munmap",
            Self::Mprotect { .. } => "mprotect",
            Self::Mremap { .. } => "mremap",
            Self::Brk { .. } => "brk",
            Self::Madvise { .. } => "madvise",
            Self::Mlock { .. } => "mlock",
            Self::Mlock2 { .. } => "mlock2",
            Self::Munlock { .. } => "munlock",
            Self::Mlockall { .. } => "mlockall",
            Self::Munlockall => "munlockall",
            Self::Msync { .. } => "msync",
            Self::Mincore { .. } => "mincore",
            Self::Setrlimit { .. } => "setrlimit",
            Self::Ftruncate { .. } => "ftruncate",
            Self::Fsync { .. } => "fsync",
        }
    }

    /// The file it names, if any.
    #[must_use]
    pub const fn file(&self) -> Option<FileId> {
        match self {
            Self::Mmap { file, .. } => *file,
            Self::Ftruncate { file, .. } | Self::Fsync { file } => Some(*file),
            _ => None,
        }
    }
}
