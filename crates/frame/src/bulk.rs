//! Freeing many blocks with few locks.

use crate::counts::Freed;
use crate::frames::{Frames, lock};
use crate::pcp::list_index;
use crate::zone::Zone;
use machine::trace::Source;
use machine::{Cx, Event, HUGE_ORDER, Machine, Order, Pfn, level};

/// How many blocks wait for each other.
const BLOCKS: usize = 32;

/// Blocks whose last reference is gone, on their way back together. [`Frames::end_bulk`] is called before the
/// frames are missed: they are nobody's meanwhile.
pub struct Bulk {
    blocks: [Pfn; BLOCKS],
    count: usize,
}

impl Default for Bulk {
    fn default() -> Self {
        Bulk { blocks: [Pfn(0); BLOCKS], count: 0 }
    }
}

impl Drop for Bulk {
    fn drop(&mut self) {
        debug_assert!(self.count == 0, "blocks on their way are given back");
    }
}

impl<'m, M: Machine> Frames<'m, M> {
    /// Has fetched what is touched when a frame in use is given back.
    #[inline]
    pub fn fetch<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn) {
        self.descriptor(pfn).fetch(cx);
        if pfn.is_aligned(HUGE_ORDER) {
            self.memmap.fetch(cx, pfn);
        }
    }

    /// As [`Frames::put`]; what is freed goes back with others.
    pub fn put_bulk(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, pfn: Pfn, bulk: &mut Bulk) {
        let (head, order) = self.folio(cx, pfn);
        self.put_head_bulk(cx, (head, order), bulk);
    }

    /// The same for a folio that is known.
    pub fn put_head_bulk(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        (head, order): (Pfn, Order),
        bulk: &mut Bulk,
    ) {
        if self.descriptor(head).put(cx) == Freed::No {
            return;
        }
        self.retire(cx, head, order);
        bulk.blocks[bulk.count] = head;
        bulk.count += 1;
        if bulk.count == BLOCKS {
            self.end_bulk(cx, bulk);
        }
    }

    /// Gives back what waits.
    pub fn end_bulk(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, bulk: &mut Bulk) {
        let mut rest = &bulk.blocks[..bulk.count];
        while let [first, ..] = rest {
            let place = |pfn: Pfn| {
                let meta = self.descriptor(pfn).meta_field().get();
                (meta.node(), meta.zone())
            };
            let (node, kind) = place(*first);
            let same = rest.iter().take_while(|&&pfn| place(pfn) == (node, kind)).count();
            let (these, others) = rest.split_at(same);
            self.give_bulk(cx, self.zone(node, kind), these);
            rest = others;
        }
        bulk.count = 0;
    }

    /// Fills this CPU's lists as far as they go, and gives the zone the rest.
    fn give_bulk(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, zone: &'m Zone, blocks: &[Pfn]) {
        let kept = self.fill_pcp(cx, zone, blocks);
        let rest = &blocks[kept..];
        if rest.is_empty() {
            return;
        }
        let held = zone.lock.lock_irq(cx);
        let buddy = self.buddy(zone);
        for &pfn in rest {
            let order = self.descriptor(pfn).meta_field().get().order();
            held.trace(|| Event::FrameFreed { frame: pfn, order, to: Source::Zone });
            buddy.give(&held, pfn, order);
        }
    }

    /// Answers how many of the blocks went into this CPU's lists.
    fn fill_pcp(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, zone: &'m Zone, blocks: &[Pfn]) -> usize {
        let pcp = self.pcp(zone, cx.cpu());
        let high = zone.pcp_high.get();
        if pcp.frames() >= high {
            return 0;
        }
        let Some(held) = lock(pcp, cx) else { return 0 };
        for (kept, &pfn) in blocks.iter().enumerate() {
            let order = self.descriptor(pfn).meta_field().get().order();
            let list = self.memmap.subsection(&held, pfn).migrate_type();
            let Some(index) = list_index(order, list) else { return kept };
            if pcp.frames() >= high {
                return kept;
            }
            held.trace(|| Event::FrameFreed { frame: pfn, order, to: Source::CpuList });
            pcp.push(&self.memmap, index, pfn, zone);
        }
        blocks.len()
    }
}
