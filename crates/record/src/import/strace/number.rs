//! Numbers as `strace` writes them: plain, as products, or as the names of flags.

pub(super) const CLONE_VM: u64 = 0x100;
pub(super) const CLONE_VFORK: u64 = 0x4000;
pub(super) const CLONE_THREAD: u64 = 0x1_0000;
pub(super) const MAP_ANONYMOUS: u64 = 0x20;

/// The names that the arguments of the recorded calls can hold, on x86-64.
const NAMES: [(&str, u64); 82] = [
    ("NULL", 0),
    ("PROT_NONE", 0),
    ("PROT_READ", 1),
    ("PROT_WRITE", 2),
    ("PROT_EXEC", 4),
    ("PROT_GROWSDOWN", 0x0100_0000),
    ("PROT_GROWSUP", 0x0200_0000),
    ("MAP_FILE", 0),
    ("MAP_SHARED", 1),
    ("MAP_PRIVATE", 2),
    ("MAP_SHARED_VALIDATE", 3),
    ("MAP_FIXED", 0x10),
    ("MAP_ANONYMOUS", MAP_ANONYMOUS),
    ("MAP_32BIT", 0x40),
    ("MAP_GROWSDOWN", 0x100),
    ("MAP_DENYWRITE", 0x800),
    ("MAP_EXECUTABLE", 0x1000),
    ("MAP_LOCKED", 0x2000),
    ("MAP_NORESERVE", 0x4000),
    ("MAP_POPULATE", 0x8000),
    ("MAP_NONBLOCK", 0x1_0000),
    ("MAP_STACK", 0x2_0000),
    ("MAP_HUGETLB", 0x4_0000),
    ("MAP_SYNC", 0x8_0000),
    ("MAP_FIXED_NOREPLACE", 0x10_0000),
    ("MREMAP_MAYMOVE", 1),
    ("MREMAP_FIXED", 2),
    ("MREMAP_DONTUNMAP", 4),
    ("MADV_NORMAL", 0),
    ("MADV_RANDOM", 1),
    ("MADV_SEQUENTIAL", 2),
    ("MADV_WILLNEED", 3),
    ("MADV_DONTNEED", 4),
    ("MADV_FREE", 8),
    ("MADV_REMOVE", 9),
    ("MADV_DONTFORK", 10),
    ("MADV_DOFORK", 11),
    ("MADV_MERGEABLE", 12),
    ("MADV_UNMERGEABLE", 13),
    ("MADV_HUGEPAGE", 14),
    ("MADV_NOHUGEPAGE", 15),
    ("MADV_DONTDUMP", 16),
    ("MADV_DODUMP", 17),
    ("MADV_WIPEONFORK", 18),
    ("MADV_KEEPONFORK", 19),
    ("MADV_COLD", 20),
    ("MADV_PAGEOUT", 21),
    ("MADV_POPULATE_READ", 22),
    ("MADV_POPULATE_WRITE", 23),
    ("MADV_DONTNEED_LOCKED", 24),
    ("MADV_COLLAPSE", 25),
    ("MS_ASYNC", 1),
    ("MS_INVALIDATE", 2),
    ("MS_SYNC", 4),
    ("MCL_CURRENT", 1),
    ("MCL_FUTURE", 2),
    ("MCL_ONFAULT", 4),
    ("MLOCK_ONFAULT", 1),
    ("RLIMIT_CPU", 0),
    ("RLIMIT_FSIZE", 1),
    ("RLIMIT_DATA", 2),
    ("RLIMIT_STACK", 3),
    ("RLIMIT_CORE", 4),
    ("RLIMIT_RSS", 5),
    ("RLIMIT_NPROC", 6),
    ("RLIMIT_NOFILE", 7),
    ("RLIMIT_MEMLOCK", 8),
    ("RLIMIT_AS", 9),
    ("RLIMIT_LOCKS", 10),
    ("RLIMIT_SIGPENDING", 11),
    ("RLIMIT_MSGQUEUE", 12),
    ("RLIMIT_NICE", 13),
    ("RLIMIT_RTPRIO", 14),
    ("RLIMIT_RTTIME", 15),
    ("RLIM_INFINITY", u64::MAX),
    ("RLIM64_INFINITY", u64::MAX),
    ("CLONE_VM", CLONE_VM),
    ("CLONE_VFORK", CLONE_VFORK),
    ("CLONE_THREAD", CLONE_THREAD),
    ("CLONE_FILES", 0x400),
    ("CLONE_FS", 0x200),
    ("SIGCHLD", 17),
];

const ERRNOS: [(&str, i64); 20] = [
    ("EPERM", 1),
    ("ENOENT", 2),
    ("EINTR", 4),
    ("EIO", 5),
    ("E2BIG", 7),
    ("EBADF", 9),
    ("ECHILD", 10),
    ("EAGAIN", 11),
    ("ENOMEM", 12),
    ("EACCES", 13),
    ("EFAULT", 14),
    ("EBUSY", 16),
    ("EEXIST", 17),
    ("ENODEV", 19),
    ("EINVAL", 22),
    ("ENFILE", 23),
    ("EMFILE", 24),
    ("ETXTBSY", 26),
    ("EOVERFLOW", 75),
    ("EOPNOTSUPP", 95),
];

/// A number: `NULL`, decimal, hexadecimal, a name, or a product such as `8192*1024`. A negative
/// one is the same bits.
pub(super) fn number(text: &str) -> Option<u64> {
    text.split('*')
        .map(factor)
        .try_fold(1u64, |product, factor| factor.map(|factor| product.wrapping_mul(factor)))
}

fn factor(text: &str) -> Option<u64> {
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok();
    }
    if let Some(&(_, value)) = NAMES.iter().find(|(name, _)| *name == text) {
        return Some(value);
    }
    match text.strip_prefix('-') {
        Some(digits) => Some(digits.parse::<u64>().ok()?.wrapping_neg()),
        None => text.parse().ok(),
    }
}

/// Names and numbers joined by `|`. Names that no recorded call needs count as nothing.
pub(super) fn flags(text: &str) -> Option<u64> {
    let text = text.split("/*").next().unwrap_or(text).trim();
    let mut bits = 0;
    for part in text.split('|') {
        bits |= match number(part) {
            Some(value) => value,
            None if part.starts_with("CLONE_") => 0,
            None => return None,
        };
    }
    Some(bits)
}

/// A number with a sign.
pub(super) fn signed(text: &str) -> Option<i64> {
    number(text).map(|value| value as i64)
}

/// The path of a descriptor such as `3</usr/lib/libc.so.6>`.
pub(super) fn path(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('<')?;
    Some(rest.rsplit_once('>')?.0)
}

/// The number of an errno's name; of one that no memory call gives, `EINVAL`'s.
pub(super) fn errno(name: &str) -> i64 {
    ERRNOS.iter().find(|(known, _)| *known == name).map_or(22, |(_, value)| *value)
}
