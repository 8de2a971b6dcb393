//! The files of a program.

use std::ffi::CString;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use super::shared::Shared;
use super::sys::{sys, sys3, write_all};
use crate::arena::PAGE;

/// Bytes of the memory file at the start.
pub(super) const MEMORY_BYTES: u64 = 8 * PAGE;
/// Bytes of the sealed file.
pub(super) const SEALED_BYTES: u64 = 4 * PAGE;

/// Names by which layouts tell the memory files apart.
pub(super) const MEMORY_NAME: &[u8] = b"freehold-memory";
pub(super) const SEALED_NAME: &[u8] = b"freehold-sealed";

/// An open descriptor or a negative error number.
fn open(path: &CString, flags: i32) -> i64 {
    // SAFETY: the path ends in a zero byte.
    unsafe { sys3(libc::SYS_open, path.as_ptr() as u64, flags as u64, 0o600) }
}

/// The three descriptors of a file on a disk that has no name any more: for both, for reading, for writing.
pub(super) fn open_disk(directory: &Path) -> Result<[i32; 3], String> {
    let name = directory.join(format!("freehold-diff-{}", std::process::id()));
    let path = CString::new(name.as_os_str().as_encoded_bytes()).map_err(|error| error.to_string())?;
    let flags = [libc::O_RDWR | libc::O_CREAT | libc::O_EXCL, libc::O_RDONLY, libc::O_WRONLY];
    let mut fds = [-1; 3];
    for (fd, flags) in fds.iter_mut().zip(flags) {
        let opened = open(&path, flags);
        *fd = i32::try_from(opened)
            .ok()
            .filter(|&fd| fd >= 0)
            .ok_or_else(|| format!("{}: error {}", name.display(), -opened))?;
    }
    std::fs::remove_file(&name).map_err(|error| format!("{}: {error}", name.display()))?;
    Ok(fds)
}

/// The disk's file as programs find it.
pub(super) fn rewrite_disk(shared: &Shared, contents: &[u8]) -> bool {
    let fd = shared.fds[2].load(Relaxed);
    // SAFETY: a file of our own.
    let cut = unsafe { sys3(libc::SYS_ftruncate, fd as u64, 0, 0) };
    // SAFETY: the same.
    let start = unsafe { sys3(libc::SYS_lseek, fd as u64, 0, 0) };
    cut == 0 && start == 0 && write_all(fd, contents)
}

/// A new memory file, by a name that ends in a zero byte.
fn memory(name: &[u8], bytes: u64) -> i64 {
    let flags = u64::from(libc::MFD_ALLOW_SEALING | libc::MFD_CLOEXEC);
    // SAFETY: the name ends in a zero byte.
    let fd = unsafe { sys3(libc::SYS_memfd_create, name.as_ptr() as u64, flags, 0) };
    if fd >= 0 {
        // SAFETY: a file of our own.
        unsafe { sys3(libc::SYS_ftruncate, fd as u64, bytes, 0) };
    }
    fd
}

/// The path of a descriptor, as a string with a zero byte, without allocating.
fn path_of(fd: i64) -> [u8; 32] {
    let mut path = *b"/proc/self/fd/\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let mut digits = [0; 10];
    let mut left = fd;
    let mut n = 0;
    while n == 0 || left > 0 {
        digits[n] = b'0' + (left % 10) as u8;
        left /= 10;
        n += 1;
    }
    for (to, digit) in path[14..].iter_mut().zip(digits[..n].iter().rev()) {
        *to = *digit;
    }
    path
}

/// Makes the memory files of a program, in its first process. Answers a negative error number if not.
pub(super) fn make_memory(shared: &Shared) -> i64 {
    let mut name = [0; 16];
    name[..MEMORY_NAME.len()].copy_from_slice(MEMORY_NAME);
    let both = memory(&name, MEMORY_BYTES);
    if both < 0 {
        return both;
    }
    let path = path_of(both);
    // SAFETY: the path ends in a zero byte.
    let reading = unsafe { sys3(libc::SYS_open, path.as_ptr() as u64, libc::O_RDONLY as u64, 0) };
    name[..SEALED_NAME.len()].copy_from_slice(SEALED_NAME);
    let sealed = memory(&name, SEALED_BYTES);
    if reading < 0 || sealed < 0 {
        return reading.min(sealed);
    }
    let seals = (libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW) as u64;
    let command = libc::F_ADD_SEALS as u64;
    // SAFETY: a file of our own.
    let done = unsafe { sys(libc::SYS_fcntl, [sealed as u64, command, seals, 0, 0, 0]) };
    shared.fds[0].store(both as i32, Relaxed);
    shared.fds[1].store(reading as i32, Relaxed);
    shared.fds[5].store(sealed as i32, Relaxed);
    done
}
