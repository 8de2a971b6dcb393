//! The tree against a `BTreeMap` and a bitmap of pages.

use super::{Bench, pages};
use crate::fake::{Fake, Pace};
use crate::tree::{Builder, Direction, Tree};
use machine::{Cx, Vpn, VpnRange};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::vec::Vec;

/// Pages the model maps.
const UNIVERSE: u64 = 3000;

/// By start: end, value, guard.
#[derive(Default)]
struct Model(BTreeMap<u64, (u64, u32, u64)>);

impl Model {
    fn ranges(&self) -> Vec<(VpnRange, u32)> {
        self.0.iter().map(|(&start, &(end, value, _))| (pages(start, end), value)).collect()
    }

    fn find(&self, page: u64) -> Option<(VpnRange, u32)> {
        self.ranges().into_iter().find(|(range, _)| range.end.0 > page)
    }

    fn prev(&self, page: u64) -> Option<(VpnRange, u32)> {
        self.ranges().into_iter().rfind(|(range, _)| range.end.0 <= page)
    }

    /// The free pages around a page up to the neighbours, if it is free.
    fn room(&self, page: u64) -> Option<VpnRange> {
        let from = self.prev(page).map_or(0, |(range, _)| range.end.0);
        let to = self.find(page).map_or(UNIVERSE, |(range, _)| range.start.0);
        (from <= page && page < to).then(|| pages(from, to))
    }

    /// Which pages are not free for a search.
    fn taken(&self) -> Vec<bool> {
        let mut taken = std::vec![false; 2 * UNIVERSE as usize];
        let mut before = 0;
        for (&start, &(end, _, guard)) in &self.0 {
            let floor = start.saturating_sub(guard).max(before);
            taken[floor as usize..end as usize].fill(true);
            before = end;
        }
        taken
    }

    fn gap(&self, window: VpnRange, want: u64, align: u64, direction: Direction) -> Option<Vpn> {
        let taken = self.taken();
        let fits = |&start: &u64| {
            start.is_multiple_of(align)
                && start + want <= window.end.0
                && !taken[start as usize..(start + want) as usize].contains(&true)
        };
        let mut starts = window.start.0..window.end.0;
        match direction {
            Direction::TopDown => starts.rev().find(fits),
            Direction::BottomUp => starts.find(fits),
        }
        .map(Vpn)
    }
}

#[derive(Clone, Debug)]
enum Op {
    Insert { page: u64, len: u64, guard: u64, value: u32 },
    Remove { page: u64 },
    Resize { page: u64, start: u64, end: u64 },
    Replace { page: u64, value: u32 },
    Look { page: u64, end: u64 },
    Gap { start: u64, end: u64, want: u64, align: u32 },
    Clear,
    Copy,
}

fn op() -> impl Strategy<Value = Op> {
    let page = || 0..UNIVERSE;
    let guard = prop_oneof![4 => Just(0u64), 1 => 1..40u64];
    prop_oneof![
        120 => (page(), 1..12u64, guard, any::<u32>())
            .prop_map(|(page, len, guard, value)| Op::Insert { page, len, guard, value }),
        70 => page().prop_map(|page| Op::Remove { page }),
        30 => (page(), any::<u64>(), any::<u64>())
            .prop_map(|(page, start, end)| Op::Resize { page, start, end }),
        10 => (page(), any::<u32>()).prop_map(|(page, value)| Op::Replace { page, value }),
        20 => (page(), page()).prop_map(|(page, end)| Op::Look { page, end }),
        60 => (page(), 0..2 * UNIVERSE, 1..60u64, 0..6u32)
            .prop_map(|(start, end, want, align)| Op::Gap { start, end, want, align }),
        1 => Just(Op::Clear),
        3 => Just(Op::Copy),
    ]
}

/// Both, in step.
struct Pair {
    bench: Bench,
    model: Model,
}

impl Pair {
    fn new() -> Pair {
        Pair { bench: Bench::new(512, Pace::Straight), model: Model::default() }
    }

    fn cx(&self) -> Cx<'static, Fake> {
        self.bench.cx()
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Insert { page, len, guard, value } => {
                let Some(room) = self.model.room(page) else { return };
                let range = pages(page, (page + len).min(room.end.0));
                self.bench.insert(range, value, guard);
                self.model.0.insert(page, (range.end.0, value, guard));
            }
            Op::Remove { page } => {
                let Some((range, value)) = self.model.find(page) else { return };
                assert_eq!(self.bench.remove(range.start.0), Some(value));
                self.model.0.remove(&range.start.0);
                assert_eq!(self.bench.remove(range.start.0), None);
            }
            Op::Resize { page, start, end } => self.resize(page, start, end),
            Op::Replace { page, value } => {
                let Some((range, old)) = self.model.find(page) else { return };
                let tree = &self.bench.tree;
                assert_eq!(tree.replace(&self.bench.nodes, &self.cx(), range.start, value), Some(old));
                self.model.0.get_mut(&range.start.0).unwrap().1 = value;
            }
            Op::Look { page, end } => self.look(page, end),
            Op::Gap { start, end, want, align } => self.gap(start, end, want, 1 << align),
            Op::Clear => {
                self.bench.tree.clear(&self.bench.nodes, self.cx().at());
                self.model.0.clear();
            }
            Op::Copy => self.copy(),
        }
    }

    fn resize(&mut self, page: u64, start: u64, end: u64) {
        let Some((range, value)) = self.model.find(page) else { return };
        let guard = self.model.0[&range.start.0].2;
        let low = self.model.prev(range.start.0).map_or(0, |(before, _)| before.end.0);
        let high = self.model.find(range.end.0).map_or(UNIVERSE, |(behind, _)| behind.start.0);
        let start = low + start % (high - low);
        let end = start + 1 + end % (high - start);
        assert!(self.bench.tree.resize(&self.bench.nodes, &self.cx(), range.start, pages(start, end)));
        self.model.0.remove(&range.start.0);
        self.model.0.insert(start, (end, value, guard));
    }

    fn look(&self, page: u64, end: u64) {
        let (tree, nodes, mut cx) = (&self.bench.tree, &self.bench.nodes, self.cx());
        let found = self.model.find(page);
        assert_eq!(tree.find(nodes, &cx, Vpn(page)), found);
        assert_eq!(tree.find_lockless(nodes, &cx.enter_epoch(), Vpn(page)), Ok(found));
        assert_eq!(
            tree.covering(nodes, &cx, Vpn(page)),
            found.filter(|(range, _)| range.contains(Vpn(page)))
        );
        assert_eq!(tree.prev(nodes, &cx, Vpn(page)), self.model.prev(page));
        let next = self.model.ranges().into_iter().find(|(range, _)| range.start.0 >= page);
        assert_eq!(tree.next(nodes, &cx, Vpn(page)), next);
        let window = pages(page, end.max(page));
        let within: Vec<_> = tree.ranges(nodes, &cx, window).collect();
        let overlaps = |(range, _): &(VpnRange, u32)| range.end > window.start && range.start < window.end;
        assert_eq!(within, self.model.ranges().into_iter().filter(overlaps).collect::<Vec<_>>());
    }

    fn gap(&self, start: u64, end: u64, want: u64, align: u64) {
        for direction in [Direction::TopDown, Direction::BottomUp] {
            let window = pages(start, end);
            let (tree, nodes) = (&self.bench.tree, &self.bench.nodes);
            let found = tree.find_gap(nodes, &self.cx(), window, want, align, direction);
            let expected = self.model.gap(window, want, align, direction);
            assert_eq!(found, expected, "{window:?} {want} {align} {direction:?}");
        }
    }

    /// Builds a copy, as fork does, and compares it.
    fn copy(&self) {
        let nodes = &self.bench.nodes;
        let (copy, mut builder) = (Tree::default(), Builder::new());
        let before = nodes.in_use();
        let ranges = self.model.0.len() as u64;
        let mut reserve = nodes.reserve_build(self.cx().at(), &self.bench.frames, ranges).unwrap();
        for (&start, &(end, value, guard)) in &self.model.0 {
            builder.push(nodes, &self.cx(), &mut reserve, pages(start, end), value, guard);
        }
        builder.finish(nodes, &self.cx(), &mut reserve, &copy);
        assert!(reserve.is_empty(), "a build needs exactly what it reserves");
        let census = copy.check(nodes).unwrap();
        assert_eq!((census.ranges, census.nodes), (ranges, nodes.in_use() - before));
        let copied: Vec<_> = copy.ranges(nodes, &self.cx(), pages(0, u64::MAX)).collect();
        assert_eq!(copied, self.model.ranges());
        copy.clear(nodes, self.cx().at());
    }

    fn check(&self) {
        let census = self.bench.check();
        assert_eq!(census.ranges, self.model.0.len() as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_map(ops in prop::collection::vec(op(), 1..900)) {
        let mut pair = Pair::new();
        for op in &ops {
            pair.apply(op);
            pair.check();
        }
        let all: Vec<_> = pair.bench.tree.ranges(&pair.bench.nodes, &pair.cx(), pages(0, u64::MAX)).collect();
        prop_assert_eq!(all, pair.model.ranges());
    }
}

#[test]
fn guard_reaches_down_to_the_range_before_only() {
    let bench = Bench::new(256, Pace::Straight);
    bench.insert(pages(100, 110), 1, 0);
    bench.insert(pages(120, 130), 2, 256);
    let gap =
        |want, direction| bench.tree.find_gap(&bench.nodes, &bench.cx(), pages(0, 130), want, 1, direction);
    assert_eq!(gap(1, Direction::TopDown), Some(Vpn(99)), "the gap below a stack is its guard");
    assert_eq!(gap(100, Direction::BottomUp), Some(Vpn(0)), "the guard does not reach through a range");
    assert_eq!(gap(101, Direction::BottomUp), None);
}

#[test]
fn an_empty_tree_is_one_gap() {
    let bench = Bench::new(256, Pace::Straight);
    let gap = |start, end, want, align, direction| {
        bench.tree.find_gap(&bench.nodes, &bench.cx(), pages(start, end), want, align, direction)
    };
    assert_eq!(gap(16, 1000, 10, 1, Direction::TopDown), Some(Vpn(990)));
    assert_eq!(gap(16, 1000, 10, 512, Direction::TopDown), Some(Vpn(512)));
    assert_eq!(gap(16, 1000, 10, 512, Direction::BottomUp), Some(Vpn(512)));
    assert_eq!(gap(16, 1000, 984, 1, Direction::BottomUp), Some(Vpn(16)));
    assert_eq!(gap(16, 1000, 985, 1, Direction::BottomUp), None);
    assert_eq!(gap(0, u64::MAX, u64::MAX, 1, Direction::TopDown), Some(Vpn(0)));
    assert_eq!(gap(u64::MAX - 5, u64::MAX, 3, 1 << 40, Direction::BottomUp), None);
}
