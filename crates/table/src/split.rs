//! An entry of 2 MiB becomes a table of 512 entries that map the same.
//!
//! ```text
//!   the lock of the entry's table
//!   the entry lets nothing pass any more      walks without a lock see a leaf: never nothing (row 23)
//!   flush                                     no CPU keeps the large translation beside small ones (LR6)
//!   a spare table is filled                   from the entry as hardware left it
//!   the entry is made a link to it            who sees the link sees all 512
//! ```
//!
//! It waits for no grace period: whoever read the entry before has a value, and looks again under a lock, or
//! after it took a reference (LR16). Linux: `__split_huge_pmd_locked`.

use crate::leaf::Leaf;
use crate::node::{ENTRIES, Header, Life, Node, header};
use crate::{Soft, TableBatch, Walker};
use machine::entry::{Attrs, Kind};
use machine::{Cx, Entry, EntryFormat, Event, KernelFrame, Level, Machine, Perms, Vpn, level};

impl<'m, M: Machine> Leaf<'_, 'm, M> {
    /// Puts 512 entries of 4 KiB in the place of the one of 2 MiB that is locked: of the same frames with the
    /// same attributes, or of the same kind for a page on its way. Resident pages are what they were. What
    /// the batch has so far is flushed.
    pub fn split(mut self, walker: &Walker<'_, 'm, M>, batch: &mut TableBatch<'_, 'm, M>) {
        debug_assert!(self.level() == Level::HUGE, "only an entry of 2 MiB is split");
        let (page, table) = (self.span().start, self.table());
        let Some(spare) = table.withdraw(&mut self) else {
            debug_assert!(false, "an entry of 2 MiB without a spare table");
            return;
        };
        let old = self.close(page, batch);
        self.fill(spare.0, page, old);
        let header = header(walker.descriptor(spare.0));
        header.set(Header { used: ENTRIES as u16, life: Life::Linked, ..header.get() });
        let node = self.node();
        node.write(&self, page, M::Entry::table(spare.0));
        table.add_table(self.cpu());
    }

    /// Makes the entry let nothing pass, and flushes it; answers it with all that hardware noted.
    fn close(&mut self, page: Vpn, batch: &mut TableBatch<'_, 'm, M>) -> Entry {
        if matches!(M::Entry::kind(self.entry(page), Level::HUGE), Kind::Absent(_)) {
            return self.entry(page);
        }
        let (old, token) = self.change(page, |entry| {
            let attrs = M::Entry::attrs(entry);
            M::Entry::with_attrs(entry, Attrs { perms: Perms::NONE, ..attrs }, Level::HUGE)
        });
        self.note_walked_changed();
        batch.push(self, token);
        batch.flush_now(self);
        old
    }

    /// Fills a table that nobody else knows.
    fn fill(&mut self, frame: KernelFrame, first: Vpn, whole: Entry) {
        let (asid, closed) = (self.table().domain().asid(), self.entry(first));
        self.trace(|| {
            let (page, level, after) = (first, Level::HUGE, Entry::EMPTY);
            Event::EntryChanged { asid, page, level, before: closed, after }
        });
        self.trace(|| Event::TableLinked { asid, table: frame, level: Level::LEAF, page: first });
        let node = Node::new(self.machine(), frame, Level::LEAF);
        for i in 0..ENTRIES {
            let (page, entry) = (first + i, part::<M>(whole, i));
            node.write(self, page, entry);
            self.trace(|| {
                let (before, level) = (Entry::EMPTY, Level::LEAF);
                Event::EntryChanged { asid, page, level, before, after: entry }
            });
        }
    }
}

/// The entry of one page of what an entry of 2 MiB maps.
fn part<M: Machine>(whole: Entry, i: u64) -> Entry {
    match (M::Entry::kind(whole, Level::HUGE), Soft::of::<M>(whole, Level::HUGE)) {
        (Kind::Leaf(frame), _) => M::Entry::leaf(frame.plus(i), M::Entry::attrs(whole), Level::LEAF),
        (_, Some(Soft::Migration { frame, kind, attrs })) => {
            Soft::Migration { frame: frame.plus(i), kind, attrs }.entry::<M>()
        }
        // Nothing else stands at this level.
        _ => whole,
    }
}

impl<'m, M: Machine> Walker<'_, 'm, M> {
    /// Splits the entry of 2 MiB that a page belongs to, if there is one; answers whether there was. `before`
    /// sees it under its lock: counts grow there.
    pub fn split_at(
        &self,
        cx: &mut Cx<'m, M, { level::SLEEP_MAX }>,
        page: Vpn,
        batch: &mut TableBatch<'_, 'm, M>,
        before: impl FnOnce(&mut Cx<'m, M, { level::TABLE1 }>, Entry),
    ) -> bool {
        let Some(mut leaf) = self.lock_leaf_existing(cx, page) else { return false };
        if leaf.level() != Level::HUGE {
            return false;
        }
        let entry = leaf.entry(page);
        before(&mut leaf, entry);
        leaf.split(self, batch);
        true
    }

    /// Whether there are entries of 2 MiB anywhere: a hint that costs nothing.
    pub fn may_have_huge(&self) -> bool {
        self.table.spare_tables() > 0
    }
}
