//! A new range.

use super::edit::Edit;
use super::node::{Node, Row, range_row};
use super::path::Path;
use super::{Nodes, Reserve, Tree};
use machine::{Cx, Machine, VpnRange};

impl Tree {
    /// Adds a range, which overlaps none, with `guard` pages before it that count as not free. One insertion
    /// of what was reserved. (layout)
    pub fn insert<'m, M: Machine, const L: u8>(
        &self,
        nodes: &Nodes<'m, M>,
        cx: &Cx<'m, M, L>,
        reserve: &mut Reserve,
        range: VpnRange,
        value: u32,
        guard: u64,
    ) {
        debug_assert!(self.find(nodes, cx, range.start).is_none_or(|(next, _)| range.end <= next.start));
        let row = range_row(range, value, guard);
        let mut edit = Edit::new(nodes, cx);
        match self.path(nodes, cx, range.start.0) {
            Some(path) => self.insert_row(&mut edit, reserve, &path, row),
            None => {
                let (raw, root) = edit.fresh(reserve, 0);
                root.insert_row(0, &row);
                self.set_root(cx, 1, raw);
            }
        }
        let retired = edit.finish();
        debug_assert!(retired.as_slice().is_empty());
        self.count.add(1);
    }

    /// Puts the row where the path leads, and splits what is full from there up.
    fn insert_row<M: Machine, const L: u8>(
        &self,
        edit: &mut Edit<'_, '_, M, L>,
        reserve: &mut Reserve,
        path: &Path,
        mut row: Row,
    ) {
        let place = if path.is_at_end(edit.nodes) { Place::RightEdge } else { Place::Inside };
        let mut at = path.row(0);
        for level in 0..path.height() {
            let node = edit.touch(path.node(level));
            if level > 0 {
                // The child was split: this node learns of both halves.
                node.note(path.row(level), edit.nodes.get(path.node(level - 1)).summary());
                at = path.row(level) + 1;
            }
            if !node.is_full() {
                node.insert_row(at, &row);
                edit.refresh(path, level);
                return;
            }
            let (raw, right) = edit.fresh(reserve, level);
            split(node, right, at, &row, place);
            row = right.summary().row(raw);
        }
        let old = path.node(path.height() - 1);
        let (raw, root) = edit.fresh(reserve, path.height());
        root.insert_row(0, &edit.nodes.get(old).summary().row(old));
        root.insert_row(1, &row);
        self.set_root(edit.cx, path.height() + 1, raw);
    }
}

/// Where in the tree a row goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Behind all others: whoever fills a tree in ascending order gets full nodes, and a sparse right edge.
    RightEdge,
    Inside,
}

/// Splits a full node and puts a row into the half it belongs to.
fn split(node: &Node, right: &Node, at: usize, row: &Row, place: Place) {
    let half = node.len() / 2;
    if place == Place::RightEdge {
        debug_assert!(at == node.len());
        right.insert_row(0, row);
    } else if at <= half {
        node.move_tail(half, right);
        node.insert_row(at, row);
    } else {
        node.move_tail(half + 1, right);
        right.insert_row(at - half - 1, row);
    }
}
