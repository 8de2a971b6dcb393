//! A way from the root to a row of a leaf.

use super::{LEVELS_MAX, Nodes, Tree};
use machine::{Cx, Machine};

/// A node of each level and the row taken in it, from the leaf (0) up. Holds until the tree changes.
#[derive(Clone, Copy)]
pub(super) struct Path {
    node: [u32; LEVELS_MAX],
    row: [u8; LEVELS_MAX],
    height: usize,
}

impl Tree {
    /// The way to the first range that ends behind the page; to the end of the last leaf if there is none.
    /// `None` if the tree is empty. (layout)
    pub(super) fn path<M: Machine, const L: u8>(
        &self,
        nodes: &Nodes<'_, M>,
        cx: &Cx<'_, M, L>,
        page: u64,
    ) -> Option<Path> {
        let (height, root) = self.root(cx)?;
        let mut path = Path { node: [root; LEVELS_MAX], row: [0; LEVELS_MAX], height };
        for level in (1..height).rev() {
            let node = nodes.get(path.node[level]);
            let row = node.search(page).min(node.len() - 1);
            path.row[level] = row as u8;
            path.node[level - 1] = node.child(row);
        }
        path.row[0] = nodes.get(path.node[0]).search(page) as u8;
        Some(path)
    }
}

impl Path {
    pub(super) fn height(&self) -> usize {
        self.height
    }

    pub(super) fn node(&self, level: usize) -> u32 {
        self.node[level]
    }

    pub(super) fn row(&self, level: usize) -> usize {
        usize::from(self.row[level])
    }

    /// Whether the way leads past the last range of the tree.
    pub(super) fn is_at_end<M: Machine>(&self, nodes: &Nodes<'_, M>) -> bool {
        self.row(0) == nodes.get(self.node(0)).len() && !self.has_beside(nodes, Side::Right)
    }

    /// The row one further on; `None` past the last.
    pub(super) fn next<M: Machine>(mut self, nodes: &Nodes<'_, M>) -> Option<Path> {
        if self.row(0) + 1 < nodes.get(self.node(0)).len() {
            self.row[0] += 1;
            return Some(self);
        }
        self.beside(nodes, Side::Right)
    }

    /// The row one back; `None` before the first.
    pub(super) fn previous<M: Machine>(mut self, nodes: &Nodes<'_, M>) -> Option<Path> {
        if self.row(0) > 0 {
            self.row[0] -= 1;
            return Some(self);
        }
        self.beside(nodes, Side::Left)
    }

    /// The lowest level from which there is a row on that side.
    fn turn<M: Machine>(&self, nodes: &Nodes<'_, M>, side: Side) -> Option<usize> {
        (1..self.height).find(|&level| match side {
            Side::Left => self.row(level) > 0,
            Side::Right => self.row(level) + 1 < nodes.get(self.node(level)).len(),
        })
    }

    fn has_beside<M: Machine>(&self, nodes: &Nodes<'_, M>, side: Side) -> bool {
        self.turn(nodes, side).is_some()
    }

    /// The nearest row of the leaf on that side.
    fn beside<M: Machine>(mut self, nodes: &Nodes<'_, M>, side: Side) -> Option<Path> {
        let turn = self.turn(nodes, side)?;
        match side {
            Side::Left => self.row[turn] -= 1,
            Side::Right => self.row[turn] += 1,
        }
        for level in (0..turn).rev() {
            self.node[level] = nodes.get(self.node[level + 1]).child(self.row(level + 1));
            self.row[level] = match side {
                Side::Left => nodes.get(self.node[level]).len() as u8 - 1,
                Side::Right => 0,
            };
        }
        Some(self)
    }
}

/// Left is towards lower pages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}
