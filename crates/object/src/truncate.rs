//! Changing a file's size.

use crate::model::{File, FileKind, SIZE_MAX};
use crate::objects::Objects;
use crate::open::FileError;
use crate::page::{PageCtx, lock_page, wait_writeback};
use crate::radix::{INDEX_END, Mark};
use core::ops::Range;
use frame::Id;
use machine::trace::Uncached;
use machine::{Cx, Machine, PAGE_SIZE, Plant, level};

impl<'m, M: Machine> Objects<'m, M> {
    /// Gives a file another size (Linux: `truncate_pagecache`, `pagecache_isize_extended`). Whoever owns the
    /// file keeps two changes of its size apart, and changes the backing's size.
    ///
    /// Shrinking: once it returns, no page beyond the new end is cached or mapped (private copies included),
    /// and the rest of the last page is zeros. Growing: what was stored behind the old end in its last page
    /// becomes zeros.
    ///
    /// 1. The new size is published under the cache lock: from here on no page is added beyond it.
    /// 2. Pages beyond it are locked (so they are not being read), waited for (not being written), taken out
    ///    and disowned.
    /// 3. Translations are taken away. A fault that held a page from before installs it either before this
    ///    walk comes by, or not at all ([`Objects::still_cached`]).
    pub fn truncate(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        id: Id<File>,
        size: u64,
    ) -> Result<(), FileError> {
        if size > SIZE_MAX {
            return Err(FileError::TooLarge);
        }
        let file = self.files.get(id);
        let old = {
            let held = file.cache.lock(cx);
            let old = file.size(&held);
            file.set_size(&held, size);
            old
        };
        if size < old {
            let gone = size.div_ceil(PAGE_SIZE)..INDEX_END;
            if cx.planted(Plant::DisownedLate) {
                self.unmap_file(cx.at(), id, gone.clone());
                self.remove_pages(cx, id, gone);
                return Ok(());
            }
            self.remove_pages(cx, id, gone.clone());
            self.unmap_file(cx.at(), id, gone);
        }
        self.zero_tail(cx, id, size.min(old));
        Ok(())
    }

    /// Takes the pages of a range out of the cache, whatever their state.
    pub(crate) fn remove_pages(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        file: Id<File>,
        range: Range<u64>,
    ) {
        let mut at = range.start;
        while let Some(page) = self.next_marked(cx, file, at..range.end, Mark::Present) {
            at = page.ctx().index + 1;
            let descriptor = self.descriptor(page.pfn());
            let mut locked = lock_page(cx, descriptor);
            wait_writeback(&mut locked, descriptor);
            if self.still_cached(&locked, &page) {
                self.remove_locked(&mut locked, page.ctx(), page.pfn(), Uncached::Truncated);
            }
            drop(locked);
            self.release(cx.at(), page);
        }
    }

    /// Zeroes the cached page that has the end of the file, behind the end.
    fn zero_tail(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, file: Id<File>, size: u64) {
        let ctx = PageCtx { file, index: size / PAGE_SIZE };
        if size.is_multiple_of(PAGE_SIZE) {
            return;
        }
        let Some(page) = self.find_page(cx.at(), ctx) else { return };
        let mut locked = lock_page(cx, self.descriptor(page.pfn()));
        if self.still_cached(&locked, &page) {
            self.zero_past(&locked, size, ctx.index, page.pfn());
            if self.files.get(file).kind() == FileKind::Regular {
                self.mark_dirty(locked.at(), ctx, page.pfn());
            }
        }
        drop(locked);
        self.release(cx.at(), page);
    }
}
