//! Pages come back from an area (Linux: `read_swap_cache_async`, `swap_cluster_readahead`).
//!
//! The frame is in the slot's word, locked, before the read begins. A page that cannot be read leaves the
//! cache before it is unlocked; its slot stays, and each of those who waited reads, and fails, for itself.

use crate::fill::PageError;
use crate::objects::Objects;
use crate::page::{PageLock, unlock_page, wait_writeback};
use crate::swap::area::Kind;
use crate::swap::slot::{self, Claim};
use frame::{Request, State};
use machine::{Backing, Counter, Cx, Event, IoError, Machine, Memory, Pfn, Shortage, UserFrame, level};
use table::Slot;

/// Slots read together, aligned (Linux: `page-cluster` 3).
const CLUSTER: u64 = 8;

impl<'m, M: Machine> Objects<'m, M> {
    /// The page that the cache has for a slot, with a reference. The caller sees an entry of the slot under
    /// its leaf's lock.
    pub fn find_swapped(&self, cx: &mut Cx<'m, M, { level::TABLE1 }>, slot: Slot) -> Option<Pfn> {
        let word = self.slot_word(cx, slot)?;
        loop {
            let frame = slot::read(cx, word).frame()?;
            if self.descriptor(frame).try_get(cx) {
                if slot::read(cx, word).frame() == Some(frame) {
                    return Some(frame);
                }
                // It left the cache meanwhile, and may be anybody's.
                self.frames().put(cx.at(), frame);
            } else {
                // It is about to leave the cache.
                cx.relax(word);
            }
        }
    }

    /// A frame for a page of a slot: locked, marked as cached, with two references: the caller's and the
    /// cache's. Next it is claimed for ([`Objects::claim_swapped`]), or given up
    /// ([`Objects::give_up_swapped`]).
    pub fn new_swapped(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, slot: Slot) -> Result<Pfn, Shortage> {
        let frame = self.frames().allocate(cx.at(), &Request::user())?;
        let page = self.descriptor(frame);
        // Nobody's until it is mapped: the entry says whose.
        page.set_owner(cx, 0, 0);
        page.set_state(cx, State::Anon);
        let (locked, counted) = (page.try_lock(cx), page.get(cx));
        debug_assert!(locked && counted.is_ok(), "nobody knows the frame yet");
        self.enter_cache(cx, frame, slot);
        Ok(frame)
    }

    /// Puts a new frame into the word of its slot. The caller sees an entry of the slot under its leaf's
    /// lock.
    pub fn claim_swapped<const L: u8>(&self, cx: &Cx<'m, M, L>, slot: Slot, frame: Pfn) -> Claim {
        self.slot_word(cx, slot).map_or(Claim::Gone, |word| slot::claim_read(cx, word, frame))
    }

    /// Frees a frame that was not claimed for.
    pub fn give_up_swapped(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, frame: Pfn) {
        unlock_page(cx, self.descriptor(frame));
        self.leave_cache(cx.at(), frame);
        self.frames().put(cx.at(), frame);
    }

    /// Reads a claimed page in and unlocks it. The caller keeps its reference. On an error the page is in the
    /// cache no more.
    pub fn read_swapped(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        slot: Slot,
        pfn: Pfn,
    ) -> Result<(), IoError> {
        let result = self.load_slot(cx, slot, pfn);
        let Some(word) = self.slot_word(cx, slot) else { return Err(IoError) };
        let page = self.descriptor(pfn);
        match result {
            Ok(()) => {
                cx.count(Counter::PSwpIn);
                cx.trace(|| Event::SwappedIn { frame: pfn, slot: slot.to_bits() });
                let last = slot::settle(cx, word);
                self.take_last_step(cx.at(), slot, last);
            }
            Err(IoError) => {
                let last = slot::uncache(cx, word);
                self.leave_cache(cx.at(), pfn);
                self.take_last_step(cx.at(), slot, last);
            }
        }
        unlock_page(cx, page);
        result
    }

    /// Waits until a page is not being written to its slot (CR17).
    pub fn wait_swap_written(&self, cx: &mut PageLock<'_, 'm, M>, pfn: Pfn) {
        wait_writeback(&mut **cx, self.descriptor(pfn));
    }

    /// Lets others run while `swapoff` waits for slots that they have.
    pub fn wait_for_slots(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, area: u8) {
        if let Some(word) = self.slot_word(cx, Slot { area, page: 0 }) {
            cx.relax(word);
        }
    }

    /// A planted bug: a slot's bytes in a frame that the cache does not know.
    pub fn read_round_cache(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        slot: Slot,
    ) -> Result<Pfn, PageError> {
        let frame = self.frames().allocate(cx.at(), &Request::user()).map_err(PageError::Shortage)?;
        let page = self.descriptor(frame);
        page.set_owner(cx, 0, 0);
        page.set_state(cx, State::Anon);
        if self.load_slot(cx, slot, frame).is_err() {
            self.frames().put(cx.at(), frame);
            return Err(PageError::Io);
        }
        Ok(frame)
    }

    fn load_slot(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, slot: Slot, pfn: Pfn) -> Result<(), IoError> {
        let area = self.swap.area(slot);
        match area.kind.get() {
            Kind::File => cx.machine().files().read(cx.cpu(), area.file.get(), slot.page, UserFrame(pfn)),
            Kind::Compressed => {
                let place = self.place(cx, slot).ok_or(IoError)?;
                if area.store.get(cx, place, UserFrame(pfn)) { Ok(()) } else { Err(IoError) }
            }
        }
    }

    /// Reads the slots next to one that was just read, as far as they are in use and frames are easily had.
    /// The caller has a reference to the page of `slot`, so the area stays. Only files gain by it (Linux:
    /// none for `SWP_SYNCHRONOUS_IO`).
    pub fn read_around_slot(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, slot: Slot) {
        if self.swap.area(slot).kind.get() != Kind::File {
            return;
        }
        let first = slot.page / CLUSTER * CLUSTER;
        for page in first..first + CLUSTER {
            let near = Slot { page, ..slot };
            let state = self.slot_state(cx, near);
            let wanted = state.entries() > 0 && state.frame().is_none();
            if wanted && self.read_ahead_slot(cx, near).is_err() {
                // A bonus is not worth reclaiming for.
                return;
            }
        }
    }

    /// Reads one slot that nobody has asked for yet.
    pub fn read_ahead_slot(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, slot: Slot) -> Result<(), Shortage> {
        let frame = self.new_swapped(cx, slot)?;
        match self.claim_swapped(cx, slot, frame) {
            Claim::Mine => {
                // Who comes to want the page gets the error then.
                if self.read_swapped(cx, slot, frame).is_ok() {
                    cx.count(Counter::SwapRa);
                }
                self.frames().put(cx.at(), frame);
            }
            Claim::There(_) | Claim::Gone => self.give_up_swapped(cx, frame),
        }
        Ok(())
    }
}
