//! The frames of one node, one after the other.

use crate::frames::Frames;
use crate::zone::Span;
use machine::{Machine, NodeId, Pfn};

impl<'m, M: Machine> Frames<'m, M> {
    /// How many frames a node has, those taken before the allocator started too.
    pub fn count_of_node(&self, node: NodeId) -> u64 {
        self.spans_of(node).map(frames_of).sum()
    }

    /// The `n`th of them, in one fixed order.
    pub fn nth_of_node(&self, node: NodeId, n: u64) -> Option<Pfn> {
        let mut before = 0;
        self.spans_of(node).find_map(|span| {
            let within = n - before;
            before += frames_of(span);
            (n < before).then(|| span.start.get().plus(within))
        })
    }

    fn spans_of(&self, node: NodeId) -> impl Iterator<Item = &'m Span> + use<'m, M> {
        let zones = self.layout.zones;
        self.layout.used_spans().filter(move |span| zones[span.zone.get() as usize].node.get() == node)
    }
}

fn frames_of(span: &Span) -> u64 {
    u64::from(span.end.get().0 - span.start.get().0)
}
