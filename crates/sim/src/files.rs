//! The files of the simulated machine: contents that nobody wrote are synthetic, what was written is stored.

use crate::contents::{Base, Content, WORDS};
use crate::synthetic;
use machine::{FileKey, IoError, PAGE_SIZE};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// A file.
#[derive(Clone)]
struct Stored {
    size: u64,
    /// Bytes from here on that nobody wrote are zero; before it they are synthetic.
    synthetic_end: u64,
    version: u32,
    pages: BTreeMap<u64, Content>,
}

impl Stored {
    fn unknown() -> Stored {
        Stored { size: u64::MAX, synthetic_end: u64::MAX, version: 0, pages: BTreeMap::new() }
    }
}

/// What goes wrong on purpose.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Direction {
    /// Reads fail.
    Read,
    /// Writes fail.
    Write,
}

/// A file, one of its pages or all, and what fails there.
type Failing = (u64, Option<u64>, Direction);
/// How often it fails still; `None`: until it is healed.
type Lasts = Option<u32>;

/// The files. A file nobody declared is endless and synthetic.
#[derive(Default)]
pub struct SimFiles {
    files: RefCell<BTreeMap<u64, Stored>>,
    errors: RefCell<BTreeMap<Failing, Lasts>>,
    /// Files whose device needs stable bytes.
    stable: RefCell<BTreeSet<u64>>,
}

impl SimFiles {
    /// Declares a file of `size` bytes, synthetic all over.
    pub fn create(&self, file: FileKey, size: u64) {
        let stored = Stored { size, synthetic_end: size, ..Stored::unknown() };
        self.files.borrow_mut().insert(file.0, stored);
    }

    /// Declares a file of `size` zero bytes.
    pub fn create_zeroed(&self, file: FileKey, size: u64) {
        let stored = Stored { size, synthetic_end: 0, ..Stored::unknown() };
        self.files.borrow_mut().insert(file.0, stored);
    }

    /// The size of a file; `None` if nobody declared it.
    pub fn size(&self, file: FileKey) -> Option<u64> {
        self.files.borrow().get(&file.0).map(|stored| stored.size)
    }

    /// Cuts or extends a file. What comes to it reads as zero.
    pub fn truncate(&self, file: FileKey, size: u64) {
        let mut files = self.files.borrow_mut();
        let stored = files.entry(file.0).or_insert_with(Stored::unknown);
        if size < stored.size {
            let first = size.div_ceil(PAGE_SIZE);
            drop(stored.pages.split_off(&first));
            if let Some(last) =
                stored.pages.get_mut(&(size / PAGE_SIZE)).filter(|_| !size.is_multiple_of(PAGE_SIZE))
            {
                let tail = (size % PAGE_SIZE) as usize;
                last.write(tail, &vec![0; PAGE_SIZE as usize - tail]);
            }
            stored.synthetic_end = stored.synthetic_end.min(size);
        }
        stored.size = size;
    }

    /// Replaces the file's contents by other synthetic ones, as another machine would through a network file
    /// system.
    pub fn rewrite(&self, file: FileKey) {
        let mut files = self.files.borrow_mut();
        let stored = files.entry(file.0).or_insert_with(Stored::unknown);
        stored.version += 1;
        stored.synthetic_end = stored.size;
        stored.pages.clear();
    }

    /// Makes reads or writes of a page (`None`: of every page) of a file fail until [`SimFiles::heal`].
    pub fn fail(&self, file: FileKey, page: Option<u64>, direction: Direction) {
        self.errors.borrow_mut().insert((file.0, page, direction), None);
    }

    /// Makes the next `times` of them fail, and those after succeed.
    pub fn fail_times(&self, file: FileKey, page: Option<u64>, direction: Direction, times: u32) {
        let mut errors = self.errors.borrow_mut();
        match times {
            0 => errors.remove(&(file.0, page, direction)),
            _ => errors.insert((file.0, page, direction), Some(times)),
        };
    }

    /// The file's device needs the bytes of a frame to stay as they are while it writes them (see
    /// [`machine::Backing::stable_writes`]): a change meanwhile is reported as [`crate::Rule::TornWrite`].
    pub fn require_stable_writes(&self, file: FileKey) {
        self.stable.borrow_mut().insert(file.0);
    }

    pub(crate) fn is_stable(&self, file: FileKey) -> bool {
        self.stable.borrow().contains(&file.0)
    }

    /// Undoes [`SimFiles::fail`] and [`SimFiles::fail_times`].
    pub fn heal(&self, file: FileKey, page: Option<u64>, direction: Direction) {
        self.errors.borrow_mut().remove(&(file.0, page, direction));
    }

    /// What a device finds that reads a page of the file on its own (direct I/O by
    /// [`crate::TaskCtx::dma_store`]). Takes no time; in explored runs, say what is read with
    /// [`crate::TaskCtx::touches`].
    pub fn device_read(&self, file: FileKey, page: u64) -> Result<[u8; PAGE_SIZE as usize], IoError> {
        self.read_page(file, page).map(|content| content.bytes())
    }

    /// A device writes a page of the file on its own (direct I/O by [`crate::TaskCtx::dma_load`]), as
    /// [`SimFiles::device_read`]. What lies past the end of the file is not stored.
    pub fn device_write(
        &self,
        file: FileKey,
        page: u64,
        bytes: &[u8; PAGE_SIZE as usize],
    ) -> Result<(), IoError> {
        self.write_page(file, page, &Content::from_bytes(bytes))
    }

    /// How many pages of a file were written and are stored.
    pub fn stored_pages(&self, file: FileKey) -> usize {
        self.files.borrow().get(&file.0).map_or(0, |stored| stored.pages.len())
    }

    /// A word of the file as it is stored now.
    pub fn word(&self, file: FileKey, page: u64, index: usize) -> u64 {
        self.page(file.0, page).word(index).0
    }

    fn check(&self, file: u64, page: u64, direction: Direction) -> Result<(), IoError> {
        let mut errors = self.errors.borrow_mut();
        for page in [Some(page), None] {
            let key = (file, page, direction);
            match errors.get_mut(&key) {
                None => continue,
                Some(None) => {}
                Some(Some(1)) => drop(errors.remove(&key)),
                Some(Some(times)) => *times -= 1,
            }
            return Err(IoError);
        }
        Ok(())
    }

    /// The bytes of a page.
    pub(crate) fn read_page(&self, file: FileKey, page: u64) -> Result<Content, IoError> {
        self.check(file.0, page, Direction::Read)?;
        Ok(self.page(file.0, page))
    }

    fn page(&self, file: u64, page: u64) -> Content {
        let files = self.files.borrow();
        let Some(stored) = files.get(&file) else {
            return Content::of(Base::File { file, page, version: 0 });
        };
        if let Some(content) = stored.pages.get(&page) {
            return content.clone();
        }
        let version = stored.version;
        let start = page.saturating_mul(PAGE_SIZE);
        match stored.synthetic_end.saturating_sub(start) {
            0 => Content::of(Base::Zero),
            n if n >= PAGE_SIZE => Content::of(Base::File { file, page, version }),
            n => Content::from_words(|i| {
                let whole = synthetic::file_word(file, page, version, i as u64);
                match (n as usize).saturating_sub(i * 8) {
                    0 => 0,
                    bytes if bytes >= 8 => whole,
                    bytes => whole & ((1 << (bytes * 8)) - 1),
                }
            }),
        }
    }

    /// Stores the bytes of a page. What lies past the end of the file is not stored.
    pub(crate) fn write_page(&self, file: FileKey, page: u64, content: &Content) -> Result<(), IoError> {
        self.check(file.0, page, Direction::Write)?;
        let mut files = self.files.borrow_mut();
        let stored = files.entry(file.0).or_insert_with(Stored::unknown);
        let inside = stored.size.saturating_sub(page.saturating_mul(PAGE_SIZE));
        if inside == 0 {
            return Ok(());
        }
        let mut content = content.clone();
        if inside < PAGE_SIZE {
            let cut = inside as usize;
            content.write(cut, &vec![0; WORDS * 8 - cut]);
        }
        stored.pages.insert(page, content);
        Ok(())
    }
}
