//! Large trees: how high, how full, how many nodes a search looks at.

use super::{Bench, pages, visits};
use crate::fake::Pace;
use crate::tree::{Builder, Direction, Tree};
use machine::Vpn;
use std::vec::Vec;

/// Linux's `vm.max_map_count`, about.
const RANGES: u64 = 65_000;

/// A fixed shuffle of `0..n`.
fn shuffled(n: u64) -> Vec<u64> {
    let mut order: Vec<u64> = (0..n).collect();
    let mut x = 88_172_645_463_325_252_u64;
    for i in (1..n).rev() {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        order.swap(i as usize, (x % (i + 1)) as usize);
    }
    order
}

/// Ranges of 2 pages with gaps of 1, but one gap of 9 pages in the middle.
fn place(i: u64) -> u64 {
    i * 3 + if i >= RANGES / 2 { 8 } else { 0 }
}

fn fill(order: impl Iterator<Item = u64>) -> Bench {
    let bench = Bench::new(4096, Pace::Straight);
    for i in order {
        bench.insert(pages(place(i), place(i) + 2), i as u32, 0);
    }
    bench
}

#[test]
fn searches_of_a_large_tree_visit_few_nodes() {
    for (name, bench) in [
        ("ascending", fill(0..RANGES)),
        ("descending", fill((0..RANGES).rev())),
        ("shuffled", fill(shuffled(RANGES).into_iter())),
    ] {
        let census = bench.check();
        assert_eq!(census.ranges, RANGES);
        assert!(census.height <= 6, "{name}: {census:?}");
        let height = census.height as u64;
        let hole = Vpn(place(RANGES / 2) - 9);
        let all = pages(0, place(RANGES - 1) + 2);
        for direction in [Direction::TopDown, Direction::BottomUp] {
            let find = |window, want| {
                visits(|| bench.tree.find_gap(&bench.nodes, &bench.cx(), window, want, 1, direction))
            };
            let (found, seen) = find(all, 9);
            assert_eq!(found, Some(hole));
            assert!(
                seen <= height,
                "{name} {direction:?}: {seen} nodes for the only gap that is large enough"
            );
            let (found, seen) = find(all, 10);
            assert_eq!(found, None);
            assert!(seen <= 1, "{name} {direction:?}: {seen} nodes for nothing");
            // A window that cuts the only large gap, and windows that leave it out.
            let (found, seen) = find(pages(1000, hole.0 + 4), 5);
            assert_eq!(found, None);
            assert!(seen <= 2 * height, "{name} {direction:?}: {seen} nodes at the edge of a window");
            let (found, seen) = find(pages(hole.0 + 20, all.end.0), 1);
            assert!(
                found.is_some() && seen <= 2 * height,
                "{name} {direction:?}: {seen} nodes for many gaps"
            );
        }
        let (found, seen) = visits(|| bench.tree.find(&bench.nodes, &bench.cx(), Vpn(place(777) + 1)));
        assert_eq!(found.map(|(_, value)| value), Some(777));
        assert!(seen <= height + 1);
    }
}

#[test]
fn ascending_insertions_fill_nodes() {
    let bench = fill(0..RANGES);
    let census = bench.check();
    assert_eq!(census.nodes, 3250 + 217 + 15 + 1, "every node but the right edge is full");
    let (copy, mut builder) = (Tree::default(), Builder::new());
    let mut reserve = bench.nodes.reserve_build(bench.cx().at(), &bench.frames, RANGES).unwrap();
    for (range, value) in bench.tree.ranges(&bench.nodes, &bench.cx(), pages(0, u64::MAX)) {
        builder.push(&bench.nodes, &bench.cx(), &mut reserve, range, value, 0);
    }
    builder.finish(&bench.nodes, &bench.cx(), &mut reserve, &copy);
    assert!(reserve.is_empty());
    assert_eq!(copy.check(&bench.nodes), Ok(census));
}

#[test]
fn a_tree_shrinks_as_it_is_emptied() {
    for order in [(0..5000).collect(), (0..5000).rev().collect(), shuffled(5000)] as [Vec<u64>; 3] {
        let bench = fill(0..5000);
        for (done, i) in order.into_iter().enumerate() {
            assert_eq!(bench.remove(place(i)), Some(i as u32));
            if done % 97 == 0 {
                let census = bench.check();
                assert!(census.nodes <= 4 + census.ranges / 4, "{census:?}");
            }
        }
        assert_eq!(bench.check().nodes, 0);
    }
}

/// The right edge may have sparse nodes: taking them away and putting them back costs no more than was
/// reserved.
#[test]
fn one_reserve_serves_insertions_with_removals_between() {
    let bench = fill(0..300);
    for step in 0..600 {
        let mut reserve = bench.reserve(9);
        let first = 300 + step * 5;
        for i in first..first + 9 {
            bench.tree.insert(&bench.nodes, &bench.cx(), &mut reserve, pages(place(i), place(i) + 2), 0, 0);
            if i % 2 == 0 {
                bench.remove(place(i));
            }
        }
        bench.give_back(reserve);
        for i in first..first + 9 {
            bench.remove(place(i));
        }
        if step % 3 == 0 {
            bench.insert(pages(place(first), place(first) + 2), 0, 0);
        }
        bench.check();
    }
}
