//! What an address space's translations are counted in.
//!
//! While one CPU has a page table loaded, its counts are one line in [`PageTable`]. Once several have, each
//! adds to a line of its own, so that faults of disjoint ranges meet nowhere; a CPU brings home what it
//! counted when it loads another table. Whoever reads adds everything up: exact while nobody counts (Linux:
//! `percpu_counter_sum`).

use crate::page_table::COUNTS;
use crate::payload::RSS_KINDS;
use crate::{PageTable, Rss};
use core::ops::Deref;
use machine::{Counter, CpuId, Cx, Field, Machine};
use revoke::Domain;

/// Pages that entries of locked memory map.
const LOCKED: usize = RSS_KINDS;
/// Tables linked in the tree, the root among them, and spares.
const TABLES: usize = RSS_KINDS + 1;

machine::cells! {
    /// What one CPU counted of the page table that it has loaded.
    #[repr(align(64))]
    pub(crate) struct CpuCounts {
        /// (own CPU; read by reports) The table's number + 1; 0: none.
        owner: Field<u64>,
        /// (own CPU; read by reports) Wrapping.
        counts: [Field<u64>; COUNTS],
    }
}

/// A page table, and all that was counted of it.
#[derive(Clone, Copy)]
pub struct Counted<'m> {
    table: &'m PageTable,
    cpus: &'m [CpuCounts],
}

impl Deref for Counted<'_> {
    type Target = PageTable;
    fn deref(&self) -> &PageTable {
        self.table
    }
}

impl<'m> Counted<'m> {
    pub(crate) fn new(table: &'m PageTable, cpus: &'m [CpuCounts]) -> Self {
        Counted { table, cpus }
    }

    /// The page table alone.
    pub fn page_table(&self) -> &'m PageTable {
        self.table
    }

    /// Who may hold translations of it.
    pub fn domain(&self) -> &'m Domain {
        self.table.domain()
    }

    /// Whether several CPUs count apart: then adding up takes looks at their lines.
    pub fn is_counted_apart(&self) -> bool {
        self.table.several.get()
    }

    /// How many lines adding up looks at then.
    pub fn lines(&self) -> u64 {
        self.cpus.len() as u64
    }

    /// Resident base pages of one kind.
    pub fn rss(&self, kind: Rss) -> u64 {
        self.sum(kind as usize)
    }

    /// Resident base pages of all kinds.
    pub fn resident(&self) -> u64 {
        Rss::ALL.into_iter().filter(|&kind| kind != Rss::Swap).map(|kind| self.rss(kind)).sum()
    }

    /// Resident base pages that are locked in memory: that entries bearing the mark map.
    pub fn locked(&self) -> u64 {
        self.sum(LOCKED)
    }

    /// Tables linked in the tree, the root among them, and those kept in reserve for entries of 2 MiB (Linux:
    /// `mm_pgtables_bytes` counts both).
    pub fn tables(&self) -> u64 {
        self.sum(TABLES)
    }

    /// Whether nothing is mapped, and there is no table but the root.
    pub(crate) fn is_bare(&self) -> bool {
        self.tables() == 1 && (0..TABLES).all(|index| self.sum(index) == 0)
    }

    pub(crate) fn add_rss(&self, cpu: CpuId, kind: Option<Rss>, pages: u64) {
        if let Some(kind) = kind {
            self.add(cpu, kind as usize, pages);
        }
    }

    pub(crate) fn remove_rss(&self, cpu: CpuId, kind: Option<Rss>, pages: u64) {
        self.add_rss(cpu, kind, pages.wrapping_neg());
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
        self.add(cx.cpu(), LOCKED, after.wrapping_sub(before));
        cx.count_n(Counter::UnevictablePgMlocked, after.saturating_sub(before));
        cx.count_n(Counter::UnevictablePgMunlocked, before.saturating_sub(after));
    }

    pub(crate) fn add_table(&self, cpu: CpuId) {
        self.add(cpu, TABLES, 1);
    }

    pub(crate) fn remove_table(&self, cpu: CpuId) {
        self.remove_tables(cpu, 1);
    }

    pub(crate) fn remove_tables(&self, cpu: CpuId, tables: u64) {
        self.add(cpu, TABLES, tables.wrapping_neg());
    }

    /// The CPU is about to load the table: what it counts from now on is its own.
    pub(crate) fn begin(&self, cpu: CpuId) {
        let home = &self.table.home;
        match home.get() {
            None => home.set(Some(cpu)),
            Some(other) if other != cpu => self.table.several.set(true),
            Some(_) => {}
        }
        self.cpus[cpu.0 as usize].owner.set(self.mark());
    }

    /// The CPU has let the table go: what it counted joins the rest.
    pub(crate) fn end(&self, cpu: CpuId) {
        let own = &self.cpus[cpu.0 as usize];
        if own.owner.get() != self.mark() {
            return;
        }
        for (count, all) in own.counts.iter().zip(&self.table.counts.all) {
            match count.replace(0) {
                0 => {}
                n => {
                    all.add_shared(n);
                }
            }
        }
        own.owner.set(0);
        if self.table.home.get() == Some(cpu) {
            self.table.home.set(None);
        }
    }

    fn mark(&self) -> u64 {
        u64::from(self.table.number()) + 1
    }

    fn add(&self, cpu: CpuId, index: usize, n: u64) {
        let own = &self.cpus[cpu.0 as usize];
        if self.table.several.get() && own.owner.get() == self.mark() {
            own.counts[index].add(n);
        } else {
            self.table.counts.all[index].add_shared(n);
        }
    }

    /// All of it. A CPU that brings its counts home meanwhile may be missed or met twice, so that a count of
    /// little may be less than nothing for a moment.
    fn sum(&self, index: usize) -> u64 {
        let home = self.table.counts.all[index].get();
        let own = self.cpus.iter().filter(|own| self.table.several.get() && own.owner.get() == self.mark());
        let sum = own.fold(home, |sum, own| sum.wrapping_add(own.counts[index].get()));
        if sum > i64::MAX as u64 { 0 } else { sum }
    }
}
