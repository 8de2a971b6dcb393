//! Readers without a lock against one writer, on threads.

use super::{Bench, pages};
use crate::fake::Pace;
use crate::tree::{Busy, Tree};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use machine::{Vpn, VpnRange};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::vec;

/// Ranges live in blocks of so many pages; a range's value is its block.
const BLOCK: u64 = 64;
const BLOCKS: u64 = 400;
/// How often readers must have found something for the test to mean anything.
const FOUND_MIN: u64 = 1000;
/// How often the writer goes on until they have.
const ROUNDS_MAX: usize = 50;

/// Every fourth block holds one range that never changes.
fn is_stable(block: u64) -> bool {
    block.is_multiple_of(4)
}

fn stable_range(block: u64) -> VpnRange {
    pages(block * BLOCK + 3, block * BLOCK + 40)
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

/// Fills, empties and resizes the blocks that are not stable, in waves, so that nodes split, merge and are
/// reused.
fn write(bench: &Bench, random: &mut Random, present: &mut [Option<VpnRange>], steps: u64) {
    for step in 0..steps {
        let filling = step / 600 % 2 == 0;
        let block = random.below(BLOCKS);
        if is_stable(block) {
            continue;
        }
        let start = block * BLOCK + random.below(BLOCK / 2);
        let range = pages(start, start + 1 + random.below(BLOCK / 2));
        let slot = &mut present[block as usize];
        match *slot {
            None if filling || step % 8 == 0 => {
                bench.insert(range, block as u32, step % 7);
                *slot = Some(range);
            }
            Some(old) if filling || step % 8 == 0 => {
                assert!(bench.tree.resize(&bench.nodes, &bench.cx(), old.start, range));
                *slot = Some(range);
            }
            Some(old) => {
                assert_eq!(bench.remove(old.start.0), Some(block as u32));
                *slot = None;
            }
            None => {}
        }
        if step % 500 == 0 {
            bench.tree.check(&bench.nodes).unwrap();
        }
    }
}

/// What readers met.
#[derive(Default)]
struct Met {
    found: AtomicU64,
    missed: AtomicU64,
    busy: AtomicU64,
}

fn read(bench: &Bench, tree: &Tree, cpu: u32, stop: &AtomicBool, met: &Met) {
    let mut cx = bench.machine.cx(bench.core, cpu);
    let mut random = Random(0x9e37_79b9 + u64::from(cpu));
    while !stop.load(Relaxed) {
        let block = random.below(BLOCKS);
        let page = Vpn(block * BLOCK + random.below(BLOCK));
        match tree.find_lockless(&bench.nodes, &cx.enter_epoch(), page) {
            Ok(Some((range, value))) => {
                let value = u64::from(value);
                assert!(!range.is_empty() && page < range.end, "{page:?}: {range:?} {value}");
                assert_eq!(range.start.0 / BLOCK, value, "{page:?}: {range:?} of another block");
                assert_eq!((range.end.0 - 1) / BLOCK, value, "{page:?}: {range:?} of two blocks");
                if is_stable(value) {
                    assert_eq!(range, stable_range(value), "a range that never was");
                }
                assert!(!is_stable(block) || page >= stable_range(block).end || value == block);
                met.found.fetch_add(1, Relaxed);
            }
            Ok(None) => {
                let last = stable_range((BLOCKS - 1) / 4 * 4);
                assert!(page >= last.end, "{page:?}: a range that never changes was missed");
                met.missed.fetch_add(1, Relaxed);
            }
            Err(Busy) => {
                met.busy.fetch_add(1, Relaxed);
            }
        }
    }
}

/// Another tree on the same nodes, so that nodes go from tree to tree under the readers' eyes.
fn churn(bench: &Bench, stop: &AtomicBool) {
    let (tree, mut cx) = (Tree::default(), bench.machine.cx(bench.core, 1));
    while !stop.load(Relaxed) {
        for i in 0..150 {
            let mut reserve = bench.nodes.reserve(cx.at(), &bench.frames, &tree, 1).unwrap();
            let start = i * 37 % 150 * 3;
            tree.insert(&bench.nodes, &cx, &mut reserve, pages(start, start + 2), u32::MAX, 0);
            bench.nodes.give_back(cx.at(), reserve);
        }
        for i in (0..150).step_by(2) {
            tree.remove(&bench.nodes, cx.at(), Vpn(i * 3));
        }
        tree.check(&bench.nodes).unwrap();
        tree.clear(&bench.nodes, cx.at());
    }
}

fn run(pace: Pace, steps: u64) {
    let bench = Bench::new(2048, pace);
    for block in (0..BLOCKS).filter(|&block| is_stable(block)) {
        bench.insert(stable_range(block), block as u32, 0);
    }
    let (stop, met) = (AtomicBool::new(false), Met::default());
    thread::scope(|scope| {
        for cpu in 2..5 {
            let (bench, stop, met) = (&bench, &stop, &met);
            scope.spawn(move || read(bench, &bench.tree, cpu, stop, met));
        }
        scope.spawn(|| churn(&bench, &stop));
        // Readers and the other tree end even if the writer fails.
        let written = catch_unwind(AssertUnwindSafe(|| {
            let mut random = Random(42);
            let mut present = vec![None; BLOCKS as usize];
            // On a busy host the readers may sleep through a whole round.
            for _ in 0..ROUNDS_MAX {
                write(&bench, &mut random, &mut present, steps);
                if met.found.load(Relaxed) > FOUND_MIN {
                    break;
                }
            }
        }));
        stop.store(true, Relaxed);
        written.unwrap();
    });
    bench.check();
    let [found, missed, busy] = [&met.found, &met.missed, &met.busy].map(|n| n.load(Relaxed));
    std::println!("{found} found, {missed} behind all, {busy} busy");
    assert!(found > FOUND_MIN, "readers hardly ran");
    assert!(busy <= found / 10, "readers hardly ever succeed");
}

#[test]
fn readers_race_a_writer() {
    run(Pace::Straight, 60_000);
}

#[test]
fn readers_race_a_writer_that_is_interrupted() {
    run(Pace::Jittery, 30_000);
}
