//! Merging equal pages (KSM), as far as address spaces decide: which pages may be merged, and that they stay
//! where they are meanwhile.
//!
//! Who scans holds the layout lock for reading, one page at a time: VMAs stay, fork is out of the way, and
//! faults go on.

use crate::error::Error;
use crate::layout::Layout;
use crate::space::Space;
use crate::spaces::Spaces;
use crate::vma::{Vma, VmaFlags};
use frame::{Id, State};
use machine::entry::Kind;
use machine::lock::SleepHeld;
use machine::{Cx, Entry, EntryFormat, Level, Machine, Pfn, Vpn, VpnRange, level};
use object::exclusive::AnonCtx;
use object::ksm::merge::is_merged_zero;
use object::ksm::{Busy, Merging, Node, Site, Target};
use table::{Cursor, Leaf, Soft};

/// The next page to look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NextPage {
    /// This one, to whose frame the caller has a reference now.
    Page {
        /// The page.
        page: Vpn,
        /// What it maps.
        frame: Pfn,
    },
    /// None up to here; there may be some from here on.
    Later(Vpn),
    /// None.
    End,
}

/// A space whose layout is locked for reading.
struct Reading<'a, 'm, M: Machine> {
    spaces: &'a Spaces<'m, M>,
    id: Id<Space>,
    cx: SleepHeld<'a, 'm, M, { level::LAYOUT }>,
}

impl<'m, M: Machine> Reading<'_, 'm, M> {
    fn vma_from(&self, page: Vpn) -> Option<&'m Vma> {
        let tree = &self.spaces.space(self.id).tree;
        let (_, value) = tree.find(self.spaces.nodes(), &self.cx, page)?;
        Some(self.spaces.vma(Id::from_raw(value)))
    }

    /// The VMA of a page, if its pages may be merged.
    fn mergeable(&self, page: Vpn) -> Option<&'m Vma> {
        self.vma_from(page).filter(|vma| vma.range().contains(page) && may_merge(vma.flags()))
    }

    fn site(&self, page: Vpn) -> Option<Site> {
        let vma = self.mergeable(page)?;
        let table = self.spaces.space(self.id).table()?;
        let lineage = self.spaces.lineage_of(self.id)?;
        Some(Site { table, page, ctx: AnonCtx { lineage, index: vma.anon_index(page) } })
    }
}

fn may_merge(flags: VmaFlags) -> bool {
    flags.contains(VmaFlags::MERGEABLE) && flags.is_private()
}

impl<'m, M: Machine> Spaces<'m, M> {
    fn read_layout<'a>(
        &'a self,
        cx: &'a mut Cx<'m, M, { level::PROCESS }>,
        id: Id<Space>,
    ) -> Option<Reading<'a, 'm, M>> {
        let cx = self.space(id).layout.read(cx);
        (!self.space(id).is_killed(&cx)).then_some(Reading { spaces: self, id, cx })
    }

    /// The spaces from this one on in which something may be merged. The caller keeps those it is interested
    /// in from going away.
    // LINUX: mm/ksm.c keeps a list of them, ksm_mm_head.
    pub fn mergeable_from(&self, first: Id<Space>) -> Option<Id<Space>> {
        self.spaces.ids().find(|&id| id >= first && self.space(id).has_mergeable())
    }

    /// The next page of a space, from `from` on, that may be merged or is. Looks at one page table at most.
    /// The caller uses the space.
    // LINUX: mm/ksm.c scan_get_next_rmap_item().
    pub fn next_mergeable(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        id: Id<Space>,
        from: Vpn,
    ) -> NextPage {
        let Some(mut layout) = self.read_layout(cx, id) else { return NextPage::End };
        let Some(vma) = layout.vma_from(from) else { return NextPage::End };
        let range = vma.range();
        if !may_merge(vma.flags()) {
            return NextPage::Later(range.end);
        }
        let Some(table) = self.space(id).table() else { return NextPage::End };
        let part = VpnRange::new(from.max(range.start), range.end);
        let walker = self.walker(table);
        let Some((leaf, part)) = Cursor::new(part).next(&walker, layout.cx.at()) else {
            return NextPage::Later(range.end);
        };
        let mut next = part.start;
        while let Some((first, entry)) = leaf.next_used(next, part.end) {
            let page = first.max(part.start);
            next = leaf.pages(first).end;
            if let Some(frame) = self.take_anonymous(&leaf, page, entry) {
                return NextPage::Page { page, frame };
            }
        }
        NextPage::Later(part.end)
    }

    /// What a page maps that may be merged, with a reference.
    pub fn mergeable_at(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        id: Id<Space>,
        page: Vpn,
    ) -> Option<Pfn> {
        let mut layout = self.read_layout(cx, id)?;
        let Site { table, .. } = layout.site(page)?;
        let leaf = self.walker(table).lock_leaf_existing(layout.cx.at(), page)?;
        let entry = leaf.entry(page);
        self.take_anonymous(&leaf, page, entry)
    }

    /// The anonymous page of its own, or merged, that an entry maps at a page, with a reference.
    fn take_anonymous(&self, leaf: &Leaf<'_, 'm, M>, page: Vpn, entry: Entry) -> Option<Pfn> {
        let Kind::Leaf(first) = M::Entry::kind(entry, leaf.level()) else { return None };
        if M::Entry::attrs(entry).special {
            return None;
        }
        let pfn = first.plus(page - leaf.pages(page).start);
        let anonymous = matches!(self.objects().folio_state(leaf, pfn), State::Anon | State::Ksm);
        (anonymous && self.frames().get(leaf, pfn).is_ok()).then_some(pfn)
    }

    /// Exchanges what a page maps, for the same bytes elsewhere. The caller has a reference to `pfn`, which
    /// it maps, uses the space, and is the one who scans.
    pub fn merge_page(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        (id, page): (Id<Space>, Vpn),
        pfn: Pfn,
        target: Target,
    ) -> Merging {
        let mut layout = self.read_layout(cx, id).ok_or(Busy::Moved)?;
        let site = layout.site(page).ok_or(Busy::Moved)?;
        self.objects().merge_mapping(&mut layout.cx, &site, pfn, target)
    }

    /// Takes back that the page of a place was made a merged one: see
    /// [`object::Objects::unmerge_single`].
    pub fn unmerge_single(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        (id, page): (Id<Space>, Vpn),
        (node, pfn): (Id<Node>, Pfn),
    ) -> Merging {
        let mut layout = self.read_layout(cx, id).ok_or(Busy::Moved)?;
        let site = layout.site(page).ok_or(Busy::Moved)?;
        self.objects().unmerge_single(&mut layout.cx, &site, (node, pfn))
    }

    /// The first page of a range that maps a merged page, or the page of zeros in the place of one.
    pub fn next_merged(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        id: Id<Space>,
        range: VpnRange,
    ) -> Option<Vpn> {
        let mut layout = self.read_layout(cx, id)?;
        let walker = self.walker(self.space(id).table()?);
        let mut cursor = Cursor::new(range);
        while let Some((leaf, part)) = cursor.next(&walker, layout.cx.at()) {
            let mut next = part.start;
            while let Some((page, entry)) = leaf.next_used(next, part.end) {
                next = leaf.pages(page).end;
                if leaf.level() == Level::LEAF && self.is_merged(&leaf, entry) {
                    return Some(page);
                }
            }
        }
        None
    }

    fn is_merged(&self, leaf: &Leaf<'_, 'm, M>, entry: Entry) -> bool {
        // A merged page that is being moved is merged when it has arrived.
        if let Some(Soft::Migration { frame, .. }) = Soft::of::<M>(entry, Level::LEAF) {
            return self.objects().folio_state(leaf, frame) == State::Ksm;
        }
        match M::Entry::kind(entry, Level::LEAF) {
            Kind::Leaf(_) if M::Entry::attrs(entry).special => is_merged_zero::<M>(entry),
            Kind::Leaf(pfn) => self.objects().folio_state(leaf, pfn) == State::Ksm,
            _ => false,
        }
    }

    /// A new program's space, which has nothing yet and nobody knows, merges as the old one did.
    pub fn inherit_merge_any(&self, new: Id<Space>, old: Id<Space>) {
        self.space(new).merge_any.set(self.space(old).merge_any.get());
    }

    /// Says whether all memory of a space that can be merged may be, now and what is mapped later
    /// (`PR_SET_MEMORY_MERGE`). What is merged is not undone here.
    ///
    /// Errors: `NoMemory` for too many VMAs, `Killed`, `Shortage`.
    // LINUX: mm/ksm.c ksm_enable_merge_any(), ksm_disable_merge_any().
    pub fn merge_any(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        id: Id<Space>,
        any: MergeAny,
    ) -> Result<(), Error> {
        let mut layout = self.write_layout(cx, id)?;
        layout.space.merge_any.set(any == MergeAny::On);
        let mut at = Vpn(0);
        while let Some(vma) = layout.find(at) {
            let part = layout.vma(vma).range();
            at = part.end;
            let flags = match any {
                MergeAny::On => layout.mergeable_flags(layout.vma(vma).flags()),
                MergeAny::Off => layout.vma(vma).flags().difference(VmaFlags::MERGEABLE),
            };
            layout.set_flags_of_part(part, flags)?;
        }
        Ok(())
    }
}

/// Whether all of a space may be merged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MergeAny {
    /// All that can be.
    On,
    /// What `madvise` says.
    Off,
}

impl<M: Machine> Layout<'_, '_, M> {
    /// The flags of a VMA once its pages may be merged; those of others' pages never are, and that is no
    /// error (Linux: `vma_ksm_compatible`).
    pub(crate) fn mergeable_flags(&self, flags: VmaFlags) -> VmaFlags {
        if !flags.is_private() {
            return flags;
        }
        self.space.note_mergeable();
        flags | VmaFlags::MERGEABLE
    }

    /// What every new VMA with these flags gets beside them (`mlockall`, `PR_SET_MEMORY_MERGE`).
    pub(crate) fn with_future(&self, flags: VmaFlags) -> VmaFlags {
        let flags = flags | self.space.future.get();
        if self.space.merge_any.get() { self.mergeable_flags(flags) } else { flags }
    }
}
