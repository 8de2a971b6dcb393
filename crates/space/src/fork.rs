//! `fork`: a copy of a space that shares its pages until one of the two writes
//! (Linux: `dup_mmap`, `copy_page_range`).

use crate::error::Error;
use crate::fork_huge::{Copied, read_only_entry};
use crate::layout::{Layout, guard_of};
use crate::prepare::Needs;
use crate::space::{Sign, Space};
use crate::spaces::Spaces;
use crate::vma::{Content, Vma, VmaFlags};
use crate::zap::everything;
use frame::{AtCap, Id, Request};
use machine::entry::{Attrs, Kind};
use machine::trace::{Shared, Work};
use machine::{
    Counter, Cx, Entry, EntryFormat, Event, Level, Machine, Order, PageOp, Pfn, Plant, UserFrame, Vpn,
    VpnRange, level,
};
use object::MappedFile;
use object::exclusive::AnonCtx;
use object::ksm::merge::Sign as ZeroSign;
use object::swap::slot::TooManyEntries;
use table::{Cursor, PageTable, Pair, Rss, Soft, TableBatch};

impl<'m, M: Machine> Spaces<'m, M> {
    /// A copy of a space, with one user. Anonymous pages are shared and write-protected in both;
    /// pinned ones are copied for the child at once (CR6). When it returns no CPU can write a shared
    /// page through an old translation.
    ///
    /// Errors: `NoMemory` for commitment, `Killed`, `Shortage`; then the parent is as before, except that its
    /// pages may be write-protected (their first write finds them unshared).
    pub fn fork(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        parent: Id<Space>,
    ) -> Result<Id<Space>, Error> {
        let mut layout = self.write_layout(cx, parent)?;
        let (member, limits) = (layout.space.member.get(), layout.space.limits());
        let child = self.create_in(&mut layout, member, &limits)?;
        let copied = layout.copy_into(child);
        drop(layout);
        match copied {
            Ok(()) => {
                self.space(child).let_live(cx);
                Ok(child)
            }
            Err(error) => {
                self.release(cx, child);
                Err(error)
            }
        }
    }
}

impl<'m, M: Machine> Layout<'_, 'm, M> {
    fn copy_into(&mut self, child: Id<Space>) -> Result<(), Error> {
        let (spaces, to) = (self.spaces, self.spaces.space(child));
        to.break_start.set(self.space.break_start.get());
        to.break_end.set(self.space.break_end.get());
        to.mmap_base.set(self.space.mmap_base.get());
        to.merge_any.set(self.space.merge_any.get());
        if self.space.has_mergeable() {
            to.note_mergeable();
        }
        to.lost_locks.set(self.space.lost_locks.get());
        to.huge_refused.set(self.space.huge_refused.get());
        to.policy.set(self.space.policy.get());
        let (Some(from), Some(into)) = (self.space.table.get(), to.table.get()) else {
            return Err(Error::Killed);
        };
        let mut batch = spaces.batch(from);
        let copied = self.for_each_in(everything::<M>(), |layout, id, _| {
            if layout.vma(id).flags().contains(VmaFlags::DONT_COPY) {
                return Ok(());
            }
            // Until the last old translation is gone no fault of the parent may copy a page: a store
            // through an old translation would go to the page that was left behind (Linux: `dup_mmap` holds
            // off faults, too). Nor may one make the first private page of a VMA that is passed over: a
            // later store of its thread could still come before the copy of another VMA, and the child
            // would have the later one alone.
            if layout.vma(id).flags().is_private() && !layout.planted(Plant::ForkUnmarked) {
                layout.begin_change(id);
            }
            let copy = layout.copy_vma(id, child)?;
            let copies = layout.must_copy_pages(id);
            layout.trace(|| spaces.fork_begun(from, into, layout.vma(id).range(), copies));
            if !copies {
                return Ok(());
            }
            layout.vma(copy).note_anon(&*layout);
            // CR6: somebody may have taken write permission from entries and not have flushed it yet.
            batch.answer_for(layout.vma(id).range());
            layout.copy_pages(id, from, into, &mut batch)
        });
        // Whatever happened, entries of the parent that lost their write permission are settled now.
        spaces.settle(self, from, &mut batch);
        self.end_changes();
        spaces.note_peak(child);
        copied
    }

    /// Lets faults of the parent go on.
    fn end_changes(&mut self) {
        let ended = self.for_each_in(everything::<M>(), |layout, id, _| {
            if !layout.vma(id).is_stable() {
                layout.end_change(id);
            }
            Ok(())
        });
        debug_assert!(ended.is_ok());
    }

    /// The VMA of the child; nobody else knows the child yet.
    fn copy_vma(&mut self, id: Id<Vma>, child: Id<Space>) -> Result<Id<Vma>, Error> {
        let (spaces, vma, to) = (self.spaces, self.vma(id), self.spaces.space(child));
        let (range, content) = (vma.range(), vma.content());
        let lock = VmaFlags::LOCKED | VmaFlags::LOCK_ON_FAULT;
        if content.flags.intersects(lock) {
            to.lost_locks.set(true);
        }
        let content = Content { flags: content.flags.difference(lock), ..content };
        let commit = if content.flags.contains(VmaFlags::ACCOUNTED) { range.pages() } else { 0 };
        spaces.commit(self, to, commit)?;
        let mut prepared = spaces
            .prepare(self, &to.tree, Needs::default().and(&content))
            .inspect_err(|_| spaces.uncommit(self, to, commit))?;
        let copy = prepared.take_vma();
        let new = self.vma(copy);
        new.write(range, &content);
        spaces.attach(self, to, new, &mut prepared, Some(vma));
        let value = copy.raw();
        to.tree.insert(spaces.nodes(), self, &mut prepared.nodes, range, value, guard_of(content.flags));
        to.account(content.flags, range.pages(), Sign::Plus);
        new.end_change(self, to.new_stamp(child));
        self.give_back(prepared);
        Ok(copy)
    }

    /// Whether the child could not find the pages again by faulting (Linux: `vma_needs_copy`).
    fn must_copy_pages(&self, id: Id<Vma>) -> bool {
        let vma = self.vma(id);
        vma.has_anon(self) && !vma.flags().contains(VmaFlags::WIPE_ON_FORK)
    }

    fn copy_pages(
        &mut self,
        id: Id<Vma>,
        from: Id<PageTable>,
        into: Id<PageTable>,
        batch: &mut TableBatch<'_, 'm, M>,
    ) -> Result<(), Error> {
        let spaces = self.spaces;
        let (from, into) = (spaces.walker(from), spaces.walker(into));
        let seen = self.snapshot(id);
        let file = self.vma(id).mapped_file();
        let lineage = spaces.lineage_of(self.id).ok_or(Error::Killed)?;
        let mut cursor = Cursor::new(seen.range);
        while let Some((level, part)) = cursor.next(&from, self.at()).map(|(leaf, part)| (leaf.level(), part))
        {
            if level == Level::HUGE {
                if self.copy_huge((&from, &into), part, batch)? == Copied::No {
                    // Page by page, then.
                    spaces.objects().split_entry(self.at(), &from, part.start, batch);
                    cursor.resume_at(part.start);
                }
                continue;
            }
            // Both tables stay: unmapping needs the layout lock, and nobody knows the child.
            let Some(mut pair) = from.lock_pair(self.at(), part.start, (&into, part.start))? else {
                continue;
            };
            let mut next = part.start;
            loop {
                let Some((page, entry)) = pair.from().next_used(next, part.end) else { break };
                next = spaces.share_small_run(&mut pair, VpnRange::new(page, part.end), batch);
                if next > page {
                    continue;
                }
                let run = spaces.copy_run(&mut pair, (page, part.end), entry, batch);
                next = page + run.max(1);
                if run > 0 {
                    continue;
                }
                let ctx = AnonCtx { lineage, index: seen.anon_index(page) };
                spaces.copy_entry(&mut pair, (page, file, ctx), entry, batch)?;
            }
        }
        Ok(())
    }
}

impl<'m, M: Machine> Spaces<'m, M> {
    /// One page: shared if it may be, copied if it is pinned (Linux: `copy_present_pte`).
    fn copy_entry(
        &self,
        pair: &mut Pair<'_, 'm, M>,
        (page, file, ctx): (Vpn, Option<MappedFile>, AnonCtx),
        entry: Entry,
        batch: &mut TableBatch<'_, 'm, M>,
    ) -> Result<(), Error> {
        if let Some(soft) = Soft::of::<M>(entry, Level::LEAF) {
            return self.copy_soft(pair, (page, file), soft, entry);
        }
        let Kind::Leaf(pfn) = M::Entry::kind(entry, Level::LEAF) else { return Ok(()) };
        let rss = self.objects().rss_of(pair.cx(), entry, file.map(|file| file.at(page)));
        let shared = match rss {
            None => Ok(()),
            Some(Rss::Anon) => self.objects().share_for_fork(pair.cx(), pfn),
            Some(_) => match self.objects().map_again(pair.cx(), pfn) {
                Ok(()) => Ok(()),
                // A file's page that cannot be counted once more is to be found in the file.
                Err(AtCap) => return Ok(()),
            },
        };
        if shared.is_err() {
            return self.copy_now(pair, (page, ctx), pfn, M::Entry::attrs(entry));
        }
        self.hand_on(pair, (page, entry), (pfn, rss), batch);
        Ok(())
    }

    /// The child gets an entry for a page that was counted for it, and the parent's lets no store pass.
    pub(crate) fn hand_on(
        &self,
        pair: &mut Pair<'_, 'm, M>,
        (page, entry): (Vpn, Entry),
        (pfn, rss): (Pfn, Option<Rss>),
        batch: &mut TableBatch<'_, 'm, M>,
    ) {
        let parent = pair.from().table().domain().asid();
        let child = pair.to().table().domain().asid();
        let what = match rss {
            None => Shared::Zero,
            Some(Rss::Anon) => Shared::Anonymous,
            Some(_) => Shared::File,
        };
        pair.cx().trace(|| Event::ForkShared { page, frame: pfn, parent, child, what });
        if rss.is_some() {
            pair.cx().count(Counter::ForkShared);
        }
        let attrs = M::Entry::attrs(entry);
        if attrs.perms.write && !pair.cx().planted(Plant::ForkLeavesWritable) {
            let (_, token) = pair.from().change(page, |entry| read_only_entry::<M>(entry, Level::LEAF));
            batch.push(pair.cx(), token);
        }
        let read_only = without_rights(attrs);
        let copy = M::Entry::leaf(pfn, read_only, Level::LEAF);
        self.objects().count_merged_zero(copy, ZeroSign::Comes);
        pair.to().install(page, copy, rss);
    }

    /// An entry of software's own: parent and child have it, and neither is exclusive any more (rows 16 and
    /// 20).
    fn copy_soft(
        &self,
        pair: &mut Pair<'_, 'm, M>,
        (page, file): (Vpn, Option<MappedFile>),
        soft: Soft,
        entry: Entry,
    ) -> Result<(), Error> {
        if let Soft::Swap { slot, .. } = soft {
            // LINUX: copy_nonpresent_pte(): swap_duplicate() may fail.
            self.objects().dup_swap(pair.cx(), slot).map_err(|TooManyEntries| Error::NoMemory)?;
        }
        let rss = self.objects().rss_of(pair.cx(), entry, file.map(|file| file.at(page)));
        let kept = pair.cx().planted(match soft {
            Soft::Swap { .. } => Plant::SwapSoleKeptByFork,
            Soft::Migration { .. } => Plant::MigrationKeptByFork,
        });
        let [shared, childs] =
            if kept { [entry; 2] } else { [soft.shared(), soft.for_child()].map(Soft::entry::<M>) };
        if shared != entry {
            pair.from().exchange_absent(page, (rss, rss), shared);
        }
        pair.to().install(page, childs, rss);
        Ok(())
    }

    /// A page that is pinned, or cannot be counted once more, stays the parent's alone: the child
    /// gets a copy now (CR6).
    fn copy_now(
        &self,
        pair: &mut Pair<'_, 'm, M>,
        (page, ctx): (Vpn, AnonCtx),
        pfn: Pfn,
        attrs: Attrs,
    ) -> Result<(), Error> {
        let child = pair.to().table().domain().asid();
        let held = self.objects().folio(pair.cx(), pfn).page;
        pair.cx().trace(|| Event::ForkRefused { page, frame: pfn, held: held.held() });
        let copy = self.frames().allocate_user(pair.cx().at(), &Request::user())?;
        let copying = PageOp::Copy { to: copy, from: UserFrame(pfn), order: Order::ZERO };
        pair.cx().machine().page_op(pair.cx().cpu(), copying);
        pair.cx().count(Counter::CowCopied);
        let attrs = Attrs { accessed: true, dirty: true, locked: false, ..attrs };
        self.objects().map_anon(&mut pair.to(), page, (copy, ctx), attrs);
        pair.cx().trace(|| Event::Copied { asid: child, page, from: pfn, to: copy.0 });
        Ok(())
    }

    /// What those who watch are told.
    fn fork_begun(&self, from: Id<PageTable>, into: Id<PageTable>, pages: VpnRange, copies: bool) -> Event {
        let [asid, child] = [from, into].map(|table| self.tables().get(table).domain().asid());
        let work = if copies { Work::Fork { child } } else { Work::ForkPasses { child } };
        Event::WorkBegun { asid, pages, work }
    }
}

/// What a child's entry of a shared page says: it lets no store pass, was not used yet, and locks are not
/// inherited.
#[inline]
pub(crate) fn without_rights(attrs: Attrs) -> Attrs {
    Attrs { perms: attrs.perms.read_only(), accessed: false, locked: false, ..attrs }
}
