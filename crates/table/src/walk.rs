//! A walk without a lock: begin, look, end.
//!
//! While a [`Walk`] lives no table that it can reach is freed, whatever others unlink; how that is achieved
//! is the rule's matter ([`machine::walk`]). What comes out of it is a value ([`Seen`]), true at one moment
//! of the walk: who acts on it counts the page and looks again, or locks the leaf and looks again (LR2,
//! LR3). Places in tables ([`Spot`], [`Entries`]) borrow the walk, so that none is kept past its end
//! (L-21). The walk ends where it is dropped, on every way out (L-23).
//!
//! Inside, nothing sleeps, waits for a grace period, or waits for a lock under which others are interrupted
//! (levels up to [`level::FLUSH_MAX`]): a rule may have disabled interrupts. A walk is short.
//!
//! | user | where |
//! |---|---|
//! | holding pages (Linux: `gup_fast`) | `fault/src/pin/fast.rs` |
//! | the dump of a page table (`ptdump`) | [`crate::dump`] |
//! | second-level translation, for a guest (KVM's `walk_addr_generic`) | `fault/src/guest.rs` |
//! | samples from interrupts (`perf_get_page_size`) | [`crate::sample`] |
//! | a fault's first look, and other single looks | [`Walker::peek`] |

use crate::node::{Node, span};
use crate::walker::{Seen, Walker};
use core::ops::{Deref, DerefMut};
use machine::entry::Kind;
use machine::walking::Walking;
use machine::{Cx, Entry, EntryFormat, KernelFrame, Level, Machine, Vpn, VpnRange, level};

/// A walk of one address space's tables. Derefs to the context, at a level where nothing sleeps.
#[must_use = "the walk ends at once"]
pub struct Walk<'w, 'm, M: Machine> {
    inside: Walking<'w, 'm, M>,
    walker: Walker<'w, 'm, M>,
}

impl<'m, M: Machine> Walker<'_, 'm, M> {
    /// Begins a walk. It ends where the answer is dropped.
    // LINUX: gup_fast() disables interrupts around such walks, find_current_mm_pte() asks that they are.
    #[inline]
    pub fn walk<'w>(&'w self, cx: &'w mut Cx<'m, M, { level::EPOCH }>) -> Walk<'w, 'm, M> {
        Walk { inside: cx.begin_walk(self.table.domain().walked()), walker: *self }
    }
}

impl<'m, M: Machine> Walk<'_, 'm, M> {
    pub(crate) fn walker(&self) -> Walker<'_, 'm, M> {
        self.walker
    }

    /// What is mapped at a page of user space: each level is read once, from the root (LR1).
    #[inline]
    pub fn see(&self, page: Vpn) -> Seen {
        self.spot(page).first
    }

    /// Where the way to a page ends.
    pub fn spot(&self, page: Vpn) -> Spot<'_, 'm, M> {
        let place = self.walker.descend(&self.inside, page, Level::LEAF);
        let (node, first) = (place.node(), place.seen(&self.inside, page));
        Spot { cx: &self.inside, node, page, first }
    }

    /// The entries from a page on, to the end of the last table on the way to it.
    pub fn entries(&self, page: Vpn) -> Entries<'_, 'm, M> {
        let node = self.walker.descend(&self.inside, page, Level::LEAF).node();
        Entries { cx: &self.inside, node, rest: VpnRange::new(page, node.span(page).end) }
    }
}

impl<'m, M: Machine> Deref for Walk<'_, 'm, M> {
    type Target = Cx<'m, M, { level::EPOCH }>;
    fn deref(&self) -> &Self::Target {
        &self.inside
    }
}

impl<M: Machine> DerefMut for Walk<'_, '_, M> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.inside
    }
}

/// The place of an entry in its table, for as long as the walk lives.
pub struct Spot<'g, 'm, M: Machine> {
    cx: &'g Cx<'m, M, { level::EPOCH }>,
    node: Node<'m>,
    page: Vpn,
    first: Seen,
}

impl<M: Machine> Spot<'_, '_, M> {
    /// What the walk saw.
    pub fn seen(&self) -> Seen {
        self.first
    }

    /// The frame of the table it is in: a table as long as the walk lives.
    pub fn table(&self) -> KernelFrame {
        self.node.frame
    }

    /// The pages that the entry spans.
    pub fn pages(&self) -> VpnRange {
        span(self.page, self.first.level)
    }

    /// The entry as it is now: whoever counted the page asks whether it is the one that was seen. It says
    /// nothing of the way here: the table may have left its tree, and then keeps what it had (see
    /// [`Walk::see`]).
    pub fn again(&self) -> Entry {
        self.node.read(self.cx, self.page)
    }
}

/// Entries of one table, for as long as the walk lives: those that are in use and lead to no table. Each is
/// read once.
pub struct Entries<'g, 'm, M: Machine> {
    cx: &'g Cx<'m, M, { level::EPOCH }>,
    node: Node<'m>,
    rest: VpnRange,
}

impl<M: Machine> Entries<'_, '_, M> {
    /// The first page behind those that were looked at.
    pub fn next_page(&self) -> Vpn {
        self.rest.start
    }
}

impl<M: Machine> Iterator for Entries<'_, '_, M> {
    /// The first page that an entry spans, and the entry.
    type Item = (Vpn, Seen);

    fn next(&mut self) -> Option<(Vpn, Seen)> {
        let level = self.node.level;
        while !self.rest.is_empty() {
            let entry = self.node.read(self.cx, self.rest.start);
            if matches!(M::Entry::kind(entry, level), Kind::Table(_)) {
                return None;
            }
            let pages = span(self.rest.start, level);
            self.rest = VpnRange::new(pages.end, self.rest.end);
            if entry != Entry::EMPTY {
                return Some((pages.start, Seen { entry, level }));
            }
        }
        None
    }
}
