//! Sets of memory nodes.

use crate::NodeId;

/// Some of the first 64 nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeSet(pub u64);

impl NodeSet {
    /// Every node, those past the first 64 too.
    pub const ALL: NodeSet = NodeSet(u64::MAX);

    /// One node.
    pub const fn one(node: NodeId) -> NodeSet {
        NodeSet(1 << (node.0 as u64 % u64::BITS as u64))
    }

    /// Whether a node is in it.
    pub const fn contains(self, node: NodeId) -> bool {
        self.0 == u64::MAX || (node.0 as u32) < u64::BITS && self.0 >> node.0 & 1 != 0
    }

    /// The nodes, ascending.
    pub fn iter(self) -> impl Iterator<Item = NodeId> {
        (0..u64::BITS as u8).map(NodeId).filter(move |&node| self.contains(node))
    }
}
