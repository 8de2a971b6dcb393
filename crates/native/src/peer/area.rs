//! Anonymous private memory.

use std::io;

use super::answered;
use crate::worker::sys::{sys, sys3};

/// Bytes of a large page.
const HUGE: usize = 2 << 20;
/// Bytes of a page.
const PAGE: usize = 4096;

/// Which pages an area is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PagesOf {
    /// 4 KiB only (`MADV_NOHUGEPAGE`).
    FourKib,
    /// 2 MiB where Linux has them (`MADV_HUGEPAGE`).
    TwoMib,
}

/// What programs may do with an area.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protection {
    /// `PROT_READ`.
    Read,
    /// `PROT_READ | PROT_WRITE`.
    ReadWrite,
}

/// A mapping of its own; if it is as long as a large page, at a multiple of one.
#[derive(Debug)]
pub struct Area {
    start: usize,
    len: usize,
}

/// `munmap`.
///
/// # Safety
///
/// The range is mapped for its caller alone, and nobody looks at it any more.
unsafe fn unmap(start: usize, len: usize) -> io::Result<()> {
    // SAFETY: the caller's promise.
    answered(unsafe { sys3(libc::SYS_munmap, start as u64, len as u64, 0) }).map(drop)
}

/// `mmap`, where Linux finds room.
fn map(len: usize) -> io::Result<usize> {
    let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let args = [0, len as u64, prot as u64, flags as u64, u64::MAX, 0];
    // SAFETY: a new mapping where Linux finds room is nobody else's.
    answered(unsafe { sys(libc::SYS_mmap, args) }).map(|start| start as usize)
}

impl Area {
    /// Maps so many bytes, a multiple of a page's. Nothing is touched yet. An area that is shorter than a
    /// large page is one `mmap`, and has no large page whatever is asked for.
    ///
    /// # Errors
    ///
    /// Linux's.
    pub fn map(len: usize, pages: PagesOf) -> io::Result<Area> {
        if len < HUGE {
            return Ok(Area { start: map(len)?, len });
        }
        let room_start = map(len.checked_add(HUGE).ok_or(io::ErrorKind::InvalidInput)?)?;
        let start = room_start.next_multiple_of(HUGE);
        let area = Area { start, len };
        let before = start - room_start;
        let after = HUGE - before;
        // SAFETY: both are of the new mapping, and not of the area.
        unsafe {
            if before > 0 {
                unmap(room_start, before)?;
            }
            if after > 0 {
                unmap(start + len, after)?;
            }
        }
        area.advise(match pages {
            PagesOf::FourKib => libc::MADV_NOHUGEPAGE,
            PagesOf::TwoMib => libc::MADV_HUGEPAGE,
        })?;
        Ok(area)
    }

    /// How many pages of 4 KiB it has.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.len / PAGE
    }

    /// Its first address.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Brings all pages in, writable (`MADV_POPULATE_WRITE`).
    ///
    /// # Errors
    ///
    /// Linux's.
    pub fn populate(&self) -> io::Result<()> {
        self.advise(libc::MADV_POPULATE_WRITE)
    }

    /// Gives all pages up (`MADV_DONTNEED`).
    ///
    /// # Errors
    ///
    /// Linux's.
    pub fn give_up(&self) -> io::Result<()> {
        self.advise(libc::MADV_DONTNEED)
    }

    /// Puts all pages out (`MADV_PAGEOUT`).
    ///
    /// # Errors
    ///
    /// Linux's.
    pub fn page_out(&self) -> io::Result<()> {
        self.advise(libc::MADV_PAGEOUT)
    }

    /// Lets the scanner merge equal pages (`MADV_MERGEABLE`).
    ///
    /// # Errors
    ///
    /// Linux's: `EINVAL` if it was built without.
    pub fn merge(&self) -> io::Result<()> {
        self.advise(libc::MADV_MERGEABLE)
    }

    fn advise(&self, advice: libc::c_int) -> io::Result<()> {
        // SAFETY: the range is the area's own, and no reference to its bytes lives.
        let done = unsafe { sys3(libc::SYS_madvise, self.start as u64, self.len as u64, advice as u64) };
        answered(done).map(drop)
    }

    /// Changes what may be done with all of it.
    ///
    /// # Errors
    ///
    /// Linux's.
    pub fn protect(&self, protection: Protection) -> io::Result<()> {
        let prot = match protection {
            Protection::Read => libc::PROT_READ,
            Protection::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
        };
        // SAFETY: as in `advise`. Stores go through `write`, which asks Linux.
        let done = unsafe { sys3(libc::SYS_mprotect, self.start as u64, self.len as u64, prot as u64) };
        answered(done).map(drop)
    }

    /// Writes the bytes of a page, through `process_vm_writev`: a page that cannot be written is an error.
    ///
    /// # Errors
    ///
    /// `EINVAL`: no such page, or other than its bytes. Linux's.
    pub fn write(&mut self, page: usize, bytes: &[u8; PAGE]) -> io::Result<()> {
        if page >= self.pages() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let from = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: PAGE };
        let to = libc::iovec { iov_base: (self.start + page * PAGE) as *mut _, iov_len: PAGE };
        let (from, to) = (&raw const from as u64, &raw const to as u64);
        let args = [u64::from(std::process::id()), from, 1, to, 1, 0];
        // SAFETY: reads `bytes`, writes a page of the area, to which no reference lives.
        match answered(unsafe { sys(libc::SYS_process_vm_writev, args) })? {
            done if done == PAGE as u64 => Ok(()),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }

    /// Unmaps it.
    ///
    /// # Errors
    ///
    /// Linux's.
    pub fn unmap(self) -> io::Result<()> {
        let area = std::mem::ManuallyDrop::new(self);
        // SAFETY: the area's own, and nobody has it any more.
        unsafe { unmap(area.start, area.len) }
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        // SAFETY: as in `unmap`. It fails only where it would need memory to split a mapping: never here.
        let _ = unsafe { unmap(self.start, self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_is_populated_protected_given_up_and_unmapped() {
        let large = Area::map(2 * HUGE, PagesOf::TwoMib).expect("mapped");
        assert_eq!(large.start % HUGE, 0);
        large.populate().expect("populated");
        let mut area = Area::map(16 * PAGE, PagesOf::FourKib).expect("mapped");
        assert_eq!(area.pages(), 16);
        area.populate().expect("populated");
        area.write(15, &[7; PAGE]).expect("written");
        assert!(area.write(16, &[7; PAGE]).is_err());
        area.protect(Protection::Read).expect("read-only");
        assert!(area.write(15, &[7; PAGE]).is_err());
        area.protect(Protection::ReadWrite).expect("writable");
        area.write(0, &[7; PAGE]).expect("written");
        area.give_up().expect("given up");
        area.unmap().expect("unmapped");
    }
}
