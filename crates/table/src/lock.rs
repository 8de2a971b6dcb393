//! Locking the leaf of a page.
//!
//! Only the leaf's own lock is taken: the walk to it is lockless, inside an epoch, so that the table cannot
//! be freed before it is locked. It may have been unlinked in the meantime; then it is marked dead, and the
//! walk starts again. Once a leaf is locked and found alive it stays in the tree (unlinking it needs its
//! lock), and the epoch is left.
//!
//! Every walk that ends at a lock starts with a full fence ([`Cx::enter_epoch_fenced`]). So of two CPUs,
//! one that links a table, locks its leaf and then looks at something, and one that changes this something
//! and then walks, at least one sees what the other did: the floors above leave empty tables to the cursor
//! and rely on this (truncation; stamps have fences of their own).

use crate::leaf::{Leaf, Slots, Unlock};
use crate::node::{self, Node};
use crate::walker::{Place, Walker};
use machine::entry::Kind;
use machine::{Cx, Entry, EntryFormat, Level, Machine, Shortage, Vpn, level};

impl<'m, M: Machine> Walker<'_, 'm, M> {
    /// Locks the leaf of a page, and makes the tables that lead to it first if they are missing.
    pub fn lock_leaf<'c>(
        &self,
        cx: &'c mut Cx<'m, M, { level::SLEEP_MAX }>,
        page: Vpn,
    ) -> Result<Leaf<'c, 'm, M>, Shortage> {
        loop {
            self.grow(cx, page, Level::LEAF)?;
            if let Some(slots) = self.lock_slots(cx.at(), page) {
                return Ok(Leaf::new(cx.at(), slots, Unlock::AtDrop));
            }
        }
    }

    /// Locks the leaf of a page if there is one.
    pub fn lock_leaf_existing<'c>(
        &self,
        cx: &'c mut Cx<'m, M, { level::SLEEP_MAX }>,
        page: Vpn,
    ) -> Option<Leaf<'c, 'm, M>> {
        let slots = self.lock_slots(cx.at(), page)?;
        Some(Leaf::new(cx.at(), slots, Unlock::AtDrop))
    }

    /// Locks the entry of level 2 that a page belongs to, empty or not, and makes the tables above it if
    /// they are missing. `None` if a table of small pages stands there: it must be collapsed first (LR6).
    pub fn lock_huge<'c>(
        &self,
        cx: &'c mut Cx<'m, M, { level::SLEEP_MAX }>,
        page: Vpn,
    ) -> Result<Option<Leaf<'c, 'm, M>>, Shortage> {
        loop {
            self.grow(cx, page, Level::HUGE)?;
            match self.lock_huge_slot(cx.at(), page) {
                Huge::Locked(slots) => return Ok(Some(Leaf::new(cx.at(), slots, Unlock::AtDrop))),
                Huge::Table => return Ok(None),
                Huge::Gone => {}
            }
        }
    }

    /// Locks what [`Walker::place`] finds.
    pub(crate) fn lock_slots(&self, cx: &mut Cx<'m, M, { level::EPOCH }>, page: Vpn) -> Option<Slots<'m>> {
        let cx = cx.enter_epoch_fenced();
        loop {
            let slots = self.place(&cx, page)?;
            node::lock(&*cx, slots.descriptor);
            if self.is_valid(&cx, &slots) {
                return Some(slots);
            }
            node::unlock(&*cx, slots.descriptor);
        }
    }

    fn lock_huge_slot(&self, cx: &mut Cx<'m, M, { level::EPOCH }>, page: Vpn) -> Huge<'m> {
        let cx = cx.enter_epoch_fenced();
        let Place::Reached(node) = self.descend(&cx, page, Level::HUGE) else { return Huge::Gone };
        let slots = self.slots(node, page);
        node::lock(&*cx, slots.descriptor);
        let found = match M::Entry::kind(node.read(&cx, page), node.level) {
            _ if !Self::is_linked(slots.descriptor) => Huge::Gone,
            Kind::Table(_) => Huge::Table,
            _ => return Huge::Locked(slots),
        };
        node::unlock(&*cx, slots.descriptor);
        found
    }

    /// The entries that map a page, not locked. Inside an epoch.
    pub(crate) fn place(&self, cx: &Cx<'m, M, { level::EPOCH }>, page: Vpn) -> Option<Slots<'m>> {
        match self.descend(cx, page, Level::LEAF) {
            Place::Reached(node) => Some(self.slots(node, page)),
            Place::Stopped(_, Entry::EMPTY) => None,
            Place::Stopped(node, _) => Some(self.slots(node, page)),
        }
    }

    /// The entries at the page that can take what is in entries of this level, not locked. Inside an epoch.
    pub(crate) fn place_for(
        &self,
        cx: &Cx<'m, M, { level::EPOCH }>,
        page: Vpn,
        level: Level,
    ) -> Option<Slots<'m>> {
        match self.descend(cx, page, level) {
            Place::Reached(node) if level > Level::LEAF && !Self::is_table(cx, &node, page) => {
                Some(self.slots(node, page))
            }
            _ => self.place(cx, page),
        }
    }

    /// Whether locked entries are still those that can take something.
    pub(crate) fn is_target(&self, cx: &Cx<'m, M, { level::EPOCH }>, slots: &Slots<'m>) -> bool {
        let is_entry = || !Self::is_table(cx, &slots.node, slots.span.start);
        Self::is_linked(slots.descriptor) && (slots.node.level == Level::LEAF || is_entry())
    }

    fn is_table(cx: &Cx<'m, M, { level::EPOCH }>, node: &Node<'m>, page: Vpn) -> bool {
        matches!(M::Entry::kind(node.read(cx, page), node.level), Kind::Table(_))
    }

    /// Whether locked entries are still those that map their pages.
    pub(crate) fn is_valid(&self, cx: &Cx<'m, M, { level::EPOCH }>, slots: &Slots<'m>) -> bool {
        let replaced = || {
            let entry = slots.node.read(cx, slots.span.start);
            matches!(M::Entry::kind(entry, slots.node.level), Kind::Table(_) | Kind::Empty)
        };
        Self::is_linked(slots.descriptor) && (slots.node.level == Level::LEAF || !replaced())
    }

    fn slots(&self, node: Node<'m>, page: Vpn) -> Slots<'m> {
        let descriptor = self.descriptor(node.frame);
        Slots { table: self.table, node, descriptor, span: node::span(page, Level::HUGE) }
    }
}

/// What stands at an entry of level 2.
enum Huge<'m> {
    /// A leaf, or nothing; locked.
    Locked(Slots<'m>),
    /// A table.
    Table,
    /// The table it was in was unlinked.
    Gone,
}
