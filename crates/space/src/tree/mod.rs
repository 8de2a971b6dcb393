//! The range tree: disjoint half-open ranges of pages, each with a value, and the gaps between them.
//!
//! A B+tree of 512-byte nodes. Linux: the maple tree (`lib/maple_tree.c`) as used by `mm/vma.c` and
//! `mm/mmap.c`.
//!
//! * **Gaps are indexed.** An inner node knows the largest gap below each child, and the gap between two
//!   children from where one ends and the other begins, so a free place is found in O(log n). A range may
//!   have a *guard*: pages before it that count as not free (Linux: `stack_guard_gap`); they reach no further
//!   down than the range before.
//! * **One writer, readers without a lock.** Writers hold the layout lock, and so do readers of everything
//!   but [`Tree::find_lockless`], which reads each node between two looks at its version ([`version`]).
//! * **Nothing fails after the reserve.** [`Nodes::reserve`] sets nodes aside; the operations themselves are
//!   infallible.
//! * **Nodes are type-stable.** A node that is freed stays a node; its version never comes back ([`Nodes`]).
//!
//! ```text
//!                      [ ..40 | ..90 ]                      inner: end, floor, largest gap, child
//!                      /             \
//!   [ 3..7  10..12  30..40 ]      [ 55..60  80..90 ]        leaf: range, value, guard
//!             gap 18        gap 15         gap 20
//! ```
//!
//! What a lockless reader may meet, besides versions: nothing. It finds a node only through a parent (or the
//! root word) that it re-checks after it looked at the node's version, so the node was that parent's child
//! then; and a writer leaves no node even before all nodes of its operation are in their last state.

mod build;
mod check;
mod edit;
mod find;
mod gap;
mod insert;
mod lockless;
mod node;
mod nodes;
mod path;
mod remove;
mod resize;
mod survey;
#[cfg(test)]
mod tests;
pub mod version;

pub use build::Builder;
pub use check::{Broken, Census, Rule};
pub use find::Ranges;
pub use gap::Direction;
pub use lockless::Busy;
pub use nodes::{Nodes, Reserve};

use core::sync::atomic::Ordering::{Relaxed, Release};
use machine::{Cx, Field, Machine, Memory, Word};

/// The most levels a tree can have: 32-bit numbers of nodes do not suffice for more.
const LEVELS_MAX: usize = 16;

machine::cells! {
    /// A tree. Zeroed memory is an empty one. It lives in what it maps (an address space); the nodes live in
    /// [`Nodes`].
    pub struct Tree {
        /// (layout) How many ranges.
        count: Field<u64>,
        /// 0: empty. Otherwise the number of levels << 32 | the root.
        root: Word,
    }
}

/// The root: how many levels, which node.
fn unpack_root(word: u64) -> Option<(usize, u32)> {
    (word != 0).then_some(((word >> 32) as usize, word as u32))
}

impl Default for Tree {
    fn default() -> Self {
        Tree { count: Field::new(0), root: Word::new(0) }
    }
}

impl Tree {
    /// How many ranges there are. (layout)
    pub fn count(&self) -> u64 {
        self.count.get()
    }

    /// How many levels of nodes there are. (layout)
    pub fn height<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> u8 {
        self.root(cx).map_or(0, |(height, _)| height as u8)
    }

    fn root<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> Option<(usize, u32)> {
        // RELAXED: the layout lock orders it.
        unpack_root(cx.load(&self.root, Relaxed))
    }

    /// Makes `root` the root of `height` levels. While the old root, if it changes, is being changed.
    fn set_root<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, height: usize, root: u32) {
        debug_assert!(0 < height && height <= LEVELS_MAX);
        // ORDERING: Release pairs with the Acquire in `find_lockless`.
        cx.store(&self.root, (height as u64) << 32 | u64::from(root), Release);
    }

    fn set_empty<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) {
        // RELAXED: there is no node to publish. What comes next (the death of the old root) is ordered by the
        // Release of whoever gives the node a new life.
        cx.store(&self.root, 0, Relaxed);
    }
}
