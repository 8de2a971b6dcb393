//! What is known about commitment, the count and the rule, and who gets pages of 2 MiB.

use crate::huge_pages::HugePages;
use machine::{CpuId, Field, FieldValue};

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

machine::cells! {
    /// What one CPU promised.
    #[repr(align(64))]
    pub(crate) struct Promised {
        /// (own CPU; read by others) Pages promised here minus pages taken back here (wrapping).
        pages: Field<u64>,
    }
}

/// What has been promised, by all spaces, and what an administrator chose.
pub(crate) struct Promises<'m> {
    /// By each CPU, so that those who promise do not meet (Linux: `vm_committed_as`, a `percpu_counter`).
    cpus: &'m [Promised],
    /// (atomic) Pages promised where every page counts, minus what was taken back there (wrapping).
    exact: Field<u64>,
    /// (set by the administrator)
    pub(crate) mode: Field<Overcommit>,
    /// (set by the administrator)
    pub(crate) huge: Field<HugePages>,
}

impl<'m> Promises<'m> {
    pub(crate) fn new(cpus: &'m [Promised]) -> Self {
        let mode = Field::new(Overcommit::Heuristic);
        Promises { cpus, exact: Field::new(0), mode, huge: Field::new(HugePages::default()) }
    }

    /// All that is promised.
    pub(crate) fn all(&self) -> u64 {
        self.cpus.iter().fold(self.exact.get(), |sum, cpu| sum.wrapping_add(cpu.pages.get()))
    }

    /// Promises pages (or takes some back: wrapping); answers all that is promised then, if that matters.
    pub(crate) fn add(&self, cpu: CpuId, pages: u64) -> Option<u64> {
        if let Overcommit::Never { .. } = self.mode.get() {
            // One shared count: of two who promise at a time the second sees both.
            self.exact.add_shared(pages);
            return Some(self.all());
        }
        self.cpus[cpu.0 as usize].pages.add(pages);
        None
    }
}
