//! Memory runs out while nodes are reserved.

use super::{Bench, pages};
use crate::fake::Pace;

#[test]
fn a_failed_reserve_changes_nothing() {
    let bench = Bench::new(512, Pace::Straight);
    for i in 0..500 {
        bench.insert(pages(i * 3, i * 3 + 2), i as u32, 0);
    }
    let before = bench.check();
    let mut failures = 0;
    for n in 1.. {
        bench.frames.fail_after(Some(n));
        match bench.nodes.reserve(bench.cx().at(), &bench.frames, &bench.tree, 90) {
            Ok(reserve) => {
                bench.give_back(reserve);
                break;
            }
            Err(_) => failures += 1,
        }
        assert_eq!(bench.check(), before);
    }
    bench.frames.fail_after(None);
    assert!(failures > 0, "no allocation failed");
    assert_eq!(bench.check(), before);
}

#[test]
fn what_was_reserved_suffices_when_memory_is_gone() {
    let bench = Bench::new(512, Pace::Straight);
    for i in 0..200 {
        bench.insert(pages(i * 30, i * 30 + 1), 0, 0);
    }
    let mut reserve = bench.reserve(60);
    bench.frames.fail_after(Some(1));
    for i in 0..60 {
        let start = 100 * 30 + i / 20 * 30 + 1 + i % 20;
        bench.tree.insert(&bench.nodes, &bench.cx(), &mut reserve, pages(start, start + 1), 0, 0);
    }
    bench.frames.fail_after(None);
    bench.give_back(reserve);
    assert_eq!(bench.check().ranges, 260);
}
