//! The memory of a process as a file: `/proc/PID/mem`.

use std::mem::MaybeUninit;

use super::answers::{good, plain};
use super::copies::{mix_byte, pid_of};
use super::shared::{Shared, map_memory};
use super::sys::{sys, sys3};
use crate::arena::PAGE;
use crate::op::{Answer, PIPE_BITS};

/// The longest path: `/proc/2147483647/mem` and a zero.
const PATH: usize = 24;

/// The path of a process's memory, with a zero at its end.
fn path(pid: i32) -> [u8; PATH] {
    let mut path = [0; PATH];
    let (mut digits, mut left, mut count) = ([0; 10], pid.unsigned_abs(), 0);
    while left > 0 || count == 0 {
        digits[count] = b'0' + (left % 10) as u8;
        (left, count) = (left / 10, count + 1);
    }
    let digits = digits[..count].iter().rev().copied();
    let bytes = b"/proc/".iter().copied().chain(digits).chain(b"/mem".iter().copied());
    path.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
    path
}

/// Opens the memory of a process; a negative error number if it may not.
fn open(pid: i32) -> i64 {
    let (path, flags) = (path(pid), (libc::O_RDWR | libc::O_CLOEXEC) as u64);
    // SAFETY: the path ends in a zero byte.
    unsafe { sys3(libc::SYS_open, path.as_ptr() as u64, flags, 0) }
}

/// Goes through a range in steps of at most a page, until one falls short.
fn each(
    shared: &Shared,
    slot: u64,
    (addr, len): (u64, u64),
    mut step: impl FnMut(u64, u64, u64) -> i64,
) -> Result<u64, Answer> {
    let pid = pid_of(shared, slot).ok_or(Answer::SKIPPED)?;
    let opened = open(pid);
    let fd = u64::try_from(opened).map_err(|_| plain(opened))?;
    let mut done = 0;
    let result = loop {
        let wanted = (len - done).min(PAGE);
        let moved = step(fd, addr + done, wanted);
        match u64::try_from(moved) {
            Err(_) if done == 0 => break Err(plain(moved)),
            Err(_) => break Ok(done),
            Ok(moved) => done += moved,
        }
        if done == len || (moved as u64) < wanted {
            break Ok(done);
        }
    };
    // SAFETY: the descriptor is ours.
    unsafe { sys3(libc::SYS_close, fd, 0, 0) };
    result
}

/// Reads bytes of the process of a slot.
pub(super) fn read(shared: &Shared, slot: u64, range: (u64, u64)) -> Answer {
    let mut buffer = MaybeUninit::<[u8; PAGE as usize]>::zeroed();
    // SAFETY: zeros are bytes.
    let buffer = unsafe { buffer.assume_init_mut() };
    let mut sum = 0;
    let done = each(shared, slot, range, |fd, at, wanted| {
        // SAFETY: the buffer is ours and as long as told.
        let read = unsafe { sys(libc::SYS_pread64, [fd, buffer.as_mut_ptr() as u64, wanted, at, 0, 0]) };
        let found = usize::try_from(read).unwrap_or(0);
        sum = buffer[..found].iter().fold(sum, |sum, byte| mix_byte(sum, *byte));
        read
    });
    done.map_or_else(|answer| answer, |done| good(sum << PIPE_BITS | done))
}

/// Writes a word over and over to the process of a slot.
pub(super) fn write(shared: &Shared, slot: u64, range: (u64, u64), word: u64) -> Answer {
    let buffer = [word; (PAGE / 8) as usize];
    let done = each(shared, slot, range, |fd, at, wanted| {
        // SAFETY: the caller found the range harmless; the buffer is ours and as long as told.
        unsafe { sys(libc::SYS_pwrite64, [fd, buffer.as_ptr() as u64, wanted, at, 0, 0]) }
    });
    done.map_or_else(|answer| answer, good)
}

/// Whether a process may write to its own read-only memory this way: 0, or the error number.
pub(super) fn force_error() -> u64 {
    let Ok(at) = map_memory(PAGE as usize, libc::MAP_PRIVATE) else { return libc::ENOMEM as u64 };
    // SAFETY: no arguments; then the page that was just mapped, which nothing else is in.
    let written = unsafe {
        sys3(libc::SYS_mprotect, at, PAGE, libc::PROT_READ as u64);
        let fd = open(sys3(libc::SYS_getpid, 0, 0, 0) as i32);
        let word = 1u64;
        let written = sys(libc::SYS_pwrite64, [fd as u64, &raw const word as u64, 8, at, 0, 0]);
        sys3(libc::SYS_close, fd as u64, 0, 0);
        sys3(libc::SYS_munmap, at, PAGE, 0);
        if fd < 0 { fd } else { written }
    };
    if written == 8 { 0 } else { written.unsigned_abs().max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_end_in_a_zero() {
        assert_eq!(&path(0)[..12], b"/proc/0/mem\0");
        assert_eq!(&path(1203)[..15], b"/proc/1203/mem\0");
        assert_eq!(&path(i32::MAX)[..21], b"/proc/2147483647/mem\0");
    }
}
