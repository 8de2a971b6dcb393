//! `walk=ipi`: each change of an entry of 2 MiB asks all CPUs of the space.

use crate::walk::{View, Walk};

/// Walkers only disable interrupts; who changes an entry of 2 MiB interrupts every CPU that has the space
/// loaded, and waits.
// LINUX: powerpc's serialize_against_pte_lookup(), from 13bd817bb884 (2015) until 5.8. Tables were freed by
// RCU there; here all CPUs are asked, as by tlb_remove_table_sync_one(): walkers of another space's tables
// are not among its CPUs.
#[derive(Debug)]
pub struct Ipi;

impl Walk for Ipi {
    fn name(&self) -> &'static str {
        "ipi"
    }

    fn begin(&self, on: &dyn View) -> u64 {
        on.disable_interrupts()
    }

    fn end(&self, on: &dyn View, begun: u64) {
        on.restore_interrupts(begun);
    }

    fn changed(&self, on: &dyn View) {
        on.interrupt(&on.cpus_of_space());
    }

    fn wait(&self, on: &dyn View) {
        on.interrupt(&on.cpus());
    }
}
