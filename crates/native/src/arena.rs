//! Where programs work, and which operations stay there.
//!
//! The worker's own code, stack and libraries lie far above the arena; nothing lies next to it. Around
//! the arena is room, so that what grows past its ends is still alone.

use crate::call::Call;
use crate::op::{FILES, Op, PIPE_PAGES, SLOTS, WAIT_ANY};

/// Bytes of a page.
pub const PAGE: u64 = 4096;
/// Where the arena starts. Page 48 starts a page table of its own.
pub const START: u64 = 0x2000_001d_0000;
/// Pages of the arena.
pub const PAGES: u64 = 4096;
/// One past its last byte.
pub const END: u64 = START + PAGES * PAGE;
/// First page of the part most operations work in, and its pages.
pub const MAIN: (u64, u64) = (16, 64);
/// First page of the heap, and how many pages of it are looked at.
pub const HEAP: (u64, u64) = (1024, 16);
/// First page of the part where stacks may grow, and its pages.
pub const STACKS: (u64, u64) = (3000, 64);
/// Pages of 2 MiB, and the first page and the pages of the part where they may be: three of them.
pub const HUGE_PAGES: u64 = 512;
/// See [`HUGE_PAGES`].
pub const HUGE: (u64, u64) = (1072, 3 * HUGE_PAGES);
/// Nothing of the worker lies from the arena's end to here.
const ROOM_END: u64 = END + PAGES * PAGE;
/// The most pages that are read or written as a file at once.
pub const LOOK_PAGES: u64 = 16;
/// First address no program may use.
pub const USER_END: u64 = (1 << 47) - PAGE;
/// First address of the kernel's half: what lies between is no address at all.
const KERNEL: u64 = 0xffff_8000_0000_0000;

/// Words of each page that a scan loads, and that programs load and store.
pub const WORDS: [u64; 8] = [0, 1, 100, 255, 256, 300, 510, 511];

/// Whether every byte lies in the arena.
fn inside(addr: u64, len: u64) -> bool {
    addr >= START && addr.checked_add(len).is_some_and(|end| end <= END)
}

/// Whether no range of user space is named at all: it wraps, or ends past user space.
fn outside(addr: u64, len: u64) -> bool {
    addr.checked_add(len).is_none_or(|end| end > USER_END)
}

/// Whether the range begins in the arena, where a hole stops whatever goes on past its end, or begins where
/// nothing is mapped.
fn begins_well(addr: u64) -> bool {
    inside(addr, 0) || !(PAGE..=USER_END).contains(&addr)
}

fn is_touchable(addr: u64) -> bool {
    addr.is_multiple_of(8) && (inside(addr, 8) || !(PAGE..KERNEL).contains(&addr))
}

/// Whether a length is not so long that it takes all memory, or longer than all of user space.
fn is_reasonable(len: u64) -> bool {
    len <= PAGES * PAGE || len > USER_END
}

fn is_harmless_mmap(args: &[u64; 7]) -> bool {
    let [addr, len, _, flags, file, _, land] = *args;
    let fixed = flags & 0x10 != 0;
    // Huge pages, and files that do not exist, are for refusals only.
    let place = !fixed || inside(addr, len) || outside(addr, len) || addr < 0x1_0000;
    place && is_reasonable(len) && inside(land, len.min(PAGES * PAGE / 4)) && file <= FILES as u64
}

fn is_harmless_mremap(args: &[u64; 7]) -> bool {
    let [addr, old, new, flags, to, land, _] = *args;
    let from = (inside(addr, old) || outside(addr, old)) && begins_well(addr);
    let moves = flags & 2 == 0 || inside(to, new) || outside(to, new) || to < 0x1_0000 && new < PAGE * 4;
    from && moves && is_reasonable(new) && inside(land, new.min(PAGES * PAGE / 4))
}

/// Bytes that one process copies from or to another's memory. What overlaps in one memory would depend on the
/// order in which pages are looked up; so does what is copied within a page to another place in it.
fn is_harmless_copy(args: &[u64; 7]) -> bool {
    let [process, own, other, len, ..] = *args;
    let place = |addr: u64| inside(addr, len) || addr > USER_END && addr.checked_add(len).is_some();
    let apart = own == other || own.abs_diff(other) >= len;
    process < SLOTS as u64 && place(own) && place(other) && apart && (own ^ other).is_multiple_of(PAGE)
}

/// Bytes of a process that another one reads or writes as a file; never as much as would wrap.
fn is_harmless_look(process: u64, addr: u64, len: u64) -> bool {
    let place = inside(addr, len) || addr > USER_END && addr.checked_add(len).is_some();
    process < SLOTS as u64 && len <= LOOK_PAGES * PAGE && place
}

fn is_harmless_splice(args: &[u64; 7]) -> bool {
    const NONBLOCK: u64 = 2;
    // The call looks at 32 bits.
    const UNKNOWN: u64 = 0xffff_fff0;
    let [addr, len, flags, ..] = *args;
    (inside(addr, len) || outside(addr, len)) && (flags & NONBLOCK != 0 || flags & UNKNOWN != 0)
}

/// Whether an operation leaves alone all that is not in the arena.
pub fn is_harmless(op: &Op) -> bool {
    let [a, b, c, ..] = op.args;
    let range = begins_well(a) && (inside(a, b) || outside(a, b));
    let known = usize::from(op.process) < SLOTS;
    known
        && match op.call {
            Call::Mmap => is_harmless_mmap(&op.args),
            Call::Mremap => is_harmless_mremap(&op.args),
            Call::Munmap => inside(a, b) || outside(a, b) || b == 0,
            Call::Madvise => inside(a, b) || a.checked_add(b).is_none() || a > USER_END || b == 0,
            // From the start of a stack: the worker's own is one, if nothing else lies before it.
            Call::Mprotect if c & 0x0300_0000 != 0 => inside(a, b) || b == 0,
            Call::Mprotect | Call::Mlock | Call::Mlock2 | Call::Munlock | Call::Msync => range,
            Call::Mincore => range && (c == 0 || begins_well(c)),
            Call::Brk => a <= ROOM_END || a > USER_END,
            Call::Mlockall | Call::Munlockall | Call::Layout => true,
            Call::Exit => a < 64,
            // The call looks at 32 bits; other resources are the worker's own business.
            Call::Prlimit => matches!(a as u32, 3 | 8 | 64..),
            Call::Ftruncate => a < FILES as u64 && (b <= 64 * PAGE || b > 1 << 61),
            Call::Fsync => a < FILES as u64,
            Call::Fork | Call::Clone => a < SLOTS as u64,
            Call::Wait => a < SLOTS as u64 || a == WAIT_ANY,
            Call::Load | Call::Store | Call::Execute => is_touchable(a),
            Call::VmRead | Call::VmWrite => is_harmless_copy(&op.args),
            Call::Splice => is_harmless_splice(&op.args),
            Call::MemRead | Call::MemWrite => is_harmless_look(a, b, c),
            // The call looks at 32 bits.
            Call::Prctl => matches!(a as u32, 41 | 42 | 67 | 68),
            Call::PipeRead => a <= PIPE_PAGES * PAGE,
            Call::Scan => inside(a, 0) && a.is_multiple_of(PAGE) && b <= PAGES && inside(a, b * PAGE),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn harmless(call: Call, args: &[u64]) -> bool {
        let mut all = [0; 7];
        all[..args.len()].copy_from_slice(args);
        is_harmless(&Op { process: 0, call, args: all })
    }

    #[test]
    fn what_reaches_beyond_the_arena_is_harmful() {
        assert!(harmless(Call::Munmap, &[START, PAGE]));
        assert!(!harmless(Call::Munmap, &[START, 1 << 46]));
        assert!(harmless(Call::Munmap, &[START, 1 << 47]));
        assert!(!harmless(Call::Munmap, &[START - PAGE, PAGE]));
        assert!(!harmless(Call::Madvise, &[START, 1 << 62, 4]));
        assert!(harmless(Call::Madvise, &[START, u64::MAX, 4]));
        assert!(!harmless(Call::Store, &[0x5555_5555_0000, 1]));
        assert!(!harmless(Call::Store, &[START + 1, 1]));
        assert!(!harmless(Call::Mremap, &[START, PAGE, PAGE, 3, 0x7000_0000_0000, START]));
        assert!(harmless(Call::Mremap, &[START, PAGE, PAGE, 3, START + PAGE, START]));
        assert!(!harmless(Call::Mmap, &[0x7000_0000_0000, PAGE, 3, 0x32, 9, 0, START]));
        assert!(harmless(Call::Mmap, &[0, PAGE, 3, 0x22, FILES as u64, 0, START]));
        assert!(!harmless(Call::Mmap, &[0, 1 << 40, 3, 0x4022, FILES as u64, 0, START]));
        assert!(!harmless(Call::Brk, &[0x5555_5555_0000]));
        assert!(!harmless(Call::Scan, &[START, u64::MAX]));
        assert!(!harmless(Call::Fork, &[SLOTS as u64]));
        assert!(harmless(Call::VmRead, &[1, START, START + PAGE, PAGE]));
        assert!(!harmless(Call::VmRead, &[1, START, START + PAGE, PAGE + 1]));
        assert!(!harmless(Call::VmWrite, &[1, START, 0x5555_5555_0000, PAGE]));
        assert!(!harmless(Call::VmWrite, &[1, START, START + PAGE + 8, 8]));
        assert!(harmless(Call::Splice, &[START, PAGE, 2]));
        assert!(!harmless(Call::Splice, &[START, PAGE, 0]));
        assert!(!harmless(Call::Splice, &[0x5555_5555_0000, PAGE, 2]));
        assert!(!harmless(Call::PipeRead, &[u64::MAX]));
        assert!(harmless(Call::MemWrite, &[1, START + 1, PAGE, 5]));
        assert!(harmless(Call::MemRead, &[1, u64::MAX - PAGE, PAGE]));
        assert!(!harmless(Call::MemRead, &[1, u64::MAX, PAGE]));
        assert!(!harmless(Call::MemWrite, &[1, 0x5555_5555_0000, 8, 5]));
        assert!(!harmless(Call::MemRead, &[1, START, (LOOK_PAGES + 1) * PAGE]));
        assert!(!harmless(Call::Prctl, &[libc::PR_SET_PDEATHSIG as u64, 9]));
    }
}
