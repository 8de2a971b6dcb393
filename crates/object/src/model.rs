//! The structures of this floor: files, who maps them, families of address spaces. They name each other, so
//! they are declared together; what is done with them is in the other modules.
//!
//! # Who covers what
//! ```text
//! registry bucket   which files there are, how many users each has
//! page lock         one page: reading it in, removing it, choosing it for writeback
//! Mappers.lock      who maps a file, or belongs to a lineage
//! File.cache        which pages are cached, their marks, the size
//! ```

use crate::radix::Tree;
use core::ops::Range;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use frame::Id;
use machine::lock::{Sleep, Spin};
use machine::{
    Cx, Field, FieldValue, FileKey, Machine, Memory, PAGE_SHIFT, PAGE_SIZE, Vpn, VpnRange, Word, level,
};
use table::PageTable;

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
        /// How many opened it: processes' descriptors, VMAs, operations in flight. Between 0 and 1 it changes
        /// under the bucket's lock only.
        users: Word,
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
        // RELAXED: a report, or a hint.
        self.users.raw().load(Relaxed)
    }

    /// (bucket) One more user, perhaps the first.
    pub(crate) fn add_user<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) {
        // ORDERING: Release pairs with the Acquire in `try_add_user`: what it leads to is complete.
        cx.fetch_add(&self.users, 1, Release);
    }

    /// One more user unless there is none: then the file is cached, gone, or being freed.
    pub(crate) fn try_add_user<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> bool {
        // RELAXED: the compare-exchange decides.
        let mut seen = cx.load(&self.users, Relaxed);
        while seen > 0 {
            // ORDERING: Acquire pairs with the Release in `add_user`.
            match cx.compare_exchange(&self.users, seen, seen + 1, Acquire) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// One user less unless it is the last; answers whether it was not.
    pub(crate) fn try_drop_user<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> bool {
        // RELAXED: the compare-exchange decides.
        let mut seen = cx.load(&self.users, Relaxed);
        debug_assert!(seen > 0, "closed more often than opened");
        while seen > 1 {
            // ORDERING: AcqRel: the last user sees what the others did.
            match cx.compare_exchange(&self.users, seen, seen - 1, AcqRel) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// (bucket) Makes the last user none; refuses if there are others by now.
    pub(crate) fn drop_last_user<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> bool {
        // ORDERING: AcqRel, as in `try_drop_user`.
        cx.compare_exchange(&self.users, 1, 0, AcqRel).is_ok()
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

/// Whether stores through a mapping go to the object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sharing {
    /// They stay with the mapper: pages are copied before they are written.
    Private = 0,
    /// They are seen by everybody who maps the object.
    Shared = 1,
}

impl FieldValue for Sharing {
    fn to_bits(self) -> u64 {
        self as u64
    }
    fn from_bits(bits: u64) -> Self {
        if bits == 0 { Sharing::Private } else { Sharing::Shared }
    }
}

/// What a descriptor's owner field holds for this file's (or lineage's) pages; 0 is nobody: a page that was
/// truncated.
pub fn owner_number<T>(id: Id<T>) -> u32 {
    id.raw() + 1
}

/// The other way round.
pub fn owner_id<T>(number: u32) -> Option<Id<T>> {
    number.checked_sub(1).map(Id::from_raw)
}

/// What pages belong to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// A file (or shared memory): pages `index` of its cache.
    File(Id<File>),
    /// A family of address spaces: anonymous pages by their linear index.
    Lineage(Id<Lineage>),
}

impl FieldValue for Owner {
    fn to_bits(self) -> u64 {
        match self {
            Owner::File(id) => u64::from(id.raw()) << 1,
            Owner::Lineage(id) => u64::from(id.raw()) << 1 | 1,
        }
    }
    fn from_bits(bits: u64) -> Self {
        match bits & 1 {
            0 => Owner::File(Id::from_raw((bits >> 1) as u32)),
            _ => Owner::Lineage(Id::from_raw((bits >> 1) as u32)),
        }
    }
}

/// A part of an address space that maps a part of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// The translations.
    pub table: Id<PageTable>,
    /// Where in the address space.
    pub range: VpnRange,
    /// Page of the object at `range.start`.
    pub first: u64,
    /// Whether stores go to the object.
    pub sharing: Sharing,
}

impl Mapping {
    /// The pages of the address space that map `indices` of the object.
    pub fn part(&self, indices: &Range<u64>) -> VpnRange {
        let end = self.first.saturating_add(self.range.pages());
        let from = indices.start.clamp(self.first, end);
        let to = indices.end.clamp(from, end);
        VpnRange::sized(self.range.start + (from - self.first), to - from)
    }

    /// The page of the object at a page of the address space.
    pub fn index_of(&self, page: Vpn) -> u64 {
        self.first + (page - self.range.start)
    }

    /// Where a page of the object is mapped.
    pub fn page_of(&self, index: u64) -> Option<Vpn> {
        let pages = index.checked_sub(self.first)?;
        (pages < self.range.pages()).then(|| self.range.start + pages)
    }
}

machine::cells! {
    /// The list of an object's attachments.
    pub struct Mappers {
        /// Covers the list and the places of its members.
        pub(crate) lock: Sleep<{ level::RMAP }>,
        /// (lock)
        pub(crate) first: Field<Option<Id<Attachment>>>,
        /// (lock)
        pub(crate) last: Field<Option<Id<Attachment>>>,
        /// (lock) How many.
        pub(crate) count: Field<u64>,
        /// (lock) Lineages: how many items of merged pages name it. It is not freed before they are gone.
        pub(crate) kept: Field<u64>,
    }
}

machine::cells! {
    /// One mapping of an object. All fields: (lock of the owner's list).
    pub struct Attachment {
        pub(crate) owner: Field<Owner>,
        pub(crate) table: Field<Option<Id<PageTable>>>,
        pub(crate) start: Field<Vpn>,
        pub(crate) end: Field<Vpn>,
        pub(crate) first: Field<u64>,
        pub(crate) sharing: Field<Sharing>,
        pub(crate) next: Field<Option<Id<Attachment>>>,
        pub(crate) before: Field<Option<Id<Attachment>>>,
    }
}

impl Attachment {
    /// What it maps; `None` while it is in no list.
    pub fn mapping(&self) -> Option<Mapping> {
        Some(Mapping {
            table: self.table.get()?,
            range: VpnRange::new(self.start.get(), self.end.get()),
            first: self.first.get(),
            sharing: self.sharing.get(),
        })
    }

    /// Whose pages it maps.
    pub fn owner(&self) -> Owner {
        self.owner.get()
    }

    /// (lock of the owner's list)
    pub(crate) fn place(&self, range: VpnRange, first: u64) {
        self.start.set(range.start);
        self.end.set(range.end);
        self.first.set(first);
    }
}

impl Mappers {
    /// How many items of merged pages name the lineage.
    pub fn kept(&self) -> u64 {
        self.kept.get()
    }

    /// How many attachments there are.
    pub fn count(&self) -> u64 {
        self.count.get()
    }

    /// The first attachment. (lock)
    pub(crate) fn first(&self) -> Option<Id<Attachment>> {
        self.first.get()
    }
}

machine::cells! {
    /// A family of address spaces.
    pub struct Lineage {
        /// One for members and merged pages that name it, all together, and one for each reverse walk while
        /// it lasts. 0: nobody's.
        pub(crate) holds: Word,
        /// Its members (whole address spaces, index = page number) and, in between, ranges that were moved.
        pub(crate) mappers: Mappers,
    }
}

impl Lineage {
    /// Its members and moved ranges.
    pub fn mappers(&self) -> &Mappers {
        &self.mappers
    }

    /// How many hold it, on a quiet machine: none if it is nobody's.
    pub fn quiet_holds(&self) -> u64 {
        // RELAXED: the machine is quiet.
        self.holds.raw().load(core::sync::atomic::Ordering::Relaxed)
    }
}

/// How many buckets the registry has.
pub(crate) const BUCKETS: usize = 256;

machine::cells! {
    /// Some of the files.
    pub(crate) struct Bucket {
        /// Covers the chain, and whether its files have users.
        pub(crate) lock: Spin<{ level::REGISTRY }>,
        /// (lock)
        pub(crate) first: Field<Option<Id<File>>>,
    }
}

impl Bucket {
    pub(crate) fn is_locked(&self) -> bool {
        self.lock.is_held()
    }
}
