//! Looking into a tree.

use super::{Mark, Node, Nodes, SHIFT, SLOTS, Slot, Tree, digit};
use core::sync::atomic::Ordering::Acquire;
use machine::{Cx, Machine, Memory, Pfn, Word, level};

/// Where a page was found, for looking again.
#[derive(Clone, Copy)]
pub struct Found<'m> {
    slot: &'m Word,
    bits: u64,
    /// The page.
    pub pfn: Pfn,
}

impl Found<'_> {
    /// Whether the slot still holds the page. Asked after a reference was taken: if the frame was freed and
    /// used again in between, its new owner's first reference came after the slot was emptied, and taking one
    /// acquired that.
    pub fn still_there<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> bool {
        // ORDERING: Acquire pairs with the Release in `Node::set`.
        cx.load(self.slot, Acquire) == self.bits
    }
}

impl Tree {
    /// The page at an index: exact under the cache lock, a hint without it.
    pub fn find<'m, M: Machine, const L: u8>(
        &self,
        cx: &Cx<'m, M, L>,
        nodes: &Nodes<'m, M>,
        index: u64,
    ) -> Option<Found<'m>> {
        let root = self.root(cx).filter(|root| index < root.end())?;
        let mut node: &'m Node = nodes.get(root.node);
        for at in (2..=root.height).rev() {
            match node.slot(cx, digit(index, at)) {
                Slot::Node(id) => node = nodes.get(id),
                // A page here means that the node was freed and used again under a lockless reader.
                Slot::Empty | Slot::Page(_) => return None,
            }
        }
        let slot = &node.slots[digit(index, 1)];
        // ORDERING: Acquire pairs with the Release in `Node::set`: the page's descriptor is complete.
        let bits = cx.load(slot, Acquire);
        match Slot::decode(bits) {
            Slot::Page(pfn) => Some(Found { slot, bits, pfn }),
            Slot::Empty | Slot::Node(_) => None,
        }
    }

    /// The first page in `from..end` that has the mark.
    pub fn next<'m, M: Machine>(
        &self,
        cx: &Cx<'m, M, { level::CACHE }>,
        nodes: &Nodes<'m, M>,
        from: u64,
        end: u64,
        mark: Mark,
    ) -> Option<(u64, Pfn)> {
        let root = self.root(cx)?;
        let end = end.min(root.end());
        let mut index = from;
        'root: while index < end {
            let mut node = nodes.get(root.node);
            for at in (1..=root.height).rev() {
                let first = digit(index, at);
                let candidates = node.marks(mark) & (u64::MAX << first);
                let span = 1u64 << (SHIFT * (at - 1));
                if candidates == 0 {
                    // Nothing more in this node: on to where its successor starts.
                    index = (index / (span * SLOTS as u64) + 1) * span * SLOTS as u64;
                    continue 'root;
                }
                let digit = candidates.trailing_zeros() as usize;
                if digit != first {
                    index = index / (span * SLOTS as u64) * span * SLOTS as u64 + digit as u64 * span;
                }
                match node.slot(cx, digit) {
                    Slot::Node(id) => node = nodes.get(id),
                    Slot::Page(pfn) => return (index < end).then_some((index, pfn)),
                    Slot::Empty => return None,
                }
            }
        }
        None
    }

    /// Whether the page at an index has the mark.
    pub fn has<'m, M: Machine>(
        &self,
        cx: &Cx<'m, M, { level::CACHE }>,
        nodes: &Nodes<'m, M>,
        index: u64,
        mark: Mark,
    ) -> bool {
        self.next(cx, nodes, index, index + 1, mark).is_some()
    }
}
