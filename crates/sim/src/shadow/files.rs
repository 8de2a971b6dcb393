//! The model's files: what was never written is synthetic or zero.

use crate::shadow::words::Words;
use crate::synthetic;
use machine::{FileKey, PAGE_SIZE};
use std::collections::BTreeMap;

struct File {
    size: u64,
    /// Unwritten bytes before this are synthetic, zero from here on.
    synthetic_end: u64,
    /// A truncation to this size is under way.
    cutting: Option<u64>,
    pages: BTreeMap<u64, Words>,
}

impl File {
    fn endless() -> File {
        File { size: u64::MAX, synthetic_end: u64::MAX, cutting: None, pages: BTreeMap::new() }
    }
}

/// All files of the model. A file nobody declared is endless and synthetic.
#[derive(Default)]
pub(super) struct Files(BTreeMap<u64, File>);

/// What the model says of a page of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Extent {
    Inside,
    Beyond,
    /// It is just being cut off: either is right.
    Cutting,
}

/// A word of a page nobody wrote, of a file that is synthetic up to a byte.
pub(super) fn unwritten(file: FileKey, page: u64, synthetic_end: u64, word: usize) -> u64 {
    let start = page.saturating_mul(PAGE_SIZE).saturating_add(word as u64 * 8);
    let whole = synthetic::file_word(file.0, page, 0, word as u64);
    match synthetic_end.saturating_sub(start) {
        0 => 0,
        n if n >= 8 => whole,
        n => whole & ((1 << (n * 8)) - 1),
    }
}

impl Files {
    pub(super) fn create(&mut self, file: FileKey, size: u64, synthetic_end: u64) {
        self.0.insert(file.0, File { size, synthetic_end, ..File::endless() });
    }

    pub(super) fn cutting(&mut self, file: FileKey, size: u64) {
        self.0.entry(file.0).or_insert_with(File::endless).cutting = Some(size);
    }

    pub(super) fn resize(&mut self, file: FileKey, size: u64) {
        let known = self.0.entry(file.0).or_insert_with(File::endless);
        known.cutting = None;
        if size < known.size {
            known.synthetic_end = known.synthetic_end.min(size);
            drop(known.pages.split_off(&size.div_ceil(PAGE_SIZE)));
            let tail = (size % PAGE_SIZE) as usize;
            if let Some(last) = known.pages.get_mut(&(size / PAGE_SIZE)) {
                let kept = last.get(tail / 8).unwrap_or(0) & ((1u64 << (tail % 8 * 8)) - 1);
                last.set(tail / 8, kept);
                for word in tail / 8 + 1..Words::COUNT {
                    last.set(word, 0);
                }
            }
        }
        known.size = size;
    }

    pub(super) fn extent(&self, file: FileKey, page: u64) -> Extent {
        let Some(known) = self.0.get(&file.0) else { return Extent::Inside };
        let start = page.saturating_mul(PAGE_SIZE);
        if known.cutting.is_some_and(|size| start.saturating_add(PAGE_SIZE) > size) {
            Extent::Cutting
        } else if start < known.size {
            Extent::Inside
        } else {
            Extent::Beyond
        }
    }

    pub(super) fn synthetic_end(&self, file: FileKey) -> u64 {
        self.0.get(&file.0).map_or(u64::MAX, |known| known.synthetic_end)
    }

    pub(super) fn word(&self, file: FileKey, page: u64, word: usize) -> u64 {
        let written = self.written(file, page).and_then(|words| words.get(word));
        written.unwrap_or_else(|| unwritten(file, page, self.synthetic_end(file), word))
    }

    /// The words of a page that were written.
    pub(super) fn written(&self, file: FileKey, page: u64) -> Option<&Words> {
        self.0.get(&file.0)?.pages.get(&page)
    }

    pub(super) fn store(&mut self, file: FileKey, page: u64, word: usize, value: u64) {
        let known = self.0.entry(file.0).or_insert_with(File::endless);
        known.pages.entry(page).or_default().set(word, value);
    }
}
