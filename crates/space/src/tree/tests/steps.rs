//! One reader and one writer, interrupted before each access to a shared word.

use super::{Bench, pages};
use crate::fake::{Fake, Pace};
use crate::tree::{Builder, Busy, Tree};
use machine::{Vpn, VpnRange};
use std::boxed::Box;
use std::cell::RefCell;
use std::rc::Rc;
use std::vec::Vec;

/// Distance of the ranges of a base tree.
const PITCH: u64 = 10;
/// Value of what only another tree holds.
const FOREIGN: u32 = u32::MAX;

type Found = Option<(VpnRange, u32)>;

/// How the base tree's nodes are filled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fill {
    Full,
    /// A third, so that a removal merges nodes.
    Sparse,
}

/// What the writer does to the ranges around index `i`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    Insert(u64),
    Remove(u64),
    Grow(u64),
    Shrink(u64),
    /// Removes a range; another tree then uses the nodes that came free.
    Reuse(u64),
}

fn base(i: u64) -> VpnRange {
    pages(i * PITCH + 2, i * PITCH + 7)
}

struct Stage {
    bench: Bench,
    other: Tree,
}

impl Stage {
    fn new() -> &'static Stage {
        Box::leak(Box::new(Stage { bench: Bench::new(512, Pace::Straight), other: Tree::default() }))
    }

    fn set(&self, n: u64, fill: Fill) {
        let Bench { nodes, tree, frames, .. } = &self.bench;
        tree.clear(nodes, self.bench.cx().at());
        self.other.clear(nodes, self.bench.cx().at());
        let extras = |i: u64| [pages(i * PITCH, i * PITCH + 1), pages(i * PITCH + 8, i * PITCH + 9)];
        let mut builder = Builder::new();
        let mut reserve = nodes.reserve_build(self.bench.cx().at(), frames, 3 * n).unwrap();
        let mut push = |range, value| builder.push(nodes, &self.bench.cx(), &mut reserve, range, value, 0);
        for i in 0..n {
            let [low, high] = extras(i).map(|range| (range, 0));
            let all = [low, (base(i), i as u32), high];
            let kept = if fill == Fill::Full { &all[1..2] } else { &all[..] };
            kept.iter().for_each(|&(range, value)| push(range, value));
        }
        builder.finish(nodes, &self.bench.cx(), &mut reserve, tree);
        self.bench.give_back(reserve);
        if fill == Fill::Sparse {
            for range in (0..n).flat_map(extras) {
                self.bench.remove(range.start.0);
            }
        }
    }

    fn apply(&self, change: Change) {
        let Bench { nodes, tree, frames, .. } = &self.bench;
        let cx = self.bench.cx();
        match change {
            Change::Insert(i) => self.bench.insert(pages(base(i).start.0 - 2, base(i).start.0), 7777, 0),
            Change::Remove(i) => drop(self.bench.remove(base(i).start.0)),
            Change::Grow(i) => {
                let grown = pages(base(i).start.0, base(i).end.0 + 2);
                assert!(tree.resize(nodes, &cx, base(i).start, grown));
            }
            Change::Shrink(i) => {
                let shrunk = pages(base(i).start.0 + 1, base(i).end.0 - 2);
                assert!(tree.resize(nodes, &cx, base(i).start, shrunk));
            }
            Change::Reuse(i) => {
                self.bench.remove(base(i).start.0);
                let mut reserve = nodes.reserve_build(self.bench.cx().at(), frames, 41).unwrap();
                let mut builder = Builder::new();
                for i in 0..41 {
                    builder.push(nodes, &cx, &mut reserve, pages(i * 1000, i * 1000 + 999), FOREIGN, 0);
                }
                builder.finish(nodes, &cx, &mut reserve, &self.other);
                assert!(reserve.is_empty());
            }
        }
    }

    fn ranges(&self) -> Vec<(VpnRange, u32)> {
        self.bench.tree.ranges(&self.bench.nodes, &self.bench.cx(), pages(0, u64::MAX)).collect()
    }

    fn look(&self, page: u64) -> Result<Found, Busy> {
        let mut cx = self.bench.machine.cx(self.bench.core, 2);
        self.bench.tree.find_lockless(&self.bench.nodes, &cx.enter_epoch(), Vpn(page))
    }
}

fn first(ranges: &[(VpnRange, u32)], page: u64) -> Found {
    ranges.iter().copied().find(|(range, _)| range.end.0 > page)
}

/// Calls `f` with many base trees and changes, and the pages a change concerns.
fn for_each_case(f: impl Fn(&'static Stage, u64, Fill, Change, &[u64])) {
    let stage = Stage::new();
    let sizes = [1_u64, 2, 20, 21, 41, 301].map(|n| (n, Fill::Full));
    let sparse = [7_u64, 14, 27, 60].map(|n| (n, Fill::Sparse));
    for (n, fill) in sizes.into_iter().chain(sparse) {
        let edges = [0, 6, 19, 20, n.saturating_sub(2), n - 1];
        for i in (0..n).filter(|i| n <= 21 && i % 3 == 0 || edges.contains(i)) {
            let changes =
                [Change::Insert(i), Change::Remove(i), Change::Grow(i), Change::Shrink(i), Change::Reuse(i)];
            let (low, high) = (base(i).start.0 - 2, base(i).end.0 + 2);
            let near: Vec<u64> =
                [low.saturating_sub(PITCH), low, low + 2, low + 6, high - 1, high + 5].into();
            for change in changes {
                f(stage, n, fill, change, &near);
            }
        }
    }
}

#[test]
fn a_reader_interrupted_anywhere_answers_what_was_or_what_is() {
    for_each_case(|stage, n, fill, change, near| {
        for &page in near {
            for step in 0.. {
                stage.set(n, fill);
                let before = stage.ranges();
                let (answer, happened) =
                    Fake::interrupt(step, move || stage.apply(change), || stage.look(page));
                let after = stage.ranges();
                let good = [Ok(first(&before, page)), Ok(first(&after, page))];
                assert!(
                    good.contains(&answer),
                    "{n} {fill:?} {change:?}, page {page}, step {step}: {answer:?}"
                );
                if !happened {
                    break;
                }
            }
        }
    });
}

#[test]
fn readers_that_come_while_a_writer_works_see_what_was_or_what_is() {
    for_each_case(|stage, n, fill, change, near| {
        for step in 0.. {
            stage.set(n, fill);
            let before = stage.ranges();
            let answers = Rc::new(RefCell::new(Vec::new()));
            let (seen, asked) = (answers.clone(), near.to_vec());
            let look = move || {
                let looked = asked.into_iter().map(|page| (page, stage.look(page)));
                seen.borrow_mut().extend(looked);
            };
            let ((), happened) = Fake::interrupt(step, look, || stage.apply(change));
            let after = stage.ranges();
            for &(page, answer) in answers.borrow().iter() {
                let good = [Ok(first(&before, page)), Ok(first(&after, page)), Err(Busy)];
                assert!(
                    good.contains(&answer),
                    "{n} {fill:?} {change:?}, page {page}, step {step}: {answer:?}"
                );
            }
            if !happened {
                stage.bench.tree.check(&stage.bench.nodes).unwrap();
                break;
            }
        }
    });
}
