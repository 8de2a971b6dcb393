//! Settings of the whole system: Linux's `vm.*` sysctls.

use balance::{Policy, Swappiness};
use machine::PAGE_SHIFT;
use space::{HugePages, LOWEST, Overcommit};

/// `vm.max_map_count`: a constant of the floor below.
pub const MAX_MAP_COUNT: u64 = space::VMAS_MAX;
/// `vm.mmap_min_addr`, in bytes: a constant of the floor below.
pub const MMAP_MIN_ADDR: u64 = LOWEST.0 << PAGE_SHIFT;

/// What an administrator chooses.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// `vm.overcommit_memory` and `vm.overcommit_ratio`.
    pub overcommit: Overcommit,
    /// `/sys/kernel/mm/transparent_hugepage/enabled`.
    pub huge_pages: HugePages,
    /// `vm.swappiness`.
    pub swappiness: Swappiness,
    /// What to do when memory is short.
    pub shortage: Policy,
}

impl Default for Config {
    fn default() -> Self {
        let (overcommit, huge_pages) = (Overcommit::Heuristic, HugePages::default());
        let swappiness = Swappiness::default();
        Config { overcommit, huge_pages, swappiness, shortage: Policy::Kill }
    }
}
