//! Writing dirty pages to their file.
//!
//! Order of events for each batch of pages (Linux: `write_cache_pages`, `folio_clear_dirty_for_io`,
//! `page_mkclean`):
//! 1. lock the pages: nobody truncates them or starts another writeback;
//! 2. dirty mark off, writeback mark on, in one step under the cache lock: `fsync` finds one or the other;
//! 3. write-protect every shared mapping, and **settle**: no CPU stores through an old translation any more.
//!    A store that comes now faults, and marks the page dirty again;
//! 4. unlock, and hand the bytes to the backing;
//! 5. writeback mark off, wake who waits for it. After an error the page is dirty again, and the file
//!    remembers.

use crate::model::{File, FileKind};
use crate::objects::Objects;
use crate::page::{CachedPage, PageCtx, lock_page, unlock_page, wait_writeback, writeback_key};
use crate::radix::{Locked, Mark};
use core::ops::Range;
use frame::{Flags, Id};
use machine::{Backing, Counter, Cx, Event, IoError, Machine, Plant, level};

/// Pages written together, at most: they share a flush round a space.
pub const BATCH: usize = 32;

/// Pages of one file on their way, ascending. The writer has a reference to each.
pub(crate) struct Chosen {
    pages: [Option<CachedPage>; BATCH],
    len: usize,
}

impl Chosen {
    fn new() -> Self {
        Chosen { pages: [const { None }; BATCH], len: 0 }
    }

    fn push(&mut self, page: CachedPage) {
        self.pages[self.len] = Some(page);
        self.len += 1;
    }

    fn is_full(&self) -> bool {
        self.len == BATCH
    }

    /// The pages.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &CachedPage> {
        self.pages.iter().flatten()
    }

    /// From the first to behind the last.
    pub(crate) fn indices(&self) -> Range<u64> {
        let first = self.iter().next().map_or(0, |page| page.ctx().index);
        first..self.iter().last().map_or(first, |page| page.ctx().index + 1)
    }
}

impl<'m, M: Machine> Objects<'m, M> {
    /// Writes the dirty pages of a range of pages, and waits for those that others are writing (`msync`,
    /// `fsync`). An error of this or an earlier write is reported to one caller (Linux:
    /// `file_check_and_advance_wb_err`); the pages concerned stay dirty.
    pub fn writeback(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        id: Id<File>,
        range: Range<u64>,
    ) -> Result<(), IoError> {
        let file = self.files.get(id);
        if file.kind() == FileKind::Memory {
            return Ok(());
        }
        let mut at = range.start;
        while let Some(next) = self.write_some(cx, id, at..range.end) {
            at = next;
        }
        self.wait_written(cx, id, range);
        if file.take_failed(cx) { Err(IoError) } else { Ok(()) }
    }

    /// Writes the first dirty pages of the range; answers where to go on.
    fn write_some(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        file: Id<File>,
        range: Range<u64>,
    ) -> Option<u64> {
        let first = self.next_marked(cx, file, range.clone(), Mark::Dirty)?;
        let mut next = first.ctx().index + 1;
        let mut chosen = Chosen::new();
        let mut refused = None;
        {
            let descriptor = self.descriptor(first.pfn());
            let mut locked = lock_page(cx, descriptor);
            wait_writeback(&mut locked, descriptor);
            let mut held = self.files.get(file).cache.lock(&mut locked);
            match self.begin_writeback(&mut held, &first) {
                true => {
                    chosen.push(first);
                    next = self.choose_more(&mut held, &mut chosen, next..range.end);
                }
                false => refused = Some(first),
            }
            drop(held);
            self.clean_mappings(&mut locked, file, &chosen);
            if locked.planted(Plant::DirtyClearedLate) {
                self.clear_dirty(&mut locked, file, &chosen);
            }
            for page in chosen.iter().skip(1) {
                unlock_page(&mut *locked, self.descriptor(page.pfn()));
            }
        }
        if let Some(page) = refused {
            self.release(cx.at(), page);
        }
        for page in chosen.pages.into_iter().flatten() {
            self.store(cx, page);
        }
        Some(next)
    }

    /// Adds the dirty pages that follow, as long as their locks are free; answers the first index not dealt
    /// with.
    fn choose_more(&self, held: &mut Locked<'_, 'm, M>, chosen: &mut Chosen, range: Range<u64>) -> u64 {
        let Some(file) = chosen.iter().next().map(|page| page.ctx().file) else { return range.start };
        let tree = &self.files.get(file).tree;
        let mut next = range.start;
        while let Some((index, pfn)) = tree.next(held, &self.nodes, next, range.end, Mark::Dirty) {
            let descriptor = self.descriptor(pfn);
            let busy = chosen.is_full() || !descriptor.try_lock(held);
            if busy || descriptor.get(held).is_err() {
                if !busy {
                    unlock_page(&mut **held, descriptor);
                }
                // The next batch waits for it.
                return index;
            }
            let page = CachedPage::new(PageCtx { file, index }, pfn);
            if descriptor.test(held, Flags::WRITEBACK) || !self.begin_writeback(held, &page) {
                unlock_page(&mut **held, descriptor);
                self.release(held.at(), page);
                return index;
            }
            chosen.push(page);
            next = index + 1;
        }
        range.end
    }

    /// Exchanges a locked page's dirty mark for the writeback mark, if it is still its file's and dirty.
    fn begin_writeback(&self, held: &mut Locked<'_, 'm, M>, page: &CachedPage) -> bool {
        let file = self.files.get(page.ctx().file);
        let index = page.ctx().index;
        if !self.still_cached(held, page) || !file.tree.clear(held, &self.nodes, index, Mark::Dirty) {
            return false;
        }
        file.dirty.sub(1);
        file.tree.set(held, &self.nodes, index, Mark::Writeback);
        self.descriptor(page.pfn()).set(held, Flags::WRITEBACK);
        held.trace(|| Event::WritebackBegun { frame: page.pfn(), file: file.key(), index });
        true
    }

    /// Takes the dirty marks away once more: a planted bug.
    fn clear_dirty(&self, cx: &mut Cx<'m, M, { level::PAGE }>, file: Id<File>, chosen: &Chosen) {
        let cached = self.files.get(file);
        let mut held = cached.cache.lock(cx);
        for page in chosen.iter() {
            if cached.tree.clear(&mut held, &self.nodes, page.ctx().index, Mark::Dirty) {
                cached.dirty.sub(1);
            }
        }
    }

    /// Stores one page and ends its writeback.
    fn store(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, page: CachedPage) {
        let PageCtx { file: id, index } = page.ctx();
        let file = self.files.get(id);
        let descriptor = self.descriptor(page.pfn());
        let result = cx.machine().files().write(cx.cpu(), file.key(), index, page.frame());
        {
            let mut held = file.cache.lock(cx);
            file.tree.clear(&mut held, &self.nodes, index, Mark::Writeback);
            match result {
                Ok(()) => {
                    held.count(Counter::PgPgOut);
                    descriptor.clear(&held, Flags::ERROR);
                }
                Err(IoError) => {
                    if file.tree.set(&mut held, &self.nodes, index, Mark::Dirty) {
                        file.dirty.add(1);
                    }
                    descriptor.set(&held, Flags::ERROR);
                    file.set_failed(&held);
                }
            }
            descriptor.clear(&held, Flags::WRITEBACK);
            let (frame, stored) = (page.pfn(), result.is_ok());
            held.trace(|| Event::WritebackEnded { frame, file: file.key(), index, stored });
        }
        let parking = cx.core().parking;
        parking.wake_all(cx, writeback_key(descriptor));
        self.release(cx.at(), page);
    }

    /// Waits for the pages of the range that are being written.
    fn wait_written(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, file: Id<File>, range: Range<u64>) {
        let mut at = range.start;
        while let Some(page) = self.next_marked(cx, file, at..range.end, Mark::Writeback) {
            at = page.ctx().index + 1;
            wait_writeback(cx, self.descriptor(page.pfn()));
            self.release(cx.at(), page);
        }
    }

    /// The first page of the range with the mark, with a reference.
    pub(crate) fn next_marked(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        file: Id<File>,
        range: Range<u64>,
        mark: Mark,
    ) -> Option<CachedPage> {
        let mut at = range.start;
        let cached = self.files.get(file);
        let held = cached.cache.lock(cx);
        loop {
            let (index, pfn) = cached.tree.next(&held, &self.nodes, at, range.end, mark)?;
            match self.frames().get(&held, pfn) {
                Ok(()) => return Some(CachedPage::new(PageCtx { file, index }, pfn)),
                // Eight million users at once: it is left out rather than miscounted.
                Err(_) => at = index + 1,
            }
        }
    }
}
