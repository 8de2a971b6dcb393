//! Files: what pages are cached for.
//!
//! # Who covers what
//! ```text
//! registry bucket   which files there are, how many users each has
//! page lock         one page: reading it in, removing it, choosing it for writeback
//! mappers.lock      who maps the file
//! cache             which pages are cached, their marks, the size
//! ```

use crate::attach::Mappers;
use crate::radix::Tree;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use frame::Id;
use machine::lock::Spin;
use machine::{Cx, Field, FieldValue, FileKey, Machine, Memory, PAGE_SHIFT, PAGE_SIZE, Word, level};

/// The largest size of a file: what 36 bits of page index reach.
pub const SIZE_MAX: u64 = crate::radix::INDEX_END << PAGE_SHIFT;

/// Where a file's bytes are when they are not cached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileKind {
    /// In the machine's [`machine::Backing`].
    Regular = 0,
    /// Nowhere: shared memory. Pages are born as zeros and live as long as the file (Linux: shmem).
    Memory = 1,
}

impl FieldValue for FileKind {
    fn to_bits(self) -> u64 {
        self as u64
    }
    fn from_bits(bits: u64) -> Self {
        if bits == 0 { FileKind::Regular } else { FileKind::Memory }
    }
}

/// Whether a file can be found by its key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Name {
    /// Only who holds it knows it.
    None = 0,
    /// Opening its key finds it.
    Key = 1,
}

impl FieldValue for Name {
    fn to_bits(self) -> u64 {
        self as u64
    }
    fn from_bits(bits: u64) -> Self {
        if bits == 0 { Name::None } else { Name::Key }
    }
}

machine::cells! {
    /// A file (Linux: `address_space` with the parts of `inode` that memory management needs).
    pub struct File {
        /// (constant) Its name in the backing.
        pub(crate) key: Field<FileKey>,
        /// (constant)
        pub(crate) kind: Field<FileKind>,
        /// (bucket)
        pub(crate) name: Field<Name>,
        /// (bucket) How many opened it: processes' descriptors, VMAs, operations in flight.
        pub(crate) users: Field<u64>,
        /// (bucket) The next file of the bucket.
        pub(crate) next: Field<Option<Id<File>>>,
        /// (cache for writing) In bytes.
        pub(crate) size: Word,
        /// Covers the cached pages.
        pub(crate) cache: Spin<{ level::CACHE }>,
        /// (cache for writing) The cached pages.
        pub(crate) tree: Tree,
        /// (cache) How many pages are cached.
        pub(crate) pages: Field<u64>,
        /// (cache) How many of them are dirty.
        pub(crate) dirty: Field<u64>,
        /// Non-zero once a write to the backing failed, until somebody was told (Linux: `AS_EIO`).
        failed: Word,
        /// Who maps it.
        pub(crate) mappers: Mappers,
    }
}

impl File {
    /// Its name in the backing. Nothing else may be concluded from the key of shared memory.
    pub fn key(&self) -> FileKey {
        self.key.get()
    }

    /// Where its bytes are.
    pub fn kind(&self) -> FileKind {
        self.kind.get()
    }

    /// Its size in bytes.
    pub fn size<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> u64 {
        // ORDERING: Acquire pairs with the Release in `set_size`.
        cx.load(&self.size, Acquire)
    }

    /// One past its last page.
    pub fn end<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> u64 {
        self.size(cx).div_ceil(PAGE_SIZE)
    }

    /// (cache)
    pub(crate) fn set_size<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, size: u64) {
        debug_assert!(size <= SIZE_MAX);
        // ORDERING: Release pairs with the Acquire in `size`.
        cx.store(&self.size, size, Release);
    }

    /// How many pages are cached, at some moment.
    pub fn cached_pages(&self) -> u64 {
        self.pages.get()
    }

    /// How many cached pages are dirty, at some moment.
    pub fn dirty_pages(&self) -> u64 {
        self.dirty.get()
    }

    /// How many users it has, at some moment.
    pub fn users(&self) -> u64 {
        self.users.get()
    }

    /// Who maps it.
    pub fn mappers(&self) -> &Mappers {
        &self.mappers
    }

    /// Notes that a write to the backing failed.
    pub(crate) fn set_failed<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) {
        // ORDERING: Release pairs with the AcqRel in `take_failed`.
        cx.store(&self.failed, 1, Release);
    }

    /// Whether a write to the backing failed since somebody asked last.
    pub(crate) fn take_failed<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> bool {
        // RELAXED: the usual answer, without a write.
        cx.load(&self.failed, Relaxed) != 0 && cx.swap(&self.failed, 0, AcqRel) != 0
    }
}
