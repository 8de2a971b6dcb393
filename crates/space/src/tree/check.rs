//! Whether a quiet tree is what it should be: for the oracle and tests.

use super::node::{Node, row_range};
use super::{LEVELS_MAX, Nodes, Tree, unpack_root};
use core::sync::atomic::Ordering::Relaxed;
use machine::Machine;

/// What holds of every node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// The version is even and not 0: nothing is being changed, nothing dead is linked.
    Version,
    /// Every node is of the level its place has, and there are not too many levels.
    Level,
    /// A node has rows, not too many, and not too few unless it is the root or on the right edge.
    Fill,
    /// Ranges are not empty, do not overlap, and ascend.
    Order,
    /// A parent knows the end, floor and largest gap of each child exactly.
    Summary,
    /// The tree knows how many ranges it has.
    Count,
}

/// A rule does not hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken {
    /// Which.
    pub rule: Rule,
    /// The node, if it is about one.
    pub node: Option<u32>,
}

/// What a tree is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Census {
    /// Ranges.
    pub ranges: u64,
    /// Nodes.
    pub nodes: u64,
    /// Levels.
    pub height: usize,
}

/// Where a node is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    Root,
    Right,
    Inside,
}

impl Tree {
    /// Checks every rule on every node. Nobody changes the tree meanwhile.
    ///
    /// # Errors
    /// The first rule found broken.
    pub fn check<M: Machine>(&self, nodes: &Nodes<'_, M>) -> Result<Census, Broken> {
        let mut census = Census::default();
        // RELAXED: nobody changes the tree.
        if let Some((height, root)) = unpack_root(self.root.raw().load(Relaxed)) {
            if height == 0 || height > LEVELS_MAX {
                return Err(Broken { rule: Rule::Level, node: None });
            }
            census.height = height;
            let mut walk = Walk { nodes, census: &mut census, end: 0 };
            walk.node(root, height - 1, Edge::Root)?;
        }
        if census.ranges != self.count() {
            return Err(Broken { rule: Rule::Count, node: None });
        }
        Ok(census)
    }
}

struct Walk<'a, 'm, M: Machine> {
    nodes: &'a Nodes<'m, M>,
    census: &'a mut Census,
    /// End of the range before.
    end: u64,
}

impl<M: Machine> Walk<'_, '_, M> {
    fn node(&mut self, raw: u32, level: usize, edge: Edge) -> Result<(), Broken> {
        let node = self.nodes.get(raw);
        let holds = |rule, holds| if holds { Ok(()) } else { Err(Broken { rule, node: Some(raw) }) };
        // RELAXED: nobody changes the tree.
        let version = node.version.raw().load(Relaxed);
        holds(Rule::Version, version != 0 && version.is_multiple_of(2))?;
        holds(Rule::Level, usize::from(node.shape().level) == level)?;
        holds(Rule::Fill, is_filled(node, edge))?;
        self.census.nodes += 1;
        if level == 0 {
            return holds(Rule::Order, self.leaf(node));
        }
        for i in 0..node.len() {
            let last = i + 1 == node.len();
            let below = if last && edge != Edge::Inside { Edge::Right } else { Edge::Inside };
            self.node(node.child(i), level - 1, below)?;
            holds(Rule::Summary, self.nodes.get(node.child(i)).summary() == node.summary_of(i))?;
        }
        Ok(())
    }

    fn leaf(&mut self, node: &Node) -> bool {
        self.census.ranges += node.len() as u64;
        (0..node.len()).all(|i| {
            let (range, _) = row_range(&node.row(i));
            let ascends = self.end <= range.start.0 && !range.is_empty();
            self.end = range.end.0;
            ascends
        })
    }
}

fn is_filled(node: &Node, edge: Edge) -> bool {
    let shape = node.shape();
    let least = match edge {
        Edge::Root => 1 + usize::from(shape.level > 0),
        Edge::Right => 1,
        Edge::Inside => shape.least(),
    };
    least <= shape.len && shape.len <= shape.most()
}
