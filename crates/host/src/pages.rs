//! What is done to the bytes of frames.

use crate::bytes::{self, PAGE};
use crate::config::Contents;
use crate::host_machine::HostMachine;
use machine::{Corrupt, PAGE_SIZE, PageOp, Pfn};
use std::cmp;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use xxhash_rust::xxh3::xxh3_64;

/// What lz4 may make of a page that it cannot make smaller.
const COMPRESSED_MAX: usize = lz4_flex::block::get_maximum_output_size(PAGE);

impl HostMachine {
    /// The bytes of a user frame; `None` if frames have none.
    #[inline]
    pub(crate) fn bytes_of(&self, frame: Pfn) -> Option<NonNull<u8>> {
        (self.contents == Contents::Real).then(|| self.frames.at(u64::from(frame.0) * PAGE_SIZE, PAGE_SIZE))
    }

    pub(crate) fn zero(&self, first: Pfn, frames: u64) {
        let len = frames * PAGE_SIZE;
        let to = self.frames.at(u64::from(first.0) * PAGE_SIZE, len);
        // SAFETY: `at` found the bytes inside the mapping, which is reached as atomics and raw pointers only.
        unsafe { bytes::zero(to, len as usize) };
    }

    pub(crate) fn operate(&self, op: PageOp) {
        if self.contents == Contents::None {
            return;
        }
        match op {
            PageOp::Zero { to, order } => self.zero(to.0, order.frames()),
            PageOp::Copy { to, from, order } => {
                let len = order.frames() * PAGE_SIZE;
                let to = self.frames.at(u64::from(to.0.0) * PAGE_SIZE, len);
                let from = self.frames.at(u64::from(from.0.0) * PAGE_SIZE, len);
                // SAFETY: `at` found both inside the mapping, which is reached as atomics and raw pointers
                // only. If a wrong manager lets them overlap, bytes are wrong, and nothing else.
                unsafe { bytes::copy(to.as_ptr(), from.as_ptr(), len as usize) };
            }
            PageOp::Discard { .. } => {}
        }
    }

    /// # Panics
    /// If the bytes are not all of one page.
    fn part(&self, frame: Pfn, offset: u64, len: usize) -> Option<NonNull<u8>> {
        assert!(offset + len as u64 <= PAGE_SIZE, "bytes {offset}+{len} are not in one page");
        let real = self.contents == Contents::Real;
        real.then(|| self.frames.at(u64::from(frame.0) * PAGE_SIZE + offset, len as u64))
    }

    pub(crate) fn read(&self, frame: Pfn, offset: u64, into: &mut [u8]) {
        let Some(from) = self.part(frame, offset, into.len()) else { return into.fill(0) };
        if into.len() == 8 && offset.is_multiple_of(8) {
            // SAFETY: inside the mapping, aligned, and reached as atomics or by assembly only.
            let word = unsafe { AtomicU64::from_ptr(from.as_ptr().cast()) };
            // RELAXED: bytes of programs; the manager orders what it knows of them.
            return into.copy_from_slice(&word.load(Relaxed).to_ne_bytes());
        }
        // SAFETY: one side is inside the mapping, the other the caller's own.
        unsafe { bytes::copy(into.as_mut_ptr(), from.as_ptr(), into.len()) };
    }

    pub(crate) fn write(&self, frame: Pfn, offset: u64, from: &[u8]) {
        let Some(to) = self.part(frame, offset, from.len()) else { return };
        if let (Ok(bytes), true) = (<[u8; 8]>::try_from(from), offset.is_multiple_of(8)) {
            // SAFETY: inside the mapping, aligned, and reached as atomics or by assembly only.
            let word = unsafe { AtomicU64::from_ptr(to.as_ptr().cast()) };
            // RELAXED: as above.
            return word.store(u64::from_ne_bytes(bytes), Relaxed);
        }
        // SAFETY: one side is inside the mapping, the other the caller's own.
        unsafe { bytes::copy(to.as_ptr(), from.as_ptr(), from.len()) };
    }

    pub(crate) fn same(&self, a: Pfn, b: Pfn) -> bool {
        let (Some(a), Some(b)) = (self.bytes_of(a), self.bytes_of(b)) else { return true };
        // SAFETY: both are pages of the mapping.
        unsafe { bytes::first_difference(a, b, 0) == PAGE }
    }

    pub(crate) fn compare(&self, a: Pfn, b: Pfn) -> cmp::Ordering {
        let (Some(a), Some(b)) = (self.bytes_of(a), self.bytes_of(b)) else { return cmp::Ordering::Equal };
        // SAFETY: both are pages of the mapping.
        unsafe { bytes::compare(a, b) }
    }

    pub(crate) fn holds_zero(&self, frame: Pfn) -> bool {
        // SAFETY: a page of the mapping.
        self.bytes_of(frame).is_none_or(|page| unsafe { bytes::is_zero(page) })
    }

    /// A copy of a page's bytes.
    pub(crate) fn page(&self, frame: Pfn) -> [u8; PAGE] {
        // SAFETY: a page of the mapping.
        self.bytes_of(frame).map_or([0; PAGE], |page| unsafe { bytes::page(page) })
    }

    pub(crate) fn hash(&self, frame: Pfn) -> u64 {
        xxh3_64(&self.page(frame))
    }

    pub(crate) fn pack(&self, from: Pfn, into: &mut [u8]) -> Option<usize> {
        let bytes = self.page(from);
        // The library wants room for the worst case before it begins.
        let mut room = [0; COMPRESSED_MAX];
        let len = lz4_flex::block::compress_into(&bytes, &mut room).ok()?;
        into.get_mut(..len)?.copy_from_slice(&room[..len]);
        Some(len)
    }

    pub(crate) fn unpack(&self, from: &[u8], to: Pfn) -> Result<(), Corrupt> {
        let mut bytes = [0; PAGE];
        let len = lz4_flex::block::decompress_into(from, &mut bytes).map_err(|_| Corrupt)?;
        if len != PAGE {
            return Err(Corrupt);
        }
        self.write(to, 0, &bytes);
        Ok(())
    }
}
