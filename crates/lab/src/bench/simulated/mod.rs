//! Benches in simulated nanoseconds, beside other algorithms in the same simulator.

use super::Bench;

/// All of them.
pub(super) const BENCHES: &[Bench] = &[];
