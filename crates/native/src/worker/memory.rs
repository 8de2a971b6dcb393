//! Memory operations.

use std::sync::atomic::Ordering::Relaxed;

use super::answers::{good, plain};
use super::setup::set_limit;
use super::shared::Shared;
use super::sys::{sys, sys3};
use super::touch;
use super::{copies, mem};
use crate::arena::{END, PAGE, PAGES, START, WORDS};
use crate::call::Call;
use crate::op::{Answer, Op, Status};

const MAYMOVE_FIXED: u64 = 3;
/// A near return.
const RETURN: u64 = 0xc3;

fn signalled((number, code): touch::Signal) -> Answer {
    Answer { status: Status::Signal(number, code), value: 0 }
}

fn fd(shared: &Shared, file: u64) -> u64 {
    shared.fds.get(file as usize).map_or(u64::MAX, |fd| fd.load(Relaxed) as u64)
}

/// Does an operation that is harmless.
pub(super) fn run(shared: &Shared, op: &Op) -> Answer {
    let [a, b, c, d, e, ..] = op.args;
    let number = match op.call {
        Call::Mmap => return mmap(shared, &op.args),
        Call::Mremap => {
            // SAFETY: harmless, as the caller found.
            let made = unsafe { sys(libc::SYS_mremap, [a, b, c, d, e, 0]) };
            return housed(made, c, op.args[5]);
        }
        Call::Mincore => return mincore(a, b, c),
        Call::Prlimit => return plain(set_limit(a, b, c)),
        Call::Ftruncate | Call::Fsync => {
            let number = if op.call == Call::Fsync { libc::SYS_fsync } else { libc::SYS_ftruncate };
            // SAFETY: a file of the program.
            return plain(unsafe { sys3(number, fd(shared, a), b, 0) });
        }
        Call::Load => return touch::load(a).map_or_else(signalled, good),
        Call::Store => return touch::store(a, b).map_or_else(signalled, |()| good(0)),
        Call::Execute => return execute(a),
        Call::VmRead | Call::VmWrite => return copies::vm(shared, op),
        Call::Splice => return copies::splice(shared, a, b, c),
        Call::PipeRead => return copies::read_pipe(shared, a),
        Call::Scan => return scan(a, b),
        Call::MemRead => return mem::read(shared, a, (b, c)),
        Call::MemWrite => return mem::write(shared, a, (b, c), d),
        // The other arguments are 0, as the call asks of them.
        Call::Prctl => libc::SYS_prctl,
        Call::Munmap => libc::SYS_munmap,
        Call::Mprotect => libc::SYS_mprotect,
        Call::Madvise => libc::SYS_madvise,
        Call::Msync => libc::SYS_msync,
        Call::Mlock => libc::SYS_mlock,
        Call::Mlock2 => libc::SYS_mlock2,
        Call::Munlock => libc::SYS_munlock,
        Call::Mlockall => libc::SYS_mlockall,
        Call::Munlockall => libc::SYS_munlockall,
        Call::Brk => libc::SYS_brk,
        // The caller does these itself.
        Call::Fork | Call::Clone | Call::Exit | Call::Wait | Call::Layout => return Answer::SKIPPED,
    };
    // SAFETY: harmless, as the caller found.
    plain(unsafe { sys(number, [a, b, c, d, e, 0]) })
}

fn mmap(shared: &Shared, args: &[u64; 7]) -> Answer {
    let [addr, len, prot, flags, file, offset, land] = *args;
    // SAFETY: harmless, as the caller found.
    let made = unsafe { sys(libc::SYS_mmap, [addr, len, prot, flags, fd(shared, file), offset]) };
    housed(made, len, land)
}

/// A mapping that came to lie outside of the arena is moved into it: the place was the kernel's choice, which
/// is nothing to compare.
fn housed(made: i64, len: u64, land: u64) -> Answer {
    let Ok(at) = u64::try_from(made) else { return plain(made) };
    if (START..END).contains(&at) {
        return good(at);
    }
    let len = len.div_ceil(PAGE) * PAGE;
    // SAFETY: what was just mapped, to a place in the arena.
    let moved = unsafe { sys(libc::SYS_mremap, [at, len, len, MAYMOVE_FIXED, land, 0]) };
    if moved < 0 {
        // SAFETY: what was just mapped.
        unsafe { sys3(libc::SYS_munmap, at, len, 0) };
        return Answer { status: Status::Homeless(-moved as i32), value: 0 };
    }
    good(moved as u64)
}

/// Answers the residency of the pages: a bit each for up to 64, a sum for more.
fn mincore(addr: u64, len: u64, vec: u64) -> Answer {
    let mut bytes = [0u8; PAGES as usize];
    let own = vec == 0;
    let to = if own { bytes.as_mut_ptr() as u64 } else { vec };
    // SAFETY: the vector is long enough for the arena's pages, or lies in the arena.
    let done = unsafe { sys3(libc::SYS_mincore, addr, len, to) };
    if done < 0 || !own {
        return plain(done);
    }
    let asked = &bytes[..(len.div_ceil(PAGE) as usize).min(bytes.len())];
    good(asked.iter().fold(0u64, |sum, byte| sum.rotate_left(1) ^ u64::from(byte & 1)))
}

fn execute(addr: u64) -> Answer {
    match touch::load(addr) {
        Err(signal) => signalled(signal),
        Ok(found) if found & 0xff != RETURN => good(0),
        Ok(_) => touch::call(addr).map_or_else(signalled, |()| good(1)),
    }
}

/// One step of a sum.
fn mix(sum: u64, value: u64) -> u64 {
    (sum.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn scan(addr: u64, pages: u64) -> Answer {
    let mut sum = 0;
    for page in 0..pages {
        for word in WORDS {
            match touch::load(addr + page * PAGE + word * 8) {
                Ok(value) => sum = mix(sum, value),
                Err((number, code)) => {
                    sum = mix(sum, u64::from(number) << 8 | u64::from(code) | 1 << 63);
                    break;
                }
            }
        }
    }
    good(sum)
}
