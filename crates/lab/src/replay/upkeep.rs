//! What goes on beside the programs: background reclaim, merging, large pages made of small ones (Linux:
//! `kswapd`, `ksmd`, `khugepaged`).
//!
//! Whoever ends an event does a step of each that is switched on, and whoever makes many accesses in one
//! event does so in between. So the rhythm is the recording's, and the same in every run.

use std::cell::Cell;

use freehold::Manager;
use freehold::frame::Id;
use freehold::linux::Process;
use freehold::machine::Cx;
use freehold::space::HugePages;
use sim::SimMachine;

use super::features::Ksm;
use super::options::Options;
use crate::exit::Error;

/// Accesses of one event between two steps.
const ACCESSES: u32 = 256;
/// Pages that leave memory in a step, at most: as many as came at most.
const RECLAIM: u64 = ACCESSES as u64;
/// Pages that a step looks at for large ones: those of one table.
const COLLAPSE: u64 = 512;

/// What goes on, and how far it has come.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    reclaims: bool,
    ksm: Ksm,
    collapses: bool,
    /// Accesses since the last step.
    accesses: Cell<u32>,
    /// Whether some task is at it: there is one thread for each of these on Linux, too.
    busy: Cell<bool>,
}

impl Upkeep {
    /// What goes on with these options.
    pub(crate) fn of(options: &Options) -> Upkeep {
        Upkeep {
            reclaims: options.features.swap.is_some(),
            ksm: options.features.ksm,
            collapses: options.thp != HugePages::Never,
            ..Upkeep::default()
        }
    }

    /// Tells a manager what it has to know of it, before the first process runs.
    pub(crate) fn begin<'m>(
        &self,
        manager: &Manager<'m, SimMachine>,
        cx: &mut Cx<'m, SimMachine>,
        first: Id<Process>,
    ) -> Result<(), Error> {
        let linux = manager.linux();
        let set = self.ksm.settings().map_or(Ok(()), |settings| linux.ksm_set(cx, &settings));
        let all = if self.ksm.merges_all() { linux.set_memory_merge(cx, first, 1, [0; 3]) } else { Ok(()) };
        set.and(all).map_err(|errno| Error::new(&format!("--ksm {}: {errno}", self.ksm)))
    }

    /// One access of an event that may have many.
    pub(crate) fn count_access<'m>(&self, manager: &Manager<'m, SimMachine>, cx: &mut Cx<'m, SimMachine>) {
        let accesses = self.accesses.get() + 1;
        self.accesses.set(accesses);
        if accesses == ACCESSES {
            self.step(manager, cx);
        }
    }

    /// A step of everything.
    pub(crate) fn step<'m>(&self, manager: &Manager<'m, SimMachine>, cx: &mut Cx<'m, SimMachine>) {
        self.accesses.set(0);
        if self.busy.replace(true) {
            return;
        }
        let linux = manager.linux();
        if self.reclaims {
            linux.background_reclaim(cx, RECLAIM);
        }
        if self.ksm != Ksm::Off {
            linux.ksm_step(cx);
        }
        if self.collapses {
            linux.collapse_step(cx, COLLAPSE);
        }
        self.busy.set(false);
    }
}
