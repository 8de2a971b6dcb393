//! What nobody can be faster than.

use std::hint::black_box;
use std::time::Instant;

use super::{Options, Row, Side, Trouble};
use crate::bench::stats;

/// Words of a page.
const WORDS: usize = 512;
/// Words of a cache line.
const LINE: usize = 8;

/// The bench.
pub(super) fn rows(options: &Options) -> Result<Vec<Row>, Trouble> {
    // Larger than the caches of any machine of today.
    let pages = options.sized(131_072, 64);
    let (mut hot, mut cold) = (vec![1u64; WORDS], vec![1u64; pages * WORDS]);
    let mut zero_hot = || Ok(zero(&mut hot, options.sized(10_000, 10)));
    let hot_zeroed = stats::in_turn(options, &mut [&mut zero_hot])?;
    let mut zero_cold = || Ok(zero(&mut cold, 1));
    let cold_zeroed = stats::in_turn(options, &mut [&mut zero_cold])?;
    let (from, to) = cold.split_at_mut(pages / 2 * WORDS);
    let mut copy_cold = || Ok(copy(from, to));
    let copied = stats::in_turn(options, &mut [&mut copy_cold])?;
    chain(&mut cold);
    let mut chase_cold = || Ok(chase(&cold, options.sized(1_000_000, 100)));
    let missed = stats::in_turn(options, &mut [&mut chase_cold])?;
    let row = |name: &str, samples: &[stats::Samples]| Row {
        min: Some(samples[0].min()),
        ..Row::new(Side::Native, name, samples[0].median(), "ns")
    };
    Ok(vec![
        row("zero 4 KiB in cache", &hot_zeroed),
        row("zero 4 KiB in memory", &cold_zeroed),
        row("copy 4 KiB in memory", &copied),
        row("cache miss", &missed),
    ])
}

/// Nanoseconds to zero a page of `words`, all of them `times` times.
fn zero(words: &mut [u64], times: usize) -> f64 {
    let started = Instant::now();
    for _ in 0..times {
        for page in words.chunks_exact_mut(WORDS) {
            black_box(&mut *page).fill(0);
        }
    }
    let pages = words.len() / WORDS * times;
    started.elapsed().as_nanos() as f64 / pages as f64
}

/// Nanoseconds to copy a page.
fn copy(from: &[u64], to: &mut [u64]) -> f64 {
    let started = Instant::now();
    for (from, to) in from.chunks_exact(WORDS).zip(to.chunks_exact_mut(WORDS)) {
        black_box(to).copy_from_slice(black_box(from));
    }
    started.elapsed().as_nanos() as f64 / (from.len() / WORDS) as f64
}

/// Makes the first word of each line the number of another line: one round through all of them, at random
/// (Sattolo's shuffle).
fn chain(words: &mut [u64]) {
    let lines = words.len() / LINE;
    for line in 0..lines {
        words[line * LINE] = line as u64;
    }
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for line in (1..lines).rev() {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let other = (state >> 33) as usize % line;
        words.swap(line * LINE, other * LINE);
    }
}

/// Nanoseconds of a load that hangs on the load before it, in a chain through all lines.
fn chase(words: &[u64], loads: usize) -> f64 {
    let mut line = 0;
    let started = Instant::now();
    for _ in 0..loads {
        line = words[line as usize * LINE];
    }
    black_box(line);
    started.elapsed().as_nanos() as f64 / loads as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_visits_every_line_once() {
        let mut words = vec![0; 64 * LINE];
        chain(&mut words);
        let (mut line, mut visited) = (0, 0);
        loop {
            line = words[line as usize * LINE];
            visited += 1;
            if line == 0 {
                break;
            }
        }
        assert_eq!(visited, 64);
    }
}
