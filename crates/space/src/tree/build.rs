//! A tree made from ranges in ascending order (fork).

use super::node::{Row, range_row};
use super::{LEVELS_MAX, Nodes, Reserve, Tree};
use machine::{Cx, Machine, VpnRange};

/// Builds a tree that nobody sees yet. Needs what [`Nodes::reserve_build`] reserves, and [`Builder::finish`].
#[must_use = "nodes are lost unless the tree is finished"]
pub struct Builder {
    /// The last node of each level, from the leaves up.
    edge: [u32; LEVELS_MAX],
    height: usize,
    count: u64,
    end: u64,
}

impl Default for Builder {
    fn default() -> Self {
        Builder::new()
    }
}

impl Builder {
    /// No ranges yet.
    pub const fn new() -> Self {
        Builder { edge: [0; LEVELS_MAX], height: 0, count: 0, end: 0 }
    }

    /// Adds a range behind all others.
    pub fn push<M: Machine, const L: u8>(
        &mut self,
        nodes: &Nodes<'_, M>,
        cx: &Cx<'_, M, L>,
        reserve: &mut Reserve,
        range: VpnRange,
        value: u32,
        guard: u64,
    ) {
        debug_assert!(self.end <= range.start.0, "ranges come in ascending order");
        self.end = range.end.0;
        self.count += 1;
        self.append(nodes, cx, reserve, 0, range_row(range, value, guard));
    }

    /// Makes the tree, which was empty, hold what was pushed.
    pub fn finish<M: Machine, const L: u8>(
        mut self,
        nodes: &Nodes<'_, M>,
        cx: &Cx<'_, M, L>,
        reserve: &mut Reserve,
        tree: &Tree,
    ) {
        debug_assert!(tree.count() == 0 && tree.root(cx).is_none());
        let mut level = 0;
        while level + 1 < self.height {
            let row = close(nodes, cx, self.edge[level]);
            self.append(nodes, cx, reserve, level + 1, row);
            level += 1;
        }
        if self.height > 0 {
            let root = self.edge[self.height - 1];
            nodes.end(cx, root);
            tree.set_root(cx, self.height, root);
        }
        tree.count.set(self.count);
    }

    /// Adds a row to the last node of a level, or starts a new one.
    fn append<M: Machine, const L: u8>(
        &mut self,
        nodes: &Nodes<'_, M>,
        cx: &Cx<'_, M, L>,
        reserve: &mut Reserve,
        mut level: usize,
        mut row: Row,
    ) {
        while level < self.height {
            let node = nodes.get(self.edge[level]);
            if !node.is_full() {
                node.insert_row(node.len(), &row);
                return;
            }
            let full = close(nodes, cx, self.edge[level]);
            self.start(nodes, reserve, level, &row);
            (level, row) = (level + 1, full);
        }
        self.start(nodes, reserve, level, &row);
        self.height = level + 1;
    }

    fn start<M: Machine>(&mut self, nodes: &Nodes<'_, M>, reserve: &mut Reserve, level: usize, row: &Row) {
        let raw = reserve.pop(nodes).expect("a builder has reserved its nodes");
        let node = nodes.get(raw);
        node.reset(level as u8);
        node.insert_row(0, row);
        self.edge[level] = raw;
    }
}

/// A node is complete; its row for the level above.
fn close<M: Machine, const L: u8>(nodes: &Nodes<'_, M>, cx: &Cx<'_, M, L>, raw: u32) -> Row {
    nodes.end(cx, raw);
    nodes.get(raw).summary().row(raw)
}
