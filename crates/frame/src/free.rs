//! Taking frames back, and the references that keep them.

use crate::counts::{self, AtCap, Freed};
use crate::descriptor::{Descriptor, Meta, State};
use crate::frames::Frames;
use machine::trace::Source;
use machine::{Counter, Cx, Event, Machine, Order, PageOp, Pfn, level};

impl<'m, M: Machine> Frames<'m, M> {
    /// The folio of a frame to which the caller has a reference: its head, and its order.
    pub fn folio<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn) -> (Pfn, Order) {
        let meta = self.descriptor(pfn).meta(cx);
        if meta.is_head() {
            return (pfn, meta.order());
        }
        let found = self.memmap.head(cx, pfn);
        debug_assert!(found.is_some(), "a frame in use is part of a block");
        found.unwrap_or((pfn, Order::ZERO))
    }

    fn head<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn) -> &'m Descriptor {
        self.descriptor(self.folio(cx, pfn).0)
    }

    /// Takes another reference to the folio of a frame.
    pub fn get<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn) -> Result<(), AtCap> {
        self.head(cx, pfn).get(cx)
    }

    /// Gives a reference to the folio of a frame back; the last one frees all of it.
    pub fn put(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, pfn: Pfn) {
        let (head, order) = self.folio(cx, pfn);
        if self.descriptor(head).put(cx) == Freed::Yes {
            self.free(cx, head, order);
        }
    }

    /// Gives a pin and its reference back; the last reference frees the folio.
    pub fn unpin(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, pfn: Pfn) {
        let (head, order) = self.folio(cx, pfn);
        if self.descriptor(head).unpin(cx) == Freed::Yes {
            self.free(cx, head, order);
        }
    }

    /// Frees a folio whose last reference is gone.
    pub fn free(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, pfn: Pfn, order: Order) {
        let meta = self.retire(cx, pfn, order);
        let zone = self.zone(meta.node(), meta.zone());
        let list = self.memmap.subsection(cx, pfn).migrate_type();
        if self.give_to_pcp(cx, zone, (pfn, order), list).is_err() {
            let held = zone.lock.lock_irq(cx);
            held.trace(|| Event::FrameFreed { frame: pfn, order, to: Source::Zone });
            self.buddy(zone).give(&held, pfn, order);
        }
    }

    /// The end of a folio's life: it is on its way to be free.
    pub(crate) fn retire(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, pfn: Pfn, order: Order) -> Meta {
        let descriptor = self.descriptor(pfn);
        let meta = descriptor.meta_field().get();
        debug_assert!(meta.is_head() && meta.state().is_handed_out(), "{pfn:?} is freed, but not in use");
        debug_assert!(meta.order() == order, "{pfn:?} is freed as another size");
        let counts = descriptor.quiet_counts();
        debug_assert!(
            counts.refs() == 0 && counts.maps() == 0 && counts.pins() == 0,
            "{pfn:?} is freed, but still has {counts:?}"
        );
        if meta.state().is_user() {
            self.machine.page_op(cx.cpu(), PageOp::Discard { frame: pfn, order });
        }
        debug_assert!(!descriptor.test(cx, crate::Flags::LOCKED), "{pfn:?} is freed while it is locked");
        self.mark_whole(cx, pfn, order, None);
        if counts.0 != 0 {
            counts::death(cx, descriptor.counts_word());
        }
        descriptor.wipe_owner();
        let free = meta.without_contents().next_generation().with_state(State::PerCpu);
        descriptor.meta_field().set(free);
        cx.count_n(Counter::PgFree, order.frames());
        free
    }
}
