//! A page leaves memory (Linux: `shrink_folio_list`, `add_to_swap`, `pageout`).
//!
//! ```text
//! page lock
//!   slot: its frame in the cache, busy
//!   every mapping becomes a swap entry, or the page is pinned and stays      (object::detach)
//!   clean in the cache? then it need not be written
//!   WRITEBACK
//! no lock: the bytes are stored
//!   the last reference is the cache's? then the frame goes
//! ```
//!
//! A page that somebody refers to without a mapping stays in the cache, dirty, and comes back from there at
//! the next touch (C-4): that somebody may write to it at any time.

use crate::detach::{Detached, Into};
use crate::objects::Objects;
use crate::page::{PageLock, writeback_key};
use crate::swap::area::Kind;
use crate::swap::slot;
use core::cmp::Reverse;
use frame::{Descriptor, Flags, State};
use machine::{Backing, Counter, Cx, Event, Machine, Order, Pfn, UserFrame, level};
use table::Slot;

/// Why a page stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stays {
    /// It is locked, being written or being taken out of the cache by somebody else.
    Busy,
    /// It is pinned, or locked by a program: that entry is as it was, and its slot was given back (row 15).
    Pinned,
    /// It is locked in memory.
    Locked,
    /// It was used lately.
    Used,
    /// Somebody refers to it beside its mappings: it is in the cache, unmapped.
    Referenced,
    /// Not a page that can be swapped out: no anonymous page, or a large one.
    Unfit,
    /// No slot is free.
    Full,
    /// The area could not store it: it stays in the cache.
    Failed,
    /// It was written to since it was said to be of no use (`MADV_FREE`).
    Written,
}

/// What became of a page.
pub type SwapOut = Result<(), Stays>;

/// A page that can go, and what is left to do.
enum Ready {
    /// Its slot has its bytes.
    Clean(Slot),
    /// They are to be written.
    Dirty(Slot),
}

/// Why bytes were not stored.
struct NotStored;

impl<'m, M: Machine> Objects<'m, M> {
    /// Swaps a page out, and frees its frame. The caller's reference goes with it, whatever the answer.
    pub fn swap_out(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, pfn: Pfn) -> SwapOut {
        let page = self.descriptor(pfn);
        let ready = match self.try_lock_page(cx.at(), pfn) {
            Some(mut locked) => self.detach_for_swap(&mut locked, pfn),
            None => Err(Stays::Busy),
        };
        let stored = match ready {
            Ok(Ready::Clean(slot)) => Ok(slot),
            Ok(Ready::Dirty(slot)) => self.write_page(cx, page, slot, pfn).map(|()| slot),
            Err(stays) => Err(stays),
        };
        match stored {
            Ok(slot) => self.drop_stored(cx, slot, pfn),
            Err(stays) => {
                self.put_mapped(cx.at(), pfn);
                Err(stays)
            }
        }
    }

    /// Under the page lock: the page is in the cache, busy, and no entry maps it.
    fn detach_for_swap(&self, locked: &mut PageLock<'_, 'm, M>, pfn: Pfn) -> Result<Ready, Stays> {
        let page = self.descriptor(pfn);
        if !is_fit(locked, page) {
            return Err(Stays::Unfit);
        }
        if page.pins(locked) > 0 {
            return Err(Stays::Pinned);
        }
        if page.test(locked, Flags::WRITEBACK) {
            return Err(Stays::Busy);
        }
        if page.maps(locked) == 0 && !page.test(locked, Flags::SWAPCACHED) {
            return Err(Stays::Unfit);
        }
        let slot = self.begin_out(locked, page, pfn)?;
        let detached = self.detach_page(locked, pfn, Into::Swap(slot));
        // The caller's reference and the cache's.
        let stays = match detached {
            Detached::StillMapped => Some(Stays::Pinned),
            // Whoever refers to it beside its mappings may write to it until it lets go.
            Detached::All if page.refs(locked) > 2 => {
                page.set(locked, Flags::DIRTY);
                Some(Stays::Referenced)
            }
            // Everybody unmapped it meanwhile.
            Detached::All if self.slot_state(locked, slot).entries() == 0 => Some(Stays::Unfit),
            Detached::All => None,
        };
        if let Some(stays) = stays {
            self.end_busy(locked, slot);
            return Err(stays);
        }
        if !page.test_and_clear(locked, Flags::DIRTY) {
            return Ok(Ready::Clean(slot));
        }
        page.set(locked, Flags::WRITEBACK);
        Ok(Ready::Dirty(slot))
    }

    /// The slot the page has in the cache, or a new one; busy.
    fn begin_out(
        &self,
        locked: &mut PageLock<'_, 'm, M>,
        page: &Descriptor,
        pfn: Pfn,
    ) -> Result<Slot, Stays> {
        if let Some(slot) = self.marked_slot(locked, page) {
            let began = self.slot_word(locked, slot).is_some_and(|word| slot::begin(&**locked, word, pfn));
            return if began { Ok(slot) } else { Err(Stays::Busy) };
        }
        page.get(locked).map_err(|_| Stays::Busy)?;
        let Some(slot) = self.take_slot(locked, pfn) else {
            let freed = page.put(locked);
            debug_assert_eq!(freed, frame::Freed::No, "the caller has a reference");
            return Err(Stays::Full);
        };
        self.enter_cache(locked, pfn, slot);
        page.clear(locked, Flags::LAZY_FREE);
        page.set(locked, Flags::DIRTY);
        Ok(slot)
    }

    /// Takes a slot of the area with the highest priority that has one; of equal ones, that whose turn it is.
    fn take_slot(&self, cx: &mut Cx<'m, M, { level::PAGE }>, frame: Pfn) -> Option<Slot> {
        let mut refused = [false; Slot::AREAS];
        loop {
            let (number, area) = (0..)
                .zip(self.swap.areas)
                .filter(|&(number, area): &(usize, _)| area.free() > 0 && !refused[number])
                .max_by_key(|(number, area)| (area.priority.get(), Reverse((area.turn.get(), *number))))?;
            if let Some(page) = area.take(cx.at(), frame) {
                area.turn.set(self.swap.shared.turns.add_shared(1));
                return Some(Slot { area: number as u8, page });
            }
            refused[number] = true;
        }
    }

    fn end_busy<const L: u8>(&self, cx: &mut Cx<'m, M, L>, slot: Slot) {
        const { assert!(L <= level::TABLE1, "lock order: frames are freed") };
        let last = self.slot_word(cx, slot).and_then(|word| slot::settle(cx, word));
        self.take_last_step(cx.at(), slot, last);
    }

    /// Stores a page that is marked as being written.
    fn write_page(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        page: &Descriptor,
        slot: Slot,
        pfn: Pfn,
    ) -> Result<(), Stays> {
        cx.trace(|| Event::SwappedOut { frame: pfn, slot: slot.to_bits() });
        let stored = self.store_slot(cx, slot, pfn);
        if let (Ok(()), Some(word)) = (&stored, self.slot_word(cx, slot)) {
            cx.count(Counter::PSwpOut);
            slot::note_stored(cx, word);
        } else {
            page.set(cx, Flags::DIRTY);
        }
        page.clear(cx, Flags::WRITEBACK);
        let parking = cx.core().parking;
        parking.wake_all(cx, writeback_key(page));
        stored.map_err(|NotStored| {
            self.end_busy(cx, slot);
            Stays::Failed
        })
    }

    fn store_slot(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        slot: Slot,
        pfn: Pfn,
    ) -> Result<(), NotStored> {
        let area = self.swap.area(slot);
        match area.kind.get() {
            Kind::File => {
                let files = cx.machine().files();
                files.write(cx.cpu(), area.file.get(), slot.page, UserFrame(pfn)).map_err(|_| NotStored)
            }
            Kind::Compressed => {
                let place = self.place(cx, slot).ok_or(NotStored)?;
                area.store.put(cx.at(), self.frames(), place, UserFrame(pfn)).map_err(|_| NotStored)
            }
        }
    }

    /// Frees the frame of a page whose bytes its slot has, if nobody took it back meanwhile. The caller is
    /// busy with the slot; its reference goes.
    fn drop_stored(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, slot: Slot, pfn: Pfn) -> SwapOut {
        let page = self.descriptor(pfn);
        let freed = page.put(cx);
        debug_assert_eq!(freed, frame::Freed::No, "the cache has a reference");
        // Whoever found the page before has a reference; who comes later gets none, and reads it back.
        if !page.freeze(cx) {
            self.end_busy(cx, slot);
            return Err(Stays::Referenced);
        }
        if page.test(cx, Flags::DIRTY) {
            page.unfreeze(cx);
            self.end_busy(cx, slot);
            return Err(Stays::Written);
        }
        let last = self.slot_word(cx, slot).and_then(|word| slot::uncache(cx, word));
        self.take_last_step(cx.at(), slot, last);
        self.unmark_cached(cx, pfn);
        self.frames().free(cx.at(), pfn, Order::ZERO);
        Ok(())
    }
}

/// Whether a locked page is one that can be swapped out: large ones are split before.
pub(crate) fn is_fit<M: Machine, const L: u8>(cx: &Cx<'_, M, L>, page: &Descriptor) -> bool {
    let meta = page.meta(cx);
    let owned = page.owner(cx) != 0 || page.maps(cx) == 0;
    meta.is_head() && meta.state() == State::Anon && meta.order() == Order::ZERO && owned
}
