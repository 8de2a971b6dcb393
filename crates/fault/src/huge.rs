//! Faults that get 2 MiB at once, and stores to 2 MiB that are mapped read-only (Linux:
//! `do_huge_pmd_anonymous_page`, `do_huge_pmd_wp_page`).

use crate::error::FaultError;
use crate::faults::Faults;
use crate::handle::{Outcome, Room, Wish};
use crate::write_protect::{judged, make_writable};
use frame::Reserve;
use machine::trace::Mapped;
use machine::{
    Counter, Cx, Entry, Event, HUGE_ORDER, Machine, PageOp, Pfn, Plant, UserFrame, VpnRange, level,
};
use object::exclusive::AnonCtx;
use table::Spare;

/// What a first touch of 2 MiB needs, had before any lock is taken.
struct Fresh {
    frame: UserFrame,
    spare: Spare,
}

impl<'m, M: Machine> Faults<'m, M> {
    /// Maps 2 MiB of zeros around a page that is stored to, if the VMA wants that, nothing is mapped in all
    /// of it, and a free block is at hand. `None`: a small page will do.
    ///
    /// Loads get the small page of zeros: there is no page of zeros of 2 MiB (as on Linux without
    /// `use_zero_page`).
    pub(crate) fn first_touch_huge(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
    ) -> Option<Outcome> {
        let spaces = self.spaces();
        let range =
            spaces.huge_range(wish.space, &wish.vma, wish.page).filter(|_| wish.room == Room::Free)?;
        let Some(fresh) = self.fresh_huge(cx, wish) else {
            cx.count(Counter::ThpFaultFallback);
            return None;
        };
        match self.install_huge(cx, (wish, range), fresh) {
            Ok(()) => {
                cx.count(Counter::ThpFaultAlloc);
                cx.count(Counter::FaultAnon);
                Some(Outcome::Done)
            }
            Err((fresh, next)) => {
                spaces.frames().put(cx.at(), fresh.frame.0);
                spaces.walker(wish.table).free_spare(cx.at(), fresh.spare);
                next
            }
        }
    }

    fn fresh_huge(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, wish: &Wish) -> Option<Fresh> {
        let spaces = self.spaces();
        let request = wish.request(HUGE_ORDER).reserve(Reserve::Optional);
        let frame = spaces.frames().allocate_user(cx.at(), &request).ok()?;
        match spaces.walker(wish.table).new_spare(cx.at()) {
            Ok(spare) => {
                cx.machine().page_op(cx.cpu(), PageOp::Zero { to: frame, order: HUGE_ORDER });
                Some(Fresh { frame, spare })
            }
            Err(_) => {
                spaces.frames().put(cx.at(), frame.0);
                None
            }
        }
    }

    /// Installs it; otherwise it comes back, with what to do next.
    fn install_huge(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        (wish, range): (&Wish, VpnRange),
        fresh: Fresh,
    ) -> Result<(), (Fresh, Option<Outcome>)> {
        let (spaces, noted) = (self.spaces(), self.has_anon(cx, wish));
        let first = wish.vma.anon_index(range.start);
        let mut leaf = match spaces.walker(wish.table).lock_huge(cx.at(), wish.page) {
            Ok(Some(leaf)) if leaf.entry(wish.page) == Entry::EMPTY => leaf,
            // Somebody made a table or an entry meanwhile.
            Ok(_) => return Err((fresh, Some(Outcome::Again))),
            Err(_) => return Err((fresh, None)),
        };
        // First the claim, then the last look at the VMA: who changes the VMA does it the other way round.
        let claims = !leaf.planted(Plant::HugeUnclaimed);
        if claims {
            leaf.claim(wish.page);
        }
        let is_current = spaces.vma(wish.vma.id).is_current(&wish.vma, &leaf);
        if !is_current || !self.note_anon(&leaf, wish, noted) {
            if claims {
                leaf.unclaim(wish.page);
            }
            return Err((fresh, Some(Outcome::Again)));
        }
        let Fresh { frame, spare } = fresh;
        let (page, mapped) = (range.start, Mapped::NewPage);
        leaf.trace(|| Event::MapChosen { page, frame: frame.0, mapped });
        let ctx = AnonCtx { lineage: wish.lineage, index: first };
        spaces.objects().map_anon_huge(&mut leaf, (page, spare), (frame, ctx), wish.attrs());
        Ok(())
    }

    /// A store to 2 MiB that are mapped read-only: in place if nobody else can see it, else the entry becomes
    /// 512, and the fault looks again at the one it wants (rows 7 to 9 of the COW table).
    pub(crate) fn write_protected_huge(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
        head: Pfn,
    ) -> Result<Outcome, FaultError> {
        let (spaces, objects) = (self.spaces(), self.spaces().objects());
        let mut batch = spaces.batch(wish.table);
        let outcome = {
            let Some(mut leaf) = self.lock_unchanged(cx, wish)? else { return Ok(Outcome::Again) };
            let reuse = objects.reuse(&leaf, wish.page, head);
            let page = objects.folio(&leaf, head).page;
            leaf.trace(|| judged(wish, head, reuse.told(), page.held()));
            if reuse.is_in_place() {
                make_writable(&mut leaf, wish);
                leaf.count(Counter::CowReused);
                Outcome::Done
            } else {
                objects.splits(&mut leaf, wish.entry);
                leaf.split(&spaces.walker(wish.table), &mut batch);
                Outcome::Again
            }
        };
        spaces.settle(cx.at(), wish.table, &mut batch);
        Ok(outcome)
    }
}
