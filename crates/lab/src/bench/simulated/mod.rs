//! Benches in simulated nanoseconds, beside other algorithms in the same simulator.

mod munmap;
mod scaling;
mod unmapping;

use super::registry::Bench;

/// All of them.
pub(super) const BENCHES: &[Bench] = &[munmap::BENCH, scaling::BENCH];
