//! What is known about commitment, the count and the rule, and who gets pages of 2 MiB.

use crate::huge_pages::HugePages;
use machine::{Field, FieldValue};

/// How much may be promised (Linux: `vm.overcommit_memory`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overcommit {
    /// Only a single request above all memory is refused.
    Heuristic,
    /// Anything.
    Always,
    /// No more than this percentage of memory in all.
    Never {
        /// Percentage (Linux: `vm.overcommit_ratio`, 50).
        ratio: u8,
    },
}

impl FieldValue for Overcommit {
    fn to_bits(self) -> u64 {
        match self {
            Overcommit::Heuristic => 0,
            Overcommit::Always => 1,
            Overcommit::Never { ratio } => 2 | u64::from(ratio) << 8,
        }
    }
    fn from_bits(bits: u64) -> Self {
        match bits & 0xff {
            0 => Overcommit::Heuristic,
            1 => Overcommit::Always,
            _ => Overcommit::Never { ratio: (bits >> 8) as u8 },
        }
    }
}

/// What has been promised, by all spaces, and what an administrator chose.
pub(crate) struct Promises {
    /// (statistic, atomic) Pages.
    pub(crate) committed: Field<u64>,
    /// (set by the administrator)
    pub(crate) mode: Field<Overcommit>,
    /// (set by the administrator)
    pub(crate) huge: Field<HugePages>,
}

impl Promises {
    pub(crate) fn new() -> Self {
        let (committed, mode) = (Field::new(0), Field::new(Overcommit::Heuristic));
        Promises { committed, mode, huge: Field::new(HugePages::default()) }
    }
}
