//! A space whose layout is locked: the steps that every operation on VMAs is made of.
//!
//! Each operation prepares first ([`Prepared`]: VMAs, tree nodes and attachments it may need), then commits
//! with steps that cannot fail.

use crate::error::Error;
use crate::granule::Granule;
use crate::prepare::{Needs, Prepared};
use crate::space::{Sign, Space};
use crate::spaces::Spaces;
use crate::tree::Tree;
use crate::vma::{Content, STACK_GUARD, Snapshot, Vma, VmaFlags};
use core::ops::{Deref, DerefMut};
use frame::Id;
use machine::lock::{SleepHeld, Waited};
use machine::{Cx, Machine, Plant, Vpn, VpnRange, level};

/// A space with its layout locked for writing.
pub(crate) struct Layout<'a, 'm, M: Machine> {
    pub(crate) spaces: &'a Spaces<'m, M>,
    pub(crate) id: Id<Space>,
    pub(crate) space: &'m Space,
    /// What of it is locked.
    pub(crate) scope: Scope<'m>,
    /// The VMAs that can be changed.
    pub(crate) tree: &'m Tree,
    cx: SleepHeld<'a, 'm, M, { level::LAYOUT }>,
}

/// What of a layout is locked.
#[derive(Clone, Copy)]
pub(crate) enum Scope<'m> {
    /// All of it.
    Whole {
        /// The granules whose locks are held beside the layout's.
        held: u64,
    },
    /// One granule.
    Granule(&'m Granule),
}

impl<M: Machine> Drop for Layout<'_, '_, M> {
    fn drop(&mut self) {
        self.let_granules_go();
    }
}

impl<'m, M: Machine> Deref for Layout<'_, 'm, M> {
    type Target = Cx<'m, M, { level::LAYOUT }>;
    fn deref(&self) -> &Self::Target {
        &self.cx
    }
}

impl<M: Machine> DerefMut for Layout<'_, '_, M> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.cx
    }
}

impl<'m, M: Machine> Spaces<'m, M> {
    /// Locks a space's layout for writing.
    pub(crate) fn write_layout<'a>(
        &'a self,
        cx: &'a mut Cx<'m, M, { level::PROCESS }>,
        id: Id<Space>,
    ) -> Result<Layout<'a, 'm, M>, Error> {
        self.write_layout_for(cx, id, None).map(|(layout, _)| layout)
    }

    /// The same for a change of one range (`None`: of anything), and whether somebody else had the layout
    /// first.
    pub(crate) fn write_layout_for<'a>(
        &'a self,
        cx: &'a mut Cx<'m, M, { level::PROCESS }>,
        id: Id<Space>,
        range: Option<VpnRange>,
    ) -> Result<(Layout<'a, 'm, M>, Waited), Error> {
        let (mut layout, waited) = self.write_whole(cx, id);
        if layout.space.is_killed(&layout) {
            return Err(Error::Killed);
        }
        layout.gather(range).map_err(Error::Shortage)?;
        Ok((layout, waited))
    }

    /// The same for tearing a killed space down; VMAs of granules stay where they are.
    pub(crate) fn write_layout_of_dying<'a>(
        &'a self,
        cx: &'a mut Cx<'m, M, { level::PROCESS }>,
        id: Id<Space>,
    ) -> Layout<'a, 'm, M> {
        self.write_whole(cx, id).0
    }

    fn write_whole<'a>(
        &'a self,
        cx: &'a mut Cx<'m, M, { level::PROCESS }>,
        id: Id<Space>,
    ) -> (Layout<'a, 'm, M>, Waited) {
        let space = self.space(id);
        let (cx, waited) = space.layout.write_or_wait(cx);
        let scope = Scope::Whole { held: 0 };
        let mut layout = Layout { spaces: self, id, space, scope, tree: &space.tree, cx };
        let also = layout.hold_granules();
        (layout, if also == Waited::Yes { also } else { waited })
    }

    /// Locks one granule of a space's layout for writing.
    pub(crate) fn write_granule<'a>(
        &'a self,
        cx: &'a mut Cx<'m, M, { level::PROCESS }>,
        id: Id<Space>,
        granule: &'m Granule,
    ) -> Result<Layout<'a, 'm, M>, Error> {
        let (space, scope) = (self.space(id), Scope::Granule(granule));
        let cx = granule.lock.write(cx);
        let layout = Layout { spaces: self, id, space, scope, tree: &granule.tree, cx };
        if space.is_killed(&layout) { Err(Error::Killed) } else { Ok(layout) }
    }
}

/// Pages above a stack VMA's start that belong to its guard.
pub(crate) fn guard_of(flags: VmaFlags) -> u64 {
    if flags.contains(VmaFlags::GROWS_DOWN) { STACK_GUARD } else { 0 }
}

impl<'m, M: Machine> Layout<'_, 'm, M> {
    /// What cutting VMAs at both ends of a range needs.
    pub(crate) fn cuts(&self, range: VpnRange) -> Needs {
        let cut = |page| self.covering(page).filter(|&id| self.vma(id).range().start < page);
        let cuts = [cut(range.start), cut(range.end)];
        cuts.into_iter().flatten().fold(Needs::default(), |needs, id| needs.and(&self.vma(id).content()))
    }

    /// Allocates for an operation.
    pub(crate) fn prepare(&mut self, needs: Needs) -> Result<Prepared<'m, M>, Error> {
        let (spaces, tree) = (self.spaces, self.tree);
        spaces.prepare(self, tree, needs).map_err(Error::Shortage)
    }

    /// Gives back what an operation did not use.
    pub(crate) fn give_back(&mut self, prepared: Prepared<'m, M>) {
        let spaces = self.spaces;
        spaces.give_back(self, prepared);
    }

    /// A VMA by its identity.
    pub(crate) fn vma(&self, id: Id<Vma>) -> &'m Vma {
        self.spaces.vmas.get(id)
    }

    /// The first VMA that ends behind this page.
    pub(crate) fn find(&self, page: Vpn) -> Option<Id<Vma>> {
        let (_, value) = self.tree.find(self.spaces.nodes(), &self.cx, page)?;
        Some(Id::from_raw(value))
    }

    /// The VMA that has this page.
    pub(crate) fn covering(&self, page: Vpn) -> Option<Id<Vma>> {
        self.find(page).filter(|&id| self.vma(id).range().contains(page))
    }

    /// The first VMA that overlaps the range.
    pub(crate) fn first_in(&self, range: VpnRange) -> Option<Id<Vma>> {
        self.find(range.start).filter(|&id| self.vma(id).range().overlaps(&range))
    }

    /// The VMA right before this page, if it ends there.
    fn ending_at(&self, page: Vpn) -> Option<Id<Vma>> {
        let before = Vpn(page.0.checked_sub(1)?);
        self.covering(before).filter(|&id| self.vma(id).range().end == page)
    }

    /// The last VMA that ends at or before this page.
    pub(crate) fn before(&self, page: Vpn) -> Option<Id<Vma>> {
        let (_, value) = self.tree.prev(self.spaces.nodes(), &self.cx, page)?;
        Some(Id::from_raw(value))
    }

    /// A VMA as faults see it.
    pub(crate) fn snapshot(&self, id: Id<Vma>) -> Snapshot {
        self.vma(id).view(id, 0)
    }

    /// How many VMAs there are.
    pub(crate) fn count(&self) -> u64 {
        let held = match self.scope {
            Scope::Whole { held } => held,
            Scope::Granule(_) => 0,
        };
        let apart = self.spaces.granules_of(self.space, held).map(|granule| granule.tree.count());
        self.tree.count() + apart.sum::<u64>()
    }

    /// Lets faults that saw the VMA start over, until [`Layout::end_change`].
    pub(crate) fn begin_change(&self, id: Id<Vma>) {
        self.vma(id).begin_change(&self.cx);
    }

    /// Ends a change.
    pub(crate) fn end_change(&self, id: Id<Vma>) {
        let stamp = match self.scope {
            Scope::Whole { .. } => self.space.new_stamp(self.id),
            Scope::Granule(granule) => self.space.new_stamp_in(granule, self.id),
        };
        self.vma(id).end_change(&self.cx, stamp);
    }

    /// Puts a new VMA into the space, still being changed: the caller ends the change; merges are a separate
    /// step. Uses one VMA, one tree operation and (for files) one attachment of what was prepared.
    pub(crate) fn insert(
        &mut self,
        prepared: &mut Prepared<'m, M>,
        range: VpnRange,
        content: &Content,
        source: Option<Id<Vma>>,
    ) -> Id<Vma> {
        let id = prepared.take_vma();
        let (spaces, space, tree, vma) = (self.spaces, self.space, self.tree, self.vma(id));
        vma.write(range, content);
        let source = source.map(|id| self.vma(id));
        spaces.attach(self, space, vma, prepared, source);
        let guard = guard_of(content.flags);
        tree.insert(spaces.nodes(), self, &mut prepared.nodes, range, id.raw(), guard);
        id
    }

    /// Takes a VMA out of the space and frees it. Its translations must be gone.
    pub(crate) fn remove(&mut self, id: Id<Vma>) {
        let vma = self.vma(id);
        debug_assert!(!vma.is_stable());
        let nodes = self.spaces.nodes();
        self.tree.remove(nodes, self.cx.at(), vma.range().start);
        self.detach(vma);
        let vmas = &self.spaces.vmas;
        vmas.free(self.cx.at(), id);
    }

    /// Cuts a VMA in two at a page within it; answers the upper part. Uses one VMA,
    /// one tree operation, one attachment.
    pub(crate) fn split(&mut self, prepared: &mut Prepared<'m, M>, id: Id<Vma>, at: Vpn) -> Id<Vma> {
        let vma = self.vma(id);
        let whole = vma.range();
        debug_assert!(whole.start < at && at < whole.end);
        let content = vma.content();
        self.begin_change(id);
        self.split_entry(at);
        let lower = VpnRange::new(whole.start, at);
        self.resize_in_tree(id, lower);
        // The lists of what is mapped cover both parts at every moment: the upper
        // joins before the lower shrinks.
        let upper = self.insert(prepared, VpnRange::new(at, whole.end), &content, Some(id));
        self.resize_attachments(vma, lower);
        if vma.has_anon(self) && !self.planted(Plant::SplitForgetsPrivate) {
            self.vma(upper).note_anon(self);
        }
        self.end_change(upper);
        self.end_change(id);
        upper
    }

    /// Splits the entry of 2 MiB around a page, if there is one and the page is not its first: no entry lies
    /// in two VMAs. Faults are kept away: none makes one here meanwhile (Linux: `vma_adjust_trans_huge`).
    fn split_entry(&mut self, at: Vpn) {
        let (spaces, space) = (self.spaces, self.space);
        let Some(table) = space.table.get() else { return };
        if at == at.huge_base() {
            return;
        }
        let walker = spaces.walker(table);
        let mut batch = spaces.batch(table);
        spaces.objects().split_entry(self.at(), &walker, at, &mut batch);
        spaces.settle(self, table, &mut batch);
    }

    /// Cuts VMAs at both ends of the range, so that none sticks out. Uses two of everything prepared.
    pub(crate) fn split_at_ends(&mut self, prepared: &mut Prepared<'m, M>, range: VpnRange) {
        for page in [range.start, range.end] {
            if let Some(id) = self.covering(page).filter(|&id| self.vma(id).range().start < page) {
                self.split(prepared, id, page);
            }
        }
    }

    /// How many VMAs [`Layout::split_at_ends`] would add.
    pub(crate) fn splits_needed(&self, range: VpnRange) -> u64 {
        let cut = |page| self.covering(page).is_some_and(|id| self.vma(id).range().start < page);
        u64::from(cut(range.start)) + u64::from(cut(range.end))
    }

    /// Changes a VMA's place without moving what is mapped. Between `begin_change` and `end_change`.
    pub(crate) fn resize(&mut self, id: Id<Vma>, range: VpnRange) {
        self.resize_in_tree(id, range);
        self.resize_attachments(self.vma(id), range);
    }

    fn resize_in_tree(&mut self, id: Id<Vma>, range: VpnRange) {
        let vma = self.vma(id);
        let old = vma.range();
        let nodes = self.spaces.nodes();
        self.tree.resize(nodes, &self.cx, old.start, range);
        vma.set_range(range);
    }

    /// Replaces a VMA's flags. Between `begin_change` and `end_change`.
    pub(crate) fn set_flags(&mut self, id: Id<Vma>, flags: VmaFlags) {
        let vma = self.vma(id);
        let (range, content) = (vma.range(), vma.content());
        self.account(content.flags, range.pages(), Sign::Minus);
        vma.write(range, &Content { flags, ..content });
        self.account(flags, range.pages(), Sign::Plus);
    }

    /// Merges VMAs that touch the range with their neighbours where their
    /// contents allow it (Linux: `vma_merge`).
    pub(crate) fn merge_around(&mut self, range: VpnRange) {
        let mut current = self.ending_at(range.start).or_else(|| self.find(range.start));
        while let Some(id) = current {
            let end = self.vma(id).range().end;
            if end > range.end {
                return;
            }
            current = match self.covering(end) {
                Some(next) if self.vma(id).content().merges_with(&self.vma(next).content()) => {
                    self.absorb(id, next);
                    Some(id)
                }
                Some(next) => Some(next),
                None => self.find(end),
            };
        }
    }

    /// Makes `lower` cover `upper` too, which goes away.
    fn absorb(&mut self, lower: Id<Vma>, upper: Id<Vma>) {
        let (vma, gone) = (self.vma(lower), self.vma(upper));
        let whole = VpnRange::new(vma.range().start, gone.range().end);
        self.begin_change(upper);
        self.begin_change(lower);
        // Not before: a fault may just have noted the first private page.
        let has_anon = gone.has_anon(self);
        // As in `split`: the lower joins for all of it before the upper leaves.
        self.resize_attachments(vma, whole);
        self.remove(upper);
        self.resize_in_tree(lower, whole);
        if has_anon {
            vma.note_anon(self);
        }
        self.end_change(lower);
    }

    /// Calls `f` for every VMA that overlaps the range, in order, with the part that does.
    pub(crate) fn for_each_in(
        &mut self,
        range: VpnRange,
        mut f: impl FnMut(&mut Self, Id<Vma>, VpnRange) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut at = range.start;
        while at < range.end {
            let Some(id) = self.first_in(VpnRange::new(at, range.end)) else { break };
            let here = self.vma(id).range();
            at = here.end;
            f(self, id, here.intersect(&range))?;
        }
        Ok(())
    }

    /// The first page of the range that no VMA has.
    pub(crate) fn first_hole(&self, range: VpnRange) -> Option<Vpn> {
        let mut at = range.start;
        while at < range.end {
            let Some(id) = self.covering(at) else { return Some(at) };
            at = self.vma(id).range().end;
        }
        None
    }
}
