//! Faults on pages that are swapped out (Linux: `do_swap_page`).
//!
//! ```text
//! leaf lock   the cache has a frame? a reference to it
//! no lock     else: a frame
//! leaf lock     into the slot's word, locked, or somebody else's is there by now
//! no lock       read; then its neighbours
//! page lock   nobody swaps it out
//!   leaf lock   still the entry, still the cache's frame? then it is mapped
//! ```
//!
//! The slot is looked at only while an entry that names it is seen under the leaf's lock, or while its frame
//! is in the cache: so it cannot be given to another page meanwhile (C-17).

use crate::error::FaultError;
use crate::faults::Faults;
use crate::handle::{Back, Outcome, Purpose, Wish};
use machine::{Counter, Cx, Machine, Pfn, Plant, level};
use object::swap::slot::{Claim, Kept};
use object::swapping::Entrance;
use table::{Slot, Sole};

impl<'m, M: Machine> Faults<'m, M> {
    /// Brings a page back and maps it (rows 17 and 18 of the COW table). `Bus` if it cannot be read: to this
    /// program only, and again at each touch.
    pub(crate) fn swap_fault(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
        (slot, sole): (Slot, Sole),
        back: Back,
    ) -> Result<Outcome, FaultError> {
        if cx.planted(Plant::SwapReadsRoundCache) {
            return self.swap_in_round_cache(cx, wish, (slot, sole));
        }
        let Some(pfn) = self.swapped_page(cx, wish, slot)? else { return Ok(Outcome::Again) };
        let mapped = self.map_back(cx, wish, (slot, sole), (pfn, back));
        self.spaces().frames().put(cx.at(), pfn);
        mapped
    }

    /// The page of a slot, with a reference: from the cache, or read now.
    fn swapped_page(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
        slot: Slot,
    ) -> Result<Option<Pfn>, FaultError> {
        let objects = self.spaces().objects();
        {
            let Some(mut leaf) = self.lock_unchanged(cx, wish)? else { return Ok(None) };
            if let Some(found) = objects.find_swapped(&mut leaf, slot) {
                return Ok(Some(found));
            }
        }
        let fresh = objects.new_swapped(cx.at(), slot)?;
        let claim = match self.lock_unchanged(cx, wish) {
            Ok(Some(leaf)) => Ok(objects.claim_swapped(&leaf, slot, fresh)),
            Ok(None) => Ok(Claim::Gone),
            Err(shortage) => Err(shortage),
        };
        if claim != Ok(Claim::Mine) {
            objects.give_up_swapped(cx.at(), fresh);
            return Ok(claim.map(|_| None)?);
        }
        cx.count(Counter::PgMajFault);
        if objects.read_swapped(cx.at(), slot, fresh).is_err() {
            self.spaces().frames().put(cx.at(), fresh);
            return Err(FaultError::Bus);
        }
        objects.read_around_slot(cx.at(), slot);
        Ok(Some(fresh))
    }

    /// Maps a page that the caller has a reference to, and keeps.
    fn map_back(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
        (slot, sole): (Slot, Sole),
        (pfn, back): (Pfn, Back),
    ) -> Result<Outcome, FaultError> {
        let objects = self.spaces().objects();
        let mut locked = objects.lock_page(cx.at(), pfn);
        if back == Back::AreaEnds {
            // CR17: what is being written to a stable device would come back shared.
            objects.wait_swap_written(&mut locked, pfn);
        }
        let Some(mut leaf) = self.lock_unchanged(&mut *locked, wish)? else {
            return Ok(Outcome::Again);
        };
        if !objects.is_cached_at(&leaf, slot, pfn) {
            return Ok(Outcome::Again);
        }
        let kept = match wish.vma.flags.is_locked() || objects.swap_is_half_full() {
            true => Kept::Nothing,
            false => Kept::Frame,
        };
        let sole = self.remembered(&leaf, sole, back);
        let (ctx, written) = (self.anon_ctx(wish), wish.is_write());
        let entrance = Entrance { slot, sole, pfn, ctx, written, kept };
        // A page that comes back exclusive may be written at once; else the store is judged next.
        let exclusive = objects
            .map_swapped(&mut leaf, wish.page, &entrance, wish.attrs())
            .map_err(|_| FaultError::Bus)?;
        let satisfied = exclusive || (!written && wish.purpose == Purpose::Access);
        Ok(if satisfied { Outcome::Done } else { Outcome::Again })
    }

    /// What the entry says of exclusivity; planted bugs forget it.
    fn remembered<const L: u8>(&self, cx: &Cx<'m, M, L>, sole: Sole, back: Back) -> Sole {
        let forgotten = match back {
            Back::Touched => Plant::SwapSoleForgotten,
            Back::AreaEnds => Plant::SwapOffForgetsSole,
        };
        if cx.planted(forgotten) { Sole::Shared } else { sole }
    }

    /// A planted bug: the slot is read into a frame that nobody else knows of.
    fn swap_in_round_cache(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
        (slot, sole): (Slot, Sole),
    ) -> Result<Outcome, FaultError> {
        let objects = self.spaces().objects();
        let fresh = objects.read_round_cache(cx.at(), slot)?;
        let (ctx, written) = (self.anon_ctx(wish), wish.is_write());
        let entrance = Entrance { slot, sole, pfn: fresh, ctx, written, kept: Kept::Nothing };
        let attrs = wish.attrs();
        let mapped = match self.lock_unchanged(cx, wish) {
            Ok(Some(mut leaf)) => objects.map_swapped(&mut leaf, wish.page, &entrance, attrs).is_ok(),
            _ => false,
        };
        self.spaces().frames().put(cx.at(), fresh);
        Ok(if mapped { Outcome::Done } else { Outcome::Again })
    }
}
