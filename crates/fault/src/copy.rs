//! Installing a new private page: where nothing was, and in the place of what was copied.

use crate::error::FaultError;
use crate::faults::Faults;
use crate::handle::{Outcome, Wish};
use machine::trace::Mapped;
use machine::{Asid, Cx, Event, Machine, Order, PageOp, Pfn, Plant, Shortage, UserFrame, level};
use object::CachedPage;
use object::exclusive::AnonCtx;
use table::Leaf;

impl<'m, M: Machine> Faults<'m, M> {
    /// The leaf of the page, locked, if the VMA is what the fault saw. Only then may entries be installed.
    pub(crate) fn lock_current<'c, const L: u8>(
        &self,
        cx: &'c mut Cx<'m, M, L>,
        wish: &Wish,
    ) -> Result<Option<Leaf<'c, 'm, M>>, Shortage> {
        let spaces = self.spaces();
        let leaf = spaces.walker(wish.table).lock_leaf(cx.at(), wish.page)?;
        let is_current =
            || spaces.vma(wish.vma.id).is_current(&wish.vma, &leaf) || leaf.planted(Plant::StampUnchecked);
        Ok((leaf.level() == wish.level && is_current()).then_some(leaf))
    }

    /// The same if the entry is what the fault saw, too. Only then may the entry be changed.
    pub(crate) fn lock_unchanged<'c, const L: u8>(
        &self,
        cx: &'c mut Cx<'m, M, L>,
        wish: &Wish,
    ) -> Result<Option<Leaf<'c, 'm, M>>, Shortage> {
        let leaf = self.lock_current(cx, wish)?;
        Ok(leaf.filter(|leaf| leaf.entry(wish.page) == wish.entry || leaf.planted(Plant::EntryUnchecked)))
    }

    /// A frame of zeros, referenced once and known to nobody.
    pub(crate) fn zeroed_frame(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
    ) -> Result<UserFrame, Shortage> {
        let fresh = self.spaces().frames().allocate_user(cx.at(), &wish.request(Order::ZERO))?;
        cx.machine().page_op(cx.cpu(), PageOp::Zero { to: fresh, order: Order::ZERO });
        Ok(fresh)
    }

    /// A copy of a frame the caller has a reference to.
    pub(crate) fn copied_frame(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
        from: Pfn,
    ) -> Result<UserFrame, Shortage> {
        let fresh = self.spaces().frames().allocate_user(cx.at(), &wish.request(Order::ZERO))?;
        let from = UserFrame(from);
        cx.machine().page_op(cx.cpu(), PageOp::Copy { to: fresh, from, order: Order::ZERO });
        Ok(fresh)
    }

    /// Maps a new frame of zeros where nothing is mapped (Linux: `do_anonymous_page`). The frame's reference
    /// becomes the mapping's, or goes.
    pub(crate) fn install_private(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
        fresh: UserFrame,
    ) -> Result<Outcome, FaultError> {
        self.install_if(cx, wish, (fresh, Mapped::NewPage), |_| true)
    }

    /// The same with a copy of an object's page (Linux: `do_cow_fault`), unless that was truncated meanwhile:
    /// the truncation takes private copies away, and would miss one that comes behind it.
    pub(crate) fn install_copy(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
        source: &CachedPage,
        fresh: UserFrame,
    ) -> Result<Outcome, FaultError> {
        let objects = self.spaces().objects();
        self.install_if(cx, wish, (fresh, Mapped::PrivateCopy), |leaf| objects.still_cached(leaf, source))
    }

    fn install_if(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
        (fresh, mapped): (UserFrame, Mapped),
        still_wanted: impl FnOnce(&Leaf<'_, 'm, M>) -> bool,
    ) -> Result<Outcome, FaultError> {
        let (ctx, noted) = (self.anon_ctx(wish), self.has_anon(cx, wish));
        let installed = match self.lock_unchanged(cx, wish) {
            Ok(Some(mut leaf)) if still_wanted(&leaf) && self.note_anon(&leaf, wish, noted) => {
                leaf.trace(|| Event::MapChosen { page: wish.page, frame: fresh.0, mapped });
                self.spaces().objects().map_anon(&mut leaf, wish.page, (fresh, ctx), wish.attrs());
                Ok(Outcome::Done)
            }
            Ok(_) => Ok(Outcome::Again),
            Err(shortage) => Err(FaultError::Shortage(shortage)),
        };
        self.keep_or_give_back(cx, fresh, installed)
    }

    /// Puts a new private page in the place of the one that was seen, which somebody else may use (row 9 of
    /// the COW table): the old translation is gone from every CPU before the new one is set.
    pub(crate) fn replace_with(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
        fresh: UserFrame,
    ) -> Result<Outcome, FaultError> {
        let (spaces, ctx, noted) = (self.spaces(), self.anon_ctx(wish), self.has_anon(cx, wish));
        let mut batch = spaces.batch(wish.table);
        let replaced = match self.lock_unchanged(cx, wish) {
            Ok(Some(mut leaf)) if self.note_anon(&leaf, wish, noted) => {
                let (page, place) = ((fresh, ctx), (wish.page, wish.page_ctx()));
                spaces.objects().replace_with_anon(&mut leaf, &mut batch, place, page, wish.attrs());
                Ok(Outcome::Done)
            }
            Ok(_) => Ok(Outcome::Again),
            Err(shortage) => Err(FaultError::Shortage(shortage)),
        };
        spaces.settle(cx.at(), wish.table, &mut batch);
        self.keep_or_give_back(cx, fresh, replaced)
    }

    fn keep_or_give_back(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        fresh: UserFrame,
        outcome: Result<Outcome, FaultError>,
    ) -> Result<Outcome, FaultError> {
        if outcome != Ok(Outcome::Done) {
            self.spaces().frames().put(cx.at(), fresh.0);
        }
        outcome
    }

    /// Tells those who watch that a copy is mapped.
    pub(crate) fn tell_copied(
        &self,
        cx: &Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
        (from, to): (Pfn, UserFrame),
    ) {
        cx.trace(|| Event::Copied { asid: self.asid(wish), page: wish.page, from, to: to.0 });
    }

    /// The name in TLBs of the space of the wish.
    pub(crate) fn asid(&self, wish: &Wish) -> Asid {
        self.spaces().tables().get(wish.table).domain().asid()
    }

    /// Where an anonymous page of the wish belongs.
    pub(crate) fn anon_ctx(&self, wish: &Wish) -> AnonCtx {
        AnonCtx { lineage: wish.lineage, index: wish.vma.anon_index(wish.page) }
    }

    /// Whether the VMA was known to have private pages. Asked before the VMA is looked at under the leaf's
    /// lock: who changes it afterwards knows it, too.
    pub(crate) fn has_anon<const L: u8>(&self, cx: &Cx<'m, M, L>, wish: &Wish) -> bool {
        self.spaces().vma(wish.vma.id).has_anon(cx)
    }

    /// Says that the VMA is about to have a private page; answers whether it may. (leaf lock)
    ///
    /// Fork passes VMAs over that have none, splits and merges hand the note on, and none of them waits for
    /// this leaf's lock. So a first note is made before the VMA is looked at for the last time (a Dekker
    /// pair): either they see it, or this sees their change.
    pub(crate) fn note_anon(&self, leaf: &Leaf<'_, 'm, M>, wish: &Wish, noted: bool) -> bool {
        let vma = self.spaces().vma(wish.vma.id);
        if noted {
            return true;
        }
        vma.note_anon(leaf);
        vma.is_current(&wish.vma, leaf)
    }
}
