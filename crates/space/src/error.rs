//! What an operation on an address space can answer beside success.

use machine::{IoError, Shortage};

/// Why an operation was refused. Nothing visible has changed, unless the
/// operation's documentation says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The arguments make no sense together (`EINVAL`).
    Invalid,
    /// A hole where memory had to be mapped, or a limit on address space, data,
    /// VMAs or commitment (`ENOMEM`).
    NoMemory,
    /// The range is taken and may not be replaced (`EEXIST`).
    Exists,
    /// The file was not opened for this, or the VMA may never allow it (`EACCES`).
    Access,
    /// A limit on locked memory (`EAGAIN` or `EPERM`, by the call).
    LockLimit,
    /// A page that may not be touched or does not exist (`EFAULT`).
    Fault,
    /// The memory is busy: locked pages to be invalidated (`EBUSY`).
    Busy,
    /// A file could not be read or written (`EIO`).
    Io,
    /// The space is being torn down: its processes are being killed (`EINTR`; the signal is fatal).
    Killed,
    /// Frames could not be had: reclaim, then start again.
    Shortage(Shortage),
}

impl From<Shortage> for Error {
    fn from(shortage: Shortage) -> Self {
        Error::Shortage(shortage)
    }
}

impl From<IoError> for Error {
    fn from(_: IoError) -> Self {
        Error::Io
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Error::Invalid => "invalid argument",
            Error::NoMemory => "out of address space, or a limit is reached",
            Error::Exists => "the range is mapped already",
            Error::Access => "permission denied",
            Error::LockLimit => "the limit on locked memory is reached",
            Error::Fault => "bad address",
            Error::Busy => "the memory is busy",
            Error::Io => "input/output error",
            Error::Killed => "the process is being killed",
            Error::Shortage(_) => "out of memory",
        })
    }
}

impl core::error::Error for Error {}
