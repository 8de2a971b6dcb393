//! The set of pages a process touches in an epoch.

use std::collections::BTreeMap;

use crate::{EventKind, PageRun};

/// The page was read before any write to it.
const READ: u8 = 1;
/// The page was written.
const WRITTEN: u8 = 2;

const RECENT: usize = 256;

/// The pages touched so far in an epoch.
///
/// Programs touch few pages again and again, so the last touch of each of some pages is kept in a
/// small table in front of the set.
pub(super) struct Touched {
    pages: BTreeMap<u64, u8>,
    recent: [(u64, u8); RECENT],
    epoch: u32,
}

impl Touched {
    pub(super) fn new() -> Self {
        Self { pages: BTreeMap::new(), recent: [(u64::MAX, 0); RECENT], epoch: 0 }
    }

    /// Notes a read of `len` bytes at `addr`.
    pub(super) fn read(&mut self, addr: u64, len: u64) {
        for page in pages(addr, len) {
            self.touch(page, READ);
        }
    }

    /// Notes a write of `len` bytes at `addr`.
    pub(super) fn write(&mut self, addr: u64, len: u64) {
        for page in pages(addr, len) {
            self.touch(page, WRITTEN);
        }
    }

    /// Ends the epoch: what it touched, or nothing if that is empty.
    pub(super) fn take(&mut self) -> Option<EventKind> {
        if self.pages.is_empty() {
            return None;
        }
        let pages = std::mem::take(&mut self.pages);
        self.recent = [(u64::MAX, 0); RECENT];
        let epoch = self.epoch;
        self.epoch = self.epoch.saturating_add(1);
        Some(EventKind::Touch { epoch, read: runs(&pages, READ), written: runs(&pages, WRITTEN) })
    }

    fn touch(&mut self, page: u64, how: u8) {
        let recent = &mut self.recent[page as usize % RECENT];
        // Once a page is written, nothing more can be learned about it in this epoch.
        if recent.0 == page && (recent.1 >= WRITTEN || recent.1 == how) {
            return;
        }
        let known = self.pages.entry(page).or_default();
        if *known < WRITTEN {
            *known |= how;
        }
        *recent = (page, *known);
    }
}

fn pages(addr: u64, len: u64) -> std::ops::RangeInclusive<u64> {
    let last = addr.saturating_add(len.max(1) - 1);
    addr >> 12..=last >> 12
}

fn runs(pages: &BTreeMap<u64, u8>, how: u8) -> Vec<PageRun> {
    let mut runs: Vec<PageRun> = Vec::new();
    for (&page, _) in pages.iter().filter(|(_, known)| **known & how != 0) {
        match runs.last_mut() {
            Some(run) if run.first_page + run.count == page => run.count += 1,
            _ => runs.push(PageRun { first_page: page, count: 1 }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reads_before_the_first_write_count() {
        let mut touched = Touched::new();
        touched.write(0x1000, 4);
        touched.read(0x1008, 4);
        touched.read(0x2000, 4);
        touched.write(0x2000, 4);
        touched.read(0x4ffe, 4);
        let run = |first_page, count| PageRun { first_page, count };
        assert_eq!(
            touched.take(),
            Some(EventKind::Touch { epoch: 0, read: vec![run(2, 1), run(4, 2)], written: vec![run(1, 2)] })
        );
        assert_eq!(touched.take(), None);
    }

    #[test]
    fn an_epoch_starts_with_nothing() {
        let mut touched = Touched::new();
        touched.write(0x1000, 1);
        touched.take();
        touched.read(0x1000, 1);
        let read = vec![PageRun { first_page: 1, count: 1 }];
        assert_eq!(touched.take(), Some(EventKind::Touch { epoch: 1, read, written: vec![] }));
    }
}
