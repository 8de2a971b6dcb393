//! The OOM killer.

use frame::Id;
use machine::{Counter, Cx, Event, Machine, level};
use space::{Space, Spaces, Stats};

/// A space that was chosen to die.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Victim {
    /// Which.
    pub space: Id<Space>,
    /// Its badness when it was chosen, in frames.
    pub badness: u64,
}

/// How much killing the owner of a space would free: resident and swapped pages and page tables (Linux:
/// `oom_badness`, without what administrators add to it).
pub(crate) fn badness(stats: &Stats) -> u64 {
    stats.anon_rss + stats.file_rss + stats.shmem_rss + stats.swapped + stats.tables
}

/// How often a choice is made again because the chosen one was gone.
const CHOICES: usize = 16;

/// Chooses the space with the most, the first of equals. Those that are dying have given what they had;
/// what nobody uses any more is being taken down.
fn choose<'m, M: Machine>(cx: &mut Cx<'m, M, { level::PROCESS }>, spaces: &Spaces<'m, M>) -> Option<Victim> {
    let mut worst: Option<Victim> = None;
    for id in spaces.ids() {
        let space = spaces.space(id);
        if space.users() == 0 || space.is_killed(cx) {
            continue;
        }
        let badness = badness(&spaces.stats(id));
        if badness > worst.map_or(0, |victim| victim.badness) {
            worst = Some(Victim { space: id, badness });
        }
    }
    worst
}

/// Chooses a victim and keeps it from going away. A name may lead to another space by then, so it is looked
/// at again.
fn take_victim<'m, M: Machine>(
    cx: &mut Cx<'m, M, { level::PROCESS }>,
    spaces: &Spaces<'m, M>,
) -> Option<Victim> {
    for _ in 0..CHOICES {
        let victim = choose(cx, spaces)?;
        if !spaces.try_retain(cx, victim.space) {
            continue;
        }
        if badness(&spaces.stats(victim.space)) >= victim.badness / 2 {
            return Some(victim);
        }
        spaces.release(cx, victim.space);
    }
    None
}

/// Kills the largest space and takes its private memory, without its co-operation. `None` if there is
/// nobody to kill.
///
/// The caller holds the OOM lock, so that two CPUs do not kill two spaces for one shortage.
pub(crate) fn kill_largest<'m, M: Machine>(
    cx: &mut Cx<'m, M, { level::PROCESS }>,
    spaces: &Spaces<'m, M>,
) -> Option<Victim> {
    let victim = take_victim(cx, spaces)?;
    spaces.kill(cx, victim.space);
    cx.count(Counter::OomKill);
    let table = spaces.space(victim.space).table();
    if let Some(table) = table {
        let asid = spaces.tables().get(table).domain().asid();
        cx.trace(|| Event::OomKilled { asid, badness: victim.badness });
    }
    spaces.reap(cx, victim.space);
    spaces.release(cx, victim.space);
    Some(victim)
}
