//! One address space's tree of tables.

use crate::payload::RSS_KINDS;
use machine::lock::Spin;
use machine::{CpuId, Field, KernelFrame, Pfn, level};
use revoke::Domain;

/// Counts of a page table: one for each [`crate::Rss`], one of locked pages, one of tables.
pub(crate) const COUNTS: usize = RSS_KINDS + 2;

machine::cells! {
    /// Counts on a line of their own.
    #[repr(align(64))]
    pub(crate) struct Counts {
        /// (atomic) Wrapping.
        pub(crate) all: [Field<u64>; COUNTS],
    }
}

machine::cells! {
    /// The spares of one address space.
    pub(crate) struct Spares {
        pub(crate) lock: Spin<{ level::REGISTRY }>,
        /// (lock; read without it by reports) The one that names others: see [`crate::spare`].
        pub(crate) first: Field<Option<Pfn>>,
        /// (lock; read without it by reports) How many.
        pub(crate) count: Field<u64>,
    }
}

machine::cells! {
    /// The translations of one address space. Lives in the slab of [`crate::Tables`].
    pub struct PageTable {
        /// (constant) The table of the highest level.
        pub(crate) root: Field<Pfn>,
        /// (constant) Its number in the slab: the owner in the descriptors of its tables.
        pub(crate) number: Field<u32>,
        /// (only ever set; a hint) Several CPUs had it loaded at a time: they count apart.
        pub(crate) several: Field<bool>,
        /// (a hint) The CPU that loaded it when no other had.
        pub(crate) home: Field<Option<CpuId>>,
        /// Who may hold translations.
        pub(crate) domain: Domain,
        /// What was counted, but for what CPUs have counted apart ([`crate::Counted`]).
        pub(crate) counts: Counts,
        /// Tables in reserve.
        spares: Spares,
    }
}

impl PageTable {
    /// Who may hold translations of it.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The table of the highest level.
    pub fn root(&self) -> KernelFrame {
        KernelFrame(self.root.get())
    }

    /// Its number: the owner in the descriptors of its tables.
    pub fn number(&self) -> u32 {
        self.number.get()
    }

    pub(crate) fn spares(&self) -> &Spares {
        &self.spares
    }
}
