//! The buddy allocator of a zone: blocks of orders 0 to 10, split on the way out, coalesced on the way in.

use crate::descriptor::{Descriptor, Meta, MigrateType, State};
use crate::list::End;
use crate::memmap::{MemMap, SECTION_ORDER, SUBSECTION_ORDER, SubsectionState, aligned};
use crate::zone::{Span, Zone};
use machine::{Counter, Cx, MAX_ORDER, Machine, Order, Pfn, level};

/// A zone's free memory, to whoever holds the zone's lock.
pub(crate) struct Buddy<'a, 'm> {
    pub(crate) memmap: &'a MemMap<'m>,
    pub(crate) zone: &'m Zone,
    pub(crate) spans: &'m [Span],
    /// What was taken before the zones were built: first frame, and one past the last.
    pub(crate) boot: (Pfn, Pfn),
}

type Locked<'m, M> = Cx<'m, M, { level::ZONE }>;

/// The types a request may take from, besides its own; in this order. Linux: `fallbacks`.
const fn fallbacks(list: MigrateType) -> [MigrateType; 2] {
    match list {
        MigrateType::Unmovable => [MigrateType::Reclaimable, MigrateType::Movable],
        MigrateType::Reclaimable => [MigrateType::Unmovable, MigrateType::Movable],
        _ => [MigrateType::Reclaimable, MigrateType::Unmovable],
    }
}

/// Whether blocks of the two types may become one block (of one type).
fn mergeable(a: MigrateType, b: MigrateType) -> bool {
    let ordinary = |list| !matches!(list, MigrateType::HighAtomic | MigrateType::Isolate);
    a == b || ordinary(a) && ordinary(b)
}

impl<'m> Buddy<'_, 'm> {
    fn descriptor(&self, pfn: Pfn) -> &'m Descriptor {
        self.memmap.descriptor(pfn)
    }

    fn meta(&self, pfn: Pfn) -> Meta {
        self.descriptor(pfn).meta_field().get()
    }

    /// Puts a block into the free list of its type.
    fn link(&self, pfn: Pfn, order: Order, list: MigrateType, end: End) {
        let meta = self.meta(pfn).as_head(order).with_state(State::Free).with_list(list);
        self.descriptor(pfn).meta_field().set(meta);
        self.zone.list(order, list).push(self.memmap, pfn, end);
    }

    /// Takes a block out of its free list. It stays a head, on its way to somebody.
    fn unlink(&self, pfn: Pfn) {
        let meta = self.meta(pfn);
        debug_assert!(meta.is_head() && meta.state() == State::Free, "a block in a free list is free");
        self.zone.list(meta.order(), meta.list()).remove(self.memmap, pfn);
        self.descriptor(pfn).meta_field().set(meta.with_state(State::PerCpu));
    }

    /// Whether the frame is the head of a free block of this order and zone.
    fn is_free_block(&self, pfn: Pfn, order: Order) -> bool {
        if pfn >= self.memmap.end() {
            return false;
        }
        let meta = self.meta(pfn);
        meta.is_head()
            && meta.state() == State::Free
            && meta.order() == order
            && meta.zone() == self.zone.kind.get()
            && meta.node() == self.zone.node.get()
    }

    fn block_type<M: Machine>(&self, cx: &Locked<'m, M>, pfn: Pfn) -> MigrateType {
        self.memmap.subsection(cx, pfn).migrate_type()
    }

    /// Gives the pageblocks of a block of at least pageblock size another type.
    fn set_block_type<M: Machine>(&self, cx: &Locked<'m, M>, pfn: Pfn, order: Order, list: MigrateType) {
        for part in 0..1 << (order.0 - SUBSECTION_ORDER.0) {
            let block = pfn.plus(part * SUBSECTION_ORDER.frames());
            self.memmap.update(cx, block, |s| s.with_type(list));
        }
    }

    // ---- in ----

    /// Frees a block.
    pub(crate) fn give<M: Machine>(&self, cx: &Locked<'m, M>, pfn: Pfn, order: Order) {
        self.coalesce(cx, pfn, order, End::Front);
        self.zone.free_frames.add(order.frames());
    }

    /// Joins a block with its free buddies as long as there are any, then links it. Linux: `__free_one_page`.
    fn coalesce<M: Machine>(&self, cx: &Locked<'m, M>, mut pfn: Pfn, mut order: Order, end: End) {
        debug_assert!(pfn.is_aligned(order) && order <= MAX_ORDER, "a block is aligned to its size");
        let list = self.block_type(cx, pfn);
        while order < MAX_ORDER {
            let buddy = pfn.buddy(order);
            if !self.is_free_block(buddy, order) {
                break;
            }
            if order >= SUBSECTION_ORDER {
                let other = self.block_type(cx, buddy);
                if !mergeable(list, other) {
                    break;
                }
                if other != list {
                    // One block is in one list: a later split puts each part where its pageblock says.
                    self.set_block_type(cx, buddy, order, list);
                }
            }
            self.unlink(buddy);
            let upper = pfn.max(buddy);
            self.descriptor(upper).meta_field().set(self.meta(upper).as_tail());
            pfn = pfn.min(buddy);
            order = Order(order.0 + 1);
        }
        self.link(pfn, order, list, end);
    }

    // ---- out ----

    /// Takes a block for a request of this type. The block is on its way: in no list, [`State::PerCpu`].
    /// Linux: `__rmqueue`.
    pub(crate) fn take<M: Machine>(
        &self,
        cx: &Locked<'m, M>,
        order: Order,
        list: MigrateType,
    ) -> Option<Pfn> {
        let pfn = loop {
            if let Some(pfn) = self.take_smallest(order, list) {
                break pfn;
            }
            // What was not fed yet would be blocks of the largest order: stealing
            // smaller ones comes after it.
            if !self.zone.has_block(MAX_ORDER) && self.feed(cx) {
                continue;
            }
            let stolen = self.claim(cx, order, list).or_else(|| self.steal(order, list));
            if stolen.is_some() {
                cx.count(Counter::PgAllocFallback);
            }
            break stolen?;
        };
        self.zone.free_frames.sub(order.frames());
        Some(pfn)
    }

    /// Takes some frames that follow each other, at most so many: those that as many single requests would
    /// get, one after the other. Each is on its way: in no list.
    pub(crate) fn take_singles<M: Machine>(
        &self,
        cx: &Locked<'m, M>,
        most: u64,
        list: MigrateType,
    ) -> Option<(Pfn, u64)> {
        let room = Order(most.max(1).ilog2() as u8);
        let has_one = |order: &Order| self.zone.list(*order, list).first().is_some();
        let Some(order) = (0..=MAX_ORDER.0).map(Order).find(has_one) else {
            return self.take(cx, Order::ZERO, list).map(|pfn| (pfn, 1));
        };
        let part = order.min(room);
        let pfn = self.zone.list(order, list).first()?;
        self.take_at(pfn, part);
        Some((pfn, part.frames()))
    }

    /// Frames on their way, an aligned block of them, go to the zone as one block.
    pub(crate) fn give_singles<M: Machine>(&self, cx: &Locked<'m, M>, pfn: Pfn, order: Order) {
        for i in 1..order.frames() {
            let part = self.descriptor(pfn.plus(i)).meta_field();
            part.set(part.get().as_tail());
        }
        self.descriptor(pfn).meta_field().set(self.meta(pfn).as_head(order));
        self.give(cx, pfn, order);
    }

    /// Takes the smallest block of the type that is large enough.
    fn take_smallest(&self, order: Order, list: MigrateType) -> Option<Pfn> {
        (order.0..=MAX_ORDER.0).find_map(|o| {
            let pfn = self.zone.list(Order(o), list).first()?;
            Some(self.split(pfn, order))
        })
    }

    /// The order of the free block that begins at a frame, if one does.
    pub(crate) fn free_block_at(&self, pfn: Pfn) -> Option<Order> {
        let order = self.meta(pfn).order();
        self.is_free_block(pfn, order).then_some(order)
    }

    /// Takes the first part of a free block as single frames, each on its way: in no list.
    pub(crate) fn take_at(&self, pfn: Pfn, part: Order) {
        self.split(pfn, part);
        for i in 0..part.frames() {
            let single = self.meta(pfn.plus(i)).as_head(Order::ZERO).with_state(State::PerCpu);
            self.descriptor(pfn.plus(i)).meta_field().set(single);
        }
        self.zone.free_frames.sub(part.frames());
    }

    /// Takes a free block, gives its upper halves back until it has the wanted order.
    fn split(&self, pfn: Pfn, order: Order) -> Pfn {
        let meta = self.meta(pfn);
        self.unlink(pfn);
        let mut have = meta.order();
        while have > order {
            have = Order(have.0 - 1);
            self.link(pfn.plus(have.frames()), have, meta.list(), End::Front);
        }
        let meta = self.meta(pfn);
        self.descriptor(pfn).meta_field().set(meta.as_head(order));
        pfn
    }

    /// Takes a block of another type and makes its pageblock one of this type, from the largest block on, so
    /// that the mixing is rare. Linux: `__rmqueue_claim`.
    fn claim<M: Machine>(&self, cx: &Locked<'m, M>, order: Order, list: MigrateType) -> Option<Pfn> {
        for o in (order.0..=MAX_ORDER.0).rev().map(Order) {
            let Some(pfn) = self.first_of(o, list) else { continue };
            // Small blocks are worth a pageblock only to what would otherwise be scattered over movable ones.
            let worth = o.0 >= SUBSECTION_ORDER.0 / 2 || list != MigrateType::Movable;
            if !worth {
                return None;
            }
            if o >= SUBSECTION_ORDER {
                self.relink(pfn, list);
                self.set_block_type(cx, pfn, o, list);
                return Some(self.split(pfn, order));
            }
            if self.claim_pageblock(cx, pfn, list) {
                return self.take_smallest(order, list);
            }
        }
        None
    }

    /// Takes the smallest block of another type and leaves its pageblock as it is. Linux: `__rmqueue_steal`.
    fn steal(&self, order: Order, list: MigrateType) -> Option<Pfn> {
        (order.0..=MAX_ORDER.0).find_map(|o| Some(self.split(self.first_of(Order(o), list)?, order)))
    }

    /// The first block of this order of a type that may be taken instead of `list`.
    fn first_of(&self, order: Order, list: MigrateType) -> Option<Pfn> {
        fallbacks(list).iter().find_map(|&other| self.zone.list(order, other).first())
    }

    /// Moves a free block to the list of another type.
    fn relink(&self, pfn: Pfn, list: MigrateType) {
        let order = self.meta(pfn).order();
        self.unlink(pfn);
        self.link(pfn, order, list, End::Back);
    }

    /// Gives a pageblock another type if at least half of it is free or of a kind with the request. Linux:
    /// `try_to_steal_block`; what is movable is known from the state the owner set.
    fn claim_pageblock<M: Machine>(&self, cx: &Locked<'m, M>, pfn: Pfn, list: MigrateType) -> bool {
        let block = aligned(pfn, SUBSECTION_ORDER);
        let size = SUBSECTION_ORDER.frames();
        let old = self.block_type(cx, block);
        let (mut free, mut movable, mut foreign) = (0, 0, false);
        self.walk_pageblock(block, |meta, frames| {
            foreign |= meta.zone() != self.zone.kind.get() || meta.node() != self.zone.node.get();
            match meta.state() {
                State::Free => free += frames,
                State::Anon | State::File | State::Fresh => movable += frames,
                _ => {}
            }
        });
        let alike = match (list, old) {
            (MigrateType::Movable, _) => movable,
            (_, MigrateType::Movable) => size - (free + movable),
            _ => 0,
        };
        // A pageblock that two zones share is covered by no one lock.
        if foreign || free + alike < size / 2 {
            return false;
        }
        let end = block.plus(size).min(self.memmap.end());
        let mut at = block;
        while at < end {
            let meta = self.meta(at);
            let is_free = meta.is_head() && meta.state() == State::Free;
            if is_free {
                self.relink(at, list);
            }
            at = at.plus(if is_free { meta.order().frames() } else { 1 });
        }
        self.memmap.update(cx, block, |s| s.with_type(list));
        true
    }

    /// Visits the blocks of a pageblock that have a head in it. (A larger block than a pageblock has no part
    /// in one that is claimed.) A block that is handed out keeps its order while the zone's lock is held.
    fn walk_pageblock(&self, block: Pfn, mut visit: impl FnMut(Meta, u64)) {
        let end = block.plus(SUBSECTION_ORDER.frames()).min(self.memmap.end());
        let mut at = block;
        while at < end {
            let meta = self.meta(at);
            let frames = if meta.is_head() { meta.order().frames() } else { 1 };
            if meta.is_head() {
                visit(meta, frames);
            }
            at = at.plus(frames);
        }
    }

    // ---- the frontier ----

    /// Initialises the next section (or what of it belongs to this zone) and frees its memory.
    /// Answers whether there was one.
    pub(crate) fn feed<M: Machine>(&self, cx: &Locked<'m, M>) -> bool {
        let Some((start, end)) = self.next_piece() else { return false };
        let unused = Meta::unused(self.zone.kind.get(), self.zone.node.get());
        let (taken, taken_end) = self.boot;
        for pfn in (start.0..end.0).map(Pfn) {
            let reserved = taken <= pfn && pfn < taken_end;
            let meta =
                if reserved { unused.as_head(Order::ZERO).with_state(State::Reserved) } else { unused };
            // Not through the context: nobody looks before the subsection is active (HR2).
            self.descriptor(pfn).meta_field().set(meta);
        }
        for pfn in (aligned(start, SUBSECTION_ORDER).0..end.0).step_by(SUBSECTION_ORDER.frames() as usize) {
            self.memmap.update(cx, Pfn(pfn), |s| s.with_state(SubsectionState::Active));
        }
        let before = end.min(taken.max(start));
        let after = start.max(taken_end.min(end));
        self.feed_range(cx, start, before);
        self.feed_range(cx, after.max(before), end);
        self.zone.next_frame.set(end);
        true
    }

    /// The part of the section at the frontier that belongs to this zone.
    fn next_piece(&self) -> Option<(Pfn, Pfn)> {
        if self.zone.unfed.get() == 0 {
            return None;
        }
        let mut index = self.zone.next_span.get() as usize;
        let mut start = self.zone.next_frame.get();
        if start >= self.spans[index].end.get() {
            let mine = self.spans[index].zone.get();
            let rest = self.spans.get(index + 1..)?;
            index += 1 + rest.iter().position(|span| span.zone.get() == mine && span.end.get().0 != 0)?;
            start = self.spans[index].start.get();
            self.zone.next_span.set(index as u64);
        }
        let section_end = aligned(start, SECTION_ORDER).plus(SECTION_ORDER.frames());
        Some((start, self.spans[index].end.get().min(section_end)))
    }

    /// Frees a range in the largest aligned blocks, in ascending order.
    fn feed_range<M: Machine>(&self, cx: &Locked<'m, M>, start: Pfn, end: Pfn) {
        let mut pfn = start;
        while pfn < end {
            let room = (end.0 - pfn.0).ilog2();
            let order = Order(pfn.0.trailing_zeros().min(room).min(u32::from(MAX_ORDER.0)) as u8);
            self.coalesce(cx, pfn, order, End::Back);
            self.zone.unfed.sub(order.frames());
            pfn = pfn.plus(order.frames());
        }
    }
}
