//! A page leaves memory, whatever it is (Linux: `shrink_folio_list` for one folio).

use crate::detach::{Detached, Into};
use crate::model::{File, FileKind, Owner};
use crate::objects::Objects;
use crate::page::{PageCtx, PageLock};
use crate::radix::Mark;
use crate::split::Split;
use crate::swapping::{Stays, SwapOut};
use frame::{Flags, Id, State};
use machine::entry::{Attrs, Kind};
use machine::trace::Uncached;
use machine::{Counter, Cx, EntryFormat, Machine, Order, Pfn, level};
use table::Cursor;

/// What is left to do about a page of a file.
enum FilePage {
    /// It left the cache.
    Gone,
    /// It has to be written first. Its file was kept.
    Dirty(PageCtx),
}

/// What the entries of a page say of its use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Use {
    /// Nobody used it lately.
    None,
    /// Somebody did, or has it locked just now.
    Used,
    /// It is locked in memory: it must not leave it.
    Locked,
}

/// Which pages eviction leaves alone. (Those of locked memory it always does.)
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spare {
    /// Those that were used since somebody looked last.
    Used,
    /// None: when all are young somebody's page must go.
    None,
}

impl<'m, M: Machine> Objects<'m, M> {
    /// Frees the frame of a page if that can be: an anonymous page is swapped out, or dropped if it is of no
    /// use; a page of a file is unmapped, written if it is dirty, and dropped. The caller's reference goes
    /// with it, whatever the answer.
    ///
    /// A folio of 2 MiB is split first; the other pages of it go when they are asked to.
    pub fn evict(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, pfn: Pfn) -> SwapOut {
        if self.folio(cx, pfn).is_large() {
            let stays = match self.swap_counts().total {
                0 => Some(Stays::Full),
                _ => (self.make_small(cx, pfn) == Split::Refused).then_some(Stays::Referenced),
            };
            if let Some(stays) = stays {
                self.frames().put(cx.at(), pfn);
                return Err(stays);
            }
        }
        let page = self.descriptor(pfn);
        let meta = page.meta(cx);
        match meta.state() {
            State::Anon if meta.flags().has(Flags::LAZY_FREE) && self.discard(cx, pfn).is_ok() => {
                self.frames().put(cx.at(), pfn);
                Ok(())
            }
            State::Anon => self.swap_out(cx, pfn),
            State::File => {
                let result = self.evict_file_page(cx, pfn);
                self.frames().put(cx.at(), pfn);
                result
            }
            _ => {
                self.frames().put(cx.at(), pfn);
                Err(Stays::Unfit)
            }
        }
    }

    /// Evicts a page unless it is to be left alone; what stays gets the age `young`. The caller's reference
    /// goes with it, whatever the answer.
    pub fn try_evict(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        (pfn, young): (Pfn, u8),
        spare: Spare,
    ) -> SwapOut {
        let stays = match self.look_for_use(cx.at(), pfn) {
            Use::Locked => {
                cx.count(Counter::UnevictablePgCulled);
                Some(Stays::Locked)
            }
            Use::Used if spare == Spare::Used => Some(Stays::Used),
            _ => None,
        };
        let Some(stays) = stays else { return self.evict(cx, pfn) };
        self.folio(cx, pfn).page.set_age(cx, young);
        self.frames().put(cx.at(), pfn);
        Err(stays)
    }

    /// Whether a page was used since its entries were last looked at, and lets them be as if it had not. The
    /// caller has a reference. No flush: a CPU that keeps the translation may not mark the next use (as Linux
    /// on x86).
    // LINUX: mm/rmap.c folio_referenced().
    fn look_for_use(&self, cx: &mut Cx<'m, M, { level::PAGE }>, pfn: Pfn) -> Use {
        let page = self.descriptor(pfn);
        let mut used = if page.test_and_clear(cx, Flags::REFERENCED) { Use::Used } else { Use::None };
        let Some(locked) = &mut self.try_lock_page(cx, pfn) else { return Use::Used };
        let Some(owner) = self.owner_of(locked, page) else { return used };
        let index = page.index(locked);
        self.for_each_mapping(locked, owner, index..index + 1, |cx, mapping, part| {
            let walker = self.walker(mapping.table);
            let mut cursor = Cursor::new(part);
            while let Some((mut leaf, part)) = cursor.next(&walker, cx) {
                let level = leaf.level();
                let mut next = part.start;
                while let Some((at, entry)) = leaf.next_used(next, part.end) {
                    next = leaf.pages(at).end;
                    let attrs = M::Entry::attrs(entry);
                    if M::Entry::kind(entry, level) != Kind::Leaf(pfn) {
                        continue;
                    }
                    if attrs.locked {
                        used = Use::Locked;
                    }
                    if attrs.accessed {
                        used = used.max(Use::Used);
                        leaf.relax(at, |entry| {
                            let attrs = Attrs { accessed: false, ..M::Entry::attrs(entry) };
                            M::Entry::with_attrs(entry, attrs, level)
                        });
                    }
                }
            }
        });
        used
    }

    fn evict_file_page(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, pfn: Pfn) -> SwapOut {
        let ctx = match self.drop_file_page(cx, pfn)? {
            FilePage::Gone => return Ok(()),
            FilePage::Dirty(ctx) => ctx,
        };
        let written = self.writeback(cx, ctx.file, ctx.index..ctx.index + 1);
        let result = match written {
            Ok(()) => self.drop_file_page(cx, pfn),
            Err(_) => Err(Stays::Failed),
        };
        if let Ok(FilePage::Dirty(_)) = result {
            self.drop_kept_file(cx, ctx.file);
        }
        self.drop_kept_file(cx, ctx.file);
        match result? {
            FilePage::Gone => Ok(()),
            FilePage::Dirty(_) => Err(Stays::Written),
        }
    }

    /// Unmaps a page of a file, and takes it out of the cache if it is clean and nobody refers to it.
    fn drop_file_page(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, pfn: Pfn) -> Result<FilePage, Stays> {
        let page = self.descriptor(pfn);
        let mut locked = self.try_lock_page(cx.at(), pfn).ok_or(Stays::Busy)?;
        let meta = page.meta(&*locked);
        let Some(Owner::File(id)) = self.owner_of(&locked, page) else { return Err(Stays::Unfit) };
        let file = self.files.get(id);
        if meta.order() != Order::ZERO || file.kind() == FileKind::Memory {
            return Err(Stays::Unfit);
        }
        if meta.flags().has(Flags::WRITEBACK) || !meta.flags().has(Flags::UPTODATE) {
            return Err(Stays::Busy);
        }
        let ctx = PageCtx { file: id, index: page.index(&*locked) };
        if self.detach_page(&mut locked, pfn, Into::Nothing) == Detached::StillMapped {
            return Err(Stays::Pinned);
        }
        self.drop_unmapped(&mut locked, ctx, pfn)
    }

    fn drop_unmapped(
        &self,
        locked: &mut PageLock<'_, 'm, M>,
        ctx: PageCtx,
        pfn: Pfn,
    ) -> Result<FilePage, Stays> {
        let file = self.files.get(ctx.file);
        {
            let mut held = file.cache.lock(&mut **locked);
            if !file.tree.has(&held, &self.nodes, ctx.index, Mark::Dirty) {
                // The caller's reference and the cache's.
                if self.descriptor(pfn).refs(&*held) > 2 {
                    return Err(Stays::Referenced);
                }
                // Who found it just now finds that it is not the file's any more, as after a truncation.
                self.uncache(&mut held, ctx, pfn, Uncached::Dropped);
                self.frames().put(held.at(), pfn);
                return Ok(FilePage::Gone);
            }
        }
        self.keep_file(locked, ctx.file);
        Ok(FilePage::Dirty(ctx))
    }

    /// Keeps a file open that has a page cached, which the caller has locked.
    fn keep_file(&self, locked: &mut PageLock<'_, 'm, M>, id: Id<File>) {
        let file = self.files.get(id);
        let held = self.bucket(file.key()).lock.lock(&mut **locked);
        file.add_user(&held);
    }

    fn drop_kept_file(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, id: Id<File>) {
        self.drop_user(cx, id);
    }
}
