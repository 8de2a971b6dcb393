//! Tests of the tree: against a model, under shortage, against racing readers.

mod model;
mod race;
mod shape;
mod shortage;
mod steps;

use super::{Census, Nodes, Reserve, Tree};
use crate::fake::{Fake, Pace};
use frame::{Config, Frames};
use machine::{Core, Cx, Vpn, VpnRange, level};
use std::cell::Cell;

std::thread_local!(static VISITS: Cell<u64> = const { Cell::new(0) });

/// Counts every node that is looked at.
pub(super) fn count_visit() {
    VISITS.with(|visits| visits.set(visits.get() + 1));
}

/// How many nodes `f` looks at.
fn visits<T>(f: impl FnOnce() -> T) -> (T, u64) {
    let before = VISITS.with(Cell::get);
    let result = f();
    (result, VISITS.with(Cell::get) - before)
}

/// A tree on a machine of its own.
struct Bench {
    machine: &'static Fake,
    core: Core<'static>,
    frames: Frames<'static, Fake>,
    nodes: Nodes<'static, Fake>,
    tree: Tree,
}

fn pages(start: u64, end: u64) -> VpnRange {
    VpnRange::new(Vpn(start), Vpn(end))
}

impl Bench {
    fn new(frames: u32, pace: Pace) -> Bench {
        let (machine, boot, core) = Fake::start(frames, pace);
        let nodes = Nodes::new(&boot).unwrap();
        let frames = Frames::new(machine, &boot, &Config::default()).unwrap();
        Bench { machine, core, frames, nodes, tree: Tree::default() }
    }

    fn cx(&self) -> Cx<'static, Fake> {
        self.machine.cx(self.core, 0)
    }

    fn reserve(&self, inserts: u32) -> Reserve {
        self.nodes.reserve(self.cx().at(), &self.frames, &self.tree, inserts).unwrap()
    }

    fn give_back(&self, reserve: Reserve) {
        self.nodes.give_back(self.cx().at(), reserve);
    }

    fn insert(&self, range: VpnRange, value: u32, guard: u64) {
        let mut reserve = self.reserve(1);
        self.tree.insert(&self.nodes, &self.cx(), &mut reserve, range, value, guard);
        self.give_back(reserve);
    }

    fn remove(&self, start: u64) -> Option<u32> {
        self.tree.remove(&self.nodes, self.cx().at::<{ level::REGISTRY }>(), Vpn(start))
    }

    /// Checks the tree, and that no other node is in use.
    fn check(&self) -> Census {
        let census = self.tree.check(&self.nodes).unwrap();
        assert_eq!(self.nodes.in_use(), census.nodes);
        census
    }
}
