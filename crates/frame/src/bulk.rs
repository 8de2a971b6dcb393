//! Freeing many blocks with few locks.

use crate::counts::Freed;
use crate::descriptor::ZoneKind;
use crate::frames::{Frames, lock};
use crate::pcp::list_index;
use crate::zone::Zone;
use machine::trace::Source;
use machine::{Cx, Event, HUGE_ORDER, Machine, NodeId, Order, Pfn, level};

/// How many blocks wait for each other.
const BLOCKS: usize = 64;
/// The smallest block that frames freed together make up and that goes to its zone at once: of smaller ones
/// there may be use soon.
const JOINED_MIN: Order = Order(4);

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
        if self.descriptor(head).put(cx) == Freed::Yes {
            self.free_bulk(cx, (head, order), bulk);
        }
    }

    /// As [`Frames::put_head_bulk`]; what goes is a mapping, with its count.
    #[inline]
    pub fn put_entry_bulk(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        (head, order): (Pfn, Order),
        bulk: &mut Bulk,
    ) {
        if self.descriptor(head).put_entry(cx) == Freed::Yes {
            self.free_bulk(cx, (head, order), bulk);
        }
    }

    /// Frees a folio whose last reference is gone, some time.
    fn free_bulk(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        (head, order): (Pfn, Order),
        bulk: &mut Bulk,
    ) {
        self.retire(cx, head, order);
        bulk.blocks[bulk.count] = head;
        bulk.count += 1;
        if bulk.count == BLOCKS {
            self.end_bulk(cx, bulk);
        }
    }

    /// Gives back what waits. Single frames that make up a large enough aligned block go to their zone as
    /// that.
    pub fn end_bulk(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, bulk: &mut Bulk) {
        let blocks = &mut bulk.blocks[..core::mem::take(&mut bulk.count)];
        if blocks.len() >= JOINED_MIN.frames() as usize && !blocks.is_sorted() {
            blocks.sort_unstable();
        }
        let (mut at, mut left) = (0, 0);
        while at < blocks.len() {
            let order = joined(&blocks[at..]);
            if order >= JOINED_MIN && self.are_alike(&blocks[at..][..order.frames() as usize]) {
                self.give_joined(cx, blocks[at], order);
                at += order.frames() as usize;
            } else {
                blocks[left] = blocks[at];
                (left, at) = (left + 1, at + 1);
            }
        }
        let mut rest = &blocks[..left];
        while let Some(&first) = rest.first() {
            let (node, kind) = self.place(first);
            let same = rest.iter().take_while(|&&pfn| self.place(pfn) == (node, kind)).count();
            let (these, others) = rest.split_at(same);
            self.give_bulk(cx, self.zone(node, kind), these);
            rest = others;
        }
    }

    /// Where a block came from, and goes.
    fn place(&self, pfn: Pfn) -> (NodeId, ZoneKind) {
        let meta = self.descriptor(pfn).meta_field().get();
        (meta.node(), meta.zone())
    }

    /// Whether all of these are single frames of one zone.
    fn are_alike(&self, frames: &[Pfn]) -> bool {
        let single = |pfn: Pfn| self.descriptor(pfn).meta_field().get().order() == Order::ZERO;
        frames.iter().all(|&pfn| single(pfn) && self.place(pfn) == self.place(frames[0]))
    }

    /// Gives single frames that make up a block to their zone.
    fn give_joined(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, pfn: Pfn, order: Order) {
        let (node, kind) = self.place(pfn);
        for i in 0..order.frames() {
            let (frame, order, to) = (pfn.plus(i), Order::ZERO, Source::Zone);
            cx.trace(|| Event::FrameFreed { frame, order, to });
        }
        let zone = self.zone(node, kind);
        let held = zone.lock.lock_irq(cx);
        self.buddy(zone).give_singles(&held, pfn, order);
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

/// The largest aligned block that begins with the first of some frames in ascending order, and is made of
/// these.
fn joined(frames: &[Pfn]) -> Order {
    let Some(&first) = frames.first() else { return Order::ZERO };
    let most = first.0.trailing_zeros().min(frames.len().ilog2());
    let is_whole = |order: &u32| frames[(1 << order) - 1] == first.plus((1 << order) - 1);
    Order((0..=most).rev().find(is_whole).unwrap_or(0) as u8)
}
