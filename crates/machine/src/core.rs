//! What all CPUs share on this floor: epochs, wait queues, counters.

use crate::counters::{Block, COUNTERS};
use crate::marks::Epochs;
use crate::queues::Parking;
use crate::walk::OfCpu;
use crate::{Boot, Counter, CpuId, Machine, Shortage, WalkRule};

/// The shared part of this floor; every context carries it. A handle: copying it copies references.
#[derive(Clone, Copy)]
pub struct Core<'m> {
    /// Lockless readers.
    pub epochs: Epochs<'m>,
    /// Wait queues.
    pub parking: Parking<'m>,
    /// How walks of tables are kept from what is freed.
    pub walk: WalkRule,
    /// A word for each CPU, if the rule of walks is another than the default.
    pub(crate) of_cpus: &'m [OfCpu],
    counters: &'m [Block],
}

impl<'m> Core<'m> {
    /// Lays the shared part out in boot memory.
    pub fn new<M: Machine>(boot: &Boot<'m, M>) -> Result<Self, Shortage> {
        Ok(Core {
            epochs: Epochs::new(boot)?,
            parking: Parking::new(boot)?,
            walk: WalkRule::Epoch,
            of_cpus: &[],
            counters: boot.array(boot.machine().cpus() as usize)?,
        })
    }

    /// The same with another rule of walks, before anybody walks.
    pub fn with_walk<M: Machine>(self, boot: &Boot<'m, M>, walk: WalkRule) -> Result<Self, Shortage> {
        let of_cpus = match walk {
            WalkRule::Epoch => self.of_cpus,
            WalkRule::Other(_) => boot.array(boot.machine().cpus() as usize)?,
        };
        Ok(Core { walk, of_cpus, ..self })
    }

    /// Adds to a CPU's count of an event.
    #[inline]
    pub fn count(&self, cpu: CpuId, counter: Counter, n: u64) {
        self.counters[cpu.0 as usize].counts[counter as usize].add(n);
    }

    /// How often an event happened, over all CPUs.
    pub fn total(&self, counter: Counter) -> u64 {
        self.counters.iter().fold(0, |sum, block| sum.wrapping_add(block.counts[counter as usize].get()))
    }

    /// Every counter with its name and total, in the order of declaration.
    pub fn totals(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        COUNTERS.iter().map(|&counter| (counter.name(), self.total(counter)))
    }
}
