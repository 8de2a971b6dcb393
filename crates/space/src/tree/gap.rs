//! Finding a free place.

use super::node::Node;
use super::{Nodes, Tree};
use machine::{Cx, Machine, Vpn, VpnRange};

/// From which end of the window a place is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// The highest place.
    TopDown,
    /// The lowest place.
    BottomUp,
}

/// What is looked for.
struct Want {
    window: VpnRange,
    pages: u64,
    align: u64,
    direction: Direction,
}

impl Want {
    /// The best start in the gap from `from` to `to`.
    fn fit(&self, from: u64, to: u64) -> Option<Vpn> {
        let from = from.max(self.window.start.0);
        let last = to.min(self.window.end.0).checked_sub(self.pages)?;
        let start = match self.direction {
            Direction::TopDown => last & !(self.align - 1),
            Direction::BottomUp => from.checked_add(self.align - 1)? & !(self.align - 1),
        };
        (from <= start && start <= last).then_some(Vpn(start))
    }
}

impl Tree {
    /// The highest or lowest start of `pages` free pages within the window, a multiple of `align` (a power of
    /// two). Guards count as not free. (layout)
    ///
    /// Linux: `vm_unmapped_area`, which with an alignment wants `pages + align - 1` free pages before it
    /// looks; this finds whatever fits.
    ///
    /// Visits O(log n) nodes; with an alignment also those nodes below which a gap is large enough but lies
    /// askew.
    pub fn find_gap<M: Machine, const L: u8>(
        &self,
        nodes: &Nodes<'_, M>,
        cx: &Cx<'_, M, L>,
        window: VpnRange,
        pages: u64,
        align: u64,
        direction: Direction,
    ) -> Option<Vpn> {
        debug_assert!(pages > 0 && align.is_power_of_two());
        let want = Want { window, pages, align, direction };
        let Some((_, root)) = self.root(cx) else { return want.fit(0, u64::MAX) };
        let node = nodes.get(root);
        let all = node.summary();
        let below = || want.fit(0, all.floor);
        let above = || want.fit(all.end, u64::MAX);
        let inside = || search(nodes, node, &want);
        match direction {
            Direction::TopDown => above().or_else(inside).or_else(below),
            Direction::BottomUp => below().or_else(inside).or_else(above),
        }
    }
}

/// The best start among the gaps between the ranges below a node.
fn search<M: Machine>(nodes: &Nodes<'_, M>, node: &Node, want: &Want) -> Option<Vpn> {
    let rows = node.len();
    let inner = node.shape().level > 0;
    // Only the rows that reach into the window, and the gaps before them and behind the last.
    let first = node.search(want.window.start.0).min(rows - 1);
    let within = |i: usize| {
        (inner && node.gap_within(i) >= want.pages && node.floor(i) < want.window.end.0)
            .then(|| nodes.get(node.child(i)))
            .and_then(|child| search(nodes, child, want))
    };
    let before = |i: usize| if i > 0 { want.fit(node.end(i - 1), node.floor(i)) } else { None };
    match want.direction {
        Direction::BottomUp => {
            let near = (first..rows).take_while(|&i| i == first || node.end(i - 1) < want.window.end.0);
            near.into_iter().find_map(|i| before(i).or_else(|| within(i)))
        }
        Direction::TopDown => (first..rows).rev().find_map(|i| within(i).or_else(|| before(i))),
    }
}
