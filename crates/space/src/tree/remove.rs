//! Ranges go.

use super::edit::Edit;
use super::node::row_range;
use super::path::Path;
use super::{LEVELS_MAX, Nodes, Tree, version};
use machine::{Cx, Machine, Vpn, level};

impl Tree {
    /// Removes the range that starts at this page; answers its value, or `None` if no range starts there.
    /// (layout)
    pub fn remove<'m, M: Machine>(
        &self,
        nodes: &Nodes<'m, M>,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        start: Vpn,
    ) -> Option<u32> {
        let path = self.path(nodes, cx, start.0)?;
        let leaf = nodes.get(path.node(0));
        if path.row(0) == leaf.len() {
            return None;
        }
        let (range, value) = row_range(&leaf.row(path.row(0)));
        if range.start != start {
            return None;
        }
        let mut edit = Edit::new(nodes, &*cx);
        edit.touch(path.node(0)).remove_row(path.row(0));
        let level = mend(&mut edit, &path);
        edit.refresh(&path, level);
        self.lower_root(&mut edit);
        let retired = edit.finish();
        self.count.sub(1);
        for &raw in retired.as_slice() {
            nodes.free(cx, raw);
        }
        Some(value)
    }

    /// Drops roots with a single child, and a root without rows.
    fn lower_root<M: Machine, const L: u8>(&self, edit: &mut Edit<'_, '_, M, L>) {
        while let Some((height, root)) = self.root(edit.cx) {
            let node = edit.nodes.get(root);
            if node.len() == 0 {
                debug_assert!(height == 1);
                self.set_empty(edit.cx);
            } else if height > 1 && node.len() == 1 {
                edit.touch(root);
                self.set_root(edit.cx, height - 1, node.child(0));
            } else {
                return;
            }
            edit.retire(root);
        }
    }

    /// Removes everything and frees all nodes. (layout)
    pub fn clear<'m, M: Machine>(&self, nodes: &Nodes<'m, M>, cx: &mut Cx<'m, M, { level::REGISTRY }>) {
        let Some((height, root)) = self.root(cx) else { return };
        self.set_empty(cx);
        self.count.set(0);
        // A node is entered and freed before its children: they are kept here.
        let mut at = [(root, 0); LEVELS_MAX];
        let mut level = height - 1;
        loop {
            let (raw, row) = at[level];
            let node = nodes.get(raw);
            if level > 0 && row < node.len() {
                at[level].1 += 1;
                level -= 1;
                at[level] = (node.child(row), 0);
                continue;
            }
            version::begin(cx, &node.version);
            nodes.free(cx, raw);
            level += 1;
            if level == height {
                return;
            }
        }
    }
}

/// Merges or evens out what has too few rows, from the leaf up; answers the highest level changed.
fn mend<M: Machine, const L: u8>(edit: &mut Edit<'_, '_, M, L>, path: &Path) -> usize {
    let mut level = 0;
    while level + 1 < path.height() && edit.nodes.get(path.node(level)).is_underfull() {
        let parent = edit.touch(path.node(level + 1));
        if parent.len() > 1 {
            mend_pair(edit, path, level);
        } else {
            // On the right edge, a parent may have one child.
            let node = edit.nodes.get(path.node(level));
            if node.len() > 0 {
                parent.note(0, node.summary());
            } else {
                parent.remove_row(0);
                edit.retire(path.node(level));
            }
        }
        level += 1;
    }
    level
}

/// Merges the path's node of a level with the one beside it, or lets both have the same number of rows.
fn mend_pair<M: Machine, const L: u8>(edit: &mut Edit<'_, '_, M, L>, path: &Path, level: usize) {
    let parent = edit.touch(path.node(level + 1));
    let left_row = path.row(level + 1).saturating_sub(1);
    let (left_raw, right_raw) = (parent.child(left_row), parent.child(left_row + 1));
    let (left, right) = (edit.touch(left_raw), edit.touch(right_raw));
    let rows = left.len() + right.len();
    if rows <= left.shape().most() {
        right.move_head(right.len(), left);
        parent.remove_row(left_row + 1);
        edit.retire(right_raw);
    } else {
        if left.len() > rows / 2 {
            left.move_tail(rows / 2, right);
        } else {
            right.move_head(rows / 2 - left.len(), left);
        }
        parent.note(left_row + 1, right.summary());
    }
    parent.note(left_row, left.summary());
}
