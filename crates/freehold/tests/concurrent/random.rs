//! Random programs under random schedules.

use crate::dice::Dice;
use crate::program::{Plan, run};
use crate::world::Shape;
use std::time::{Duration, Instant};

/// Programs in an ordinary test run.
const SEEDS: u64 = 4000;
/// And for how long at most.
const SECONDS: u64 = 20;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What the program of a seed is.
fn plan(seed: u64) -> Plan {
    let mut dice = Dice::new(seed);
    let cpus = 2 + dice.below(3) as u32;
    let tasks = 1 + dice.below(4) as u32;
    let shape = Shape::new(cpus, seed);
    let kinds = match number("FREEHOLD_STRESS_KINDS") {
        Some(kinds) => kinds as u32,
        None if dice.one_in(3) => dice.next() as u32 | 1,
        None => u32::MAX,
    };
    Plan { shape, tasks, ops: 10 + dice.below(30), seed: dice.next(), kinds }
}

#[test]
fn random_programs_are_right() {
    let first = number("FREEHOLD_STRESS_FIRST").unwrap_or(0);
    let seconds = number("FREEHOLD_STRESS_SECONDS");
    let seeds = number("FREEHOLD_STRESS_SEEDS").unwrap_or(if seconds.is_some() { u64::MAX } else { SEEDS });
    let limit = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let begun = Instant::now();
    let (mut programs, mut ops, mut failed) = (0u64, 0, 0);
    for seed in first..first.saturating_add(seeds) {
        let ended = std::panic::catch_unwind(|| run(plan(seed)));
        match ended.unwrap_or_else(|_| Err("it panicked".into())) {
            Ok(done) => ops += done,
            Err(what) => {
                println!("seed {seed}: {:?}\n{what}", plan(seed));
                failed += 1;
            }
        }
        programs += 1;
        if failed >= number("FREEHOLD_STRESS_FAILURES").unwrap_or(3) || begun.elapsed() > limit {
            break;
        }
    }
    println!("{programs} programs, {ops} operations, {} s", begun.elapsed().as_secs());
    assert_eq!(failed, 0, "of {programs} programs");
}
