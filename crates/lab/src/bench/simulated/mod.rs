//! Benches in simulated nanoseconds, beside other algorithms in the same simulator.

mod scaling;

use super::registry::Bench;

/// All of them.
pub(super) const BENCHES: &[Bench] = &[scaling::BENCH];
