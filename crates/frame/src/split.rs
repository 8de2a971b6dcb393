//! A large folio becomes small ones; and folios found without a reference.

use crate::counts::{self, Counts, Freed};
use crate::descriptor::{AGE, Descriptor, FLAGS, Flags, INDEX_BITS, Links, Meta, USER_NODE};
use crate::frames::Frames;
use crate::memmap::SUBSECTION_ORDER;
use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use machine::cells::cast_words;
use machine::{Cx, Event, Field, FieldValue, HUGE_ORDER, LockId, Machine, Memory, Order, Pfn, level};

/// What the parts of a folio have from the whole.
const OF_PARTS: Flags =
    Flags::UPTODATE.and(Flags::LOCKED).and(Flags::DIRTY).and(Flags::REFERENCED).and(Flags::UNMAPPED);

impl Descriptor {
    /// Makes a tail of a folio that is taken apart a folio of its own, without references: what it holds and
    /// whose it is are said by the whole, its zone and node it knows. It is as locked as the whole. Nobody
    /// looks at it yet.
    pub(crate) fn become_part<M: Machine, const L: u8>(
        &self,
        cx: &Cx<'_, M, L>,
        whole: Meta,
        (owner, index): (u32, u64),
    ) {
        let tail = self.meta_field().get();
        let tail = Meta(tail.0 & !FLAGS | u64::from(whole.flags().0 & OF_PARTS.0));
        let tail = tail.with(AGE, whole.part(AGE)).with(USER_NODE, whole.part(USER_NODE));
        self.meta_field().set(tail.as_head(Order::ZERO).with_state(whole.state()));
        cast_words::<Field<u64>>(core::slice::from_ref(self.owner_word()))[0]
            .set(u64::from(owner) << INDEX_BITS | index);
        self.links_field().set(Links::from_bits(0));
        if whole.flags().has(Flags::LOCKED) {
            cx.trace(|| Event::Locked(LockId::new(level::PAGE, &self.meta)));
        }
    }

    /// Makes the head of a folio that is taken apart a folio of one frame. Its flags may change meanwhile.
    pub(crate) fn become_small<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) {
        self.clear(cx, Flags::BY_PAGES);
        // RELAXED: the compare-exchange decides.
        let mut seen = cx.load(&self.meta, Relaxed);
        // ORDERING: AcqRel: who sees the new order sees the tails as they are now.
        while let Err(now) = cx.compare_exchange(&self.meta, seen, Meta(seen).as_head(Order::ZERO).0, AcqRel)
        {
            seen = now;
        }
    }
}

impl<'m, M: Machine> Frames<'m, M> {
    /// Takes a frozen folio of 2 MiB apart: each of its frames becomes a folio, of the same state and owner,
    /// at the index that follows. `counts` says what each starts with, at least a reference of the caller's.
    /// Needs no memory. Linux: `__split_huge_page`.
    ///
    /// The folio has no references, mappings or pins; the caller holds its page lock, and afterwards that of
    /// every part. Who waits for it waits for the first. A lockless reader finds the head of the whole or of
    /// a part, and at either no reference to take until all is done; who got one looks for the head again
    /// ([`Frames::try_get_folio`]).
    pub fn split_folio(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        head: Pfn,
        counts: impl Fn(u64) -> Counts,
    ) {
        let first = self.descriptor(head);
        let meta = first.meta(cx);
        debug_assert!(meta.is_head() && meta.order() == HUGE_ORDER, "{head:?} is no folio of 2 MiB");
        debug_assert!(first.refs(cx) == 0 && first.maps(cx) == 0, "{head:?} is taken apart while in use");
        let (owner, index) = first.owner_and_index(cx);
        // A frame whose subsection is covered by one folio is looked at through that folio alone. (A walk
        // over the zone's blocks meets a pageblock without a free block, which it leaves as it is.)
        for i in 1..HUGE_ORDER.frames() {
            self.descriptor(head.plus(i)).become_part(cx, meta, (owner, index + i));
        }
        first.become_small(cx);
        cx.trace(|| Event::FolioSplit { frame: head, order: HUGE_ORDER });
        self.mark_whole(cx, head, SUBSECTION_ORDER, None);
        for i in 0..HUGE_ORDER.frames() {
            counts::publish(cx, self.descriptor(head.plus(i)).counts_word(), counts(i));
        }
    }

    /// Takes a reference to the folio of a frame that was found without a lock, and answers its head. `None`
    /// if nobody has a reference to it, or it was just taken apart. The frame's descriptor is initialised.
    pub fn try_get_folio(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, pfn: Pfn) -> Option<Pfn> {
        let (head, _) = self.memmap().head(cx, pfn)?;
        if !self.descriptor(head).try_get(cx) {
            return None;
        }
        // With a reference, heads stay what they are.
        if self.is_head_of(cx, head, pfn) {
            return Some(head);
        }
        self.put(cx, head);
        None
    }

    /// The same with a pin.
    pub fn try_pin_folio(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, pfn: Pfn) -> Option<Pfn> {
        let (head, _) = self.memmap().head(cx, pfn)?;
        if !self.descriptor(head).try_pin(cx) {
            return None;
        }
        if self.is_head_of(cx, head, pfn) {
            return Some(head);
        }
        self.unpin(cx, head);
        None
    }

    /// The same for a frame of a folio of 2 MiB, only if that page is exclusive to the entry of 4 KiB through
    /// which it was found.
    pub fn try_pin_subpage(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, pfn: Pfn) -> Option<Pfn> {
        let (head, order) = self.memmap().head(cx, pfn)?;
        if order != HUGE_ORDER {
            return None;
        }
        match self.subpages(head).try_pin(cx, u64::from(pfn.0 - head.0)) {
            // Taken apart before it was pinned, the folio had no such bits any more.
            Ok(()) if self.memmap().head(cx, pfn) == Some((head, order)) => Some(head),
            Ok(()) => {
                self.unpin(cx, head);
                None
            }
            Err(freed) => {
                self.free_if_last(cx, head, freed);
                None
            }
        }
    }

    fn free_if_last(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, head: Pfn, freed: Freed) {
        if freed == Freed::Yes {
            let order = self.descriptor(head).order(cx);
            self.free(cx, head, order);
        }
    }

    fn is_head_of(&self, cx: &Cx<'m, M, { level::REGISTRY }>, head: Pfn, pfn: Pfn) -> bool {
        self.memmap().head(cx, pfn).is_some_and(|(found, _)| found == head)
    }
}
