//! What changes in a table while it is locked, counted here and noted once: when it is unlocked.
//!
//! A run over a table's entries changes the same few numbers for each of them: how many entries are used, and
//! how many pages of one kind are resident. The first is covered by the table's lock, so nobody asks before
//! it is dropped; the second is a statistic, which may be behind by what is locked just now.

use crate::node::{ENTRIES, Header, header};
use crate::{Counted, Rss};
use frame::Descriptor;
use machine::CpuId;

/// Changes that were not noted yet.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    /// Entries that came, less those that went (wrapping).
    used: u16,
    /// Which pages are counted.
    kind: Option<Rss>,
    /// Pages that came, less those that went (wrapping).
    pages: u64,
}

impl Tally {
    /// An entry is no longer empty.
    #[inline]
    pub(crate) fn entry_came(&mut self) {
        self.entries_came(1);
    }

    /// So many entries are no longer empty.
    #[inline]
    pub(crate) fn entries_came(&mut self, entries: u16) {
        self.used = self.used.wrapping_add(entries);
    }

    /// An entry is empty now.
    #[inline]
    pub(crate) fn entry_went(&mut self) {
        self.used = self.used.wrapping_sub(1);
    }

    /// Used entries, of which so many were noted.
    #[inline]
    pub(crate) fn used_with(&self, noted: u16) -> u64 {
        u64::from(noted.wrapping_add(self.used))
    }

    /// So many pages are resident from now on (wrapping: or no more).
    #[inline]
    pub(crate) fn pages_came(&mut self, table: (Counted<'_>, CpuId), kind: Option<Rss>, pages: u64) {
        if kind.is_none() {
            return;
        }
        if self.kind != kind {
            self.note_pages(table);
            self.kind = kind;
        }
        self.pages = self.pages.wrapping_add(pages);
    }

    /// Notes everything. The lock is still held.
    #[inline]
    pub(crate) fn note(&mut self, table: (Counted<'_>, CpuId), descriptor: &Descriptor) {
        if self.used != 0 {
            let header = header(descriptor);
            let before = header.get();
            let used = before.used.wrapping_add(self.used);
            debug_assert!(u64::from(used) <= ENTRIES, "a table has as many entries as came and did not go");
            header.set(Header { used, ..before });
            self.used = 0;
        }
        self.note_pages(table);
    }

    #[inline]
    fn note_pages(&mut self, (table, cpu): (Counted<'_>, CpuId)) {
        if self.pages != 0 {
            table.add_rss(cpu, self.kind, self.pages);
            self.pages = 0;
        }
    }
}
