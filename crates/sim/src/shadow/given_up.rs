//! Private pages that were given up lazily (`MADV_FREE`): until they are stored to they may become zeros.
//!
//! A page goes as a whole, at any moment; a store keeps what the page is then. So what the model says of such
//! a page is one of a few contents, and each load leaves those out that it contradicts.

use crate::shadow::process::Process;
use machine::{VirtAddr, VpnRange};

fn word_at(addr: VirtAddr) -> usize {
    (addr.offset() / 8) as usize
}

impl Process {
    /// Anonymous pages may be dropped from now on.
    pub(super) fn free_lazily(&mut self, range: &VpnRange) {
        for page in self.own_pages(range) {
            if self.is_anonymous(page) {
                self.lazy.entry(page).or_default().give_up();
            }
        }
    }

    /// A store came while its page was given up.
    pub(super) fn store_after_drop(&mut self, addr: VirtAddr, value: u64) {
        if let Some(lazy) = self.lazy.get_mut(&addr.page().0) {
            lazy.store_meanwhile(word_at(addr), value);
        }
    }

    /// Whether a word of a page that may have been dropped can have this value, beside the model's own.
    pub(super) fn may_be_dropped(&self, addr: VirtAddr, value: u64) -> bool {
        self.lazy.get(&addr.page().0).is_some_and(|lazy| lazy.has(word_at(addr), value))
    }

    /// A word of such a page was found to have this value, which the model or [`Process::may_be_dropped`]
    /// told.
    pub(super) fn settle_lazy(&mut self, addr: VirtAddr, value: u64) {
        let (number, word) = (addr.page().0, word_at(addr));
        let Some(mut lazy) = self.lazy.remove(&number) else { return };
        let own = self.page(number).is_none_or(|own| own.word(word) == value);
        if let Some(found) = lazy.settle(word, value, own) {
            self.replace_page(number, found);
        }
        if lazy.is_open() {
            self.lazy.insert(number, lazy);
        }
    }
}
