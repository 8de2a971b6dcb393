//! Benches in simulated nanoseconds, beside other algorithms in the same simulator.

mod munmap;
mod published;
mod scaling;
mod unmapping;

use super::registry::Bench;

/// All of them.
pub(super) const BENCHES: &[Bench] = &[published::BENCH, munmap::BENCH, scaling::BENCH];
