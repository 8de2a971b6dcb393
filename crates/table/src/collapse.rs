//! A table of 512 entries makes room for one entry of 2 MiB, or comes back.
//!
//! ```text
//!   parent's lock, then the table's own
//!     the table is marked dead                who waits for its lock walks again from the root
//!     a leaf that lets nothing pass           stands in the parent: nobody links another table meanwhile,
//!       takes the table's place               and walks without a lock see no hole
//!   both locks are dropped
//!   flush with upper levels                   no CPU translates through the table any more (LR6, LR7)
//!   grace period                              no lockless walk that saw the table goes on (CR25): what it
//!                                             pinned is counted by now
//!   the entries are read at leisure
//!   replace: the entry of 2 MiB is installed, the table becomes its spare
//!   or relink: the table comes back as it was
//! ```
//!
//! The caller holds the layout lock, and keeps faults (by odd stamps) and reverse walks (by their lock) away.
//! Linux: `collapse_huge_page`, `pmdp_collapse_flush`.

use crate::leaf::is_locked;
use crate::node::{self, ENTRIES, Header, Life, Node, header};
use crate::spare::Spare;
use crate::walker::{Place, Walker};
use crate::{Rss, TableBatch};
use machine::entry::{Attrs, Kind};
use machine::{Cx, Entry, EntryFormat, Event, Level, Machine, Perms, Vpn, VpnRange, level};
use revoke::Revoked;

/// A leaf table that was taken out of its tree with all its entries.
#[must_use = "it is replaced or linked again"]
pub struct Unlinked<'m> {
    parent: Node<'m>,
    table: Node<'m>,
    first: Vpn,
}

impl Unlinked<'_> {
    /// The pages it maps.
    pub fn pages(&self) -> VpnRange {
        VpnRange::sized(self.first, ENTRIES)
    }

    /// Each of these pages.
    pub fn each_page(&self) -> impl Iterator<Item = Vpn> + use<> {
        let first = self.first;
        (0..ENTRIES).map(move |i| first + i)
    }

    /// One of its entries. Once the batch is settled nobody changes it.
    pub fn entry<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, page: Vpn) -> Entry {
        self.table.read(cx, page)
    }
}

impl<'m, M: Machine> Walker<'_, 'm, M> {
    /// Takes the leaf table of a page out of its tree. Nobody reaches it once the batch is settled. `None` if
    /// there is none.
    pub fn unlink_leaf(
        &self,
        cx: &mut Cx<'m, M, { level::EPOCH }>,
        page: Vpn,
        batch: &mut TableBatch<'_, 'm, M>,
    ) -> Option<Unlinked<'m>> {
        let mut cx = cx.enter_epoch();
        let Place::Reached(parent) = self.descend(&cx, page, Level::HUGE) else { return None };
        let above = self.descriptor(parent.frame);
        node::lock(&*cx, above);
        let found = self.take_out(&cx, parent, page);
        if let Some(unlinked) = &found {
            self.table.remove_table(cx.cpu());
            // Under the parent's lock, as every change.
            batch.push(cx.at(), Revoked::unlinked(self.table.domain(), unlinked.pages()));
        }
        node::unlock(&*cx, above);
        found
    }

    fn take_out(
        &self,
        cx: &Cx<'m, M, { level::EPOCH }>,
        parent: Node<'m>,
        page: Vpn,
    ) -> Option<Unlinked<'m>> {
        let Kind::Table(frame) = M::Entry::kind(parent.read(cx, page), parent.level) else { return None };
        if !Self::is_linked(self.descriptor(parent.frame)) {
            return None;
        }
        let table = self.node(cx, frame, Level::LEAF);
        let descriptor = self.descriptor(frame);
        node::lock(cx, descriptor);
        header(descriptor).set(Header { life: Life::Dead, ..header(descriptor).get() });
        let closed = Attrs { perms: Perms::NONE, special: true, ..Attrs::default() };
        parent.exchange(cx, page, M::Entry::leaf(frame.0, closed, Level::HUGE));
        cx.note_walked_changed(self.table.domain().walked());
        let asid = self.table.domain().asid();
        cx.trace(|| Event::TableUnlinked { asid, table: frame, level: Level::LEAF, page });
        node::unlock(cx, descriptor);
        Some(Unlinked { parent, table, first: node::span(page, Level::HUGE).start })
    }

    /// Puts a table back where it was, as it was.
    pub fn relink(&self, cx: &mut Cx<'m, M, { level::EPOCH }>, unlinked: Unlinked<'m>) {
        let cx = cx.enter_epoch();
        let Unlinked { parent, table, first } = unlinked;
        let above = self.descriptor(parent.frame);
        node::lock(&*cx, above);
        let header = header(self.descriptor(table.frame));
        header.set(Header { life: Life::Linked, ..header.get() });
        parent.exchange(&cx, first, M::Entry::table(table.frame));
        let (asid, level) = (self.table.domain().asid(), Level::LEAF);
        cx.trace(|| Event::TableLinked { asid, table: table.frame, level, page: first });
        self.table.add_table(cx.cpu());
        node::unlock(&*cx, above);
    }

    /// Installs an entry of 2 MiB of anonymous memory where a table was, which becomes its spare. What the
    /// table's entries held is the caller's now; `resident` of them were anonymous pages.
    pub fn replace_unlinked(
        &self,
        cx: &mut Cx<'m, M, { level::EPOCH }>,
        unlinked: Unlinked<'m>,
        (entry, resident): (Entry, u64),
    ) {
        let Unlinked { parent, table, first } = unlinked;
        cx.machine().zero_kernel(cx.cpu(), table.frame, 1);
        let own = header(self.descriptor(table.frame));
        own.set(Header { life: Life::Spare, used: 0, ..own.get() });
        let mut cx = cx.enter_epoch();
        let above = self.descriptor(parent.frame);
        node::lock(&*cx, above);
        self.table.deposit(cx.at(), Spare(table.frame));
        parent.exchange(&cx, first, entry);
        let asid = self.table.domain().asid();
        let (before, level) = (Entry::EMPTY, Level::HUGE);
        cx.trace(|| Event::EntryChanged { asid, page: first, level, before, after: entry });
        self.table.remove_rss(cx.cpu(), Some(Rss::Anon), resident);
        self.table.add_rss(cx.cpu(), Some(Rss::Anon), ENTRIES);
        if is_locked::<M>(entry, level) {
            self.table.change_locked(&*cx, (resident, ENTRIES));
        }
        node::unlock(&*cx, above);
    }
}
