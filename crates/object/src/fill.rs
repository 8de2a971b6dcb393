//! Getting a page of a file, reading it in if need be.
//!
//! A page that is being read is in the cache already, locked and not up to date; whoever wants it waits for
//! its lock on a queue of its own. A page that could not be read leaves the cache before it is unlocked: so
//! **a cached page that is not locked is up to date**, and each of those who waited reads (and fails) for
//! itself.

use crate::model::{File, FileKind};
use crate::objects::Objects;
use crate::page::{CachedPage, PageCtx, lock_page, owner_number, unlock_page};
use crate::radix::{InsertError, Locked};
use frame::{Flags, Request, State};
use machine::trace::Uncached;
use machine::{
    Backing, Counter, Cx, Event, IoError, Machine, Order, PAGE_SIZE, PageOp, Pfn, Plant, Shortage, UserFrame,
    level,
};

/// Pages read around a miss, aligned (Linux: 64 KiB, as `fault_around_bytes`).
pub const WINDOW: u64 = 16;

/// Whether a page that is not cached is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// Only what is cached and up to date.
    Existing,
    /// Read it in.
    Read,
}

/// How a page came to be there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// It was cached.
    Hit,
    /// Somebody else was reading it.
    Waited,
    /// It was read for this caller: a major fault.
    Read,
    /// It was made for this caller, of zeros (shared memory).
    Born,
}

/// A page, and how it came to be there.
#[must_use = "a reference is held"]
#[derive(Debug)]
pub struct Fetched {
    /// The page.
    pub page: CachedPage,
    /// How it came to be there.
    pub how: How,
}

/// Why there is no page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageError {
    /// The file is not that long (`SIGBUS`).
    BeyondEnd,
    /// It could not be read (`SIGBUS`, `EIO`).
    Io,
    /// No frame for it. Nothing has changed.
    Shortage(Shortage),
}

impl core::fmt::Display for PageError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            PageError::BeyondEnd => f.write_str("beyond the end of the file"),
            PageError::Io => f.write_str("the file could not be read"),
            PageError::Shortage(shortage) => shortage.fmt(f),
        }
    }
}

impl core::error::Error for PageError {}

/// What an attempt at a missing page came to.
enum Attempt {
    Done(Fetched),
    /// Somebody else put the page in first.
    Again,
}

/// Why a new page did not get into the cache.
enum Refused {
    Exists,
    Error(PageError),
}

/// Pages about to be read, from the index `base`: new, locked, with a reference each.
struct Window {
    base: u64,
    frames: [Option<Pfn>; WINDOW as usize],
}

impl<'m, M: Machine> Objects<'m, M> {
    /// The page of a file, with a reference; up to date, not locked. `None` only for [`Want::Existing`].
    ///
    /// A miss reads the aligned window of [`WINDOW`] pages around it, as far as the file reaches and memory
    /// allows. The caller holds no lock but its address space's layout, and keeps the file open.
    pub fn page(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        ctx: PageCtx,
        want: Want,
    ) -> Result<Option<Fetched>, PageError> {
        let mut how = How::Hit;
        loop {
            if let Some(page) = self.find_page(cx.at(), ctx) {
                let descriptor = self.descriptor(page.pfn());
                let flags = descriptor.flags(cx);
                if flags.has(Flags::UPTODATE) {
                    if !flags.has(Flags::REFERENCED) {
                        descriptor.set(cx, Flags::REFERENCED);
                    }
                    return Ok(Some(Fetched { page, how }));
                }
                if want == Want::Existing {
                    self.release(cx.at(), page);
                    return Ok(None);
                }
                self.wait_unlocked(cx, page);
                how = How::Waited;
                continue;
            }
            if want == Want::Existing {
                return Ok(None);
            }
            match self.fill(cx, ctx)? {
                Attempt::Done(fetched) => return Ok(Some(fetched)),
                Attempt::Again => {}
            }
        }
    }

    /// Reads pages of a file in, as far as it reaches (Linux: `force_page_cache_readahead`). Pages that
    /// cannot be read are left out.
    pub fn read_ahead(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        file: frame::Id<File>,
        first: u64,
        pages: u64,
    ) -> Result<(), Shortage> {
        let end = first.saturating_add(pages);
        let mut index = first;
        while index < end.min(self.files.get(file).end(cx)) {
            match self.page(cx, PageCtx { file, index }, Want::Read) {
                Ok(fetched) => fetched.into_iter().for_each(|fetched| self.release(cx.at(), fetched.page)),
                Err(PageError::Shortage(shortage)) => return Err(shortage),
                Err(PageError::BeyondEnd | PageError::Io) => {}
            }
            index += 1;
        }
        Ok(())
    }

    fn fill(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, ctx: PageCtx) -> Result<Attempt, PageError> {
        let file = self.files.get(ctx.file);
        if ctx.index >= file.end(cx) {
            return Err(PageError::BeyondEnd);
        }
        match file.kind() {
            FileKind::Memory => self.fill_with_zeros(cx, ctx),
            FileKind::Regular => self.fill_by_reading(cx, ctx),
        }
    }

    /// A new page of shared memory. It is complete before anybody can find it.
    fn fill_with_zeros(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        ctx: PageCtx,
    ) -> Result<Attempt, PageError> {
        let frame = self.new_frame(cx, ctx).map_err(PageError::Shortage)?;
        cx.machine().page_op(cx.cpu(), PageOp::Zero { to: UserFrame(frame), order: Order::ZERO });
        self.descriptor(frame).set(cx, Flags::UPTODATE);
        let file = self.files.get(ctx.file);
        let added = self.add(&mut file.cache.lock(cx), ctx, frame);
        match added {
            Ok(()) => Ok(Attempt::Done(Fetched { page: CachedPage::new(ctx, frame), how: How::Born })),
            Err(refused) => self.give_up(cx, frame, refused),
        }
    }

    fn fill_by_reading(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        ctx: PageCtx,
    ) -> Result<Attempt, PageError> {
        let wanted = self.new_locked(cx, ctx).map_err(PageError::Shortage)?;
        let mut window = self.allocate_around(cx, ctx);
        let file = self.files.get(ctx.file);
        let refused = {
            let mut held = file.cache.lock(cx);
            let result = self.add(&mut held, ctx, wanted);
            if result.is_ok() {
                self.add_window(&mut held, ctx.file, &mut window);
            }
            result.err()
        };
        if let Some(refused) = refused {
            unlock_page(cx, self.descriptor(wanted));
            self.drop_window(cx, window);
            return self.give_up(cx, wanted, refused);
        }
        let result = self.read_locked(cx.at(), ctx, wanted);
        self.read_window(cx.at(), ctx.file, window);
        match result {
            Ok(()) => Ok(Attempt::Done(Fetched { page: CachedPage::new(ctx, wanted), how: How::Read })),
            Err(IoError) => {
                self.release(cx.at(), CachedPage::new(ctx, wanted));
                Err(PageError::Io)
            }
        }
    }

    /// A frame that says whose page it will be.
    fn new_frame(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, ctx: PageCtx) -> Result<Pfn, Shortage> {
        let frame = self.frames().allocate(cx.at(), &Request::user())?;
        let page = self.descriptor(frame);
        page.set_owner(cx, owner_number(ctx.file), ctx.index);
        page.set_state(cx, State::File);
        Ok(frame)
    }

    /// The same, locked. Who found the frame by its number while it was somebody else's may have locked it
    /// and not looked again yet: it is waited for.
    fn new_locked(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, ctx: PageCtx) -> Result<Pfn, Shortage> {
        let frame = self.new_frame(cx, ctx)?;
        core::mem::forget(lock_page(cx, self.descriptor(frame)));
        Ok(frame)
    }

    /// Frames for the pages around a miss that are not cached: as many as are easily had.
    fn allocate_around(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, ctx: PageCtx) -> Window {
        let file = self.files.get(ctx.file);
        let base = ctx.index / WINDOW * WINDOW;
        let mut window = Window { base, frames: [None; WINDOW as usize] };
        for index in base..(base + WINDOW).min(file.end(cx)) {
            if index == ctx.index || file.tree.find(cx, &self.nodes, index).is_some() {
                continue;
            }
            match self.new_locked(cx, PageCtx { index, ..ctx }) {
                Ok(frame) => window.frames[(index - base) as usize] = Some(frame),
                // A bonus is not worth reclaiming for.
                Err(_) => break,
            }
        }
        window
    }

    /// Puts the window's pages into the cache, locked; those that cannot go in are freed.
    fn add_window(&self, held: &mut Locked<'_, 'm, M>, file: frame::Id<File>, window: &mut Window) {
        for (i, slot) in window.frames.iter_mut().enumerate() {
            let Some(frame) = *slot else { continue };
            let ctx = PageCtx { file, index: window.base + i as u64 };
            if self.add(held, ctx, frame).is_err() {
                unlock_page(held, self.descriptor(frame));
                self.discard_new(held.at(), frame);
                *slot = None;
            }
        }
    }

    fn drop_window(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, window: Window) {
        for frame in window.frames.into_iter().flatten() {
            unlock_page(cx, self.descriptor(frame));
            self.discard_new(cx.at(), frame);
        }
    }

    /// Frees a frame that never got into the cache.
    fn discard_new(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, frame: Pfn) {
        self.frames().put(cx, frame);
    }

    fn give_up(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        frame: Pfn,
        refused: Refused,
    ) -> Result<Attempt, PageError> {
        self.discard_new(cx.at(), frame);
        match refused {
            Refused::Exists => Ok(Attempt::Again),
            Refused::Error(error) => Err(error),
        }
    }

    /// Puts a page into the cache, which takes a reference of its own. The size is checked under the cache
    /// lock, so that no page appears behind a truncation's back.
    fn add(&self, held: &mut Locked<'_, 'm, M>, ctx: PageCtx, pfn: Pfn) -> Result<(), Refused> {
        let file = self.files.get(ctx.file);
        if ctx.index >= file.end(held) {
            return Err(Refused::Error(PageError::BeyondEnd));
        }
        file.tree.insert(held, &self.nodes, self.frames(), (ctx.index, pfn)).map_err(
            |error| match error {
                InsertError::Exists => Refused::Exists,
                InsertError::Shortage(shortage) => Refused::Error(PageError::Shortage(shortage)),
            },
        )?;
        let counted = self.frames().get(held, pfn);
        debug_assert!(counted.is_ok(), "a new page has one reference");
        file.pages.add(1);
        held.trace(|| Event::PageCached { frame: pfn, file: file.key(), index: ctx.index });
        Ok(())
    }

    /// Reads a locked page in and unlocks it. On an error it leaves the cache.
    fn read_locked(
        &self,
        cx: &mut Cx<'m, M, { level::PAGE }>,
        ctx: PageCtx,
        pfn: Pfn,
    ) -> Result<(), IoError> {
        let file = self.files.get(ctx.file);
        let page = self.descriptor(pfn);
        if cx.planted(Plant::UptodateEarly) {
            page.set(cx, Flags::UPTODATE);
        }
        let result = cx.machine().files().read(cx.cpu(), file.key(), ctx.index, UserFrame(pfn));
        match result {
            Ok(()) => {
                cx.count(Counter::PgPgIn);
                self.zero_past(cx, file.size(cx), ctx.index, pfn);
                page.set(cx, Flags::UPTODATE);
                cx.trace(|| Event::PageRead { frame: pfn, file: file.key(), index: ctx.index });
            }
            Err(IoError) => self.remove_locked(cx, ctx, pfn, Uncached::Unreadable),
        }
        unlock_page(cx, page);
        result
    }

    fn read_window(&self, cx: &mut Cx<'m, M, { level::PAGE }>, file: frame::Id<File>, window: Window) {
        for (index, frame) in (window.base..).zip(window.frames) {
            let Some(frame) = frame else { continue };
            let ctx = PageCtx { file, index };
            // Nobody asked for this page: who comes to want it gets the error then.
            let _ = self.read_locked(cx, ctx, frame);
            self.release(cx.at(), CachedPage::new(ctx, frame));
        }
    }

    /// Takes a locked page out of its file's cache and disowns it.
    pub(crate) fn remove_locked(
        &self,
        cx: &mut Cx<'m, M, { level::PAGE }>,
        ctx: PageCtx,
        pfn: Pfn,
        why: Uncached,
    ) {
        let file = self.files.get(ctx.file);
        let mut held = file.cache.lock(cx);
        self.uncache(&mut held, ctx, pfn, why);
        self.frames().put(held.at(), pfn);
    }

    /// Takes a page out of the index and disowns it; the cache's reference is the caller's now.
    pub(crate) fn uncache(&self, held: &mut Locked<'_, 'm, M>, ctx: PageCtx, pfn: Pfn, why: Uncached) {
        let file = self.files.get(ctx.file);
        if file.tree.has(held, &self.nodes, ctx.index, crate::radix::Mark::Dirty) {
            file.dirty.sub(1);
        }
        let removed = file.tree.remove(held, &self.nodes, ctx.index);
        debug_assert_eq!(removed, Some(pfn), "the page's place holds it");
        file.pages.sub(1);
        held.trace(|| Event::PageUncached { frame: pfn, file: file.key(), index: ctx.index, why });
        self.descriptor(pfn).set_owner(held, 0, 0);
    }

    /// Makes the bytes of a page beyond the file's end zero.
    pub(crate) fn zero_past<const L: u8>(&self, cx: &Cx<'m, M, L>, size: u64, index: u64, pfn: Pfn) {
        const ZEROS: [u8; 256] = [0; 256];
        // A page that lies beyond the end altogether is being cut off: whoever waits for it finds that out.
        if size / PAGE_SIZE != index || size.is_multiple_of(PAGE_SIZE) {
            return;
        }
        let mut offset = size % PAGE_SIZE;
        while offset < PAGE_SIZE {
            let n = (PAGE_SIZE - offset).min(ZEROS.len() as u64);
            cx.machine().write_frame(cx.cpu(), UserFrame(pfn), offset, &ZEROS[..n as usize]);
            offset += n;
        }
    }
}
