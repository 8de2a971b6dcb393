//! System calls without the C library in between: it would keep `errno` in memory that processes share, and
//! change what `fork` and `brk` do.

use std::arch::asm;

/// Makes a system call; answers its register: a negative error number, or a result.
///
/// # Safety
///
/// The call must be one that leaves the memory of the worker alone: its pointers point to memory of its own,
/// and ranges it changes lie in the arena.
pub(crate) unsafe fn sys(number: libc::c_long, args: [u64; 6]) -> i64 {
    let result: i64;
    // SAFETY: the instruction clobbers what is named; what the kernel does is the caller's business.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// A call with up to three plain arguments.
///
/// # Safety
///
/// As [`sys`].
pub(crate) unsafe fn sys3(number: libc::c_long, a: u64, b: u64, c: u64) -> i64 {
    // SAFETY: the caller's business.
    unsafe { sys(number, [a, b, c, 0, 0, 0]) }
}

/// Ends the process at once.
pub(crate) fn exit_now(status: u64) -> ! {
    loop {
        // SAFETY: it has no pointers and does not come back.
        unsafe { sys3(libc::SYS_exit_group, status, 0, 0) };
    }
}

/// Reads until the buffer is full; `false` at the end of the input.
pub(super) fn read_all(fd: i32, mut to: &mut [u8]) -> bool {
    while !to.is_empty() {
        // SAFETY: the buffer is ours and as long as told.
        let n = unsafe { sys3(libc::SYS_read, fd as u64, to.as_mut_ptr() as u64, to.len() as u64) };
        match usize::try_from(n) {
            Ok(0) => return false,
            Ok(n) => to = &mut to[n..],
            Err(_) if n == -i64::from(libc::EINTR) => {}
            Err(_) => return false,
        }
    }
    true
}

/// Writes all of it; `false` if nobody reads any more.
pub(super) fn write_all(fd: i32, mut from: &[u8]) -> bool {
    while !from.is_empty() {
        // SAFETY: the buffer is ours and as long as told.
        let n = unsafe { sys3(libc::SYS_write, fd as u64, from.as_ptr() as u64, from.len() as u64) };
        match usize::try_from(n) {
            Ok(n) => from = &from[n..],
            Err(_) if n == -i64::from(libc::EINTR) => {}
            Err(_) => return false,
        }
    }
    true
}
