//! Making frames free without hurting anybody.

use crate::deferred_split::split_partly_mapped;
use crate::evict::Eviction;
use frame::{Frames, ZoneReport};
use machine::{Cx, Event, Machine, NodeId, NodeSet, Shortage, level};
use space::Spaces;

/// How many cached pages to drop at a time (Linux: `SWAP_CLUSTER_MAX`, times how far it scans for each).
const BATCH: u64 = 128;
/// How many pages in use to evict at a time (Linux: `SWAP_CLUSTER_MAX`).
const EVICT: u64 = 32;

/// Whether it is worth starting again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Progress {
    /// Pages in use left memory.
    Evicted,
    /// Memory is free now that was not, or some is free anyway.
    Made,
    /// All that could be freed was freed before.
    None,
}

/// Frees what nobody needs where a block was wanted: the CPUs' lists of free frames go back to their zones,
/// where they merge; clean file pages that nothing maps are dropped; then pages in use are evicted.
pub(crate) fn reclaim<'m, M: Machine>(
    cx: &mut Cx<'m, M, { level::PROCESS }>,
    spaces: &Spaces<'m, M>,
    eviction: &Eviction<'m>,
    shortage: Shortage,
) -> Progress {
    let frames: &Frames<'m, M> = spaces.frames();
    let dropped = spaces.objects().drop_clean_of(cx.at(), shortage.nodes, BATCH);
    let split = if dropped == 0 { split_partly_mapped(cx, spaces) } else { 0 };
    let evicted = if dropped + split == 0 { evict(cx, spaces, eviction, shortage) } else { 0 };
    cx.trace(|| Event::Reclaimed { pages: dropped });
    frames.drain_all(cx.at());
    if evicted > 0 {
        return Progress::Evicted;
    }
    if dropped + split > 0 || has_free(frames, shortage) { Progress::Made } else { Progress::None }
}

/// One round of aging, then the oldest pages leave memory.
fn evict<'m, M: Machine>(
    cx: &mut Cx<'m, M, { level::PROCESS }>,
    spaces: &Spaces<'m, M>,
    eviction: &Eviction<'m>,
    shortage: Shortage,
) -> u64 {
    eviction.age(cx, spaces);
    eviction.evict(cx, spaces, (shortage.node, shortage.nodes), EVICT)
}

/// A step of background reclaim (Linux: kswapd, one for each node): from each node of which some zone has
/// fallen below its low watermark, and until none is below its high one, up to `budget` pages leave memory.
/// Answers whether there is more to do.
pub(crate) fn background<'m, M: Machine>(
    cx: &mut Cx<'m, M, { level::PROCESS }>,
    spaces: &Spaces<'m, M>,
    eviction: &Eviction<'m>,
    budget: u64,
) -> bool {
    let frames = spaces.frames();
    let below = |node: NodeId, mark: fn(&ZoneReport) -> u64| {
        frames.zones().any(|zone| zone.node == node && zone.managed > 0 && zone.free < mark(&zone))
    };
    for (node, hand) in eviction.hands() {
        if below(node, |zone| zone.low) {
            hand.awake.set(true);
        }
    }
    let mut awake = eviction.hands().filter(|(_, hand)| hand.awake.get()).peekable();
    if awake.peek().is_none() {
        return false;
    }
    let (mut aged, mut more) = (false, false);
    for (node, hand) in awake {
        let dropped = spaces.objects().drop_clean_of(cx.at(), NodeSet::one(node), budget);
        if dropped < budget && !aged {
            eviction.age(cx, spaces);
            aged = true;
        }
        let evicted = eviction.evict_from(cx, spaces, node, budget - dropped);
        frames.drain_all(cx.at());
        hand.awake.set(dropped + evicted > 0 && below(node, |zone| zone.high));
        more |= hand.awake.get();
    }
    more
}

/// Whether some zone that a block may come from has one free above its reserve (Linux:
/// `should_reclaim_retry`).
pub(crate) fn has_free<M: Machine>(frames: &Frames<'_, M>, Shortage { order, nodes, .. }: Shortage) -> bool {
    frames.zones().filter(|zone| nodes.contains(zone.node)).any(|zone| {
        let blocks = zone.free_blocks.iter().skip(usize::from(order.0)).flatten();
        zone.free > zone.low + order.frames() && blocks.sum::<u64>() + zone.unfed > 0
    })
}
