//! One change of the tree: which nodes it touches, and when readers may see them again.

use super::node::Node;
use super::path::Path;
use super::{LEVELS_MAX, Nodes, Reserve, version};
use machine::{Cx, Machine};

/// At most two nodes a level, and a root.
const TOUCHED_MAX: usize = 2 * LEVELS_MAX + 1;

/// Numbers of nodes.
pub(super) struct List {
    raw: [u32; TOUCHED_MAX],
    len: usize,
}

impl List {
    const EMPTY: List = List { raw: [0; TOUCHED_MAX], len: 0 };

    fn push(&mut self, raw: u32) {
        self.raw[self.len] = raw;
        self.len += 1;
    }

    pub(super) fn as_slice(&self) -> &[u32] {
        &self.raw[..self.len]
    }
}

/// A change in progress. Every node is made odd before its first change; [`Edit::finish`] makes them even
/// together.
#[must_use = "touched nodes stay odd until the change is finished"]
pub(super) struct Edit<'a, 'm, M: Machine, const L: u8> {
    pub(super) nodes: &'a Nodes<'m, M>,
    pub(super) cx: &'a Cx<'m, M, L>,
    touched: List,
    retired: List,
}

impl<'a, 'm, M: Machine, const L: u8> Edit<'a, 'm, M, L> {
    pub(super) fn new(nodes: &'a Nodes<'m, M>, cx: &'a Cx<'m, M, L>) -> Self {
        Edit { nodes, cx, touched: List::EMPTY, retired: List::EMPTY }
    }

    /// A node that is about to be changed.
    pub(super) fn touch(&mut self, raw: u32) -> &'m Node {
        let node = self.nodes.get(raw);
        if !self.touched.as_slice().contains(&raw) {
            version::begin(self.cx, &node.version);
            self.touched.push(raw);
        }
        node
    }

    /// A new node of a level, out of the reserve.
    ///
    /// # Panics
    /// If the reserve is empty: more was inserted than was reserved for.
    pub(super) fn fresh(&mut self, reserve: &mut Reserve, level: usize) -> (u32, &'m Node) {
        let raw = reserve.pop(self.nodes).expect("an insertion has reserved its nodes");
        let node = self.nodes.get(raw);
        node.reset(level as u8);
        self.touched.push(raw);
        (raw, node)
    }

    /// A touched node leaves the tree. It stays odd for good: readers that come upon it start over.
    pub(super) fn retire(&mut self, raw: u32) {
        debug_assert!(self.touched.as_slice().contains(&raw));
        self.retired.push(raw);
    }

    /// Brings what the ancestors know of the node at `level` of the path up to date.
    ///
    /// Readers without the lock use ends only, so a node of which just floors and gaps change stays even.
    pub(super) fn refresh(&mut self, path: &Path, level: usize) {
        for above in level + 1..path.height() {
            let summary = self.nodes.get(path.node(above - 1)).summary();
            let (parent, row) = (self.nodes.get(path.node(above)), path.row(above));
            let known = parent.summary_of(row);
            if known == summary {
                return;
            }
            if known.end != summary.end {
                self.touch(path.node(above));
            }
            parent.note(row, summary);
        }
    }

    /// Lets readers see the new state. The nodes in the answer are to be freed.
    pub(super) fn finish(self) -> List {
        for &raw in self.touched.as_slice() {
            if !self.retired.as_slice().contains(&raw) {
                self.nodes.end(self.cx, raw);
            }
        }
        self.retired
    }
}
