//! Tables kept in reserve: one for each entry of 2 MiB.
//!
//! An entry of 2 MiB can always become 512 of 4 KiB, because the table for them was there before it
//! (Linux: `pgtable_trans_huge_deposit`). They count as the tables of its address space.
//!
//! ```text
//!   first --> | below | kept 2 |  a  |  b  | 0 ...   a spare that names 510 others
//!                 |
//!                 +---> | below | kept 510 | ...     a full one
//! ```
//! Of 511 spares one names the others, so that who takes many reads their numbers one after another, and does
//! not touch each of them (a cold line each). A spare that leaves is all zero.

use crate::node::{Header, Life, header};
use crate::page_table::Spares;
use crate::{Counted, Walker, grow};
use machine::cells::cast_words;
use machine::{Cx, Field, KernelFrame, Level, Machine, Pfn, Shortage, Vpn, level};

/// A leaf table without entries that is in no tree.
#[must_use = "a spare table is deposited or freed"]
#[derive(Debug)]
pub struct Spare(pub(crate) KernelFrame);

/// Words of a cache line.
const LINE: u64 = 8;
/// Spares that one names.
const KEPT: usize = 510;

machine::cells! {
    /// What is in a spare that names others. Zeros mean nothing.
    struct Trunk {
        /// (lock of the spares) The one that was filled before.
        below: Field<Option<Pfn>>,
        /// (lock) How many it names.
        kept: Field<u64>,
        /// (lock) Which.
        spares: [Field<Option<Pfn>>; KEPT],
    }
}

fn trunk<M: Machine>(machine: &M, table: Pfn) -> &Trunk {
    &cast_words::<Trunk>(machine.kernel_area(KernelFrame(table), 1))[0]
}

/// Spares that are taken under one hold of their lock.
const AT_ONCE: usize = 16;

impl Spares {
    /// Takes one out. (lock)
    fn pop<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> Option<KernelFrame> {
        let first = self.first.get()?;
        let names = trunk(cx.machine(), first);
        let Some(last) = names.kept.get().checked_sub(1) else {
            self.first.set(names.below.replace(None));
            return Some(KernelFrame(first));
        };
        names.kept.set(last);
        if last.is_multiple_of(LINE) {
            let words = cx.machine().kernel_area(KernelFrame(first), 1);
            cx.machine().prefetch(cx.cpu(), &words[(last + 2).saturating_sub(2 * LINE) as usize]);
        }
        names.spares[last as usize].replace(None).map(KernelFrame)
    }
}

impl Counted<'_> {
    /// Keeps a table for an entry of 2 MiB that is about to be installed. (lock of the entry's table)
    pub(crate) fn deposit<M: Machine>(&self, cx: &mut Cx<'_, M, { level::TABLE1 }>, spare: Spare) {
        let spares = self.spares();
        let held = spares.lock.lock(cx);
        let room = |&first: &Pfn| trunk(held.machine(), first).kept.get() < KEPT as u64;
        match spares.first.get().filter(room) {
            Some(first) => {
                let first = trunk(held.machine(), first);
                first.spares[first.kept.get() as usize].set(Some(spare.0.0));
                first.kept.add(1);
            }
            None => trunk(held.machine(), spare.0.0).below.set(spares.first.replace(Some(spare.0.0))),
        }
        spares.count.add(1);
        self.add_table(held.cpu());
    }

    /// Takes the table of an entry of 2 MiB that goes away or becomes many. (lock of the entry's table)
    pub(crate) fn withdraw<M: Machine>(&self, cx: &mut Cx<'_, M, { level::TABLE1 }>) -> Option<Spare> {
        self.withdraw_some(cx, 1)[0].map(Spare)
    }

    /// The same for several entries: as many tables as are wanted, or as the answer has places for.
    pub(crate) fn withdraw_some<M: Machine>(
        &self,
        cx: &mut Cx<'_, M, { level::TABLE1 }>,
        wanted: usize,
    ) -> [Option<KernelFrame>; AT_ONCE] {
        let spares = self.spares();
        let held = spares.lock.lock(cx);
        let mut found = [None; AT_ONCE];
        let mut count = 0;
        for place in found.iter_mut().take(wanted) {
            *place = spares.pop(&held);
            count += u64::from(place.is_some());
        }
        spares.count.set(spares.count.get() - count);
        self.remove_tables(held.cpu(), count);
        found
    }

    /// How many tables are kept in reserve: one for each entry of 2 MiB.
    pub fn spare_tables(&self) -> u64 {
        self.spares().count.get()
    }
}

impl<'m, M: Machine> Walker<'_, 'm, M> {
    /// A table to deposit, had before any lock is taken.
    pub fn new_spare(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>) -> Result<Spare, Shortage> {
        let table = grow::make(cx, self.frames, self.table.number(), Level::LEAF)?;
        let header = header(self.descriptor(table));
        header.set(Header { life: Life::Spare, ..header.get() });
        Ok(Spare(table))
    }

    /// Keeps a table beyond those that entries of 2 MiB have, for [`Walker::link_reserve`].
    pub fn reserve(&self, cx: &mut Cx<'m, M, { level::TABLE1 }>, spare: Spare) {
        self.table.deposit(cx, spare);
    }

    /// Frees a table that was reserved and not needed. Nobody else changes the spares meanwhile but by
    /// splitting entries.
    pub fn free_reserve(&self, cx: &mut Cx<'m, M, { level::TABLE1 }>) {
        if let Some(spare) = self.table.withdraw(cx) {
            grow::free(cx.at(), self.frames, spare.0);
        }
    }

    /// Links a reserved table as the leaf table of a page, if there is none and nothing in its place. The
    /// tables above are there.
    pub fn link_reserve(&self, cx: &mut Cx<'m, M, { level::EPOCH }>, page: Vpn) -> bool {
        let Some(spare) = self.table.withdraw(cx.at()) else { return false };
        let header = header(self.descriptor(spare.0));
        header.set(Header { life: Life::Linked, ..header.get() });
        let linked = self.link(cx, page, Level::HUGE, spare.0) == grow::Linked::Yes;
        if !linked {
            header.set(Header { life: Life::Spare, ..header.get() });
            self.table.deposit(cx.at(), spare);
        }
        linked
    }

    /// Gives back a table that was not deposited.
    pub fn free_spare(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, spare: Spare) {
        grow::free(cx, self.frames, spare.0);
    }

    /// The spares: for checkers of a quiet machine.
    pub fn quiet_spares(&self, machine: &'m M) -> impl Iterator<Item = KernelFrame> + use<'m, M> {
        let first = self.table.spares().first.get();
        let trunks = core::iter::successors(first, move |&table| trunk(machine, table).below.get());
        trunks.flat_map(move |table| {
            let names = trunk(machine, table);
            let kept = names.spares.iter().take(names.kept.get() as usize);
            core::iter::once(table).chain(kept.filter_map(Field::get)).map(KernelFrame)
        })
    }

    /// What a spare's descriptor says: for checkers of a quiet machine.
    pub fn quiet_header(&self, table: KernelFrame) -> Header {
        header(self.descriptor(table)).get()
    }
}
