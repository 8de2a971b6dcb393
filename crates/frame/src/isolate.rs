//! Memory looked at and taken by place: what compaction needs of the allocator (Linux: mm/compaction.c,
//! `isolate_freepages_block`, `isolate_migratepages_block`).

use crate::allocate::allocated;
use crate::attempts::Attempts;
use crate::descriptor::{MigrateType, State, ZoneKind};
use crate::frames::Frames;
use crate::memmap::{SUBSECTION_ORDER, Subsection, SubsectionState, aligned};
use crate::request::Request;
use crate::zone::Mark;
use machine::trace::Source;
use machine::{Cx, Machine, NodeId, Order, Pfn, level};

/// A zone, by its node and kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ZoneId {
    /// The node.
    pub node: NodeId,
    /// Which of the node's.
    pub kind: ZoneKind,
}

/// What a frame is to who looks for pages to move.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Candidate {
    /// Nothing to move for so many frames.
    None(u64),
    /// A page of user space, with a reference.
    Page(Pfn),
}

impl<'m, M: Machine> Frames<'m, M> {
    /// What a zone remembers of attempts to compact it.
    pub fn attempts(&self, zone: ZoneId) -> &'m Attempts {
        &self.zone(zone.node, zone.kind).attempts
    }

    /// Whether a block of at least this order is free in a zone.
    pub fn has_free_block(&self, zone: ZoneId, order: Order) -> bool {
        self.zone(zone.node, zone.kind).has_block(order)
    }

    /// Whether a zone has enough free memory to gather a block of this order from: the block, as much again
    /// on the way, and what must stay (Linux: `compaction_suitable`, `compact_gap`).
    pub fn may_gather(&self, zone: ZoneId, order: Order) -> bool {
        let zone = self.zone(zone.node, zone.kind);
        let single = Request::user();
        zone.allows(&single, Mark::Low) && zone.free_frames.get() >= zone.low.get() + 2 * order.frames()
    }

    /// The whole pageblocks of a zone, as first frame of the first and of the one behind the last. Not all in
    /// between are the zone's.
    pub fn pageblocks(&self, zone: ZoneId) -> (Pfn, Pfn) {
        let mine = self.zone(zone.node, zone.kind);
        let spans = self.layout.used_spans().filter(|span| {
            let other = &self.layout.zones[span.zone.get() as usize];
            core::ptr::eq(other, mine)
        });
        let ends = spans.map(|span| (span.start.get(), span.end.get()));
        let (start, end) = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or((Pfn(0), Pfn(0)));
        let start = Pfn(start.0.next_multiple_of(SUBSECTION_ORDER.frames() as u32));
        (start, aligned(end, SUBSECTION_ORDER).max(start))
    }

    /// The type of a pageblock whose descriptors may be touched and that is all a zone's.
    pub fn block_type<const L: u8>(
        &self,
        cx: &Cx<'m, M, L>,
        zone: ZoneId,
        block: Pfn,
    ) -> Option<MigrateType> {
        let subsection = self.memmap.subsection(cx, block);
        if subsection.state() != SubsectionState::Active {
            return None;
        }
        let is_mine = |pfn: Pfn| {
            let meta = self.memmap.descriptor(pfn).meta(cx);
            meta.node() == zone.node && meta.zone() == zone.kind
        };
        let last = block.plus(SUBSECTION_ORDER.frames() - 1);
        // Zones are cut at frames that need not be aligned: the ends tell.
        (last < self.memmap.end() && is_mine(block) && is_mine(last)).then(|| subsection.migrate_type())
    }

    /// Whether nothing was found to move in a pageblock the last time.
    pub fn is_skipped<const L: u8>(&self, cx: &Cx<'m, M, L>, block: Pfn) -> bool {
        self.memmap.subsection(cx, block).is_skipped()
    }

    /// Notes that looking for pages to move in a pageblock is in vain.
    pub fn skip_pageblock<const L: u8>(&self, cx: &Cx<'m, M, L>, block: Pfn) {
        self.memmap.update(cx, block, Subsection::skipped);
    }

    /// Forgets that note.
    pub fn unskip_pageblock<const L: u8>(&self, cx: &Cx<'m, M, L>, block: Pfn) {
        if self.is_skipped(cx, block) {
            self.memmap.update(cx, block, Subsection::not_skipped);
        }
    }

    /// A page that may be moved, if there is one at this frame of an initialised pageblock. Nothing keeps the
    /// frame what it is while it is looked at, so what is found counts only with a reference.
    pub fn candidate(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, pfn: Pfn) -> Candidate {
        if let Some(order) = self.memmap.subsection(cx, pfn).whole() {
            return Candidate::None(order.frames());
        }
        let meta = self.memmap.descriptor(pfn).meta(cx);
        if !meta.is_head() {
            return Candidate::None(1);
        }
        if !matches!(meta.state(), State::Anon | State::File | State::Ksm) || meta.order() > Order::ZERO {
            return Candidate::None(meta.order().frames());
        }
        match self.try_get_folio(cx, pfn) {
            Some(head) if head == pfn => Candidate::Page(pfn),
            Some(head) => {
                self.put(cx, head);
                Candidate::None(1)
            }
            None => Candidate::None(1),
        }
    }

    /// Takes free frames of a pageblock out of the zone, one by one handed out as user frames with a
    /// reference each, until `out` is full; answers how many. Only from movable pageblocks that are not free
    /// altogether (Linux: `suitable_migration_target`): what is taken ends up movable in the middle of it.
    pub fn take_free(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        zone: ZoneId,
        block: Pfn,
        out: &mut [Pfn],
    ) -> usize {
        let request = Request::user();
        let zone = self.zone(zone.node, zone.kind);
        let mut taken = 0;
        {
            let held = zone.lock.lock_irq(cx);
            if self.memmap.subsection(&held, block).migrate_type() != MigrateType::Movable {
                return 0;
            }
            let buddy = self.buddy(zone);
            let mut at = block;
            while at < block.plus(SUBSECTION_ORDER.frames()) && taken < out.len() {
                let free = buddy.free_block_at(at);
                let Some(order) = free.filter(|&order| order < SUBSECTION_ORDER) else {
                    at = at.plus(free.map_or(1, Order::frames));
                    continue;
                };
                let room = Order((out.len() - taken).ilog2() as u8);
                let part = order.min(room);
                buddy.take_at(at, part);
                for i in 0..part.frames() {
                    let frame = at.plus(i);
                    held.trace(|| allocated(frame, zone, &request, Source::Zone));
                    out[taken] = frame;
                    taken += 1;
                }
                at = at.plus(part.frames());
            }
        }
        for &frame in &out[..taken] {
            self.hand_out(cx, frame, &request);
        }
        taken
    }
}
