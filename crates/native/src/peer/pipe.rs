//! Pages that are held by a pipe: how user space makes Linux take references to pages, and nothing else.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::{Area, answered};
use crate::worker::sys::{sys, sys3};

/// Bytes of a page.
const PAGE: usize = 4096;

/// A pipe, and where what is in it goes to.
#[derive(Debug)]
pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    nowhere: File,
}

impl Pipe {
    /// A pipe with room for so many pages.
    ///
    /// # Errors
    ///
    /// Linux's: `EPERM` if that is more than `/proc/sys/fs/pipe-max-size`.
    pub fn new(pages: usize) -> io::Result<Pipe> {
        let nowhere = OpenOptions::new().write(true).open("/dev/null")?;
        let mut ends = [0i32; 2];
        // SAFETY: writes two descriptors into `ends`.
        answered(unsafe { sys3(libc::SYS_pipe2, ends.as_mut_ptr() as u64, libc::O_CLOEXEC as u64, 0) })?;
        // SAFETY: both are new, and nobody else's.
        let (read, write) = unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
        let (fd, size) = (write.as_raw_fd() as u64, (pages * PAGE) as u64);
        // SAFETY: no pointers.
        answered(unsafe { sys3(libc::SYS_fcntl, fd, libc::F_SETPIPE_SZ as u64, size) })?;
        Ok(Pipe { read, write, nowhere })
    }

    /// Puts pages of an area into the pipe, without a copy: a reference to each (`vmsplice`). The pipe has
    /// room for them.
    ///
    /// # Errors
    ///
    /// `EINVAL`: no such pages. Linux's. `WriteZero` if the pipe took fewer.
    pub fn take(&self, area: &Area, first: usize, pages: usize) -> io::Result<()> {
        if first.checked_add(pages).is_none_or(|end| end > area.pages()) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let base = (area.start() + first * PAGE) as *mut _;
        let range = libc::iovec { iov_base: base, iov_len: pages * PAGE };
        let args = [self.write.as_raw_fd() as u64, &raw const range as u64, 1, 0, 0, 0];
        // SAFETY: Linux keeps references to pages of the area, and reads them at most.
        all(answered(unsafe { sys(libc::SYS_vmsplice, args) })?, pages)
    }

    /// Throws so many pages of the pipe away (`splice` to `/dev/null`): the references go.
    ///
    /// # Errors
    ///
    /// Linux's. `WriteZero` if there were fewer.
    pub fn give_back(&self, pages: usize) -> io::Result<()> {
        let (from, to) = (self.read.as_raw_fd() as u64, self.nowhere.as_raw_fd() as u64);
        let args = [from, 0, to, 0, (pages * PAGE) as u64, 0];
        // SAFETY: no pointers.
        all(answered(unsafe { sys(libc::SYS_splice, args) })?, pages)
    }
}

/// Whether all pages went.
fn all(bytes: u64, pages: usize) -> io::Result<()> {
    if bytes == (pages * PAGE) as u64 { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::PagesOf;

    #[test]
    fn pages_are_taken_and_given_back() {
        let area = Area::map(32 * PAGE, PagesOf::FourKib).expect("mapped");
        area.populate().expect("populated");
        let pipe = Pipe::new(16).expect("a pipe");
        for first in [0, 16] {
            pipe.take(&area, first, 16).expect("taken");
            pipe.give_back(16).expect("given back");
        }
        assert!(pipe.take(&area, 17, 16).is_err());
    }
}
