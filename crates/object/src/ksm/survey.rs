//! Looking at what is merged: for reports, and for checkers of a quiet machine.

use crate::ksm_model::{Node, Totals};
use crate::objects::Objects;
use frame::Id;
use machine::{Machine, Pfn};

/// A node that was met on a walk through a tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeSight {
    /// Which.
    pub id: Id<Node>,
    /// Its hash.
    pub hash: u64,
    /// Stable nodes: the merged page.
    pub frame: Option<Pfn>,
    /// How many items it counts.
    pub items: u64,
}

impl<'m, M: Machine> Objects<'m, M> {
    /// How much is merged. (scan)
    pub fn merge_totals(&self) -> Totals {
        let ksm = &self.ksm;
        let mut totals = Totals {
            unshared: ksm.shared.unstable.count.get(),
            zero_pages: ksm.shared.zero_pages.get(),
            ..Totals::default()
        };
        for id in ksm.nodes.ids() {
            let node = ksm.node(id);
            let Some(maps) = self.quiet_maps(id) else { continue };
            totals.shared += 1;
            totals.sharing += maps - 1;
            let first = ksm.find(&ksm.shared.stable, node.hash.get());
            let is_chain = first.is_some_and(|first| ksm.node(first).same.get().is_some());
            totals.dups += u64::from(is_chain);
            totals.chains += u64::from(is_chain && first == Some(id));
        }
        totals
    }

    /// How often the page of a stable node is mapped just now; `None` if it is gone.
    fn quiet_maps(&self, id: Id<Node>) -> Option<u64> {
        let page = self.descriptor(self.ksm.node(id).quiet_frame()?);
        let is_named = page.quiet_meta().state() == frame::State::Ksm
            && page.quiet_owner().0 == crate::page::owner_number(id);
        is_named.then(|| page.quiet_counts().maps()).filter(|&maps| maps > 0)
    }

    /// Entries of zeros that took the place of pages of zeros.
    pub fn merged_zero_pages(&self) -> u64 {
        self.ksm.shared.zero_pages.get()
    }

    /// A node, for those who look at its words.
    pub fn merge_node(&self, id: Id<Node>) -> &'m Node {
        self.ksm.node(id)
    }

    /// The page of a stable node, which may be gone.
    pub fn merged_frame(&self, id: Id<Node>) -> Option<Pfn> {
        self.ksm.node(id).quiet_frame()
    }

    /// Whether a number names a node, on a quiet machine.
    pub fn is_node(&self, id: Id<Node>) -> bool {
        self.ksm.nodes.is_live(id)
    }

    /// Calls `visit` with every node that is found by the hash it has, on a quiet machine: what stands at a
    /// wrong place is not.
    pub fn for_each_node(&self, visit: &mut dyn FnMut(NodeSight)) {
        let ksm = &self.ksm;
        for tree in [&ksm.shared.stable, &ksm.shared.unstable] {
            for id in ksm.nodes.ids() {
                let mut next = ksm.find(tree, ksm.node(id).hash.get());
                while let Some(at) = next.filter(|&at| at != id) {
                    next = ksm.node(at).same.get();
                }
                if next == Some(id) {
                    let node = ksm.node(id);
                    let (hash, frame, items) = (node.hash.get(), node.quiet_frame(), node.count.get());
                    visit(NodeSight { id, hash, frame, items });
                }
            }
        }
    }

    /// How many nodes the trees count: stable ones, and candidates.
    pub fn nodes_counted(&self) -> [u64; 2] {
        [&self.ksm.shared.stable, &self.ksm.shared.unstable].map(|tree| tree.count.get())
    }
}
