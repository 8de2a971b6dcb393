//! Which node a page was used from last: seven bits of the descriptor's second word, for balancing (Linux:
//! `page_cpupid_xchg_last`, which notes CPU and process).

use crate::descriptor::{Descriptor, Meta, USER_NODE};
use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use machine::{Cx, Machine, Memory, NodeId};

/// Nodes from here on are not told apart.
const NODES: u8 = 126;

impl Meta {
    /// The node the page was used from last, if that was noted.
    pub const fn user_node(self) -> Option<NodeId> {
        match self.part(USER_NODE) {
            0 => None,
            node => Some(NodeId(node as u8 - 1)),
        }
    }
}

impl Descriptor {
    /// Notes from which node the page is used; answers from which it was before.
    pub fn note_user_node<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, node: NodeId) -> Option<NodeId> {
        let noted = u64::from(node.0.min(NODES)) + 1;
        // RELAXED: the compare-exchange decides.
        let mut seen = cx.load(&self.meta, Relaxed);
        loop {
            let new = Meta(seen).with(USER_NODE, noted).0;
            // ORDERING: AcqRel, as in `set`: flags share the word.
            match cx.compare_exchange(&self.meta, seen, new, AcqRel) {
                Ok(_) => return Meta(seen).user_node(),
                Err(now) => seen = now,
            }
        }
    }
}
