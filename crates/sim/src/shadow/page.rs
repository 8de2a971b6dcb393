//! A page of bytes of somebody's own.

use crate::shadow::files::{Files, unwritten};
use crate::shadow::words::Words;
use crate::synthetic;
use machine::FileKey;

/// What a page holds where nothing was stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Under {
    #[default]
    Zero,
    /// The file's page as it was at the first store.
    File {
        file: FileKey,
        page: u64,
        synthetic_end: u64,
    },
    Class(u64),
}

/// A page that is nobody else's.
#[derive(Clone, Default)]
pub(super) struct Page {
    under: Under,
    words: Words,
}

impl Page {
    /// A copy of a page of a file.
    pub(super) fn of_file(files: &Files, file: FileKey, page: u64) -> Page {
        Page {
            under: Under::File { file, page, synthetic_end: files.synthetic_end(file) },
            words: files.written(file, page).cloned().unwrap_or_default(),
        }
    }

    /// A page of a content class.
    pub(super) fn of_class(class: u64) -> Page {
        Page { under: Under::Class(class), words: Words::default() }
    }

    #[inline]
    pub(super) fn word(&self, word: usize) -> u64 {
        self.words.get(word).unwrap_or_else(|| match self.under {
            Under::Zero => 0,
            Under::File { file, page, synthetic_end } => unwritten(file, page, synthetic_end, word),
            Under::Class(class) => synthetic::class_word(class, word as u64),
        })
    }

    #[inline]
    pub(super) fn set(&mut self, word: usize, value: u64) {
        self.words.set(word, value);
    }

    /// The class whose bytes it has, if it has no others.
    pub(super) fn class(&self) -> Option<u64> {
        match self.under {
            Under::Class(class) if self.words.iter().next().is_none() => Some(class),
            _ => None,
        }
    }

    /// Words that must be there, with their values.
    pub(super) fn stored(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        let ends = match self.under {
            Under::Class(_) => &[0, Words::COUNT as u16 - 1][..],
            _ => &[],
        };
        self.words.iter().chain(ends.iter().map(|&word| (word, self.word(word.into()))))
    }
}
