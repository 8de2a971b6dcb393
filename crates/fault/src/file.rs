//! Faults on pages of files and shared memory that are not mapped (Linux: `do_read_fault`, `do_cow_fault`,
//! `do_shared_fault`).

use crate::error::FaultError;
use crate::faults::Faults;
use crate::handle::{Outcome, Wish};
use frame::counts::MAPS_MAX;
use machine::entry::Attrs;
use machine::trace::Mapped;
use machine::{Counter, Cx, Entry, Event, Machine, Vpn, VpnRange, level};
use object::{CachedPage, Fetched, FileKind, How, PageCtx, TooManyMaps, Want};

/// Pages mapped around a load of a file, aligned (Linux: `fault_around_bytes`, 64 KiB).
const AROUND: u64 = 16;

impl<'m, M: Machine> Faults<'m, M> {
    /// A page of the object is missing from the tables.
    pub(crate) fn file_fault(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
        ctx: PageCtx,
    ) -> Result<Outcome, FaultError> {
        if !wish.is_write() && self.map_around(cx, wish)? == Outcome::Done {
            cx.count(Counter::FaultFileRead);
            return Ok(Outcome::Done);
        }
        let Some(fetched) = self.fetch(cx, wish, ctx)? else { return Ok(Outcome::Again) };
        if fetched.how == How::Read {
            cx.count(Counter::PgMajFault);
        }
        let page = fetched.page;
        let outcome = match wish.is_write() && wish.vma.flags.is_private() {
            true => self.copy_on_first_write(cx, wish, page)?,
            false => self.install_object_page(cx, wish, page)?,
        };
        if outcome == Outcome::Done && !wish.is_write() {
            cx.count(Counter::FaultFileRead);
            // The window around the page was read in with it.
            let _ = self.map_around(cx, wish)?;
        } else if outcome == Outcome::Done && !wish.vma.flags.is_private() {
            cx.count(Counter::FaultFileShared);
        }
        Ok(outcome)
    }

    /// The page of the object, read in if it must be; `None` if the mapping changed meanwhile.
    ///
    /// Nothing but the VMA keeps the object open, and nothing keeps the VMA: so the object is held open here,
    /// and is the right one if the VMA has not changed since it was seen.
    fn fetch(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
        ctx: PageCtx,
    ) -> Result<Option<Fetched>, FaultError> {
        let (spaces, objects) = (self.spaces(), self.spaces().objects());
        if !objects.try_retain(cx.at(), ctx.file) {
            return Ok(None);
        }
        let fetched = match spaces.vma(wish.vma.id).is_current(&wish.vma, cx) {
            true => objects.page(cx.at(), ctx, Want::Read),
            false => Ok(None),
        };
        // If this was the last use, dirty pages were written: an error of that is the file's to remember.
        let _ = objects.close(cx.at(), ctx.file);
        Ok(fetched?)
    }

    /// A store to a private page never seen before: the copy is mapped at once.
    fn copy_on_first_write(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
        page: CachedPage,
    ) -> Result<Outcome, FaultError> {
        let outcome = match self.copied_frame(cx, wish, page.pfn()) {
            Ok(fresh) => {
                let outcome = self.install_copy(cx, wish, &page, fresh);
                if outcome == Ok(Outcome::Done) {
                    self.tell_copied(cx, wish, (page.pfn(), fresh));
                }
                outcome
            }
            Err(shortage) => Err(FaultError::Shortage(shortage)),
        };
        self.spaces().objects().release(cx.at(), page);
        if outcome == Ok(Outcome::Done) {
            cx.count(Counter::FaultFileCow);
            cx.count(Counter::CowCopied);
        }
        outcome
    }

    /// Maps the object's own page. Its reference becomes the mapping's, or goes.
    fn install_object_page(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
        page: CachedPage,
    ) -> Result<Outcome, FaultError> {
        let objects = self.spaces().objects();
        let (page, refused) = match self.lock_unchanged(cx, wish) {
            Ok(Some(mut leaf)) if objects.still_cached(&leaf, &page) => {
                if wish.is_write() {
                    objects.mark_dirty(&mut leaf, page.ctx(), page.pfn());
                }
                let attrs = self.object_attrs(wish, wish.page, &page);
                let mapped = if wish.is_write() { Mapped::SharedPage } else { Mapped::FilePage };
                leaf.trace(|| Event::MapChosen { page: wish.page, frame: page.pfn(), mapped });
                match objects.map_file(&mut leaf, wish.page, page, attrs) {
                    Ok(()) => return Ok(Outcome::Done),
                    Err(TooManyMaps(page)) => (page, None),
                }
            }
            Ok(_) => (page, Some(Ok(Outcome::Again))),
            Err(shortage) => (page, Some(Err(FaultError::Shortage(shortage)))),
        };
        let outcome = refused.unwrap_or_else(|| self.make_room(cx, &page));
        objects.release(cx.at(), page);
        outcome
    }

    /// A page has as many mappings as can be counted. None of them is owed to anybody: they go, so that no
    /// program can keep others from a page of a file that all use. What is locked in memory stays.
    // LINUX: folio_add_file_rmap_pte() counts up to 2^31, and does not look.
    fn make_room(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        page: &CachedPage,
    ) -> Result<Outcome, FaultError> {
        let objects = self.spaces().objects();
        let mut locked = objects.lock_page(cx.at(), page.pfn());
        objects.thin_out(&mut locked, page.pfn());
        match objects.frames().descriptor(page.pfn()).maps(&*locked) < MAPS_MAX {
            true => Ok(Outcome::Again),
            false => Err(FaultError::Bus),
        }
    }

    /// Stores must fault where somebody has to hear of them: private pages are copied first, files note that
    /// the page is dirty (Linux: `vma_wants_writenotify`).
    fn object_attrs(&self, wish: &Wish, at: Vpn, page: &CachedPage) -> Attrs {
        let stored = at == wish.page && wish.is_write();
        let memory = self.spaces().objects().file(page.ctx().file).kind() == FileKind::Memory;
        let mut perms = wish.vma.flags.perms();
        perms.write &= !wish.vma.flags.is_private() && (memory || stored);
        Attrs { perms, dirty: stored, ..wish.attrs() }
    }

    /// Maps what is cached around the page, and the page itself if it is (Linux: `filemap_map_pages`). Reads
    /// nothing. `Done` if the page itself is mapped now.
    fn map_around(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, wish: &Wish) -> Result<Outcome, FaultError> {
        let objects = self.spaces().objects();
        let Some(ctx) = wish.page_ctx() else { return Ok(Outcome::Again) };
        let window = around(wish);
        let Some(mut leaf) = self.lock_current(cx, wish)? else { return Ok(Outcome::Again) };
        let mut outcome = Outcome::Again;
        for at in (window.start.0..window.end.0).map(Vpn) {
            if leaf.entry(at) != Entry::EMPTY {
                continue;
            }
            let place = PageCtx { file: ctx.file, index: wish.vma.file_index(at) };
            let Some(page) = objects.lookup(&mut leaf, place) else { continue };
            if !objects.still_cached(&leaf, &page) {
                objects.release(leaf.at(), page);
                continue;
            }
            let attrs = self.object_attrs(wish, at, &page);
            let mapped = if at == wish.page { Mapped::FilePage } else { Mapped::Around };
            leaf.trace(|| Event::MapChosen { page: at, frame: page.pfn(), mapped });
            match objects.map_file(&mut leaf, at, page, attrs) {
                Ok(()) if at == wish.page => outcome = Outcome::Done,
                Ok(()) => leaf.count(Counter::FaultAround),
                Err(TooManyMaps(page)) => objects.release(leaf.at(), page),
            }
        }
        Ok(outcome)
    }
}

/// The window around a fault: aligned, within the VMA and one leaf table.
fn around(wish: &Wish) -> VpnRange {
    let start = Vpn(wish.page.0 / AROUND * AROUND);
    VpnRange::sized(start, AROUND).intersect(&wish.vma.range)
}
