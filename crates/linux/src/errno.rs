//! Error numbers, and which one a call answers for what went wrong below.

use fault::{FaultError, SegvKind};
use machine::Shortage;
use object::FileError;
use space::Error;

macro_rules! errnos {
    ($($(#[$doc:meta])* $name:ident = $number:literal),* $(,)?) => {
        /// A Linux error number (x86-64). Its name is Linux's.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        #[allow(clippy::upper_case_acronyms)]
        pub enum Errno {
            $($(#[$doc])* $name = $number),*
        }

        impl Errno {
            /// Linux's name for it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Errno::$name => stringify!($name)),*
                }
            }
        }
    };
}

errnos! {
    /// Not allowed to this process.
    EPERM = 1,
    /// Nothing is there.
    ENOENT = 2,
    /// No such process.
    ESRCH = 3,
    /// Interrupted: the process is being killed.
    EINTR = 4,
    /// A file could not be read or written.
    EIO = 5,
    /// Nothing is registered there.
    ENXIO = 6,
    /// The descriptor names no open file.
    EBADF = 9,
    /// No child to wait for.
    ECHILD = 10,
    /// A limit that may pass: locked memory, processes.
    EAGAIN = 11,
    /// No memory, no address space, or nothing mapped there.
    ENOMEM = 12,
    /// The file was not opened for this.
    EACCES = 13,
    /// A bad address.
    EFAULT = 14,
    /// The memory is locked.
    EBUSY = 16,
    /// Something is mapped there.
    EEXIST = 17,
    /// No such node.
    ENODEV = 19,
    /// Arguments that make no sense.
    EINVAL = 22,
    /// The file may not become this large.
    EFBIG = 27,
    /// An offset past the largest file.
    EOVERFLOW = 75,
    /// A flag this kind of memory has no meaning for.
    EOPNOTSUPP = 95,
}

impl Errno {
    /// The number.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// What the call leaves in the register of its result: the number, negated.
    pub const fn to_register(self) -> u64 {
        (-(self as i64)) as u64
    }
}

impl core::fmt::Display for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

impl core::error::Error for Errno {}

/// A call, as far as calls differ in what they answer for the same trouble.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// `mmap`.
    Mmap,
    /// `munmap`.
    Munmap,
    /// `mprotect`.
    Mprotect,
    /// `mremap`.
    Mremap,
    /// `madvise` with advice that is kept in the VMA: what splits it.
    AdviseKept,
    /// `madvise` with advice that is followed at once.
    AdviseNow,
    /// `madvise(MADV_POPULATE_*)`.
    AdvisePopulate,
    /// `mlock`, `mlock2`, `munlock`, `mlockall`, `munlockall`: changing the VMAs.
    Mlock,
    /// The same calls: bringing the pages in.
    MlockPopulate,
    /// `mbind`, `set_mempolicy`.
    Mbind,
    /// `msync`, `fsync`.
    Msync,
    /// `brk`, which never says why.
    Brk,
    /// `mincore`.
    Mincore,
    /// `fork`, `vfork`, `clone`.
    Fork,
    /// `execve`.
    Exec,
    /// `ftruncate`.
    Truncate,
    /// `pipe2`.
    Pipe,
    /// `io_uring_setup`, `io_uring_register`.
    Ring,
    /// `read` and `write` with `O_DIRECT`.
    Direct,
}

/// What `call` answers when the floors below answer `error`.
///
/// The last row is what Linux answers everywhere; the rows before are the exceptions.
pub fn errno(call: Call, error: Error) -> Errno {
    match (call, error) {
        // LINUX: do_mmap() answers EAGAIN, as mremap does (vma_to_resize()); do_mlock() ENOMEM.
        (Call::Mmap | Call::Mremap, Error::LockLimit) => Errno::EAGAIN,
        (_, Error::LockLimit) => Errno::ENOMEM,
        // LINUX: __mlock_posix_error_return().
        (Call::MlockPopulate, Error::Shortage(_)) => Errno::EAGAIN,
        (Call::MlockPopulate, Error::Fault | Error::Access | Error::NoMemory | Error::Invalid) => {
            Errno::ENOMEM
        }
        // LINUX: the end of madvise_vma_behavior().
        (Call::AdviseKept, Error::Shortage(_)) => Errno::EAGAIN,
        // LINUX: faultin_page_range() refuses what the VMA does not allow.
        (Call::AdvisePopulate, Error::Access) => Errno::EINVAL,
        // LINUX: security_mmap_addr(), which get_unmapped_area() asks after all else.
        (Call::Mremap, Error::Access) => Errno::EPERM,
        // LINUX: mincore() has one page of its own for the answer.
        (Call::Mincore, Error::Shortage(_)) => Errno::EAGAIN,
        (_, Error::Invalid) => Errno::EINVAL,
        (_, Error::NoMemory | Error::Shortage(_)) => Errno::ENOMEM,
        (_, Error::Exists) => Errno::EEXIST,
        (_, Error::Access) => Errno::EACCES,
        (_, Error::Fault) => Errno::EFAULT,
        (_, Error::Busy) => Errno::EBUSY,
        (_, Error::Io) => Errno::EIO,
        (_, Error::Killed) => Errno::EINTR,
        // Kinds of error the table does not know yet: the caller can only give up.
        _ => Errno::EINVAL,
    }
}

/// A fault's error as an operation's: what a page that cannot be brought in means for a call.
pub fn of_fault(error: FaultError) -> Error {
    match error {
        FaultError::Segv(SegvKind::MapErr) => Error::NoMemory,
        FaultError::Segv(SegvKind::AccErr) => Error::Access,
        FaultError::Bus => Error::Fault,
        FaultError::Killed => Error::Killed,
        FaultError::Shortage(shortage) => Error::Shortage(shortage),
    }
}

/// A file's error as an operation's: a file too large is memory there is no room for.
pub fn of_file(error: FileError) -> Error {
    match error {
        FileError::TooLarge => Error::NoMemory,
        FileError::Shortage(shortage) => Error::Shortage(shortage),
    }
}

impl From<Shortage> for Errno {
    fn from(_: Shortage) -> Self {
        Errno::ENOMEM
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::{NodeId, NodeSet, Order};

    #[test]
    fn numbers_are_those_of_x86_64() {
        assert_eq!(Errno::ENOMEM.number(), 12);
        assert_eq!(Errno::EOPNOTSUPP.number(), 95);
        assert_eq!(Errno::EINVAL.to_register(), 22u64.wrapping_neg());
        assert_eq!(Errno::EAGAIN.name(), "EAGAIN");
    }

    #[test]
    fn calls_differ_where_linux_does() {
        let shortage = Error::Shortage(Shortage { order: Order::ZERO, node: NodeId(0), nodes: NodeSet::ALL });
        for (call, error, expected) in [
            (Call::Mmap, Error::LockLimit, Errno::EAGAIN),
            (Call::Mremap, Error::LockLimit, Errno::EAGAIN),
            (Call::Mlock, Error::LockLimit, Errno::ENOMEM),
            (Call::Mlock, shortage, Errno::ENOMEM),
            (Call::MlockPopulate, shortage, Errno::EAGAIN),
            (Call::MlockPopulate, Error::Fault, Errno::ENOMEM),
            (Call::AdviseKept, shortage, Errno::EAGAIN),
            (Call::AdviseNow, shortage, Errno::ENOMEM),
            (Call::AdvisePopulate, Error::Access, Errno::EINVAL),
            (Call::Mprotect, Error::Access, Errno::EACCES),
            (Call::Mremap, Error::Access, Errno::EPERM),
            (Call::Mmap, Error::Exists, Errno::EEXIST),
            (Call::Fork, Error::Killed, Errno::EINTR),
            (Call::Msync, Error::Busy, Errno::EBUSY),
            (Call::Msync, Error::Io, Errno::EIO),
        ] {
            assert_eq!(errno(call, error), expected, "{call:?} {error:?}");
        }
    }
}
