//! Going over a quiet tree without a context: for checkers.

use super::node::row_range;
use super::{LEVELS_MAX, Nodes, Tree, unpack_root};
use core::sync::atomic::Ordering::Relaxed;
use frame::SlabView;
use machine::{Machine, VpnRange};

/// Every range of a tree, ascending; see [`Tree::quiet_ranges`].
pub struct AllRanges<'a, 'm, M: Machine> {
    nodes: &'a Nodes<'m, M>,
    /// A node of each level and the row that is next in it, from the leaf (0) up.
    way: [(u32, usize); LEVELS_MAX],
    height: usize,
}

impl Tree {
    /// Every range with its value. Nobody changes the tree meanwhile, and its structure is sound
    /// ([`Tree::check`]).
    pub fn quiet_ranges<'a, 'm, M: Machine>(&self, nodes: &'a Nodes<'m, M>) -> AllRanges<'a, 'm, M> {
        let mut all = AllRanges { nodes, way: [(0, 0); LEVELS_MAX], height: 0 };
        // RELAXED: nobody changes the tree.
        if let Some((height, root)) = unpack_root(self.root.raw().load(Relaxed)) {
            all.height = height;
            all.enter(height - 1, root);
        }
        all
    }
}

impl<M: Machine> Nodes<'_, M> {
    /// Where the nodes are.
    pub(crate) fn slab_view(&self) -> &dyn SlabView {
        &self.slab
    }
}

impl<M: Machine> AllRanges<'_, '_, M> {
    /// Goes to the first row of a node, and down from there.
    fn enter(&mut self, mut level: usize, mut node: u32) {
        self.way[level] = (node, 0);
        while level > 0 {
            node = self.nodes.get(node).child(self.way[level].1);
            level -= 1;
            self.way[level] = (node, 0);
        }
    }
}

impl<M: Machine> Iterator for AllRanges<'_, '_, M> {
    type Item = (VpnRange, u32);

    fn next(&mut self) -> Option<Self::Item> {
        if self.height == 0 {
            return None;
        }
        let (leaf, row) = self.way[0];
        let found = row_range(&self.nodes.get(leaf).row(row));
        self.way[0].1 += 1;
        // Up to the first node that has another row, and down its first rows.
        let mut level = 0;
        while self.way[level].1 == self.nodes.get(self.way[level].0).len() {
            level += 1;
            if level == self.height {
                self.height = 0;
                return Some(found);
            }
            self.way[level].1 += 1;
        }
        if level > 0 {
            let (node, row) = self.way[level];
            self.enter(level - 1, self.nodes.get(node).child(row));
        }
        Some(found)
    }
}
