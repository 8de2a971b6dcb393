//! Slabs: their frames, and whether every object is reached.

use super::merged::MergeSums;
use super::sums::{FileSums, SpaceSums};
use crate::context::{Run, holds};
use frame::{SlabView, State};
use machine::Machine;

/// Calls `visit` for every slab of the manager.
pub(crate) fn for_each_slab<M: Machine>(
    run: &mut Run<'_, '_, M>,
    mut visit: impl FnMut(&mut Run<'_, '_, M>, &'static str, &dyn SlabView),
) {
    let (spaces, objects) = (run.spaces, run.objects());
    for (name, slab) in spaces.slab_views().into_iter().chain(objects.slab_views()) {
        visit(run, name, slab);
    }
    visit(run, "page tables", spaces.tables().slab_view());
    let holders = run.outside.holders;
    holders.for_each_slab(&mut |name, slab, _| visit(run, name, slab));
}

/// Claims the frames of all slabs (FR3).
pub(crate) fn claim_frames<M: Machine>(run: &mut Run<'_, '_, M>) {
    for_each_slab(run, |run, name, slab| {
        slab.for_each_frame(&mut |pfn| {
            let state = run.descriptor(pfn).map(|page| page.quiet_meta().state());
            holds!(run, FR3, state == Some(State::Slab), "{pfn:?} of the slab of {name} is {state:?}");
            run.claim(pfn);
        });
    });
}

/// Every live object was reached, and only live objects were.
pub(crate) fn fr6<M: Machine>(
    run: &mut Run<'_, '_, M>,
    files: &FileSums,
    spaces: &SpaceSums,
    merged: &MergeSums,
) {
    let objects = run.objects();
    for (name, slab) in objects.slab_views() {
        let reached = match name {
            "files" => files.files,
            "cache nodes" => files.cache_nodes,
            "attachments" => files.listed,
            "merge nodes" => merged.nodes,
            "merge items" => merged.items,
            _ => files.lineages,
        };
        fr6_slab(run, name, slab, reached);
    }
    for (name, slab) in run.spaces.slab_views() {
        let reached = match name {
            "spaces" => spaces.spaces,
            "VMAs" => spaces.vmas,
            "granules" => spaces.granules,
            _ => spaces.tree_nodes,
        };
        fr6_slab(run, name, slab, reached);
    }
    fr6_slab(run, "page tables", run.spaces.tables().slab_view(), spaces.tables);
    let holders = run.outside.holders;
    holders.for_each_slab(&mut |name, slab, reached| fr6_slab(run, name, slab, reached));
}

fn fr6_slab<M: Machine>(run: &mut Run<'_, '_, M>, name: &str, slab: &dyn SlabView, reached: u64) {
    let (live, in_use, idle, capacity) = (slab.live(), slab.in_use(), slab.idle(), slab.capacity());
    holds!(run, FR6, live == reached, "{name}: {live} are live, {reached} are reached");
    holds!(run, FR6, live == in_use, "{name}: {live} are live, CPUs counted {in_use}");
    let sum = live + idle;
    holds!(run, FR6, sum == capacity, "{name}: {live} live and {idle} idle ones, room for {capacity}");
}
