//! A large folio becomes small ones; and folios found without a reference.

use crate::counts::{self, Counts, Freed};
use crate::frames::Frames;
use crate::memmap::SUBSECTION_ORDER;
use machine::{Cx, HUGE_ORDER, Machine, Pfn, level};

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
