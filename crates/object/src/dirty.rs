//! Which cached pages have bytes their file has not.

use crate::model::FileKind;
use crate::objects::Objects;
use crate::page::PageCtx;
use crate::radix::Mark;
use machine::{Cx, Event, Machine, Pfn, level};

impl<'m, M: Machine> Objects<'m, M> {
    /// Notes that a page is, or is about to be, newer than its file. Nothing happens if it is no longer the
    /// file's page (it was truncated: nobody wants its bytes) or if the file is memory.
    ///
    /// Who makes an entry of a shared mapping writable marks the page first, under the lock of the page
    /// table: writeback takes the mark away first and write-protects the entries after, under the same locks,
    /// so a store through the entry is either written or leaves the page marked. Who takes away an entry that
    /// hardware marked dirty, and lets go of the page table's lock, flushes first and marks the page then
    /// (LR11).
    pub fn mark_dirty(&self, cx: &mut Cx<'m, M, { level::TABLE1 }>, ctx: PageCtx, pfn: Pfn) {
        let file = self.files.get(ctx.file);
        if file.kind() == FileKind::Memory {
            return;
        }
        let mut held = file.cache.lock(cx);
        let is_there = file.tree.find(&held, &self.nodes, ctx.index).is_some_and(|found| found.pfn == pfn);
        if is_there && file.tree.set(&mut held, &self.nodes, ctx.index, Mark::Dirty) {
            file.dirty.add(1);
            held.trace(|| Event::PageDirtied { frame: pfn, file: file.key(), index: ctx.index });
        }
    }

    /// Whether the page of this place is marked.
    pub fn is_marked(&self, cx: &mut Cx<'m, M, { level::TABLE1 }>, ctx: PageCtx, mark: Mark) -> bool {
        let file = self.files.get(ctx.file);
        let held = file.cache.lock(cx);
        file.tree.has(&held, &self.nodes, ctx.index, mark)
    }
}
