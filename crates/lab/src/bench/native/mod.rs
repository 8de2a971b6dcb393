//! Benches on the clock on the wall, beside this Linux.

mod floors;

use super::registry::Bench;
use super::{Options, Row, Side, Trouble};

/// All of them.
pub(super) const BENCHES: &[Bench] = &[Bench {
    name: "floors",
    side: Side::Native,
    about: "what nobody can be faster than: zeroing, copying, a cache miss",
    rows: floors::rows,
}];
