//! A range gets another extent or value where it is.

use super::edit::Edit;
use super::node::{Row, row_range, with_range, with_value};
use super::path::Path;
use super::{Nodes, Tree};
use machine::{Cx, Machine, Vpn, VpnRange};

impl Tree {
    /// Gives the range that starts at this page another extent, which must not reach the ranges beside it;
    /// its value and guard stay. Answers whether there is such a range. (layout)
    pub fn resize<'m, M: Machine, const L: u8>(
        &self,
        nodes: &Nodes<'m, M>,
        cx: &Cx<'m, M, L>,
        start: Vpn,
        range: VpnRange,
    ) -> bool {
        let Some((path, row)) = self.row_at(nodes, cx, start) else { return false };
        let neighbour = |path: Option<Path>| path.map(|p| row_range(&nodes.get(p.node(0)).row(p.row(0))).0);
        debug_assert!(neighbour(path.previous(nodes)).is_none_or(|before| before.end <= range.start));
        debug_assert!(neighbour(path.next(nodes)).is_none_or(|behind| range.end <= behind.start));
        set_row(nodes, cx, &path, &with_range(&row, range));
        true
    }

    /// Gives the range that starts at this page another value; answers the old one, `None` if there is no
    /// such range. (layout)
    pub fn replace<'m, M: Machine, const L: u8>(
        &self,
        nodes: &Nodes<'m, M>,
        cx: &Cx<'m, M, L>,
        start: Vpn,
        value: u32,
    ) -> Option<u32> {
        let (path, row) = self.row_at(nodes, cx, start)?;
        set_row(nodes, cx, &path, &with_value(&row, value));
        Some(row_range(&row).1)
    }

    /// The row of the range that starts at this page.
    fn row_at<M: Machine, const L: u8>(
        &self,
        nodes: &Nodes<'_, M>,
        cx: &Cx<'_, M, L>,
        start: Vpn,
    ) -> Option<(Path, Row)> {
        let path = self.path(nodes, cx, start.0)?;
        let leaf = nodes.get(path.node(0));
        let row = (path.row(0) < leaf.len()).then(|| leaf.row(path.row(0)))?;
        (row_range(&row).0.start == start).then_some((path, row))
    }
}

/// Replaces a leaf's row.
fn set_row<'m, M: Machine, const L: u8>(nodes: &Nodes<'m, M>, cx: &Cx<'m, M, L>, path: &Path, row: &Row) {
    let mut edit = Edit::new(nodes, cx);
    edit.touch(path.node(0)).set_row(path.row(0), row);
    edit.refresh(path, 0);
    let retired = edit.finish();
    debug_assert!(retired.as_slice().is_empty());
}
