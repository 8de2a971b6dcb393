//! Fewer departures from the default schedule that still fail.

use super::seed::Seed;

/// Leaves out choices of a seed as long as `again` says that the run still fails the same way; it answers
/// with the seed of what it ran then. The result is such that no single choice can be left out.
pub fn minimise(seed: Seed, mut again: impl FnMut(&Seed) -> Option<Seed>) -> Seed {
    let mut best = seed;
    let mut size = best.choices.len().div_ceil(2);
    while size != 0 {
        match smaller(&best, size, &mut again) {
            Some(found) => best = found,
            None if size == 1 => break,
            None => size = size.div_ceil(2),
        }
        size = size.min(best.choices.len());
    }
    best
}

/// The first failing seed with some `size` choices in a row left out.
fn smaller(seed: &Seed, size: usize, again: &mut impl FnMut(&Seed) -> Option<Seed>) -> Option<Seed> {
    // From the end: what comes late depends on what came before, not the other way round.
    let starts = (0..seed.choices.len().div_ceil(size)).rev().map(|chunk| chunk * size);
    for start in starts {
        let end = (start + size).min(seed.choices.len());
        let choices = [&seed.choices[..start], &seed.choices[end..]].concat();
        let found = again(&Seed { choices, ..*seed });
        if let Some(found) = found.filter(|found| found.choices.len() < seed.choices.len()) {
            return Some(found);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::Agent;

    #[test]
    fn what_does_not_matter_is_left_out() {
        let choices = (0..100).map(|n| (n, Agent::Cpu(n % 2))).collect();
        let seed = Seed { choices, ..Seed::default() };
        let matters = |seed: &Seed| [13, 14, 77].iter().all(|n| seed.choices.iter().any(|c| c.0 == *n));
        let mut runs = 0;
        let found = minimise(seed, |seed| {
            runs += 1;
            matters(seed).then(|| seed.clone())
        });
        assert_eq!(found.choices.iter().map(|choice| choice.0).collect::<Vec<_>>(), [13, 14, 77]);
        assert!(runs < 150, "{runs} runs");
    }
}
