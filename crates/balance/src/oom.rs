//! The OOM killer.

use frame::Id;
use machine::{Counter, Cx, Machine, level};
use space::{Space, Spaces, Stats};

/// A space that was chosen to die.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Victim {
    /// Which.
    pub space: Id<Space>,
    /// Its badness when it was chosen, in frames.
    pub badness: u64,
}

/// How much killing the owner of a space would free: resident pages and page tables (Linux: `oom_badness`, without
/// what administrators add to it).
pub(crate) fn badness(stats: &Stats) -> u64 {
    stats.anon_rss + stats.file_rss + stats.shmem_rss + stats.tables
}

/// Chooses the space with the most, the oldest of equals. Spaces that are dying have given what they had.
fn choose<'m, M: Machine>(cx: &mut Cx<'m, M, { level::PROCESS }>, spaces: &Spaces<'m, M>) -> Option<Victim> {
    let mut worst: Option<Victim> = None;
    for space in spaces.ids() {
        if spaces.space(space).is_killed(cx) {
            continue;
        }
        let badness = badness(&spaces.stats(space));
        if badness > worst.map_or(0, |victim| victim.badness) {
            worst = Some(Victim { space, badness });
        }
    }
    worst
}

/// Kills the largest space and takes its private memory, without its co-operation. `None` if there is nobody to kill.
///
/// The caller holds the OOM lock, so that two CPUs do not kill two spaces for one shortage.
pub(crate) fn kill_largest<'m, M: Machine>(
    cx: &mut Cx<'m, M, { level::PROCESS }>,
    spaces: &Spaces<'m, M>,
) -> Option<Victim> {
    loop {
        let victim = choose(cx, spaces)?;
        // It may be going away by itself: then its memory comes free anyway, and the choice is made again.
        if !spaces.try_retain(cx, victim.space) {
            continue;
        }
        spaces.kill(cx, victim.space);
        cx.count(Counter::OomKill);
        spaces.reap(cx, victim.space);
        spaces.release(cx, victim.space);
        return Some(victim);
    }
}
