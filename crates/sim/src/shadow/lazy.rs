//! What a page may hold that was given up lazily.

use crate::shadow::page::Page;

/// What else a page may hold than the model's bytes.
#[derive(Clone, Default)]
pub(super) struct Lazy {
    /// These, if it was dropped before some of the stores to it.
    others: Vec<Page>,
    /// It may be zeros now, or at any later moment: nobody has stored to it since it was given up.
    may_drop: bool,
}

impl Lazy {
    /// It may be dropped from now on.
    pub(super) fn give_up(&mut self) {
        self.may_drop = true;
    }

    /// A store came while it was given up: it may have come after the page was dropped, and the page may be
    /// dropped again.
    pub(super) fn store_meanwhile(&mut self, word: usize, value: u64) {
        if self.others.is_empty() {
            self.others.push(Page::default());
        }
        self.others.iter_mut().for_each(|page| page.set(word, value));
    }

    /// A store keeps it as it is.
    pub(super) fn store(&mut self, word: usize, value: u64) {
        if std::mem::take(&mut self.may_drop) {
            self.others.push(Page::default());
        }
        self.others.iter_mut().for_each(|page| page.set(word, value));
    }

    /// Whether a word can have this value.
    pub(super) fn has(&self, word: usize, value: u64) -> bool {
        self.may_drop && value == 0 || self.others.iter().any(|page| page.word(word) == value)
    }

    /// A word has this value: what it contradicts is left out. If the model has another value there, `own` is
    /// false, and the bytes that it has instead are answered.
    pub(super) fn settle(&mut self, word: usize, value: u64, own: bool) -> Option<Page> {
        self.others.retain(|page| page.word(word) == value);
        (!own).then(|| if self.others.is_empty() { Page::default() } else { self.others.remove(0) })
    }

    /// Whether anything is open still.
    pub(super) fn is_open(&self) -> bool {
        self.may_drop || !self.others.is_empty()
    }
}
