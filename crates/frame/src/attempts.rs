//! What a zone remembers of attempts to compact it.

use machine::Field;

machine::cells! {
    /// What a zone remembers of attempts to compact it. Statistics: who loses a race compacts once more.
    pub struct Attempts {
        /// Non-zero once a pass went over the whole zone: hints are forgotten before the next.
        pub complete: Field<u64>,
        /// How often it was to be compacted since a pass failed. Linux: `compact_considered`.
        pub considered: Field<u64>,
        /// After so many (as a power of two) it is tried again. Linux: `compact_defer_shift`.
        pub shift: Field<u64>,
    }
}
