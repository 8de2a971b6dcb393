//! What all CPUs share on this floor: epochs, wait queues, counters.

use crate::counters::{Block, COUNTERS};
use crate::marks::Epochs;
use crate::queues::Parking;
use crate::{Boot, Counter, CpuId, Machine, Shortage};

/// The shared part of this floor; every context carries it. A handle: copying it copies references.
#[derive(Clone, Copy)]
pub struct Core<'m> {
    /// Lockless readers.
    pub epochs: Epochs<'m>,
    /// Wait queues.
    pub parking: Parking<'m>,
    counters: &'m [Block],
}

impl<'m> Core<'m> {
    /// Lays the shared part out in boot memory.
    pub fn new<M: Machine>(boot: &Boot<'m, M>) -> Result<Self, Shortage> {
        Ok(Core {
            epochs: Epochs::new(boot)?,
            parking: Parking::new(boot)?,
            counters: boot.array(boot.machine().cpus() as usize)?,
        })
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
