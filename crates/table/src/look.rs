//! Looking at many entries of one table without a lock, each twice: before and after something was done with
//! what it maps.
//!
//! ```text
//!   walk from the root to the table
//!     the entry, `hold`, the entry again      the same? then the page was this entry's in between (CR9)
//!     and so on
//!   walk from the root again                  still this table? then its entries spoke for their pages
//! ```
//!
//! The walk around all of it keeps the table from being freed. An entry that goes is emptied in this very
//! table before anything else can come to its place, except where the table goes with its entries (collapse):
//! whoever does that waits for this walk before it acts on what they map, and the last walk finds the table
//! gone (C-25).

use crate::node::{Node, span};
use crate::walk::Walk;
use crate::walker::{Place, Seen};
use machine::{Cx, Level, Machine, Vpn, VpnRange, level};

/// How far a look came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Looked {
    /// For how many pages, from the first on, something was done.
    pub held: u64,
    /// How many of them, from the first on, were seen twice with the same entry.
    pub sure: u64,
}

impl<'m, M: Machine> Walk<'_, 'm, M> {
    /// Shows what is mapped at the pages of a range to `hold`, from the first page on, until it declines one,
    /// an entry has changed meanwhile, or a page belongs to another leaf. What was done for pages that are
    /// not sure is to be undone.
    pub fn look_twice(
        &mut self,
        pages: VpnRange,
        mut hold: impl FnMut(&mut Cx<'m, M, { level::EPOCH }>, Vpn, Seen) -> bool,
    ) -> Looked {
        let node = self.walk_to_leaf(pages.start);
        let (level, part) = (node.level, pages.intersect(&span(pages.start, Level::HUGE)));
        let (mut held, mut same) = (0, true);
        while held < part.pages() && same {
            let page = part.start + held;
            let entry = node.read(self, page);
            if !hold(self.at(), page, Seen { entry, level }) {
                break;
            }
            same = node.read(self, page) == entry;
            held += 1;
        }
        let is_there = || self.walk_to_leaf(pages.start).frame == node.frame;
        let sure = if held > 0 && is_there() { held - u64::from(!same) } else { 0 };
        Looked { held, sure }
    }

    /// The table with the entry that maps a page, or would.
    fn walk_to_leaf(&self, page: Vpn) -> Node<'m> {
        match self.walker().descend(self, page, Level::LEAF) {
            Place::Reached(node) | Place::Stopped(node, _) => node,
        }
    }
}
