//! Looking at a quiet tree without a context: for checkers.

use super::node::{row_child, row_range};
use super::{Nodes, Tree, unpack_root};
use core::sync::atomic::Ordering::Relaxed;
use frame::SlabView;
use machine::{Machine, Vpn, VpnRange};

impl Tree {
    /// The first range that ends behind the page, and its value. Nobody changes the tree meanwhile, and its
    /// structure is sound ([`Tree::check`]).
    pub fn quiet_find<M: Machine>(&self, nodes: &Nodes<'_, M>, page: Vpn) -> Option<(VpnRange, u32)> {
        // RELAXED: nobody changes the tree.
        let (height, root) = unpack_root(self.root.raw().load(Relaxed))?;
        let down = |raw: u32| nodes.get(raw).first_behind(page.0).map(|row| row_child(&row));
        let leaf = (1..height).try_fold(root, |raw, _| down(raw))?;
        nodes.get(leaf).first_behind(page.0).as_ref().map(row_range)
    }
}

impl<M: Machine> Nodes<'_, M> {
    /// Where the nodes are.
    pub(crate) fn slab_view(&self) -> &dyn SlabView {
        &self.slab
    }
}
