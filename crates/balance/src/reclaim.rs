//! Making frames free without hurting anybody.

use crate::deferred_split::split_partly_mapped;
use crate::evict::Hand;
use frame::{Frames, ZoneReport};
use machine::{Cx, Event, Machine, Order, level};
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

/// Frees what nobody needs: the CPUs' lists of free frames go back to their zones, where they merge; clean
/// file pages that nothing maps are dropped.
pub(crate) fn reclaim<'m, M: Machine>(
    cx: &mut Cx<'m, M, { level::PROCESS }>,
    spaces: &Spaces<'m, M>,
    hand: &Hand,
    order: Order,
) -> Progress {
    let frames: &Frames<'m, M> = spaces.frames();
    let dropped = spaces.objects().drop_clean(cx.at(), BATCH);
    let split = if dropped == 0 { split_partly_mapped(cx, spaces) } else { 0 };
    let evicted = if dropped + split == 0 { evict(cx, spaces, hand) } else { 0 };
    cx.trace(|| Event::Reclaimed { pages: dropped });
    frames.drain_all(cx.at());
    if evicted > 0 {
        return Progress::Evicted;
    }
    if dropped + split > 0 || has_free(frames, order) { Progress::Made } else { Progress::None }
}

/// One round of aging, then the oldest pages leave memory.
fn evict<'m, M: Machine>(cx: &mut Cx<'m, M, { level::PROCESS }>, spaces: &Spaces<'m, M>, hand: &Hand) -> u64 {
    hand.age(cx, spaces);
    hand.evict(cx, spaces, EVICT)
}

/// A step of background reclaim (Linux: kswapd): if some zone has fallen below its low watermark, and until
/// none is below its high one, up to `budget` pages leave memory. Answers whether there is more to do.
pub(crate) fn background<'m, M: Machine>(
    cx: &mut Cx<'m, M, { level::PROCESS }>,
    spaces: &Spaces<'m, M>,
    hand: &Hand,
    budget: u64,
) -> bool {
    let frames = spaces.frames();
    let below =
        |mark: fn(&ZoneReport) -> u64| frames.zones().any(|zone| zone.managed > 0 && zone.free < mark(&zone));
    if below(|zone| zone.low) {
        hand.awake.set(true);
    }
    if !hand.awake.get() {
        return false;
    }
    let dropped = spaces.objects().drop_clean(cx.at(), budget);
    let evicted = if dropped < budget {
        hand.age(cx, spaces);
        hand.evict(cx, spaces, budget - dropped)
    } else {
        0
    };
    frames.drain_all(cx.at());
    let more = dropped + evicted > 0 && below(|zone| zone.high);
    hand.awake.set(more);
    more
}

/// Whether some zone has a free block of this order above its reserve (Linux: `should_reclaim_retry`).
pub(crate) fn has_free<M: Machine>(frames: &Frames<'_, M>, order: Order) -> bool {
    frames.zones().any(|zone| {
        let blocks = zone.free_blocks.iter().skip(usize::from(order.0)).flatten();
        zone.free > zone.low + order.frames() && blocks.sum::<u64>() + zone.unfed > 0
    })
}
