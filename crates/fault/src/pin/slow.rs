//! Holding under the lock of the page's leaf (Linux: `__get_user_pages`; CR10).

use crate::error::{FaultError, SegvKind};
use crate::faults::Faults;
use crate::handle::{Outcome, Purpose, Stay, Wish};
use crate::pin::judge::{Judged, Mapping, is_cow, judge, must_move, must_own};
use crate::pin::{HoldError, How, Rights, Term};
use frame::{Id, State};
use machine::trace::Asker;
use machine::{Access, Cx, EntryFormat, Event, Machine, Pfn, Plant, Vpn, level};
use object::{FileKind, Held, Hold, NotHeld, Refused};
use space::{Snapshot, Space, VmaFlags};
use table::Leaf;

/// How often a page that is in use is asked to move, at most.
const MOVES: u32 = 8;

/// What a look under the leaf's lock came to.
enum Tried {
    Held(Held),
    /// A fault of this kind must come first.
    Needs(Purpose),
    /// The page must leave its zone first; here is a reference to it.
    Move(Pfn),
    /// Something changed meanwhile.
    Again,
    /// A count is at its cap.
    TooMany,
}

impl<'m, M: Machine> Faults<'m, M> {
    /// Holds the page, whatever it takes.
    pub(super) fn hold_slow(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        page: Vpn,
        how: How,
    ) -> Result<Held, HoldError> {
        let mut moves = 0;
        loop {
            if self.spaces().space(space).is_killed(cx) {
                return Err(FaultError::Killed.into());
            }
            let wish = self.look_to_hold(cx, space, page, how)?;
            match self.try_hold(cx, &wish, how) {
                Tried::Held(held) => return Ok(held),
                Tried::Needs(purpose) => self.fault_to_hold(cx, space, wish, purpose)?,
                Tried::Move(pfn) if moves < MOVES => {
                    moves += 1;
                    self.move_out(cx, pfn)?;
                }
                Tried::Move(pfn) => {
                    self.spaces().frames().put(cx.at(), pfn);
                    return Err(HoldError::Immovable);
                }
                Tried::Again => {}
                Tried::TooMany => return Err(HoldError::TooMany),
            }
        }
    }

    /// The VMA, if it gives the rights. A stack does not grow for this.
    // LINUX: mm/gup.c gup_vma_lookup(), check_vma_flags().
    fn look_to_hold(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        page: Vpn,
        how: How,
    ) -> Result<Wish, HoldError> {
        let inside = page.0 < M::Entry::USER_END >> machine::PAGE_SHIFT;
        let vma = if inside { self.spaces().vma_at(cx, space, page) } else { None };
        let vma = vma.filter(|vma| vma.range.contains(page));
        let vma = vma.ok_or(FaultError::Segv(SegvKind::MapErr))?;
        if !self.allows(&vma, how) {
            return Err(FaultError::Segv(SegvKind::AccErr).into());
        }
        let access = if how.is_write() { Access::Write } else { Access::Read };
        let wish = self.wish(cx, space, (page, vma), access)?;
        let long = how.hold == Hold::Pin && how.term == Term::Long;
        Ok(Wish { stay: if long { Stay::Long } else { Stay::Short }, ..wish })
    }

    fn allows(&self, vma: &Snapshot, how: How) -> bool {
        let forced = how.rights == Rights::Forced;
        if !how.is_write() {
            return vma.flags.contains(VmaFlags::READ) || forced && vma.flags.contains(VmaFlags::MAY_READ);
        }
        if !vma.flags.contains(VmaFlags::WRITE) {
            return forced && is_cow(vma);
        }
        // Nobody would tell the file of what is stored through such a pin, for as long as it lasts.
        // LINUX: mm/gup.c writable_file_mapping_allowed().
        let kind = |file| self.spaces().objects().file(file).kind();
        let noted = !vma.flags.is_private() && vma.file.is_some_and(|file| kind(file) == FileKind::Regular);
        !(noted && how.is_long_pin())
    }

    /// A fault for the holder.
    fn fault_to_hold(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        wish: Wish,
        purpose: Purpose,
    ) -> Result<(), HoldError> {
        let access = if purpose == Purpose::Own { Access::Write } else { wish.access };
        let addr = wish.page.addr();
        cx.trace(|| Event::FaultBegun { asid: self.asid_of(space), addr, access, asker: Asker::Call });
        let done = self.try_once(cx, &Wish { access, purpose, ..wish });
        cx.trace(|| Event::FaultEnded { addr, outcome: FaultError::told(&done.map(drop)) });
        if done? == Outcome::Done {
            self.spaces().note_peak(space);
        }
        Ok(())
    }

    fn try_hold(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, wish: &Wish, how: How) -> Tried {
        let spaces = self.spaces();
        let walker = spaces.walker(wish.table);
        let Some(mut leaf) = walker.lock_leaf_existing(cx.at(), wish.page) else {
            return Tried::Needs(Purpose::Access);
        };
        // As for a fault: whoever changes the VMA visits this leaf afterwards, or has made the stamp odd.
        if !spaces.vma(wish.vma.id).is_current(&wish.vma, &leaf) {
            return Tried::Again;
        }
        let mapping = Mapping::Known(&wish.vma);
        let (entry, level) = (leaf.entry(wish.page), leaf.level());
        match judge::<M>((wish.page, entry, level), how, mapping) {
            Judged::Fault => Tried::Needs(Purpose::Access),
            Judged::Zero(pfn) => match must_own(how, &wish.vma) && !leaf.planted(Plant::UnshareForgotten) {
                true => Tried::Needs(Purpose::Own),
                false => Tried::Held(Held::Zero(pfn)),
            },
            Judged::CountOwned(pfn) if !self.is_owned(&leaf, pfn) => Tried::Needs(Purpose::Access),
            Judged::Count(pfn) | Judged::CountOwned(pfn) => self.count(&mut leaf, pfn, (wish, how)),
        }
    }

    /// Whether a store may reach the page though the entry does not allow it (CR13).
    fn is_owned(&self, leaf: &Leaf<'_, 'm, M>, pfn: Pfn) -> bool {
        let head = self.spaces().frames().folio(leaf, pfn).0;
        let anonymous = self.spaces().frames().descriptor(head).state(leaf) == State::Anon;
        anonymous
            && (self.spaces().objects().is_exclusive(leaf, pfn) || leaf.planted(Plant::ForceWithoutExclusive))
    }

    fn count(&self, leaf: &mut Leaf<'_, 'm, M>, pfn: Pfn, (wish, how): (&Wish, How)) -> Tried {
        let (frames, objects) = (self.spaces().frames(), self.spaces().objects());
        let head = frames.descriptor(frames.folio(leaf, pfn).0);
        let anonymous = matches!(head.state(leaf), State::Anon | State::Ksm);
        if !anonymous && must_own(how, &wish.vma) && !leaf.planted(Plant::UnshareForgotten) {
            return Tried::Needs(Purpose::Own);
        }
        if must_move(how, head.zone(leaf)) {
            // What will be copied for the pin is not moved first: the copy comes from where it may stay.
            if anonymous && !objects.is_exclusive(leaf, pfn) {
                return Tried::Needs(Purpose::Own);
            }
            return if frames.get(leaf, pfn).is_ok() { Tried::Move(pfn) } else { Tried::TooMany };
        }
        match objects.hold_mapped(leaf.at(), pfn, how.hold) {
            Ok(held) => Tried::Held(held),
            Err(NotHeld::Shared) => Tried::Needs(Purpose::Own),
            Err(NotHeld::Refused) => Tried::TooMany,
        }
    }

    /// Lets the page move to another zone; takes the caller's reference.
    fn move_out(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, pfn: Pfn) -> Result<(), HoldError> {
        match self.spaces().objects().migrate_out_of_movable(cx.at(), pfn) {
            // Moved, or somebody uses it just now: the caller looks again.
            Ok(_) | Err(Refused::Gone | Refused::Busy) => Ok(()),
            Err(Refused::Shortage(shortage)) => Err(FaultError::Shortage(shortage).into()),
            Err(Refused::Unmovable | Refused::Pinned) => Err(HoldError::Immovable),
        }
    }
}
