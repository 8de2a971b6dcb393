//! Entries that name slots come and go, and what that means for the cache.

use crate::objects::Objects;
use crate::swap::slot::{self, Kept, LastStep, SlotState, TooManyEntries};
use crate::swap::store::Place;
use core::sync::atomic::Ordering::{Acquire, Release};
use frame::{Bulk, Counts, Descriptor, Flags};
use machine::{Cx, Event, Machine, Memory, Pfn, Word, level};
use table::Slot;

impl<'m, M: Machine> Objects<'m, M> {
    /// The word of a slot; `None` for a slot that no area ever had.
    pub(crate) fn slot_word<const L: u8>(&self, cx: &Cx<'m, M, L>, slot: Slot) -> Option<&'m Word> {
        self.swap.area(slot).word(cx.machine(), slot.page)
    }

    /// The words that say what a slot of compressed memory holds.
    pub(crate) fn place<const L: u8>(&self, cx: &Cx<'m, M, L>, slot: Slot) -> Option<Place<'m>> {
        let places = &self.swap.area(slot).places;
        let word = |index| places.word(cx.machine(), index);
        Some(Place { object: word(slot.page * 2)?, check: word(slot.page * 2 + 1)? })
    }

    /// What a slot's word says now.
    pub fn slot_state<const L: u8>(&self, cx: &Cx<'m, M, L>, slot: Slot) -> SlotState {
        self.slot_word(cx, slot).map_or(SlotState(0), |word| slot::read(cx, word))
    }

    /// One more entry names a slot: fork, and swap-out before it takes the mapping away. The caller has the
    /// leaf of an entry that names it locked, or works on its frame.
    pub fn dup_swap<const L: u8>(&self, cx: &Cx<'m, M, L>, slot: Slot) -> Result<(), TooManyEntries> {
        self.slot_word(cx, slot).map_or(Err(TooManyEntries), |word| slot::dup(cx, word))
    }

    /// An entry that named a slot is gone for good (Linux: `free_swap_and_cache`).
    pub fn put_swap(&self, cx: &mut Cx<'m, M, { level::TABLE1 }>, slot: Slot, kept: Kept) {
        let last = self.slot_word(cx, slot).and_then(|word| slot::put(cx, word, kept));
        self.take_last_step(cx, slot, last);
    }

    /// Does what the last step on a slot owes: the bytes go, the slot is free, the frame leaves the cache.
    pub(crate) fn take_last_step(
        &self,
        cx: &mut Cx<'m, M, { level::TABLE1 }>,
        slot: Slot,
        last: Option<LastStep>,
    ) {
        let Some(LastStep { frame }) = last else { return };
        let area = self.swap.area(slot);
        if let Some(place) = self.place(cx, slot) {
            area.store.erase(cx.at(), self.frames(), place);
        }
        if let Some(word) = self.slot_word(cx, slot) {
            slot::release(cx, word);
        }
        // ORDERING: Release pairs with the Acquire in `end_swap_off`: an area ends when its words are free.
        // Once it has, a smaller one may have its number, and the word is not to be found any more.
        cx.fetch_add(&area.used, 1u64.wrapping_neg(), Release);
        if let Some(frame) = frame {
            self.leave_cache(cx.at(), frame);
        }
    }

    /// The cache's reference to a page goes, with the mark that says that there is one.
    pub(crate) fn leave_cache(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, pfn: Pfn) {
        self.unmark_cached(cx, pfn);
        self.frames().put(cx, pfn);
    }

    /// Marks a page that only the caller works on as cached at a slot.
    pub(crate) fn enter_cache<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn, slot: Slot) {
        let page = self.descriptor(pfn);
        // ORDERING: Release pairs with the Acquire in `marked_slot`, by way of the flag.
        cx.store(page.link_word(), slot.to_bits(), Release);
        page.set(cx, Flags::SWAPCACHED);
        self.swap.shared.cached.add_shared(1);
        cx.trace(|| Event::SwapCached { frame: pfn, slot: slot.to_bits() });
    }

    /// Takes the mark away again.
    pub(crate) fn unmark_cached<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn) {
        cx.trace(|| Event::SwapUncached { frame: pfn });
        self.descriptor(pfn).clear(cx, Flags::SWAPCACHED);
        self.swap.shared.cached.add_shared(1u64.wrapping_neg());
    }

    /// How many pages are marked as being in the cache (`SwapCached`).
    pub fn swap_cached(&self) -> u64 {
        self.swap.shared.cached.get()
    }

    /// The slot a page says it has in the cache.
    pub(crate) fn marked_slot<const L: u8>(&self, cx: &Cx<'m, M, L>, page: &Descriptor) -> Option<Slot> {
        if !page.test(cx, Flags::SWAPCACHED) {
            return None;
        }
        // ORDERING: Acquire pairs with the Release in `enter_cache`.
        Some(Slot::from_bits(cx.load(page.link_word(), Acquire)))
    }

    /// The slot a page has in the cache.
    pub fn swap_slot_of<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn) -> Option<Slot> {
        let slot = self.marked_slot(cx, self.descriptor(pfn))?;
        (self.slot_state(cx, slot).frame() == Some(pfn)).then_some(slot)
    }

    /// Takes a page out of the cache, and frees its slot, if no entry names it and nobody works on it: its
    /// bytes are about to differ, or nobody maps it any more (Linux: `folio_free_swap`).
    pub fn abandon_swap(&self, cx: &mut Cx<'m, M, { level::TABLE1 }>, pfn: Pfn) {
        let Some(slot) = self.marked_slot(cx, self.descriptor(pfn)) else { return };
        let last = self.slot_word(cx, slot).and_then(|word| slot::abandon(cx, word, pfn));
        self.take_last_step(cx, slot, last);
    }

    /// Gives the reference of a mapping back that is no more. What is in the cache for nobody goes with it.
    pub(crate) fn put_mapped(&self, cx: &mut Cx<'m, M, { level::TABLE1 }>, pfn: Pfn) {
        self.leave_swap_cache(cx, pfn);
        self.frames().put(cx.at(), pfn);
    }

    /// The same for one of many pages.
    pub(crate) fn put_mapped_bulk(&self, cx: &mut Cx<'m, M, { level::TABLE1 }>, pfn: Pfn, pages: &mut Bulk) {
        let meta = self.descriptor(pfn).meta(cx);
        if meta.flags().has(Flags::SWAPCACHED) {
            self.leave_swap_cache(cx, pfn);
        }
        match meta.is_head() {
            true => self.frames().put_head_bulk(cx.at(), (pfn, meta.order()), pages),
            false => self.frames().put_bulk(cx.at(), pfn, pages),
        }
    }

    fn leave_swap_cache(&self, cx: &mut Cx<'m, M, { level::TABLE1 }>, pfn: Pfn) {
        let page = self.descriptor(pfn);
        if page.test(cx, Flags::SWAPCACHED) && page.maps(cx) == 0 {
            self.abandon_swap(cx, pfn);
        }
    }

    /// Gives the reference of a mapping of an anonymous page back, with its count: nobody can use the entry
    /// any more. What is in the cache for nobody goes with the last.
    pub(crate) fn put_entry_bulk(&self, cx: &mut Cx<'m, M, { level::TABLE1 }>, pfn: Pfn, pages: &mut Bulk) {
        let (head, order) = self.frames().folio(cx, pfn);
        let page = self.descriptor(head);
        if !page.test(cx, Flags::SWAPCACHED) {
            return self.frames().put_entry_bulk(cx.at(), (head, order), pages);
        }
        page.remove_map(cx);
        self.put_mapped_bulk(cx, head, pages);
    }

    /// Puts another frame into the cache in a page's place, with its mark and the cache's reference: for
    /// migration, which has both locked and unmapped, and copies the bytes before it lets go. The new frame
    /// has a reference of the caller's that the cache does not take. `false` if the page is being written: it
    /// stays.
    pub fn move_in_swap_cache<const L: u8>(&self, cx: &mut Cx<'m, M, L>, (from, to): (Pfn, Pfn)) -> bool {
        const { assert!(L <= level::TABLE1, "lock order: frames are freed") };
        let (old, new) = (self.descriptor(from), self.descriptor(to));
        let Some(slot) = self.marked_slot(cx, old) else { return true };
        if new.get(cx).is_err() {
            return false;
        }
        self.enter_cache(cx, to, slot);
        if old.test(cx, Flags::DIRTY) {
            new.set(cx, Flags::DIRTY);
        }
        let exchanged = self.slot_word(cx, slot).is_some_and(|word| slot::exchange(cx, word, (from, to)));
        let left = if exchanged { from } else { to };
        self.unmark_cached(cx, left);
        let freed = self.descriptor(left).put(cx);
        debug_assert_eq!(freed, frame::Freed::No, "the caller has references to both");
        exchanged
    }
}

impl<'m, M: Machine> Objects<'m, M> {
    /// A page's counts; if the cache's reference is among them, also how many swap entries name its slot.
    ///
    /// The mark goes before the reference does: a mark seen before and after says that the reference was
    /// there. The entries are read before the counts: when there is none, nobody can come to map the page
    /// through one, and who did so before is among the mappings. The other way round a fault could exchange
    /// the last entry for a mapping in between, and be seen in neither.
    pub(crate) fn counts_and_cache<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn) -> (Counts, Option<u64>) {
        let page = self.descriptor(pfn);
        let mut before = self.marked_slot(cx, page);
        loop {
            let entries = before.map(|slot| self.entries_of_slot(cx, slot, pfn));
            let counts = page.counts(cx);
            let after = self.marked_slot(cx, page);
            if before == after {
                return (counts, entries);
            }
            before = after;
        }
    }

    /// How many swap entries name the slot of a page in the cache; none if it is leaving.
    pub(crate) fn entries_of_slot<const L: u8>(&self, cx: &Cx<'m, M, L>, slot: Slot, pfn: Pfn) -> u64 {
        let state = self.slot_state(cx, slot);
        if state.frame() == Some(pfn) { state.entries() } else { 0 }
    }
}
