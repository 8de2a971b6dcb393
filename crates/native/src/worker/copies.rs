//! Bytes that do not go by loads and stores: `process_vm_readv` and kin, and the pipe.

use std::mem::MaybeUninit;
use std::sync::atomic::Ordering::Relaxed;

use super::answers::{good, plain};
use super::shared::Shared;
use super::sys::{exit_now, sys, sys3};
use crate::arena::PAGE;
use crate::call::Call;
use crate::op::{Answer, Op, PIPE_BITS};

/// One step of a sum of bytes.
pub(super) fn mix_byte(sum: u64, byte: u8) -> u64 {
    (sum.rotate_left(5) ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The process of a slot, if it lives.
pub(super) fn pid_of(shared: &Shared, slot: u64) -> Option<i32> {
    let slot = shared.slots.get(slot as usize).filter(|slot| slot.alive.load(Relaxed) != 0)?;
    shared.pids.get(slot.serial.load(Relaxed) as usize).map(|pid| pid.load(Relaxed))
}

/// Copies between this process and that of a slot, if it lives.
pub(super) fn vm(shared: &Shared, op: &Op) -> Answer {
    let [slot, own, other, len, ..] = op.args;
    let Some(pid) = pid_of(shared, slot) else { return Answer::SKIPPED };
    let number =
        if op.call == Call::VmRead { libc::SYS_process_vm_readv } else { libc::SYS_process_vm_writev };
    let (own, other) = ([own, len], [other, len]);
    let args = [pid as u64, own.as_ptr() as u64, 1, other.as_ptr() as u64, 1, 0];
    // SAFETY: both are one `iovec`; harmless, as the caller found.
    plain(unsafe { sys(number, args) })
}

/// Puts pages into the pipe.
pub(super) fn splice(shared: &Shared, addr: u64, len: u64, flags: u64) -> Answer {
    let range = [addr, len];
    let fd = shared.pipe[1].load(Relaxed) as u64;
    // SAFETY: one `iovec`; nothing is stored to.
    plain(unsafe { sys(libc::SYS_vmsplice, [fd, range.as_ptr() as u64, 1, flags, 0, 0]) })
}

/// Reads from the pipe, as far as there is something.
pub(super) fn read_pipe(shared: &Shared, len: u64) -> Answer {
    let mut buffer = MaybeUninit::<[u8; PAGE as usize]>::zeroed();
    // SAFETY: zeros are bytes.
    let buffer = unsafe { buffer.assume_init_mut() };
    let (mut done, mut sum) = (0, 0);
    loop {
        let wanted = (len - done).min(PAGE);
        let fd = shared.pipe[0].load(Relaxed) as u64;
        // SAFETY: the buffer is ours and as long as told.
        let read = unsafe { sys3(libc::SYS_read, fd, buffer.as_mut_ptr() as u64, wanted) };
        match usize::try_from(read) {
            Ok(read) => {
                sum = buffer[..read].iter().fold(sum, |sum, byte| mix_byte(sum, *byte));
                done += read as u64;
            }
            Err(_) if done == 0 => return plain(read),
            Err(_) => break,
        }
        if done == len {
            break;
        }
    }
    good(sum << PIPE_BITS | done)
}

/// Makes the pipe of a program, in its first process. Answers a negative error number if not.
pub(super) fn make_pipe(shared: &Shared) -> i64 {
    let mut ends = [0i32; 2];
    let flags = (libc::O_NONBLOCK | libc::O_CLOEXEC) as u64;
    // SAFETY: the two numbers are ours.
    let made = unsafe { sys3(libc::SYS_pipe2, ends.as_mut_ptr() as u64, flags, 0) };
    for (slot, end) in shared.pipe.iter().zip(ends) {
        slot.store(end, Relaxed);
    }
    made
}

/// Lets every process of the worker look at this one, where a host asks for that (Yama).
pub(super) fn allow_looks() {
    let option = libc::PR_SET_PTRACER as u64;
    // SAFETY: plain numbers. Hosts that do not ask refuse it, which is as good.
    unsafe { sys(libc::SYS_prctl, [option, libc::PR_SET_PTRACER_ANY, 0, 0, 0, 0]) };
}

/// Whether a child may read its parent: 0, or the error number.
pub(super) fn look_error() -> u64 {
    allow_looks();
    let word = 0u64;
    // SAFETY: no arguments.
    let parent = unsafe { sys3(libc::SYS_getpid, 0, 0, 0) };
    // SAFETY: the child copies one word of its parent to itself and ends.
    let child = unsafe { sys3(libc::SYS_fork, 0, 0, 0) };
    if child == 0 {
        let range = [&raw const word as u64, 8];
        let at = range.as_ptr() as u64;
        // SAFETY: the word has the same place in both, and nobody else looks at it.
        let read = unsafe { sys(libc::SYS_process_vm_readv, [parent as u64, at, 1, at, 1, 0]) };
        exit_now(if read == 8 { 0 } else { read.unsigned_abs() });
    }
    let mut status = 0i32;
    // SAFETY: the status is ours.
    let ended = unsafe { sys(libc::SYS_wait4, [child as u64, &raw mut status as u64, 0, 0, 0, 0]) };
    if child > 0 && ended == child { (status >> 8) as u64 & 0xff } else { libc::EAGAIN as u64 }
}
