//! What nobody can be faster than.

use std::hint::black_box;

use native::peer::{Clock, null_call};

use super::{Options, Row, Side, Trouble, stats};

/// Words of a page.
const WORDS: usize = 512;
/// Words of a cache line.
const LINE: usize = 8;

/// The bench.
pub(super) fn rows(options: &Options) -> Result<Vec<Row>, Trouble> {
    let clock = options.clock;
    // Larger than the caches of any machine of today.
    let (mut hot, mut cold) = (memory(4096), memory(options.sized(512 << 20, 64 << 12)));
    let (mut from, mut to) =
        (memory(options.sized(256 << 20, 4 << 12)), memory(options.sized(256 << 20, 4 << 12)));
    let mut lines = memory(options.sized(512 << 20, 64 << 12));
    from.fill(1);
    to.fill(2);
    chain(&mut lines);
    let mut zero_hot = || Ok(zero(clock, &mut hot, options.sized(100_000, 10)));
    let mut zero_cold = || Ok(zero(clock, &mut cold, 1));
    let mut copy_cold = || Ok(copy(clock, &from, &mut to));
    let mut chase_cold = || Ok(chase(clock, &lines, options.sized(1_000_000, 100)));
    let mut call = || Ok(calls(clock, options.sized(1_000_000, 100)));
    let samples = stats::in_turn(
        options,
        &mut [&mut zero_hot, &mut zero_cold, &mut copy_cold, &mut chase_cold, &mut call],
    )?;
    let names = [
        "zero 4 KiB in cache",
        "zero 4 KiB in memory",
        "copy 4 KiB in memory",
        "cache and TLB miss",
        "system call that does nothing",
    ];
    let row = |(name, samples): (&str, &stats::Samples)| Row {
        min: Some(samples.min()),
        ..Row::new(Side::Native, name, samples.median(), "ns")
    };
    Ok(names.into_iter().zip(&samples).map(row).collect())
}

/// So many bytes, all in memory.
pub(super) fn memory(bytes: u64) -> Vec<u64> {
    vec![1; bytes as usize / 8]
}

/// Nanoseconds to zero a page of `words`, all of them `times` times.
pub(super) fn zero(clock: Clock, words: &mut [u64], times: usize) -> f64 {
    let started = clock.now();
    for _ in 0..times {
        for page in words.chunks_exact_mut(WORDS) {
            black_box(&mut *page).fill(0);
        }
    }
    let pages = words.len() / WORDS * times;
    (clock.now() - started) as f64 / pages as f64
}

/// Nanoseconds to copy a page.
fn copy(clock: Clock, from: &[u64], to: &mut [u64]) -> f64 {
    let started = clock.now();
    for (from, to) in from.chunks_exact(WORDS).zip(to.chunks_exact_mut(WORDS)) {
        black_box(to).copy_from_slice(black_box(from));
    }
    (clock.now() - started) as f64 / (from.len() / WORDS) as f64
}

/// Nanoseconds of an empty system call.
fn calls(clock: Clock, times: u32) -> f64 {
    let started = clock.now();
    (0..times).for_each(|_| null_call());
    (clock.now() - started) as f64 / f64::from(times)
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
fn chase(clock: Clock, words: &[u64], loads: u32) -> f64 {
    let mut line = 0;
    let started = clock.now();
    for _ in 0..loads {
        line = words[line as usize * LINE];
    }
    black_box(line);
    (clock.now() - started) as f64 / f64::from(loads)
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
