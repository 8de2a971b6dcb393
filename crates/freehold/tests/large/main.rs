//! Programs that use pages of 2 MiB in every way, against a model of their bytes.

#[path = "../concurrent/dice.rs"]
mod dice;
mod program;
mod threads;
#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "../concurrent/world.rs"]
mod world;

use freehold::machine::Counter;
use freehold::space::HugePages;
use program::{Plan, run};
use std::time::{Duration, Instant};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Programs one after the other, for some seconds. Each event that is counted must have come to pass.
fn programs(tasks: u32, must: &[Counter]) {
    let first = number("FREEHOLD_STRESS_FIRST").unwrap_or(0);
    let limit = Duration::from_secs(number("FREEHOLD_STRESS_SECONDS").unwrap_or(6));
    let last = number("FREEHOLD_STRESS_SEEDS").map_or(u64::MAX, |seeds| first + seeds);
    let begun = Instant::now();
    let mut totals = vec![0; must.len()];
    for seed in first..last {
        let huge_pages = if seed % 5 == 4 { HugePages::Madvise } else { HugePages::Always };
        let ended = std::panic::catch_unwind(|| run(Plan { seed, tasks, huge_pages }, must));
        match ended.unwrap_or_else(|_| Err("it panicked".into())) {
            Ok(counts) => totals.iter_mut().zip(counts).for_each(|(total, count)| *total += count),
            Err(what) => panic!("seed {seed}: {what}"),
        }
        if begun.elapsed() > limit {
            break;
        }
    }
    println!("{:?}", must.iter().zip(&totals).collect::<Vec<_>>());
    assert!(totals.iter().all(|&total| total > 0), "{must:?} came to pass so often: {totals:?}");
}

const ALL: [Counter; 6] = [
    Counter::ThpCollapseAlloc,
    Counter::ThpFaultAlloc,
    Counter::ThpSplitPmd,
    Counter::ThpSplitPage,
    Counter::ThpSplitPageFailed,
    Counter::CowReused,
];

#[test]
fn a_program_alone_is_right_after_every_step() {
    programs(1, &ALL);
}

#[test]
fn families_that_run_at_once_are_right() {
    programs(4, &ALL);
}
