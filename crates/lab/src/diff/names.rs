//! What arguments are called in programs as people read and write them.

use native::Call;

use super::program as p;

/// What an argument is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// An address: `A+0x1000` in the arena.
    Address,
    /// A length, an offset, a value.
    Number,
    /// One of the program's files.
    File,
    /// A process of the program.
    Process,
    /// Bits with names.
    Bits(&'static [(&'static str, u64)]),
    /// A number with a name.
    Named(&'static [(&'static str, u64)]),
    /// Where a mapping goes that was placed outside of the arena.
    Landing,
}

const PROT: Kind = Kind::Bits(&[
    ("PROT_NONE", 0),
    ("PROT_READ", p::PROT_READ),
    ("PROT_WRITE", p::PROT_WRITE),
    ("PROT_EXEC", p::PROT_EXEC),
    ("PROT_SEM", p::PROT_SEM),
    ("PROT_GROWSDOWN", p::PROT_GROWSDOWN),
    ("PROT_GROWSUP", p::PROT_GROWSUP),
]);

const MAP: Kind = Kind::Bits(&[
    ("MAP_SHARED_VALIDATE", p::MAP_SHARED_VALIDATE),
    ("MAP_SHARED", p::MAP_SHARED),
    ("MAP_PRIVATE", p::MAP_PRIVATE),
    ("MAP_FIXED", p::MAP_FIXED),
    ("MAP_ANONYMOUS", p::MAP_ANONYMOUS),
    ("MAP_32BIT", p::MAP_32BIT),
    ("MAP_GROWSDOWN", p::MAP_GROWSDOWN),
    ("MAP_LOCKED", p::MAP_LOCKED),
    ("MAP_NORESERVE", p::MAP_NORESERVE),
    ("MAP_POPULATE", p::MAP_POPULATE),
    ("MAP_NONBLOCK", p::MAP_NONBLOCK),
    ("MAP_STACK", p::MAP_STACK),
    ("MAP_HUGETLB", p::MAP_HUGETLB),
    ("MAP_SYNC", p::MAP_SYNC),
    ("MAP_FIXED_NOREPLACE", p::MAP_FIXED_NOREPLACE),
]);

const REMAP: Kind = Kind::Bits(&[
    ("MREMAP_MAYMOVE", p::MREMAP_MAYMOVE),
    ("MREMAP_FIXED", p::MREMAP_FIXED),
    ("MREMAP_DONTUNMAP", p::MREMAP_DONTUNMAP),
]);

const ADVICE: Kind = Kind::Named(&super::advice::NAMES);

const SYNC: Kind = Kind::Bits(&[("MS_ASYNC", 1), ("MS_INVALIDATE", 2), ("MS_SYNC", 4)]);
const SPLICE: Kind =
    Kind::Bits(&[("SPLICE_F_MOVE", 1), ("SPLICE_F_NONBLOCK", 2), ("SPLICE_F_MORE", 4), ("SPLICE_F_GIFT", 8)]);
const LOCK: Kind = Kind::Bits(&[("MLOCK_ONFAULT", 1)]);
const LOCK_ALL: Kind = Kind::Bits(&[("MCL_CURRENT", 1), ("MCL_FUTURE", 2), ("MCL_ONFAULT", 4)]);
const RESOURCE: Kind = Kind::Named(&[("RLIMIT_STACK", 3), ("RLIMIT_MEMLOCK", 8)]);

const OPTION: Kind = Kind::Named(&[
    ("PR_SET_THP_DISABLE", 41),
    ("PR_GET_THP_DISABLE", 42),
    ("PR_SET_MEMORY_MERGE", p::SET_MEMORY_MERGE),
    ("PR_GET_MEMORY_MERGE", 68),
]);

/// Names of the program's files, by number; the last one is no file.
pub(crate) const FILE_NAMES: [&str; 7] =
    ["memory", "memory_rdonly", "disk", "disk_rdonly", "disk_wronly", "sealed", "-1"];

/// A call's name and arguments.
pub(crate) fn signature(call: Call) -> (&'static str, &'static [Kind]) {
    use Kind::{Address, File, Landing, Number, Process};
    match call {
        Call::Mmap => ("mmap", &[Address, Number, PROT, MAP, File, Number, Landing]),
        Call::Munmap => ("munmap", &[Address, Number]),
        Call::Mprotect => ("mprotect", &[Address, Number, PROT]),
        Call::Mremap => ("mremap", &[Address, Number, Number, REMAP, Address, Landing]),
        Call::Madvise => ("madvise", &[Address, Number, ADVICE]),
        Call::Msync => ("msync", &[Address, Number, SYNC]),
        Call::Mlock => ("mlock", &[Address, Number]),
        Call::Mlock2 => ("mlock2", &[Address, Number, LOCK]),
        Call::Munlock => ("munlock", &[Address, Number]),
        Call::Mlockall => ("mlockall", &[LOCK_ALL]),
        Call::Munlockall => ("munlockall", &[]),
        Call::Brk => ("brk", &[Address]),
        Call::Mincore => ("mincore", &[Address, Number, Address]),
        Call::Prlimit => ("prlimit", &[RESOURCE, Number, Number]),
        Call::Ftruncate => ("ftruncate", &[File, Number]),
        Call::Fsync => ("fsync", &[File]),
        Call::Fork => ("fork", &[Process]),
        Call::Clone => ("clone_vm", &[Process]),
        Call::Exit => ("exit", &[Number]),
        Call::Wait => ("wait", &[Process]),
        Call::Load => ("load", &[Address]),
        Call::Store => ("store", &[Address, Number]),
        Call::Execute => ("execute", &[Address]),
        Call::Scan => ("scan", &[Address, Number]),
        Call::Layout => ("layout", &[]),
        Call::VmRead => ("process_vm_readv", &[Process, Address, Address, Number]),
        Call::VmWrite => ("process_vm_writev", &[Process, Address, Address, Number]),
        Call::Splice => ("vmsplice", &[Address, Number, SPLICE]),
        Call::PipeRead => ("read_pipe", &[Number]),
        Call::Prctl => ("prctl", &[OPTION, Number]),
        Call::MemRead => ("read_mem", &[Process, Address, Number]),
        Call::MemWrite => ("write_mem", &[Process, Address, Number, Number]),
    }
}

/// The name of an error number.
pub(crate) fn errno_name(number: i32) -> String {
    let known = [
        (1, "EPERM"),
        (3, "ESRCH"),
        (4, "EINTR"),
        (5, "EIO"),
        (9, "EBADF"),
        (10, "ECHILD"),
        (11, "EAGAIN"),
        (12, "ENOMEM"),
        (13, "EACCES"),
        (14, "EFAULT"),
        (16, "EBUSY"),
        (17, "EEXIST"),
        (22, "EINVAL"),
        (27, "EFBIG"),
        (28, "ENOSPC"),
        (75, "EOVERFLOW"),
        (95, "EOPNOTSUPP"),
    ];
    let name = known.iter().find(|(known, _)| *known == number);
    name.map_or_else(|| format!("error {number}"), |(_, name)| (*name).into())
}
