//! Where Linux is deliberately not followed, or Linuxes differ: `docs/linux-differences.md`, entry by entry.
//!
//! An entry either says before an operation that it would meet the difference (then neither side does it, so
//! that the rest of the program can be compared), or that two answers differ in exactly that way.

use freehold::linux::config::MMAP_MIN_ADDR;
use freehold::space::{Snapshot, VmaFlags};
use native::arena::{PAGE, USER_END};
use native::{Answer, Call, Op, Status};

use super::advice;
use super::host::Host;
use super::program::{
    MAP_ANONYMOUS, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_HUGETLB, MAP_STACK, MAP_SYNC, MREMAP_DONTUNMAP,
    MREMAP_FIXED, MREMAP_MAYMOVE, PROT_EXEC, PROT_READ, PROT_WRITE,
};

/// An entry of the list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Known {
    /// From 6.17 on, `mremap` looks at the new range before it looks for the old mapping.
    MremapOrder,
    /// From 6.17 on, `mremap` moves several mappings at once.
    MremapSeveral,
    /// From 6.17 on, `mremap` looks at the old mapping before it unmaps anything.
    MremapUnmaps,
    /// From 6.17 on, `mremap` compares lengths after rounding them.
    MremapRounding,
    /// The host lets programs map addresses below 64 KiB.
    MmapMinAddr,
    /// The host has a pool of huge pages.
    HugePool,
    /// Before 6.7, and where there are no huge pages, `MAP_STACK` means nothing.
    StackFlag,
    /// CPUs with protection keys keep programs from reading what they may only execute.
    ExecuteOnly,
    /// Some file systems refuse `MAP_SYNC` even where flags are not validated.
    SyncFlag,
    /// Advice that Freehold does not know yet, or whose answer is the host's affair.
    Advice,
    /// The host keeps processes from reading each other.
    Looks,
    /// `mmap` takes a fixed address in the last bytes of 64 bits for an error number.
    AddressIsError,
    /// `mremap` that leaves locked memory behind unlocks all of the mapping and loses count.
    DontunmapLocked,
    /// `mincore` tells programs which pages of a disk's file are cached, and which zeros a copy got.
    Residency,
    /// Some file systems look for a place for huge pages beside the one that was asked for.
    PlaceOfFile,
    /// What a program stored past the end of a disk's file is there until it is written back.
    DiskTail,
    /// Files end at 2^48 bytes here.
    FileSize,
    /// What a program stored past the end of a memory file is still there when the file grows.
    MemoryTail,
    /// Mappings whose pages were touched apart are one here and two on Linux, and `mremap` tells.
    TouchedApart,
    /// Private mappings of two openings of a file are one here and two on Linux, and `mremap` tells.
    TwoOpenings,
}

impl Known {
    /// Its name in the documentation.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Known::MremapOrder => "mremap-order",
            Known::MremapSeveral => "mremap-several",
            Known::MremapUnmaps => "mremap-unmaps",
            Known::MremapRounding => "mremap-rounding",
            Known::MmapMinAddr => "mmap-min-addr",
            Known::HugePool => "huge-pool",
            Known::StackFlag => "stack-flag",
            Known::ExecuteOnly => "execute-only",
            Known::SyncFlag => "sync-flag",
            Known::Advice => "advice",
            Known::Looks => "looks",
            Known::AddressIsError => "address-is-error",
            Known::DontunmapLocked => "dontunmap-locked",
            Known::Residency => "residency",
            Known::PlaceOfFile => "place-of-file",
            Known::DiskTail => "disk-tail",
            Known::FileSize => "file-size",
            Known::MemoryTail => "memory-tail",
            Known::TouchedApart => "touched-apart",
            Known::TwoOpenings => "two-openings",
        }
    }
}

/// The first mapping that ends behind a page.
pub(crate) type Look<'l> = &'l dyn Fn(u64) -> Option<Snapshot>;

/// Whether an operation would meet a difference.
pub(crate) fn before(op: &Op, host: &Host, look: Look<'_>) -> Option<Known> {
    match op.call {
        Call::Mmap => mmap(&op.args, host),
        Call::Mprotect if is_execute_only(op.args[2], host) => Some(Known::ExecuteOnly),
        Call::Madvise => advice::is_left_out(op.args[2], host).then_some(Known::Advice),
        Call::VmRead | Call::VmWrite if !host.has_looks => Some(Known::Looks),
        Call::MemRead | Call::MemWrite if !host.has_looks || !host.has_force => Some(Known::Looks),
        Call::Prctl => prctl(&op.args, host),
        Call::Mremap if leaves_locked(&op.args, look) => Some(Known::DontunmapLocked),
        Call::Mremap if op.args[3] & MREMAP_FIXED != 0 && is_low(op.args[4], host) => {
            Some(Known::MmapMinAddr)
        }
        Call::Mremap if host.version >= (6, 17) => mremap(&op.args, look),
        _ => None,
    }
}

/// Numbers of the disk's file.
const DISK: std::ops::RangeInclusive<u64> = 2..=4;
/// Registers from here on are error numbers (Linux: `MAX_ERRNO`).
const ERRORS: u64 = 4095;

/// Whether only Freehold refuses to map something here.
fn is_low(addr: u64, host: &Host) -> bool {
    addr.is_multiple_of(PAGE) && (host.mmap_min_addr..MMAP_MIN_ADDR).contains(&addr)
}

/// Whether a protection lets memory be executed and, with a key of its own, not be read.
// LINUX: mm/mmap.c do_mmap(), execute_only_pkey().
fn is_execute_only(prot: u64, host: &Host) -> bool {
    host.has_keys && prot & (PROT_READ | PROT_WRITE | PROT_EXEC) == PROT_EXEC
}

fn mmap(args: &[u64; 7], host: &Host) -> Option<Known> {
    let [addr, _, _, flags, file, ..] = *args;
    if flags & (MAP_SYNC | MAP_ANONYMOUS) == MAP_SYNC && DISK.contains(&file) {
        return Some(Known::SyncFlag);
    }
    let huge = MAP_ANONYMOUS | MAP_HUGETLB;
    if host.has_huge_pools && flags & huge == huge {
        return Some(Known::HugePool);
    }
    if (!host.has_huge_pages || host.version < (6, 7)) && flags & MAP_STACK != 0 {
        return Some(Known::StackFlag);
    }
    if is_execute_only(args[2], host) {
        return Some(Known::ExecuteOnly);
    }
    let fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) != 0;
    if fixed && addr > u64::MAX - ERRORS {
        return Some(Known::AddressIsError);
    }
    (fixed && is_low(addr, host)).then_some(Known::MmapMinAddr)
}

/// Equal pages are merged for a whole process from 6.4 on.
fn prctl(args: &[u64; 7], host: &Host) -> Option<Known> {
    let merges = matches!(args[0] as u32, 67 | 68);
    (merges && !(host.has_merging && host.version >= (6, 4))).then_some(Known::Advice)
}

/// Whether an operation may fail on one side alone, since it takes memory that may be there or not.
pub(crate) fn may_fail(op: &Op) -> bool {
    op.call == Call::Madvise && advice::number(op.args[2]) == advice::COLLAPSE
}

fn leaves_locked(args: &[u64; 7], look: Look<'_>) -> bool {
    let [addr, _, _, flags, ..] = *args;
    let source = look(addr / PAGE).filter(|vma| vma.range.start.0 <= addr / PAGE);
    flags & MREMAP_DONTUNMAP != 0 && source.is_some_and(|vma| vma.flags.contains(VmaFlags::LOCKED))
}

/// A length in whole pages; 0 past 64 bits.
fn page_align(len: u64) -> u64 {
    len.checked_next_multiple_of(PAGE).unwrap_or(0)
}

/// Of `mremap`: both Linuxes refuse what 6.12 refuses before it looks for the mapping, with one answer.
fn mremap(args: &[u64; 7], look: Look<'_>) -> Option<Known> {
    let [addr, old, new, flags, to, ..] = *args;
    let rounding = flags & MREMAP_DONTUNMAP != 0 && old != new && page_align(old) == page_align(new);
    let (old, new) = (page_align(old), page_align(new));
    let places = flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) != 0;
    if flags > 7 || !addr.is_multiple_of(PAGE) || new == 0 || places && flags & MREMAP_MAYMOVE == 0 {
        return None;
    }
    if rounding {
        return Some(Known::MremapRounding);
    }
    let overlaps = addr.wrapping_add(old) > to && to.wrapping_add(new) > addr;
    let is_silly_place = new > USER_END || to > USER_END - new || !to.is_multiple_of(PAGE) || overlaps;
    let mapped = look(addr / PAGE).filter(|vma| vma.range.start.0 <= addr / PAGE);
    if new > USER_END || places && is_silly_place && mapped.is_none() {
        return Some(Known::MremapOrder);
    }
    let vma = mapped?;
    let leaves = addr / PAGE + old / PAGE > vma.range.end.0;
    if flags & MREMAP_FIXED == 0 || is_silly_place {
        return None;
    }
    if old == new && leaves {
        return Some(Known::MremapSeveral);
    }
    let private = vma.flags.is_private();
    let grows_locked = vma.flags.contains(VmaFlags::LOCKED) && new > old;
    let may_fail = leaves || old == 0 && private || grows_locked;
    let replaces = look(to / PAGE).is_some_and(|vma| vma.range.start.0 < (to + new) / PAGE);
    (may_fail && (replaces || old > new)).then_some(Known::MremapUnmaps)
}

/// Whether `mremap` met other mappings on Linux than here; then the programs part, and the rest of them
/// cannot be compared. `source` says what may have been merged in another way.
pub(crate) fn parts(linux: &Answer, ours: &Answer, source: Option<Known>) -> Option<Known> {
    let refused = |answer: &Answer| answer.status == Status::Errno(EFAULT);
    source.filter(|_| refused(linux) != refused(ours))
}

const EFAULT: i32 = 14;
