//! What must be true of the allocator on a quiet machine.

use super::Host;
use frame::{Frames, MigrateType, ORDERS, SUBSECTION_ORDER, State, SubsectionState};
use machine::{Order, Pfn};
use std::collections::{BTreeMap, BTreeSet};

/// Checks everything; answers how many frames are handed out.
pub fn audit(frames: &Frames<'_, Host>) -> u64 {
    let free = free_lists(frames);
    let cached = per_cpu_lists(frames);
    let mut used = 0;
    let (mut free_seen, mut cached_seen, mut reserved) = (0, 0, 0);
    let mut last_end = Pfn(0);
    for block in frames.blocks() {
        assert!(block.pfn >= last_end, "blocks are ascending and disjoint");
        last_end = block.pfn.plus(block.frames());
        assert!(block.meta.is_head(), "{block:?}: initialised memory is made of blocks");
        assert!(block.pfn.is_aligned(block.meta.order()), "{block:?}: aligned");
        let subsection = frames.memmap().quiet_subsection(block.pfn);
        assert_eq!(subsection.state(), SubsectionState::Active, "{block:?}");
        for pfn in
            [0, 1, 2, block.frames() / 2, block.frames() - 1].map(|i| block.pfn.plus(i % block.frames()))
        {
            assert_eq!(frames.memmap().quiet_head(pfn), Some((block.pfn, block.meta.order())), "{pfn:?}");
            let tail = frames.descriptor(pfn).quiet_meta();
            assert_eq!((tail.zone(), tail.node()), (block.meta.zone(), block.meta.node()), "{pfn:?}");
        }
        match block.meta.state() {
            State::Free => {
                assert_eq!(free.get(&block.pfn), Some(&block.meta.order()), "{block:?} is in its list");
                free_seen += 1;
            }
            State::PerCpu => {
                assert!(cached.contains(&block.pfn), "{block:?} is in a CPU's list");
                cached_seen += 1;
            }
            State::Reserved => reserved += 1,
            _ => {
                assert!(block.counts.refs() > 0, "{block:?} is in use");
                used += block.frames();
                let whole = (block.meta.order() >= SUBSECTION_ORDER).then_some(block.meta.order());
                assert_eq!(subsection.whole(), whole, "{block:?}");
            }
        }
        if !block.meta.state().is_handed_out() {
            assert_eq!(block.counts.0, 0, "{block:?} is free");
        }
    }
    assert_eq!((free_seen, cached_seen), (free.len(), cached.len()), "lists hold blocks");
    assert!(reserved <= frames.present_frames() - frames.total_frames());
    let accounted = frames.free_frames() + frames.per_cpu_frames() + used;
    assert_eq!(accounted, frames.total_frames(), "buddy + per-CPU + unfed + used is all there is");
    used
}

fn free_lists(frames: &Frames<'_, Host>) -> BTreeMap<Pfn, Order> {
    let mut free = BTreeMap::new();
    for zone in frames.zones() {
        let mut sum = zone.unfed;
        for order in (0..ORDERS as u8).map(Order) {
            for list in MigrateType::ALL {
                let mut count = 0;
                for pfn in frames.free_list(zone.node, zone.kind, order, list) {
                    count += 1;
                    let meta = frames.descriptor(pfn).quiet_meta();
                    assert_eq!((meta.zone(), meta.node()), (zone.kind, zone.node));
                    assert_eq!((meta.list(), meta.order()), (list, order));
                    for part in (0..order.frames()).step_by(SUBSECTION_ORDER.frames() as usize) {
                        let subsection = frames.memmap().quiet_subsection(pfn.plus(part));
                        assert_eq!(
                            subsection.migrate_type(),
                            list,
                            "a free block is in its pageblock's list"
                        );
                    }
                    assert_eq!(free.insert(pfn, order), None, "a block is in one list");
                }
                assert_eq!(count, zone.free_blocks[order.0 as usize][list as usize]);
                sum += count * order.frames();
            }
        }
        assert_eq!(sum, zone.free, "free counts are those of the lists");
    }
    for (&pfn, &order) in &free {
        let buddy = pfn.buddy(order);
        if order.0 + 1 < ORDERS as u8 && free.get(&buddy) == Some(&order) {
            let zone = |pfn| {
                let meta = frames.descriptor(pfn).quiet_meta();
                (meta.node(), meta.zone())
            };
            assert_ne!(zone(pfn), zone(buddy), "free buddies are one block");
        }
    }
    free
}

fn per_cpu_lists(frames: &Frames<'_, Host>) -> BTreeSet<Pfn> {
    let mut cached = BTreeSet::new();
    let mut sum = 0;
    for (_, pfn, order) in frames.per_cpu_blocks() {
        let meta = frames.descriptor(pfn).quiet_meta();
        assert_eq!((meta.state(), meta.order()), (State::PerCpu, order));
        assert!(cached.insert(pfn), "a block is in one list");
        sum += order.frames();
    }
    assert_eq!(sum, frames.per_cpu_frames());
    cached
}
