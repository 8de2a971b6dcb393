//! Looking things up with the layout lock held.

use super::node::row_range;
use super::path::Path;
use super::{Nodes, Tree};
use machine::{Cx, Machine, Vpn, VpnRange};

impl Tree {
    /// The first range that ends behind the page, and its value (Linux: `find_vma`). (layout)
    pub fn find<M: Machine, const L: u8>(
        &self,
        nodes: &Nodes<'_, M>,
        cx: &Cx<'_, M, L>,
        page: Vpn,
    ) -> Option<(VpnRange, u32)> {
        let path = self.path(nodes, cx, page.0)?;
        let leaf = nodes.get(path.node(0));
        (path.row(0) < leaf.len()).then(|| row_range(&leaf.row(path.row(0))))
    }

    /// The range the page lies in, and its value (Linux: `vma_lookup`). (layout)
    pub fn covering<M: Machine, const L: u8>(
        &self,
        nodes: &Nodes<'_, M>,
        cx: &Cx<'_, M, L>,
        page: Vpn,
    ) -> Option<(VpnRange, u32)> {
        self.find(nodes, cx, page).filter(|(range, _)| range.contains(page))
    }

    /// The last range that ends at or before the page, and its value (Linux: `vma_prev`). (layout)
    pub fn prev<M: Machine, const L: u8>(
        &self,
        nodes: &Nodes<'_, M>,
        cx: &Cx<'_, M, L>,
        page: Vpn,
    ) -> Option<(VpnRange, u32)> {
        let path = self.path(nodes, cx, page.0)?.previous(nodes)?;
        Some(row_range(&nodes.get(path.node(0)).row(path.row(0))))
    }

    /// The first range that starts at or behind the page, and its value (Linux: `vma_next`). (layout)
    pub fn next<M: Machine, const L: u8>(
        &self,
        nodes: &Nodes<'_, M>,
        cx: &Cx<'_, M, L>,
        page: Vpn,
    ) -> Option<(VpnRange, u32)> {
        match self.find(nodes, cx, page)? {
            (range, _) if range.start < page => self.find(nodes, cx, range.end),
            found => Some(found),
        }
    }

    /// The ranges that overlap the window, ascending. The tree must not change meanwhile: the layout lock is
    /// held from the call to the last step.
    pub fn ranges<'a, 'm, M: Machine, const L: u8>(
        &self,
        nodes: &'a Nodes<'m, M>,
        cx: &Cx<'_, M, L>,
        window: VpnRange,
    ) -> Ranges<'a, 'm, M> {
        let at = self.path(nodes, cx, window.start.0).filter(|path| !path.is_at_end(nodes));
        Ranges { nodes, at, end: window.end }
    }
}

/// Ranges in ascending order; see [`Tree::ranges`].
pub struct Ranges<'a, 'm, M: Machine> {
    nodes: &'a Nodes<'m, M>,
    at: Option<Path>,
    end: Vpn,
}

impl<M: Machine> Iterator for Ranges<'_, '_, M> {
    type Item = (VpnRange, u32);

    fn next(&mut self) -> Option<Self::Item> {
        let path = self.at.take()?;
        let found = row_range(&self.nodes.get(path.node(0)).row(path.row(0)));
        if found.0.start >= self.end {
            return None;
        }
        self.at = path.next(self.nodes);
        Some(found)
    }
}
