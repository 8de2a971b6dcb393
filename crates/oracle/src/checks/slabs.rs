//! Slabs: their frames, and whether every object is reached.

use super::files::FileSums;
use super::spaces::SpaceSums;
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
pub(crate) fn fr6<M: Machine>(run: &mut Run<'_, '_, M>, files: &FileSums, spaces: &SpaceSums) {
    let reached = |name| match name {
        "spaces" => spaces.spaces,
        "VMAs" => spaces.vmas,
        "tree nodes" => spaces.tree_nodes,
        "page tables" => spaces.tables,
        "files" => files.files,
        "cache nodes" => files.cache_nodes,
        "attachments" => files.listed,
        _ => files.lineages,
    };
    for_each_slab(run, |run, name, slab| {
        let (live, in_use) = (slab.live(), slab.in_use());
        holds!(run, FR6, live == reached(name), "{name}: {live} are live, {} are reached", reached(name));
        holds!(run, FR6, live == in_use, "{name}: {live} are live, CPUs counted {in_use}");
        let (idle, capacity) = (slab.idle(), slab.capacity());
        let sum = live + idle;
        holds!(run, FR6, sum == capacity, "{name}: {live} live and {idle} idle ones, room for {capacity}");
    });
}
