//! Which files there are: opening, closing, forgetting.
//!
//! A file that nobody has open keeps its clean pages: the next program that opens it finds them (Linux:
//! cached inodes). It goes when it has neither users nor pages.

use crate::model::{BUCKETS, Bucket, File, FileKind, Name, SIZE_MAX};
use crate::objects::Objects;
use crate::radix::INDEX_END;
use frame::Id;
use machine::lock::Held;
use machine::{Cx, FileKey, IoError, Machine, Shortage, level};

/// Why a file could not be opened or resized.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileError {
    /// Larger than [`SIZE_MAX`] (`EFBIG`).
    TooLarge,
    /// No memory for it.
    Shortage(Shortage),
}

impl core::fmt::Display for FileError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            FileError::TooLarge => f.write_str("the file is too large"),
            FileError::Shortage(shortage) => shortage.fmt(f),
        }
    }
}

impl core::error::Error for FileError {}

/// A held bucket.
type Registry<'a, 'm, M> = Held<'a, 'm, M, { level::REGISTRY }>;

/// What a user less means for the file.
enum Left {
    Users,
    /// It stays for its cached pages.
    Pages,
    /// It was taken out of the registry: nobody can find it any more.
    Nothing,
}

impl<'m, M: Machine> Objects<'m, M> {
    /// Opens the file of this key: the one there is (its kind and size stay what they are), or a new one.
    /// Each opening is closed by [`Objects::close`].
    pub fn open(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        key: FileKey,
        kind: FileKind,
        size: u64,
    ) -> Result<Id<File>, FileError> {
        let bucket = self.bucket(key);
        let mut held = bucket.lock.lock(cx);
        let known = self.chain(bucket).find(|&id| {
            let file = self.files.get(id);
            file.key() == key && file.name.get() == Name::Key
        });
        if let Some(id) = known {
            self.files.get(id).add_user(&held);
            return Ok(id);
        }
        let id = self.new_file(&mut held, kind, size)?;
        self.files.get(id).name.set(Name::Key);
        self.enlist(&mut held, bucket, (id, key));
        Ok(id)
    }

    /// Shared memory that is found by nobody else: anonymous shared mappings, `memfd_create`.
    pub fn create_memory(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        size: u64,
    ) -> Result<Id<File>, FileError> {
        let id = self.new_file(cx.at(), FileKind::Memory, size)?;
        let key = FileKey(u64::from(id.raw()));
        let bucket = self.bucket(key);
        let mut held = bucket.lock.lock(cx);
        self.enlist(&mut held, bucket, (id, key));
        Ok(id)
    }

    /// Puts a new file into the registry, with its first user.
    fn enlist(&self, held: &mut Registry<'_, 'm, M>, bucket: &Bucket, (id, key): (Id<File>, FileKey)) {
        let file = self.files.get(id);
        file.key.set(key);
        file.next.set(bucket.first.replace(Some(id)));
        // Last: an old number may lead here, and who tries it finds no user until now.
        file.add_user(held);
    }

    fn new_file(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        kind: FileKind,
        size: u64,
    ) -> Result<Id<File>, FileError> {
        if size > SIZE_MAX {
            return Err(FileError::TooLarge);
        }
        let id = self.files.alloc(cx, self.frames()).map_err(FileError::Shortage)?;
        let file = self.files.get(id);
        file.kind.set(kind);
        file.set_size(cx, size);
        Ok(id)
    }

    /// A file.
    pub fn file(&self, id: Id<File>) -> &'m File {
        self.files.get(id)
    }

    /// One more user of a file that the caller knows to be open: a VMA, say.
    pub fn retain(&self, cx: &mut Cx<'m, M, { level::TABLE1 }>, id: Id<File>) {
        let is_open = self.try_retain(cx, id);
        debug_assert!(is_open, "only what is open is retained");
    }

    /// One more user of a file that was open when the caller saw its number, if it still is. The number may
    /// lead to another file by now: the caller checks what it got the number from (a VMA's stamp, say) once
    /// more, and closes the file if that has changed. For faults, which hold no lock that keeps the file
    /// open.
    #[must_use]
    pub fn try_retain(&self, cx: &mut Cx<'m, M, { level::TABLE1 }>, id: Id<File>) -> bool {
        self.files.get(id).try_add_user(cx)
    }

    /// Ends a use. The last one writes dirty pages (an error of this or an earlier write is the answer) and
    /// frees shared memory; clean pages of a regular file stay cached.
    pub fn close(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, id: Id<File>) -> Result<(), IoError> {
        let file = self.files.get(id);
        if file.try_drop_user(cx) {
            return Ok(());
        }
        // Only the last user comes here, and goes on as the last or as one who is no longer.
        let result = if file.dirty_pages() > 0 { self.writeback(cx, id, 0..INDEX_END) } else { Ok(()) };
        self.drop_user(cx, id);
        result
    }

    /// Lets nobody find the file of this key any more (`unlink`): its pages, dirty ones too, go with its last
    /// user.
    pub fn forget(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, key: FileKey) {
        let bucket = self.bucket(key);
        let found = {
            let held = bucket.lock.lock(cx);
            let found = self.chain(bucket).find(|&id| {
                let file = self.files.get(id);
                file.key() == key && file.name.get() == Name::Key
            });
            found.inspect(|&id| {
                self.files.get(id).name.set(Name::None);
                self.files.get(id).add_user(&held);
            })
        };
        if let Some(id) = found {
            self.drop_user(cx, id);
        }
    }

    /// Ends a use without writing anything.
    pub(crate) fn drop_user(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, id: Id<File>) {
        let file = self.files.get(id);
        let left = loop {
            if file.try_drop_user(cx) {
                break Left::Users;
            }
            let bucket = self.bucket(file.key());
            let mut held = bucket.lock.lock(cx);
            if file.drop_last_user(&held) {
                break self.last_user_left(&mut held, bucket, id);
            }
        };
        if let Left::Nothing = left {
            debug_assert!(file.mappers.count() == 0, "a mapping keeps its file open");
            self.remove_pages(cx, id, 0..INDEX_END);
            self.files.free(cx.at(), id);
        }
    }

    fn last_user_left(&self, held: &mut Registry<'_, 'm, M>, bucket: &Bucket, id: Id<File>) -> Left {
        let _ = held;
        let file = self.files.get(id);
        let is_kept =
            file.kind() == FileKind::Regular && file.name.get() == Name::Key && file.pages.get() > 0;
        if is_kept {
            return Left::Pages;
        }
        let before = self.chain(bucket).find(|&before| self.files.get(before).next.get() == Some(id));
        match before {
            Some(before) => self.files.get(before).next.set(file.next.get()),
            None => bucket.first.set(file.next.get()),
        }
        Left::Nothing
    }

    /// Calls `visit` for every file of a bucket, each kept from going away meanwhile.
    pub(crate) fn for_each_held(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        bucket: usize,
        mut visit: impl FnMut(&mut Cx<'m, M, { level::LAYOUT }>, Id<File>),
    ) {
        let bucket = &self.registry[bucket];
        for place in 0.. {
            let id = {
                let held = bucket.lock.lock(cx);
                let Some(id) = self.chain(bucket).nth(place) else { return };
                self.files.get(id).add_user(&held);
                id
            };
            visit(cx, id);
            self.drop_user(cx, id);
        }
    }

    /// (bucket) The files of a chain.
    fn chain<'a>(&'a self, bucket: &'a Bucket) -> impl Iterator<Item = Id<File>> + 'a {
        core::iter::successors(bucket.first.get(), |&id| self.files.get(id).next.get())
    }

    pub(crate) fn bucket(&self, key: FileKey) -> &'m Bucket {
        let hash = key.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        &self.registry[hash as usize % BUCKETS]
    }

    /// How many buckets there are.
    pub(crate) fn buckets(&self) -> usize {
        BUCKETS
    }

    /// The bucket whose turn it is.
    pub(crate) fn turn_hand(&self) -> usize {
        (self.hand.add_shared(1) % BUCKETS as u64) as usize
    }
}
