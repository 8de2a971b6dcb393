//! Making frames free without hurting anybody.

use crate::deferred_split::split_partly_mapped;
use frame::Frames;
use machine::{Cx, Event, Machine, Order, level};
use space::Spaces;

/// How many cached pages to drop at a time (Linux: `SWAP_CLUSTER_MAX`, times how far it scans for each).
const BATCH: u64 = 128;

/// Whether it is worth starting again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Progress {
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
    order: Order,
) -> Progress {
    let frames: &Frames<'m, M> = spaces.frames();
    let dropped = spaces.objects().drop_clean(cx.at(), BATCH);
    let split = if dropped == 0 { split_partly_mapped(cx, spaces) } else { 0 };
    cx.trace(|| Event::Reclaimed { pages: dropped });
    frames.drain_all(cx.at());
    if dropped + split > 0 || has_free(frames, order) { Progress::Made } else { Progress::None }
}

/// Whether some zone has a free block of this order above its reserve (Linux: `should_reclaim_retry`).
pub(crate) fn has_free<M: Machine>(frames: &Frames<'_, M>, order: Order) -> bool {
    frames.zones().any(|zone| {
        let blocks = zone.free_blocks.iter().skip(usize::from(order.0)).flatten();
        zone.free > zone.low + order.frames() && blocks.sum::<u64>() + zone.unfed > 0
    })
}
