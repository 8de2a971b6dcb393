//! Hostile arguments to every call: Linux's errno, by Linux's order of checks, and nothing changed.

mod common;

use common::*;
use linux::{Errno, FileRights, MapFile, Mmap, Mremap, Resource, Rlimit, UNLIMITED};
use machine::TaskId;

use Errno::*;

type Answer = Result<u64, Errno>;

/// What is mapped before every row.
struct Ground {
    ro: MapFile,
    wo: MapFile,
    rw: MapFile,
    append: MapFile,
    noexec: MapFile,
    sealed: MapFile,
}

const P: u64 = PAGE;
const A: u64 = BASE; //                    0..4   rw-
const HOLE: u64 = BASE + 4 * P; //         4..8   nothing
const B: u64 = BASE + 8 * P; //            8..12  r--
const NONE: u64 = BASE + 16 * P; //       16..18  ---
const WRITE_ONLY: u64 = BASE + 18 * P; // 18..19  -w-
const SHM: u64 = BASE + 20 * P; //        20..24  rw- shared
const RO_FILE: u64 = BASE + 32 * P; //    32..36  r-- shared, opened for reading
const PRIV_FILE: u64 = BASE + 40 * P; //  40..44  rw- private file
const LOCK: u64 = BASE + 60 * P; //       60..62  rw- locked
const STACK: u64 = BASE + 1000 * P; //  1000..1004 rw- grows down
const KERNEL: u64 = 0xffff_8000_0000_0000;
const MAX: u64 = u64::MAX;
/// The last whole page of 64 bits.
const TOP: u64 = 0u64.wrapping_sub(P);

fn prepare(system: &mut System<'_>) -> Ground {
    let size = 16 * P;
    let read = FileRights::READ;
    let both = FileRights::READ | FileRights::WRITE;
    let ground = Ground {
        ro: system.file(1, size, read),
        wo: system.file(2, size, FileRights::WRITE),
        rw: system.file(3, size, both),
        append: system.file(4, size, both | FileRights::APPEND_ONLY),
        noexec: system.file(5, size, both | FileRights::NO_EXEC),
        sealed: system.file(6, size, both | FileRights::SEAL_WRITE | FileRights::SEAL_SHRINK),
    };
    system.anon(A, 4, RW);
    system.anon(B, 4, READ);
    system.anon(NONE, 2, 0);
    system.anon(WRITE_ONLY, 1, WRITE);
    system.mmap(SHM, 4 * P, RW, SHARED | ANON | FIXED).expect("shm");
    system.mmap_file(RO_FILE, 4 * P, READ, SHARED | FIXED, &ground.ro, 0).expect("ro");
    system.mmap_file(PRIV_FILE, 4 * P, RW, PRIVATE | FIXED, &ground.rw, 0).expect("private");
    system.mmap(LOCK, 2 * P, RW, PRIVATE | ANON | FIXED | LOCKED).expect("locked");
    system.mmap(STACK, 4 * P, RW, PRIVATE | ANON | FIXED | GROWSDOWN).expect("stack");
    ground
}

/// Whether an error may leave traces, as on Linux.
#[derive(Clone, Copy, PartialEq)]
enum Traces {
    None,
    Some,
}

fn check(
    name: &str,
    traces: Traces,
    expected: Answer,
    call: impl FnOnce(&mut System<'_>, &Ground) -> Answer,
) {
    let machine = machine(64 << 20);
    let mut system = System::new(&machine);
    let ground = prepare(&mut system);
    let (maps, count) = (system.maps(), system.count());
    let answer = call(&mut system, &ground);
    assert_eq!(answer, expected, "{name}");
    if answer.is_err() && traces == Traces::None {
        assert_eq!(system.maps(), maps, "{name}: the layout changed");
        assert_eq!(system.count(), count, "{name}: something leaked");
    }
}

/// Which file a descriptor names.
#[derive(Clone, Copy)]
enum Fd {
    Bad,
    Ro,
    Wo,
    Rw,
    Append,
    NoExec,
    Sealed,
}

fn file(ground: &Ground, fd: Fd) -> Option<&MapFile> {
    match fd {
        Fd::Bad => None,
        Fd::Ro => Some(&ground.ro),
        Fd::Wo => Some(&ground.wo),
        Fd::Rw => Some(&ground.rw),
        Fd::Append => Some(&ground.append),
        Fd::NoExec => Some(&ground.noexec),
        Fd::Sealed => Some(&ground.sealed),
    }
}

type MmapRow = (&'static str, u64, u64, u64, u64, Fd, u64, Answer);

fn run_mmap(rows: &[MmapRow]) {
    for &(name, addr, len, prot, flags, fd, offset, expected) in rows {
        check(name, Traces::None, expected, |system, ground| {
            let args = Mmap { addr, len, prot, flags, offset };
            system.linux.mmap(&mut system.cx, system.process, &args, file(ground, fd))
        });
    }
}

const PA: u64 = PRIVATE | ANON;
const HUGETLB: u64 = 0x4_0000;
const SYNC: u64 = 0x8_0000;
const GAP: u64 = BASE + 100 * P;

#[test]
fn mmap_lengths_and_places() {
    use Fd::Bad;
    run_mmap(&[
        ("zero length", 0, 0, RW, PA, Bad, 0, Err(EINVAL)),
        ("unaligned offset", 0, P, RW, PA, Bad, 1, Err(EINVAL)),
        ("unaligned offset before a zero length", 0, 0, RW, PA, Bad, P - 1, Err(EINVAL)),
        ("length rounds up past 64 bits", 0, MAX, RW, PA, Bad, 0, Err(ENOMEM)),
        ("length of the whole 64 bits", 0, TOP, RW, PA, Bad, 0, Err(ENOMEM)),
        ("length 2^63", 0, 1 << 63, RW, PA, Bad, 0, Err(ENOMEM)),
        ("length 2^47", 0, 1 << 47, RW, PA, Bad, 0, Err(ENOMEM)),
        ("length of all user space does not fit", 0, USER_END, RW, PA | NORESERVE, Bad, 0, Err(ENOMEM)),
        ("more than all memory is not promised", 0, 1 << 40, RW, PA, Bad, 0, Err(ENOMEM)),
        ("more than all memory, unreserved", GAP << 4, 1 << 32, RW, PA | NORESERVE, Bad, 0, Ok(GAP << 4)),
        ("fixed, unaligned", BASE + 1, P, RW, PA | FIXED, Bad, 0, Err(EINVAL)),
        ("fixed, kernel address", KERNEL, P, RW, PA | FIXED, Bad, 0, Err(ENOMEM)),
        ("fixed, last page of 64 bits", TOP, P, RW, PA | FIXED, Bad, 0, Err(ENOMEM)),
        ("fixed, across the end of user space", USER_END - P, 2 * P, RW, PA | FIXED, Bad, 0, Err(ENOMEM)),
        ("fixed, the last user page", USER_END - P, P, RW, PA | FIXED, Bad, 0, Ok(USER_END - P)),
        ("fixed, first page past the end", USER_END, P, RW, PA | FIXED, Bad, 0, Err(ENOMEM)),
        (
            "fixed, unaligned kernel address: too high comes first",
            KERNEL + 1,
            P,
            RW,
            PA | FIXED,
            Bad,
            0,
            Err(ENOMEM),
        ),
        ("fixed, unaligned low: unaligned comes first", 1, P, RW, PA | FIXED, Bad, 0, Err(EINVAL)),
        ("fixed at zero", 0, P, RW, PA | FIXED, Bad, 0, Err(EPERM)),
        ("fixed below mmap_min_addr", 0xf000, P, RW, PA | FIXED, Bad, 0, Err(EPERM)),
        ("fixed at mmap_min_addr", 0x1_0000, P, RW, PA | FIXED, Bad, 0, Ok(0x1_0000)),
        ("careful on something", A, P, RW, PA | NOREPLACE, Bad, 0, Err(EEXIST)),
        ("careful across something", HOLE, 5 * P, RW, PA | NOREPLACE, Bad, 0, Err(EEXIST)),
        ("careful in a hole", HOLE, 4 * P, RW, PA | NOREPLACE, Bad, 0, Ok(HOLE)),
        ("careful, unaligned", HOLE + 1, P, RW, PA | NOREPLACE, Bad, 0, Err(EINVAL)),
        ("careful, low: permission before existence", 0x1000, P, RW, PA | NOREPLACE, Bad, 0, Err(EPERM)),
        ("careful and fixed", A, P, RW, PA | NOREPLACE | FIXED, Bad, 0, Err(EEXIST)),
        ("existence before the limit on locks", A, 1 << 30, RW, PA | NOREPLACE | LOCKED, Bad, 0, Err(EEXIST)),
        ("existence before an unknown type", A, P, RW, ANON | NOREPLACE, Bad, 0, Err(EEXIST)),
        ("a hint is rounded down", GAP + 5, P, RW, PA, Bad, 0, Ok(GAP)),
        ("a low hint is raised", 0x1000, P, RW, PA, Bad, 0, Ok(0x1_0000)),
    ]);
}

#[test]
fn mmap_types_and_flags() {
    use Fd::Bad;
    run_mmap(&[
        ("no type", 0, P, RW, ANON, Bad, 0, Err(EINVAL)),
        ("type 4", 0, P, RW, ANON | 4, Bad, 0, Err(EINVAL)),
        ("type 15", 0, P, RW, ANON | 15, Bad, 0, Err(EINVAL)),
        ("zero length before the type", 0, 0, RW, ANON, Bad, 0, Err(EINVAL)),
        ("too long before the type", 0, MAX, RW, ANON, Bad, 0, Err(ENOMEM)),
        ("validated sharing needs a file", 0, P, RW, ANON | VALIDATE, Bad, 0, Err(EINVAL)),
        ("droppable", 0, P, RW, ANON | 8, Bad, 0, Err(EOPNOTSUPP)),
        ("huge pages", 0, P, RW, PA | HUGETLB, Bad, 0, Err(EINVAL)),
        ("huge pages of 2 MiB", 0, 2 << 20, RW, PA | HUGETLB | 21 << 26, Bad, 0, Err(EINVAL)),
        ("huge pages before a zero length", 0, 0, RW, PA | HUGETLB, Bad, 0, Err(EINVAL)),
        ("huge pages before an overflow", 0, MAX, RW, PA | HUGETLB, Bad, 0, Err(EINVAL)),
        ("a shared stack", 0, P, RW, SHARED | ANON | GROWSDOWN, Bad, 0, Err(EINVAL)),
        ("a private stack", GAP, P, RW, PA | GROWSDOWN, Bad, 0, Ok(GAP)),
        ("no file", 0, P, RW, PRIVATE, Bad, 0, Err(EBADF)),
        ("no file before a zero length", 0, 0, RW, PRIVATE, Bad, 0, Err(EBADF)),
        ("unaligned offset before no file", 0, P, RW, PRIVATE, Bad, 7, Err(EINVAL)),
        ("no file before huge pages", 0, P, RW, PRIVATE | HUGETLB, Bad, 0, Err(EBADF)),
        ("anonymous: the offset means nothing", GAP, P, RW, PA, Bad, TOP, Ok(GAP)),
        ("unknown protection bits mean nothing", GAP, P, 0xfff0 | RW, PA, Bad, 0, Ok(GAP)),
        ("unknown flags mean nothing", GAP, P, RW, PA | 1 << 40, Bad, 0, Ok(GAP)),
        ("old flags mean nothing", GAP, P, RW, PA | 0x1800 | 0x2_0000, Bad, 0, Ok(GAP)),
        ("sync means nothing to anonymous memory", GAP, P, RW, PA | SYNC, Bad, 0, Ok(GAP)),
        ("locked above the limit", 0, 9 << 20, RW, PA | LOCKED, Bad, 0, Err(EAGAIN)),
        ("the limit on locks before the type", 0, 9 << 20, RW, ANON | LOCKED, Bad, 0, Err(EAGAIN)),
        ("too long before the limit on locks", 0, MAX, RW, PA | LOCKED, Bad, 0, Err(ENOMEM)),
    ]);
}

#[test]
fn mmap_files() {
    use Fd::*;
    let (private, shared) = (PRIVATE, SHARED);
    run_mmap(&[
        ("private, for reading", GAP, P, READ, private, Ro, 0, Ok(GAP)),
        ("private, writable although opened for reading", GAP, P, RW, private, Ro, 0, Ok(GAP)),
        ("private, opened for writing only", 0, P, READ, private, Wo, 0, Err(EACCES)),
        ("shared, opened for writing only", 0, P, READ, shared, Wo, 0, Err(EACCES)),
        ("shared, writable, opened for writing only", 0, P, WRITE, shared, Wo, 0, Err(EACCES)),
        ("shared, writable, opened for reading", 0, P, RW, shared, Ro, 0, Err(EACCES)),
        ("shared, readable, opened for reading", GAP, P, READ, shared, Ro, 0, Ok(GAP)),
        ("shared, append-only", 0, P, READ, shared, Append, 0, Err(EACCES)),
        ("private, append-only", GAP, P, RW, private, Append, 0, Ok(GAP)),
        ("executable, not allowed", 0, P, READ | EXEC, private, NoExec, 0, Err(EPERM)),
        ("not executable", GAP, P, READ, private, NoExec, 0, Ok(GAP)),
        ("sealed, shared, writable", 0, P, RW, shared, Sealed, 0, Err(EPERM)),
        ("sealed, shared, readable", GAP, P, READ, shared, Sealed, 0, Ok(GAP)),
        ("sealed, private, writable", GAP, P, RW, private, Sealed, 0, Ok(GAP)),
        ("huge pages of an ordinary file", 0, P, READ, private | HUGETLB, Ro, 0, Err(EINVAL)),
        ("a stack of a file", 0, P, READ, private | GROWSDOWN, Ro, 0, Err(EINVAL)),
        ("rights before a stack", 0, P, RW, shared | GROWSDOWN, Ro, 0, Err(EACCES)),
        ("no type", 0, P, READ, 0, Ro, 0, Err(EINVAL)),
        ("droppable file", 0, P, READ, 8, Ro, 0, Err(EINVAL)),
        ("validated, plain", GAP, P, RW, VALIDATE, Rw, 0, Ok(GAP)),
        ("validated, unknown flag", 0, P, RW, VALIDATE | 1 << 40, Rw, 0, Err(EOPNOTSUPP)),
        ("validated, sync", 0, P, RW, VALIDATE | SYNC, Rw, 0, Err(EOPNOTSUPP)),
        (
            "validated, careful: Linux forgot the flag",
            0x10_0000,
            P,
            RW,
            VALIDATE | NOREPLACE,
            Rw,
            0,
            Err(EOPNOTSUPP),
        ),
        ("unknown flags before rights", 0, P, RW, VALIDATE | SYNC, Ro, 0, Err(EOPNOTSUPP)),
        ("shared, unknown flags mean nothing", GAP, P, RW, shared | SYNC | 1 << 50, Rw, 0, Ok(GAP)),
        ("last offset", 0, P, READ, private, Ro, TOP, Err(EOVERFLOW)),
        ("offset 2^63", 0, P, READ, private, Ro, 1 << 63, Err(EOVERFLOW)),
        ("the page that ends at 2^63", 0, 2 * P, READ, private, Ro, (1 << 63) - P, Err(EOVERFLOW)),
        ("overflow before rights", 0, P, RW, shared, Ro, 1 << 63, Err(EOVERFLOW)),
        ("overflow before the type", 0, P, RW, 0, Ro, 1 << 63, Err(EOVERFLOW)),
        ("place before overflow", 1, P, READ, private | FIXED, Ro, 1 << 63, Err(EINVAL)),
        ("existence before rights", A, P, RW, shared | NOREPLACE, Ro, 0, Err(EEXIST)),
        ("length before rights", 0, MAX, RW, shared, Ro, 0, Err(ENOMEM)),
        ("zero length before rights", 0, 0, RW, shared, Ro, 0, Err(EINVAL)),
        ("the limit on locks before rights", 0, 9 << 20, RW, shared | LOCKED, Ro, 0, Err(EAGAIN)),
        ("past the end of the file is no error yet", GAP, P, READ, private, Ro, 64 * P, Ok(GAP)),
    ]);
}

#[test]
fn munmap() {
    for (name, addr, len, expected) in [
        ("zero length", A, 0, Err(EINVAL)),
        ("zero length in a hole", HOLE, 0, Err(EINVAL)),
        ("unaligned", A + 1, P, Err(EINVAL)),
        ("length rounds up past 64 bits", A, MAX, Err(EINVAL)),
        ("across the end of user space", USER_END - P, 2 * P, Err(EINVAL)),
        ("past the end of user space", USER_END, P, Err(EINVAL)),
        ("nothing at the end of user space", USER_END, 0, Err(EINVAL)),
        ("kernel address", KERNEL, P, Err(EINVAL)),
        ("last page of 64 bits", TOP, P, Err(EINVAL)),
        ("wraps", TOP, 2 * P, Err(EINVAL)),
        ("length 2^63", A, 1 << 63, Err(EINVAL)),
        ("a hole", HOLE, P, Ok(0)),
        ("address zero", 0, P, Ok(0)),
        ("a byte is a page", A, 1, Ok(0)),
        ("everything", 0, USER_END, Ok(0)),
    ] {
        check(name, Traces::None, expected, |s, _| {
            s.linux.munmap(&mut s.cx, s.process, addr, len).map(|()| 0)
        });
    }
}

const GROWS_DOWN: u64 = 0x0100_0000;
const GROWS_UP: u64 = 0x0200_0000;

#[test]
fn mprotect() {
    use Traces::{None as Clean, Some as Dirty};
    for (name, traces, addr, len, prot, expected) in [
        ("both directions", Clean, A, P, READ | GROWS_DOWN | GROWS_UP, Err(EINVAL)),
        ("both directions before a zero length", Clean, A, 0, GROWS_DOWN | GROWS_UP, Err(EINVAL)),
        ("unaligned", Clean, A + 1, P, READ, Err(EINVAL)),
        ("unaligned before a zero length", Clean, A + 1, 0, READ, Err(EINVAL)),
        ("zero length", Clean, A, 0, READ, Ok(0)),
        ("zero length of unknown protection", Clean, A, 0, 0x40, Ok(0)),
        ("zero length anywhere", Clean, KERNEL, 0, READ, Ok(0)),
        ("length rounds up past 64 bits", Clean, A, MAX, READ, Err(ENOMEM)),
        ("wraps", Clean, TOP, 2 * P, READ, Err(ENOMEM)),
        ("ends at 2^64", Clean, TOP, P, READ, Err(ENOMEM)),
        ("wraps before unknown protection", Clean, TOP, P, 0x40, Err(ENOMEM)),
        ("unknown protection", Clean, A, P, 0x40, Err(EINVAL)),
        ("unknown protection above 32 bits", Clean, A, P, 1 << 40, Err(EINVAL)),
        ("unknown protection before a hole", Clean, HOLE, P, 0x10, Err(EINVAL)),
        ("atomic operations mean nothing", Clean, A, P, RW | 8, Ok(0)),
        ("kernel address", Clean, KERNEL, P, READ, Err(ENOMEM)),
        ("a hole", Clean, HOLE, P, READ, Err(ENOMEM)),
        ("starts in a hole", Clean, HOLE, 8 * P, READ, Err(ENOMEM)),
        ("ends in a hole: the part before is changed", Dirty, A, 8 * P, READ, Err(ENOMEM)),
        ("ends past user space", Dirty, STACK, USER_END, READ, Err(ENOMEM)),
        ("never writable", Clean, RO_FILE, P, RW, Err(EACCES)),
        ("never writable, executable is fine", Clean, RO_FILE, P, READ | EXEC, Ok(0)),
        ("a hole before what is never writable", Clean, RO_FILE - P, 2 * P, RW, Err(ENOMEM)),
        ("down without a stack", Clean, A, P, READ | GROWS_DOWN, Err(EINVAL)),
        ("down in a hole with nothing behind", Clean, HOLE, P, READ | GROWS_DOWN, Err(ENOMEM)),
        ("down in a stack", Clean, STACK + 2 * P, P, READ | GROWS_DOWN, Ok(0)),
        ("up", Clean, A, P, READ | GROWS_UP, Err(EINVAL)),
        ("up in a hole", Clean, HOLE, P, READ | GROWS_UP, Err(ENOMEM)),
    ] {
        check(name, traces, expected, |s, _| {
            s.linux.mprotect(&mut s.cx, s.process, addr, len, prot).map(|()| 0)
        });
    }
}

const MAYMOVE: u64 = 1;
const RFIXED: u64 = 2;
const DONTUNMAP: u64 = 4;

#[test]
fn mremap() {
    use Traces::{None as Clean, Some as Dirty};
    let to = BASE + 200 * P;
    for (name, traces, addr, old_len, new_len, flags, new_addr, expected) in [
        ("unknown flags", Clean, A, P, P, 8, 0, Err(EINVAL)),
        ("unknown flags above 32 bits", Clean, A, P, P, 1 << 32, 0, Err(EINVAL)),
        ("fixed must be able to move", Clean, A, P, P, RFIXED, to, Err(EINVAL)),
        ("left behind must be able to move", Clean, A, P, P, DONTUNMAP, 0, Err(EINVAL)),
        ("left behind keeps its size", Clean, A, P, 2 * P, DONTUNMAP | MAYMOVE, 0, Err(EINVAL)),
        ("unaligned", Clean, A + 1, P, P, MAYMOVE, 0, Err(EINVAL)),
        ("new length zero", Clean, A, P, 0, MAYMOVE, 0, Err(EINVAL)),
        ("new length rounds up past 64 bits", Clean, A, P, MAX, MAYMOVE, 0, Err(EINVAL)),
        ("flags before a hole", Clean, HOLE, P, P, 8, 0, Err(EINVAL)),
        ("new length before a hole", Clean, HOLE, P, 0, 0, 0, Err(EINVAL)),
        ("a hole", Clean, HOLE, P, P, 0, 0, Err(EFAULT)),
        ("a hole, moving", Clean, HOLE, P, 2 * P, MAYMOVE, 0, Err(EFAULT)),
        ("a hole before a bad new address", Clean, HOLE, P, P, MAYMOVE | RFIXED, 1, Err(EFAULT)),
        ("kernel address", Clean, KERNEL, P, 2 * P, MAYMOVE, 0, Err(EFAULT)),
        ("last page of 64 bits", Clean, TOP, P, 2 * P, MAYMOVE, 0, Err(EFAULT)),
        ("same size: nothing to do", Clean, A, P, P, 0, 0, Ok(A)),
        ("same size, however long", Clean, A, 1 << 62, 1 << 62, 0, 0, Ok(A)),
        ("shrink", Clean, A, 4 * P, P, 0, 0, Ok(A)),
        ("shrink over a hole takes what is there", Dirty, A, 12 * P, P, 0, 0, Ok(A)),
        ("shrink from past user space", Clean, A, 1 << 62, P, 0, 0, Err(EINVAL)),
        ("grow in place", Clean, A, 4 * P, 6 * P, 0, 0, Ok(A)),
        ("grow in place, no room", Clean, A, 4 * P, 9 * P, 0, 0, Err(ENOMEM)),
        ("grow from the middle must move", Clean, A, P, 2 * P, 0, 0, Err(ENOMEM)),
        ("grow past the mapping", Clean, A, 5 * P, 6 * P, MAYMOVE, 0, Err(EFAULT)),
        ("grow without end", Clean, A, 4 * P, 1 << 62, MAYMOVE, 0, Err(ENOMEM)),
        ("grow past user space in place", Clean, STACK, 4 * P, USER_END, 0, 0, Err(ENOMEM)),
        ("a private mapping is not duplicated", Clean, A, 0, P, MAYMOVE, 0, Err(EINVAL)),
        ("an old length that rounds up to zero", Clean, A, MAX, P, MAYMOVE, 0, Err(EINVAL)),
        ("a shared mapping is not duplicated in place", Clean, SHM, 0, P, 0, 0, Err(ENOMEM)),
        ("locked memory above the limit", Clean, LOCK, 2 * P, 16 << 20, MAYMOVE, 0, Err(EAGAIN)),
        ("fixed, unaligned", Clean, A, P, P, MAYMOVE | RFIXED, to + 1, Err(EINVAL)),
        ("fixed, kernel address", Clean, A, P, P, MAYMOVE | RFIXED, KERNEL, Err(EINVAL)),
        ("fixed, across the end", Clean, A, P, 2 * P, MAYMOVE | RFIXED, USER_END - P, Err(EINVAL)),
        ("fixed, too long", Clean, A, P, 1 << 60, MAYMOVE | RFIXED, to, Err(EINVAL)),
        ("fixed, onto itself", Clean, A, P, P, MAYMOVE | RFIXED, A, Err(EINVAL)),
        ("fixed, overlapping behind", Clean, A, 4 * P, 4 * P, MAYMOVE | RFIXED, A + P, Err(EINVAL)),
        ("fixed, overlapping before", Clean, A, 4 * P, 4 * P, MAYMOVE | RFIXED, A - P, Err(EINVAL)),
        ("fixed, low", Clean, A, P, P, MAYMOVE | RFIXED, 0x1000, Err(EPERM)),
        ("fixed, low, past the mapping", Clean, A, 6 * P, 6 * P, MAYMOVE | RFIXED, 0x1000, Err(EFAULT)),
        ("fixed, low, not to be duplicated", Clean, A, 0, P, MAYMOVE | RFIXED, 0x1000, Err(EINVAL)),
        ("fixed, past the mapping", Dirty, A, 6 * P, 6 * P, MAYMOVE | RFIXED, to, Err(EFAULT)),
        ("fixed", Clean, A, 2 * P, 2 * P, MAYMOVE | RFIXED, to, Ok(to)),
        ("left behind, bad hint", Clean, A, P, P, MAYMOVE | DONTUNMAP, 1, Err(EINVAL)),
        ("left behind, hint in the kernel", Clean, A, P, P, MAYMOVE | DONTUNMAP, KERNEL, Err(EINVAL)),
        ("left behind, at the hint", Clean, A, P, P, MAYMOVE | DONTUNMAP, to, Ok(to)),
        ("left behind and fixed", Clean, A, P, P, MAYMOVE | DONTUNMAP | RFIXED, to, Ok(to)),
    ] {
        check(name, traces, expected, |s, _| {
            let args = Mremap { addr, old_len, new_len, flags, new_addr };
            s.linux.mremap(&mut s.cx, s.process, &args)
        });
    }
}

#[test]
fn brk() {
    for (name, addr, expected) in [
        ("asks", 0, Ok(HEAP)),
        ("below the heap", HEAP - 1, Ok(HEAP)),
        ("grows by a byte", HEAP + 1, Ok(HEAP + 1)),
        ("grows by a page", HEAP + P, Ok(HEAP + P)),
        ("kernel address", KERNEL, Ok(HEAP)),
        ("all of 64 bits", MAX, Ok(HEAP)),
        ("past user space", USER_END + P, Ok(HEAP)),
        ("more than all memory", HEAP + (1 << 40), Ok(HEAP)),
    ] {
        check(name, Traces::None, expected, |s, _| s.linux.brk(&mut s.cx, s.process, addr));
    }
}

#[test]
fn madvise() {
    use Traces::{None as Clean, Some as Dirty};
    let later = [9, 16, 17, 24, 100, 101];
    for advice in later {
        check("advice that comes later", Clean, Err(EINVAL), |s, _| {
            s.linux.madvise(&mut s.cx, s.process, A, P, advice).map(|()| 0)
        });
    }
    for (name, traces, addr, len, advice, expected) in [
        ("unknown", Clean, A, P, 5, Err(EINVAL)),
        ("unknown, huge", Clean, A, P, u64::from(u32::MAX), Err(EINVAL)),
        ("above 32 bits means nothing", Clean, A, P, 1 << 32, Ok(0)),
        ("unknown before a zero length", Clean, A, 0, 99, Err(EINVAL)),
        ("unaligned", Clean, A + 1, P, 4, Err(EINVAL)),
        ("unaligned before a zero length", Clean, A + 1, 0, 4, Err(EINVAL)),
        ("zero length", Clean, A, 0, 4, Ok(0)),
        ("zero length anywhere", Clean, KERNEL, 0, 4, Ok(0)),
        ("length rounds up past 64 bits", Clean, A, MAX, 4, Err(EINVAL)),
        ("wraps", Clean, TOP, 2 * P, 4, Err(EINVAL)),
        ("ends at 2^64", Clean, TOP, P, 4, Err(EINVAL)),
        ("kernel address", Clean, KERNEL, P, 4, Err(ENOMEM)),
        ("a hole", Clean, HOLE, P, 4, Err(ENOMEM)),
        ("over a hole: the rest is done", Dirty, A, 12 * P, 4, Err(ENOMEM)),
        ("locked memory is not dropped", Clean, LOCK, P, 4, Err(EINVAL)),
        ("locked memory is not freed lazily", Clean, LOCK, P, 8, Err(EINVAL)),
        ("shared memory is not freed lazily", Clean, SHM, P, 8, Err(EINVAL)),
        ("files are not freed lazily", Clean, PRIV_FILE, P, 8, Err(EINVAL)),
        ("a hole before it does not hide the refusal", Dirty, SHM - P, 2 * P, 8, Err(EINVAL)),
        ("shared memory is not wiped", Clean, SHM, P, 18, Err(EINVAL)),
        ("files are not wiped", Clean, PRIV_FILE, P, 18, Err(EINVAL)),
        ("populate a hole", Clean, HOLE, P, 22, Err(ENOMEM)),
        ("populate past user space", Clean, USER_END, P, 22, Err(ENOMEM)),
        ("populate for writing what is read-only", Clean, B, P, 23, Err(EINVAL)),
        ("populate what is not accessible", Clean, NONE, P, 22, Err(EINVAL)),
        ("populate for reading what is write-only", Clean, WRITE_ONLY, P, 22, Err(EINVAL)),
        ("populate for writing what is write-only", Clean, WRITE_ONLY, P, 23, Ok(0)),
        ("populate past the end of a file", Clean, RO_FILE, P, 22, Ok(0)),
    ] {
        check(name, traces, expected, |s, _| {
            s.linux.madvise(&mut s.cx, s.process, addr, len, advice).map(|()| 0)
        });
    }
}

#[test]
fn populating_past_the_end_of_a_file_is_a_bad_address() {
    check("past the end", Traces::Some, Err(EFAULT), |s, ground| {
        let at = s.mmap_file(GAP, 4 * P, READ, PRIVATE, &ground.ro, 14 * P).expect("mapped");
        s.linux.madvise(&mut s.cx, s.process, at, 4 * P, 22).map(|()| 0)
    });
}

fn set_memlock(s: &mut System<'_>, bytes: u64) {
    let limit = Rlimit { soft: bytes, hard: 8 << 20 };
    s.linux.prlimit(&mut s.cx, s.process, 8, Some(limit)).expect("lowered");
}

#[test]
fn mlock_and_munlock() {
    use Traces::{None as Clean, Some as Dirty};
    let small = 64 << 10;
    for (name, traces, memlock, addr, len, flags, expected) in [
        ("may not lock at all", Clean, 0, A, P, 0, Err(EPERM)),
        ("may not lock at all, zero length", Clean, 0, A, 0, 0, Err(EPERM)),
        ("may not lock at all, kernel address", Clean, 0, KERNEL, P, 0, Err(EPERM)),
        ("flags before the right to lock", Clean, 0, A, P, 2, Err(EINVAL)),
        ("unknown flags", Clean, small, A, P, 2, Err(EINVAL)),
        ("unknown flags on a hole", Clean, small, HOLE, P, 4, Err(EINVAL)),
        ("above 32 bits means nothing", Clean, small, A, P, 1 << 32, Ok(0)),
        ("less than a page may be locked", Clean, 100, A, P, 0, Err(ENOMEM)),
        ("above the limit", Clean, small, A, 1 << 20, 0, Err(ENOMEM)),
        ("above the limit before wrapping", Clean, small, A, 1 << 63, 0, Err(ENOMEM)),
        ("zero length", Clean, small, A, 0, 0, Ok(0)),
        ("zero length of an unaligned address is a page", Clean, small, A + 1, 0, 0, Ok(0)),
        ("unaligned is fine", Clean, small, A + 5, P, 0, Ok(0)),
        ("length rounds up to zero", Clean, small, A, MAX, 0, Ok(0)),
        ("a hole", Clean, small, HOLE, P, 0, Err(ENOMEM)),
        ("kernel address", Clean, small, KERNEL, P, 0, Err(ENOMEM)),
        ("over a hole: what lies before is locked", Dirty, small, A, 8 * P, 0, Err(ENOMEM)),
        ("not accessible: locked, not populated", Dirty, small, NONE, P, 0, Err(ENOMEM)),
        ("not accessible, on fault", Clean, small, NONE, P, 1, Ok(0)),
        ("locked already counts once", Clean, 2 * P, LOCK, 2 * P, 0, Ok(0)),
        ("one more page does not", Clean, 2 * P, A, P, 0, Err(ENOMEM)),
    ] {
        check(name, traces, expected, |s, _| {
            set_memlock(s, memlock);
            s.linux.mlock2(&mut s.cx, s.process, addr, len, flags).map(|()| 0)
        });
    }
    for (name, traces, addr, len, expected) in [
        ("zero length", Clean, A, 0, Ok(0)),
        ("a hole", Clean, HOLE, P, Err(ENOMEM)),
        ("kernel address", Clean, KERNEL, P, Err(ENOMEM)),
        ("wraps", Clean, TOP, 2 * P, Err(EINVAL)),
        ("ends at 2^64", Clean, TOP, P, Err(EINVAL)),
        ("over a hole", Dirty, LOCK, 4 * P, Err(ENOMEM)),
        ("not locked is fine", Clean, A, P, Ok(0)),
        ("unaligned is fine", Clean, LOCK + 7, 1, Ok(0)),
    ] {
        check(name, traces, expected, |s, _| s.linux.munlock(&mut s.cx, s.process, addr, len).map(|()| 0));
    }
}

#[test]
fn mlock_without_limit_still_checks_the_range() {
    let machine = machine(64 << 20);
    let (linux, mut cx) = build(&machine, linux::Config::default());
    let limit = (Resource::Memlock, Rlimit::UNLIMITED);
    let process = linux.first_process_with(&mut cx, &[limit]).expect("a process");
    assert_eq!(linux.mlock(&mut cx, process, TOP, 2 * P), Err(EINVAL));
    assert_eq!(linux.mlock(&mut cx, process, A, 1 << 63), Err(ENOMEM));
    assert_eq!(linux.mlock(&mut cx, process, A, P), Err(ENOMEM));
    assert_eq!(UNLIMITED, u64::MAX);
}

#[test]
fn mlockall_and_munlockall() {
    for (name, memlock, flags, expected) in [
        ("no flags", 8 << 20, 0, Err(EINVAL)),
        ("unknown flags", 8 << 20, 9, Err(EINVAL)),
        ("on fault alone", 8 << 20, 4, Err(EINVAL)),
        ("flags before the right to lock", 0, 8, Err(EINVAL)),
        ("may not lock at all", 0, 1, Err(EPERM)),
        ("may not lock at all, future", 0, 2, Err(EPERM)),
        ("more is mapped than may be locked", 4 * P, 1, Err(ENOMEM)),
        ("future only is never above the limit", 4 * P, 2, Ok(0)),
        ("everything", 8 << 20, 3, Ok(0)),
        ("everything, on fault", 8 << 20, 7, Ok(0)),
    ] {
        check(name, Traces::None, expected, |s, _| {
            set_memlock(s, memlock);
            s.linux.mlockall(&mut s.cx, s.process, flags).map(|()| 0)
        });
    }
    check("munlockall", Traces::None, Ok(0), |s, _| s.linux.munlockall(&mut s.cx, s.process).map(|()| 0));
}

#[test]
fn msync() {
    let (asynchronous, invalidate, sync) = (1, 2, 4);
    for (name, addr, len, flags, expected) in [
        ("unknown flags", SHM, P, 8, Err(EINVAL)),
        ("both", SHM, P, asynchronous | sync, Err(EINVAL)),
        ("unaligned", SHM + 1, P, sync, Err(EINVAL)),
        ("unaligned before a zero length", SHM + 1, 0, sync, Err(EINVAL)),
        ("neither is fine", SHM, P, 0, Ok(0)),
        ("zero length", SHM, 0, sync, Ok(0)),
        ("zero length anywhere", KERNEL, 0, sync, Ok(0)),
        ("length rounds up to zero", SHM, MAX, sync, Ok(0)),
        ("wraps", TOP, 2 * P, sync, Err(ENOMEM)),
        ("ends at 2^64", TOP, P, sync, Err(ENOMEM)),
        ("kernel address", KERNEL, P, sync, Err(ENOMEM)),
        ("a hole", HOLE, P, sync, Err(ENOMEM)),
        ("a hole, asynchronous", HOLE, P, asynchronous, Err(ENOMEM)),
        ("over a hole", A, 12 * P, sync, Err(ENOMEM)),
        ("past user space", STACK, USER_END, sync, Err(ENOMEM)),
        ("locked memory is not invalidated", LOCK, P, invalidate, Err(EBUSY)),
        ("locked memory behind a hole", LOCK - P, 2 * P, sync | invalidate, Err(EBUSY)),
        ("private memory", A, P, sync | invalidate, Ok(0)),
        ("shared memory", SHM, 4 * P, sync, Ok(0)),
    ] {
        check(name, Traces::None, expected, |s, _| {
            s.linux.msync(&mut s.cx, s.process, addr, len, flags).map(|()| 0)
        });
    }
}

#[test]
fn mincore() {
    for (name, addr, len, vec, expected) in [
        ("unaligned", A + 1, P, A, Err(EINVAL)),
        ("unaligned before kernel address", KERNEL + 1, P, A, Err(EINVAL)),
        ("kernel address", KERNEL, P, A, Err(ENOMEM)),
        ("wraps", TOP, 2 * P, A, Err(ENOMEM)),
        ("all of 64 bits", 0, MAX, A, Err(ENOMEM)),
        ("past user space", USER_END - P, 2 * P, A, Err(ENOMEM)),
        ("range before vector", KERNEL, P, KERNEL, Err(ENOMEM)),
        ("vector in the kernel", A, P, KERNEL, Err(EFAULT)),
        ("vector across the end", A, 2 * P, USER_END - 1, Err(EFAULT)),
        ("vector before a hole", HOLE, P, KERNEL, Err(EFAULT)),
        ("zero length", A, 0, A, Ok(0)),
        ("zero length, vector in the kernel", A, 0, KERNEL, Err(EFAULT)),
        ("a hole", HOLE, P, A, Err(ENOMEM)),
        ("over a hole", A, 6 * P, LOCK, Err(ENOMEM)),
        ("vector not mapped", A, P, HOLE, Err(EFAULT)),
        ("vector read-only", A, P, B, Err(EFAULT)),
        ("fine", A, 4 * P, LOCK, Ok(0)),
        ("not accessible is fine", NONE, 2 * P, LOCK, Ok(0)),
    ] {
        check(name, Traces::None, expected, |s, _| s.mincore(addr, len, vec).map(|()| 0));
    }
}

#[test]
fn prlimit() {
    let limit = |soft, hard| Some(Rlimit { soft, hard });
    for (name, resource, new, expected) in [
        ("unknown resource", 16, None, Err(EINVAL)),
        ("unknown resource, huge", MAX, None, Err(EINVAL)),
        ("not memory's", 7, None, Err(EINVAL)),
        ("soft above hard", 3, limit(2, 1), Err(EINVAL)),
        ("soft above hard before raising", 8, limit(MAX, 1 << 40), Err(EINVAL)),
        ("raises the hard limit", 8, limit(1, 1 << 40), Err(EPERM)),
        ("asks", 8, None, Ok(8 << 20)),
        ("above 32 bits means nothing", 1 << 32 | 8, None, Ok(8 << 20)),
        ("lowers", 8, limit(P, P), Ok(8 << 20)),
        ("stack", 3, limit(1 << 20, UNLIMITED), Ok(8 << 20)),
        ("address space", 9, limit(1 << 30, 1 << 30), Ok(UNLIMITED)),
    ] {
        check(name, Traces::None, expected, |s, _| {
            s.linux.prlimit(&mut s.cx, s.process, resource, new).map(|old| old.soft)
        });
    }
}

#[test]
fn limits_refuse_what_goes_beyond_them() {
    let with = |resource, soft| {
        move |s: &mut System<'_>| {
            let old = s.linux.prlimit(&mut s.cx, s.process, resource, None).expect("a limit");
            let new = Rlimit { soft, hard: old.hard };
            s.linux.prlimit(&mut s.cx, s.process, resource, Some(new)).expect("set");
        }
    };
    check("address space: mmap", Traces::None, Err(ENOMEM), |s, _| {
        with(9, 1 << 20)(s);
        s.mmap(0, 2 << 20, RW, PA)
    });
    check("address space: mremap", Traces::None, Err(ENOMEM), |s, _| {
        with(9, 1 << 20)(s);
        let args = Mremap { addr: A, old_len: P, new_len: 2 << 20, flags: MAYMOVE, new_addr: 0 };
        s.linux.mremap(&mut s.cx, s.process, &args)
    });
    check("data: mmap", Traces::None, Err(ENOMEM), |s, _| {
        with(2, 1 << 20)(s);
        s.mmap(0, 2 << 20, RW, PA)
    });
    check("data: what is not written is free", Traces::None, Ok(GAP), |s, _| {
        with(2, 1 << 20)(s);
        s.mmap(GAP, 2 << 20, READ, PA)
    });
    check("data: brk keeps the old end", Traces::None, Ok(HEAP), |s, _| {
        with(2, 1 << 20)(s);
        s.linux.brk(&mut s.cx, s.process, HEAP + (2 << 20))
    });
    check("no locks: MAP_LOCKED", Traces::None, Err(EPERM), |s, _| {
        set_memlock(s, 0);
        s.mmap(0, P, RW, PA | LOCKED)
    });
    check("no locks: existence first", Traces::None, Err(EEXIST), |s, _| {
        set_memlock(s, 0);
        s.mmap(A, P, RW, PA | LOCKED | NOREPLACE)
    });
    check("no locks before rights", Traces::None, Err(EPERM), |s, ground| {
        set_memlock(s, 0);
        s.mmap_file(0, P, RW, SHARED | LOCKED, &ground.ro, 0)
    });
    check("locked in future: mmap", Traces::Some, Err(EAGAIN), |s, _| {
        s.linux.mlockall(&mut s.cx, s.process, 2).expect("future");
        s.mmap(0, 9 << 20, RW, PA)
    });
    check("locked in future: the limit before the type", Traces::Some, Err(EAGAIN), |s, _| {
        s.linux.mlockall(&mut s.cx, s.process, 2).expect("future");
        s.mmap(0, 9 << 20, RW, ANON)
    });
    check("locked in future: brk keeps the old end", Traces::None, Ok(HEAP), |s, _| {
        s.linux.mlockall(&mut s.cx, s.process, 2).expect("future");
        s.linux.brk(&mut s.cx, s.process, HEAP + (9 << 20))
    });
}

#[test]
fn limits_are_the_caller_s_where_memory_is_shared() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    prepare(&mut s);
    let first = s.process;
    let Ok(linux::Cloned::Child(second)) = s.linux.clone(&mut s.cx, first, 0x100) else {
        panic!("a child that shares the memory");
    };
    set_memlock(&mut s, P);
    assert_eq!(s.linux.mlock(&mut s.cx, second, A, 4 * P), Ok(()), "the child's limit is as it was");
    assert_eq!(s.linux.mlock(&mut s.cx, first, A, 4 * P), Err(ENOMEM));
    assert_eq!(s.linux.mlock(&mut s.cx, second, B, 4 * P), Ok(()));
}

#[test]
fn a_move_within_the_size_asks_no_limit() {
    check("above the limit already", Traces::None, Ok(BASE + 200 * P), |s, _| {
        set_memlock(s, 0);
        let args = Mremap { addr: LOCK, old_len: 2 * P, new_len: 2 * P, flags: 3, new_addr: BASE + 200 * P };
        s.linux.mremap(&mut s.cx, s.process, &args)
    });
}

#[test]
fn ftruncate() {
    for (name, fd, size, expected) in [
        ("negative", Fd::Rw, 1 << 63, Err(EINVAL)),
        ("negative before rights", Fd::Ro, MAX, Err(EINVAL)),
        ("opened for reading", Fd::Ro, 0, Err(EINVAL)),
        ("append-only", Fd::Append, 0, Err(EPERM)),
        ("too large", Fd::Rw, 1 << 62, Err(EFBIG)),
        ("sealed against shrinking", Fd::Sealed, 0, Err(EPERM)),
        ("sealed against shrinking may grow", Fd::Sealed, 20 * P, Ok(0)),
        ("shrinks", Fd::Rw, 1, Ok(0)),
    ] {
        check(name, Traces::None, expected, |s, ground| {
            let file = file(ground, fd).expect("a file");
            s.linux.ftruncate(&mut s.cx, s.process, file, size).map(|()| 0)
        });
    }
}

#[test]
fn clone_wait_and_attach() {
    for (name, flags, expected) in [
        ("a thread without shared handlers", 0x1_0000 | 0x100, Err(EINVAL)),
        ("shared handlers without shared memory", 0x800, Err(EINVAL)),
        ("a thread without shared memory", 0x1_0000 | 0x800, Err(EINVAL)),
        ("a thread", 0x1_0000 | 0x800 | 0x100, Ok(0)),
    ] {
        check(name, Traces::None, expected, |s, _| s.linux.clone(&mut s.cx, s.process, flags).map(|_| 0));
    }
    check("no child", Traces::None, Err(ECHILD), |s, _| {
        s.linux.wait(&mut s.cx, s.process, None, linux::Waiting::Block).map(|_| 0)
    });
    check("not a child", Traces::None, Err(ECHILD), |s, _| {
        s.linux.wait(&mut s.cx, s.process, Some(s.process), linux::Waiting::Poll).map(|_| 0)
    });
    check("no such task", Traces::None, Err(EAGAIN), |s, _| {
        s.linux.attach(&mut s.cx, s.process, TaskId(u32::MAX)).map(|()| 0)
    });
    check("a task that runs already", Traces::None, Err(EAGAIN), |s, _| {
        s.linux.attach(&mut s.cx, s.process, TaskId(0)).map(|()| 0)
    });
}

#[test]
fn faults_outside_of_user_space() {
    use linux::{SegvCode, Signal};
    use machine::{Access, VirtAddr};
    let machine = machine(64 << 20);
    let mut system = System::new(&machine);
    prepare(&mut system);
    for addr in [0, 0xfff, HOLE, USER_END - 1, USER_END, KERNEL, MAX] {
        for access in [Access::Read, Access::Write, Access::Execute] {
            let answer = system.linux.user_fault(&mut system.cx, system.process, VirtAddr(addr), access);
            let expected = Signal::Segv { code: SegvCode::MapErr, addr: VirtAddr(addr) };
            assert_eq!(answer, Err(expected), "{addr:#x} {access:?}");
        }
    }
    for (addr, access) in [(B, Access::Write), (NONE, Access::Read), (A, Access::Execute)] {
        let answer = system.linux.user_fault(&mut system.cx, system.process, VirtAddr(addr), access);
        let expected = Signal::Segv { code: SegvCode::AccErr, addr: VirtAddr(addr) };
        assert_eq!(answer, Err(expected), "{addr:#x} {access:?}");
    }
}
