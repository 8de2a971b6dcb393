//! Locks and readers. (Locks of files, spaces and tables are looked at where these are visited.)

use super::slabs::for_each_slab;
use crate::context::{Run, holds};
use machine::Machine;

/// Nothing is locked, nobody is inside an epoch.
pub(crate) fn check<M: Machine>(run: &mut Run<'_, '_, M>) {
    holds!(run, LK1, run.core.epochs.all_outside(), "a CPU is inside an epoch");
    let (frames, registry) = (run.spaces.frames().locks_held(), run.objects().registry_locks_held());
    holds!(run, LK1, frames == 0, "{frames} locks of zones and per-CPU lists are held");
    holds!(run, LK1, registry == 0, "{registry} locks of the registry of files are held");
    for_each_slab(run, |run, name, slab| {
        holds!(run, LK1, !slab.is_locked(), "the slab of {name} is locked");
    });
}
