//! `walk=percpu`: one count of walkers a CPU; only CPUs that walk are asked.

use crate::CpuSet;
use crate::walk::{View, Walk};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

/// Walkers disable interrupts and count themselves on their CPU, by plain stores and a fence each way (LR12).
/// Who changes an entry of 2 MiB looks at the counts of the space's CPUs, and asks those that walk (LR13).
// LINUX: the same series, v6 (2020), not merged: the count became per CPU.
#[derive(Debug)]
pub struct PerCpu;

impl PerCpu {
    /// Those of the CPUs that may be walking and have not seen what the caller changed.
    fn walking(on: &dyn View, cpus: &CpuSet) -> CpuSet {
        // ORDERING: SeqCst pairs with the fence in `begin` (a Dekker pair): the walker is counted here, or it
        // sees what was changed.
        on.fence(SeqCst);
        let mut walking = CpuSet::EMPTY;
        for cpu in cpus.iter() {
            // ORDERING: Acquire pairs with the Release in `end`: who is not counted has read all it will.
            // (Who is counted is waited for by interrupt.)
            if on.load(on.word_of_cpu(cpu), Acquire) != 0 {
                walking.insert(cpu);
            }
        }
        walking
    }
}

impl Walk for PerCpu {
    fn name(&self) -> &'static str {
        "percpu"
    }

    fn begin(&self, on: &dyn View) -> u64 {
        let were_on = on.disable_interrupts();
        let own = on.word_of_cpu(on.cpu());
        // RELAXED: only this CPU stores it; the store is fenced: it pairs with `walking`.
        on.store_fenced(own, on.load(own, Relaxed) + 1);
        were_on
    }

    fn end(&self, on: &dyn View, begun: u64) {
        let own = on.word_of_cpu(on.cpu());
        // ORDERING: SeqCst, as on Linux; Release would do. Pairs with the Acquire in `walking`: the reads of
        // the walk are over.
        on.fence(SeqCst);
        on.store(own, on.load(own, Relaxed) - 1, Release);
        on.restore_interrupts(begun);
    }

    fn changed(&self, on: &dyn View) {
        on.interrupt(&Self::walking(on, &on.cpus_of_space()));
    }

    fn wait(&self, on: &dyn View) {
        on.interrupt(&Self::walking(on, &on.cpus()));
    }
}
