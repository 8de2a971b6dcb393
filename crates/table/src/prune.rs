//! Unlinking tables that became empty.
//!
//! ```text
//!   parent's lock, then the table's own     still linked, still empty?
//!   table is marked dead                    who waits for its lock walks again from the root
//!   parent's entry is emptied, the table goes into the batch
//!   both locks are dropped
//!   flush with upper levels                 no CPU's walk starts from it any more (L-13)
//!   grace period                            no lockless reader is in it any more (L-2)
//!   the frame is freed
//! ```

use crate::node::{self, Header, Life, Node, header, note_empty};
use crate::walker::{Place, Walker, Want};
use crate::{Payload, grow};
use core::cell::Cell;
use frame::Bulk;
use machine::entry::Kind;
use machine::{Cx, EntryFormat, Event, KernelFrame, Level, Machine, Vpn, VpnRange, level};
use revoke::{Batch, Revoked};

/// A batch of changes to translations.
pub type TableBatch<'b, 'm, M> = Batch<'b, 'm, M, Payload>;

impl<'m, M: Machine> Walker<'_, 'm, M> {
    /// Unlinks every empty table that spans a page of the range, the leaf tables first; never the root.
    /// Tables that others fill or unlink at the same time are left to them. Settles the batch when it is
    /// full; what is unlinked last waits in the batch.
    pub fn prune(
        &self,
        cx: &mut Cx<'m, M, { level::SLEEP_MAX }>,
        range: VpnRange,
        batch: &mut TableBatch<'_, 'm, M>,
        mut finish: impl FnMut(&mut Cx<'m, M, { level::SLEEP_MAX }>, Payload),
    ) {
        for of in (Level::LEAF.0..Level::ROOT.0).map(Level) {
            let mut page = range.start;
            while let Some(found) = self.next_empty(cx.at(), page, range.end, of) {
                if batch.is_full() {
                    self.settle(cx, batch, &mut finish);
                }
                self.unlink_if_empty(cx.at(), found, of, batch);
                page = node::span(found, Level(of.0 + 1)).end;
            }
        }
    }

    /// Settles a batch: tables are freed, all other payloads go to `finish`.
    pub fn settle(
        &self,
        cx: &mut Cx<'m, M, { level::SLEEP_MAX }>,
        batch: &mut TableBatch<'_, 'm, M>,
        mut finish: impl FnMut(&mut Cx<'m, M, { level::SLEEP_MAX }>, Payload),
    ) {
        let fetched = Cell::new(None);
        let ahead = |cx: &Cx<'m, M, _>, payload| match payload {
            Payload::Page { frame, .. } | Payload::Table(KernelFrame(frame)) => {
                // Two descriptors are on a line, and tables often follow each other.
                if fetched.replace(Some(frame.0 / 2)) != Some(frame.0 / 2) {
                    self.frames.fetch(cx, frame);
                }
            }
            Payload::Special(_) | Payload::Absent(_) => {}
        };
        let mut tables = Bulk::default();
        batch.settle_ahead(cx, ahead, |cx, payload| match payload {
            Payload::Table(frame) => grow::free_bulk(cx.at(), self.frames, frame, &mut tables),
            other => finish(cx, other),
        });
        self.frames.end_bulk(cx.at(), &mut tables);
    }

    fn next_empty(
        &self,
        cx: &mut Cx<'m, M, { level::EPOCH }>,
        page: Vpn,
        end: Vpn,
        of: Level,
    ) -> Option<Vpn> {
        let cx = cx.enter_epoch();
        self.scan(&cx, page, end, of, Want::Empty)
    }

    fn unlink_if_empty(
        &self,
        cx: &mut Cx<'m, M, { level::EPOCH }>,
        page: Vpn,
        of: Level,
        batch: &mut TableBatch<'_, 'm, M>,
    ) {
        let mut cx = cx.enter_epoch();
        let Place::Reached(parent) = self.descend(&cx, page, Level(of.0 + 1)) else { return };
        let above = self.descriptor(parent.frame);
        node::lock(&*cx, above);
        if let Some(table) = self.unlink_locked(&cx, &parent, page) {
            note_empty(above);
            self.table.remove_table(cx.cpu());
            let pages = table.span(page);
            let token = Revoked::table(self.table.domain(), pages, Payload::Table(table.frame));
            // Under the parent's lock, as every change: who finds the link gone sees that a flush is owed.
            batch.push(cx.at(), token);
        }
        node::unlock(&*cx, above);
    }

    /// Unlinks the table a locked parent's entry leads to, if both are fit for it.
    fn unlink_locked(
        &self,
        cx: &Cx<'m, M, { level::EPOCH }>,
        parent: &Node<'m>,
        page: Vpn,
    ) -> Option<Node<'m>> {
        let Kind::Table(frame) = M::Entry::kind(parent.read(cx, page), parent.level) else { return None };
        if !Self::is_linked(self.descriptor(parent.frame)) {
            return None;
        }
        let table = self.node(cx, frame, Level(parent.level.0 - 1));
        let descriptor = self.descriptor(frame);
        node::lock(cx, descriptor);
        let before = header(descriptor).get();
        let empty = before.used == 0;
        if empty {
            header(descriptor).set(Header { life: Life::Dead, ..before });
            parent.clear(cx, page);
            let asid = self.table.domain().asid();
            cx.trace(|| Event::TableUnlinked { asid, table: frame, level: table.level, page });
        }
        node::unlock(cx, descriptor);
        empty.then_some(table)
    }
}
