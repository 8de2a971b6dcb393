//! One address space's tree of tables.

use crate::payload::{RSS_KINDS, Rss};
use machine::lock::Spin;
use machine::{Counter, Cx, Field, KernelFrame, Machine, Pfn, level};
use revoke::Domain;

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
        /// Who may hold translations.
        pub(crate) domain: Domain,
        /// (atomic) Resident pages, by [`Rss`].
        rss: [Field<u64>; RSS_KINDS],
        /// (atomic) Of these, pages that entries of locked memory map.
        locked: Field<u64>,
        /// (atomic) Tables linked in the tree, the root among them, and spares.
        tables: Field<u64>,
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

    /// Resident base pages of one kind.
    pub fn rss(&self, kind: Rss) -> u64 {
        self.rss[kind as usize].get()
    }

    /// Resident base pages of all kinds.
    pub fn resident(&self) -> u64 {
        Rss::ALL.into_iter().filter(|&kind| kind != Rss::Swap).map(|kind| self.rss(kind)).sum()
    }

    /// Resident base pages that are locked in memory: that entries bearing the mark map.
    pub fn locked(&self) -> u64 {
        self.locked.get()
    }

    /// Tables linked in the tree, the root among them, and those kept in reserve for entries of 2 MiB (Linux:
    /// `mm_pgtables_bytes` counts both).
    pub fn tables(&self) -> u64 {
        self.tables.get()
    }

    pub(crate) fn spares(&self) -> &Spares {
        &self.spares
    }

    pub(crate) fn add_rss(&self, kind: Option<Rss>, pages: u64) {
        if let Some(kind) = kind {
            let now = self.rss[kind as usize].add_shared(pages);
            debug_assert!((now as i64) >= 0, "a page is taken as another kind than it was installed as");
        }
    }

    pub(crate) fn remove_rss(&self, kind: Option<Rss>, pages: u64) {
        self.add_rss(kind, pages.wrapping_neg());
    }

    /// Pages came to be locked, or are not any more (Linux: `mlock_folio`, `munlock_folio`).
    pub(crate) fn change_locked<M: Machine, const L: u8>(
        &self,
        cx: &Cx<'_, M, L>,
        (before, after): (u64, u64),
    ) {
        if before == after {
            return;
        }
        self.locked.add_shared(after.wrapping_sub(before));
        cx.count_n(Counter::UnevictablePgMlocked, after.saturating_sub(before));
        cx.count_n(Counter::UnevictablePgMunlocked, before.saturating_sub(after));
    }

    pub(crate) fn add_table(&self) {
        self.tables.add_shared(1);
    }

    pub(crate) fn remove_table(&self) {
        self.remove_tables(1);
    }

    pub(crate) fn remove_tables(&self, tables: u64) {
        self.tables.add_shared(tables.wrapping_neg());
    }
}
