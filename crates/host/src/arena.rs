//! Memory of the host's: one mapping for frames, one for their descriptors.

use crate::config::HostError;
use machine::{PAGE_SIZE, Word};
use std::ptr::NonNull;

/// An anonymous mapping, page-aligned, zero until written; pages of it exist once touched.
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is memory, which is of no thread; `Mapping` hands out atomics and raw pointers only.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// A mapping of `bytes`, rounded up to pages.
    pub(crate) fn new(bytes: u64, what: &'static str) -> Result<Mapping, HostError> {
        let refused = |error: &dyn ToString| HostError::Host { what, error: error.to_string() };
        let len = usize::try_from(bytes.next_multiple_of(PAGE_SIZE)).map_err(|e| refused(&e))?;
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the host's choice touches no memory of anybody.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(HostError::last(what));
        }
        let base = NonNull::new(base.cast::<u8>()).ok_or_else(|| refused(&"address zero"))?;
        let mapping = Mapping { base, len };
        mapping.advise(libc::MADV_DONTFORK);
        Ok(mapping)
    }

    /// Gives the host advice. An answer of no is none.
    fn advise(&self, advice: libc::c_int) {
        // SAFETY: the range is this mapping; none of the advice given here changes a byte of it. (A child of
        // this process, which has no part in the machine, does not get it.)
        unsafe { libc::madvise(self.base.as_ptr().cast(), self.len, advice) };
    }

    /// Tells the host how the mapping will be used. An answer of no is none: it is advice.
    pub(crate) fn advise_huge(&self, huge: bool) {
        self.advise(if huge { libc::MADV_HUGEPAGE } else { libc::MADV_NOHUGEPAGE });
    }

    /// Takes all pages from the host now.
    pub(crate) fn populate(&self, what: &'static str) -> Result<(), HostError> {
        // SAFETY: the range is this mapping; faulting pages in changes no byte of it.
        let done = unsafe { libc::madvise(self.base.as_ptr().cast(), self.len, libc::MADV_POPULATE_WRITE) };
        if done == 0 { Ok(()) } else { Err(HostError::last(what)) }
    }

    /// The mapping as words.
    #[inline]
    pub(crate) fn words(&self) -> &[Word] {
        // SAFETY: 1. the mapping is page-aligned, readable, writable, initialized (zero at first), shorter
        // than `isize::MAX` and lives as long as `self`; 2. `Word` is transparent over `AtomicU64`, any bits
        // are valid, and it may be changed through shared references and raw pointers alike; 3. nobody makes
        // a plain reference into the mapping: `at` gives raw pointers, which only `bytes` (assembly) and
        // atomics use.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().cast::<Word>(), self.len / size_of::<Word>()) }
    }

    /// The first byte of `len` bytes at an offset.
    ///
    /// # Panics
    /// If they are not all inside: a bug of the manager.
    #[inline]
    pub(crate) fn at(&self, offset: u64, len: u64) -> NonNull<u8> {
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.len as u64);
        assert!(inside, "bytes {offset:#x}+{len:#x} are past the end of memory");
        // SAFETY: inside the mapping, as just asserted.
        unsafe { self.base.add(offset as usize) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and all references to it borrow from it.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}
