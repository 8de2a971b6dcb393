//! Cached pages as callers hold them, and the page lock.
//!
//! Everything that can be asked of a cached page is asked of a [`PageCtx`], the file and index it is reached
//! through (WR1): a frame alone never tells what it is to whom, since one frame may come to serve several
//! places.

use crate::model::File;
pub use crate::model::{owner_id, owner_number};
use crate::objects::Objects;
use core::ops::{Deref, DerefMut};
use frame::{Descriptor, Flags, Id};
use machine::{Cx, Machine, Pfn, Plant, UserFrame, level};

/// Where a page is reached: a file and an index in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageCtx {
    /// The file. The holder keeps it open.
    pub file: Id<File>,
    /// The page of the file.
    pub index: u64,
}

/// A cached page with a reference. Goes back with [`Objects::release`], or becomes a mapping's reference
/// ([`CachedPage::into_mapped`]).
#[must_use = "a reference is held: it must be released or mapped"]
#[derive(Debug)]
pub struct CachedPage {
    ctx: PageCtx,
    pfn: Pfn,
}

impl CachedPage {
    pub(crate) fn new(ctx: PageCtx, pfn: Pfn) -> Self {
        CachedPage { ctx, pfn }
    }

    /// Where it was found.
    pub fn ctx(&self) -> PageCtx {
        self.ctx
    }

    /// Its frame.
    pub fn pfn(&self) -> Pfn {
        self.pfn
    }

    /// Its bytes, for machine operations.
    pub fn frame(&self) -> UserFrame {
        UserFrame(self.pfn)
    }

    /// Hands the reference over to a mapping that was counted.
    pub fn into_mapped(self) -> Pfn {
        self.pfn
    }
}

/// A page whose lock is held, and the context under it.
#[must_use = "the page is unlocked at once"]
pub struct PageLock<'a, 'm, M: Machine> {
    cx: &'a mut Cx<'m, M, { level::PAGE }>,
    page: &'m Descriptor,
}

impl<'m, M: Machine> Deref for PageLock<'_, 'm, M> {
    type Target = Cx<'m, M, { level::PAGE }>;
    fn deref(&self) -> &Self::Target {
        self.cx
    }
}

impl<M: Machine> DerefMut for PageLock<'_, '_, M> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.cx
    }
}

impl<M: Machine> Drop for PageLock<'_, '_, M> {
    fn drop(&mut self) {
        unlock_page(self.cx, self.page);
    }
}

/// Unlocks a page and wakes those who wait for it, and nobody else (WR23).
pub(crate) fn unlock_page<M: Machine, const L: u8>(cx: &mut Cx<'_, M, L>, page: &Descriptor) {
    if page.unlock(cx) && !cx.planted(Plant::UnlockWithoutWake) {
        cx.core().parking.wake_all(cx, page.wait_key());
    }
}

/// Waits for the lock of a page the caller has a reference to (Linux: `folio_lock`).
pub(crate) fn lock_page<'a, 'm, M: Machine>(
    cx: &'a mut Cx<'m, M, { level::LAYOUT }>,
    page: &'m Descriptor,
) -> PageLock<'a, 'm, M> {
    while !page.try_lock(cx) {
        cx.core().parking.park_unless(cx, page.wait_key(), |cx| {
            // WR20: the mark is set before the last look, in one step with it. A mark set for nothing is
            // harmless.
            if cx.planted(Plant::WaiterFlagLate) {
                let is_free = !page.test(cx, Flags::LOCKED);
                page.set(cx, Flags::WAITERS);
                return is_free;
            }
            page.set(cx, Flags::WAITERS);
            !page.test(cx, Flags::LOCKED)
        });
    }
    PageLock { cx: cx.at(), page }
}

/// The key of the queue of those who wait for the end of a page's writeback. (A word's address is a multiple
/// of 8: the next number is nobody's.) It has no mark of its own: an end of writeback always looks for
/// waiters.
pub(crate) fn writeback_key(page: &Descriptor) -> u64 {
    page.wait_key() | 1
}

/// Waits until the page, to which the caller has a reference, is not being written (Linux:
/// `folio_wait_writeback`).
pub(crate) fn wait_writeback<'m, M: Machine, const L: u8>(cx: &mut Cx<'m, M, L>, page: &Descriptor) {
    while page.test(cx, Flags::WRITEBACK) {
        let parking = cx.core().parking;
        parking.park_unless(cx, writeback_key(page), |cx| !page.test(cx, Flags::WRITEBACK));
    }
}

impl<'m, M: Machine> Objects<'m, M> {
    /// A frame's descriptor.
    pub(crate) fn descriptor(&self, pfn: Pfn) -> &'m Descriptor {
        self.frames().descriptor(pfn)
    }

    /// Gives a page's reference back.
    pub fn release(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, page: CachedPage) {
        self.frames().put(cx, page.pfn);
    }

    /// Whether the page is still what its file has at its index. A fault asks this under the lock of the page
    /// table it is about to install the page in: truncation disowns a page first and then visits every page
    /// table that may map it, so an entry installed after a "yes" is found and taken away again.
    pub fn still_cached<const L: u8>(&self, cx: &Cx<'m, M, L>, page: &CachedPage) -> bool {
        self.owns(cx, page.ctx, page.pfn)
    }

    /// Whether a frame is the page of this place, by its descriptor. The caller has a reference.
    pub(crate) fn owns<const L: u8>(&self, cx: &Cx<'m, M, L>, ctx: PageCtx, pfn: Pfn) -> bool {
        self.descriptor(pfn).owner_and_index(cx) == (owner_number(ctx.file), ctx.index)
    }

    /// The page of this place without a lock, if it is cached and up to date. A miss is a hint (see
    /// [`crate::radix`]). For fault-around, which maps what is there and reads nothing.
    pub fn lookup(&self, cx: &mut Cx<'m, M, { level::TABLE1 }>, ctx: PageCtx) -> Option<CachedPage> {
        let page = self.peek(cx, ctx)?;
        if self.descriptor(page.pfn).test(cx, Flags::UPTODATE) {
            return Some(page);
        }
        self.release(cx.at(), page);
        None
    }

    /// The same in any state: a page that is being read in is locked and not up to date.
    pub(crate) fn peek(&self, cx: &mut Cx<'m, M, { level::TABLE1 }>, ctx: PageCtx) -> Option<CachedPage> {
        let tree = &self.files.get(ctx.file).tree;
        loop {
            let found = tree.find(cx, &self.nodes, ctx.index)?;
            let page = self.descriptor(found.pfn);
            if !page.try_get(cx) {
                // Being freed: either the slot is empty by now, or it is about to be.
                if found.still_there(cx) {
                    return None;
                }
                continue;
            }
            let page = CachedPage::new(ctx, found.pfn);
            if found.still_there(cx) && self.still_cached(cx, &page) {
                return Some(page);
            }
            self.release(cx.at(), page);
        }
    }

    /// The page of this place in any state, exactly.
    pub(crate) fn find_page(
        &self,
        cx: &mut Cx<'m, M, { level::TABLE1 }>,
        ctx: PageCtx,
    ) -> Option<CachedPage> {
        self.peek(cx, ctx).or_else(|| {
            let file = self.files.get(ctx.file);
            let held = file.cache.lock(cx);
            let pfn = file.tree.find(&held, &self.nodes, ctx.index)?.pfn;
            // The cache's own reference keeps it alive while the lock is held.
            self.frames().get(&held, pfn).ok()?;
            Some(CachedPage::new(ctx, pfn))
        })
    }

    /// Waits until a page is unlocked, without keeping it: the reference is given back before the sleep, so
    /// that waiters do not hold up whoever needs the page's references gone (WR22). What the page became must
    /// be looked up again.
    pub(crate) fn wait_unlocked(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, page: CachedPage) {
        let descriptor = self.descriptor(page.pfn);
        // WR20: while the reference is held the mark may be set; the unlocker takes lock and mark away in one
        // step.
        descriptor.set(cx, Flags::WAITERS);
        self.release(cx.at(), page);
        self.wait_marked(cx, descriptor);
    }

    /// Waits for the lock of a page the caller has a reference to (Linux: `folio_lock`).
    pub fn lock_page<'a>(&self, cx: &'a mut Cx<'m, M, { level::LAYOUT }>, pfn: Pfn) -> PageLock<'a, 'm, M> {
        lock_page(cx, self.descriptor(pfn))
    }

    /// Takes the lock of a page the caller has a reference to, if it is free.
    pub fn try_lock_page<'a>(
        &self,
        cx: &'a mut Cx<'m, M, { level::PAGE }>,
        pfn: Pfn,
    ) -> Option<PageLock<'a, 'm, M>> {
        let page = self.descriptor(pfn);
        // Made only if it is locked: what drops it unlocks.
        page.try_lock(cx).then(|| PageLock { cx, page })
    }

    /// A fault met a migration entry: says, under the leaf's lock, that somebody will wait for the page's
    /// lock. The page is locked for as long as such an entry exists. Then, without the leaf's lock,
    /// [`Objects::wait_moved`].
    pub fn will_wait_moved<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn) -> &'m Descriptor {
        let page = self.descriptor(self.frames().folio(cx, pfn).0);
        page.set(cx, Flags::WAITERS);
        page
    }

    /// Waits until a page that was on its way has arrived, without a reference to it (Linux:
    /// `migration_entry_wait`; WR22).
    pub fn wait_moved(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, page: &'m Descriptor) {
        self.wait_marked(cx, page);
    }

    fn wait_marked(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, descriptor: &'m Descriptor) {
        let parking = cx.core().parking;
        // From here on the descriptor is only read. If its frame was freed and is somebody else's locked page
        // with waiters by now, this wakes with them: early or late, never not at all.
        parking.park_unless(cx, descriptor.wait_key(), |cx| {
            let flags = descriptor.flags(cx);
            !(flags.has(Flags::LOCKED) && flags.has(Flags::WAITERS))
        });
    }
}
