//! Repetitions, each side in turn, and what is told of them.

use std::time::Instant;

use super::{Options, Trouble};

/// What the repetitions of one measurement gave.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// The middle one; of an even number the mean of the two in the middle. 0 of none.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => 0.0,
            odd if odd % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many took over twice the median. None is thrown away: where the host had taken memory back, or
    /// others had the processor, this says how often.
    pub(crate) fn slow(&self) -> usize {
        let twice = 2.0 * self.median();
        self.0.iter().filter(|sample| **sample > twice).count()
    }

    /// The least; 0 of none.
    pub(crate) fn min(&self) -> f64 {
        self.0.iter().copied().min_by(f64::total_cmp).unwrap_or(0.0)
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(samples: I) -> Self {
        Samples(samples.into_iter().collect())
    }
}

/// One repetition of one side: how long it took, in the unit of its row.
pub(crate) type Measurement<'a> = &'a mut dyn FnMut() -> Result<f64, Trouble>;

/// Measures each in turn, again and again: A B A B. One round before the first does not count: it makes
/// memory and caches warm. Stops early when the time is up, but not before the first round that counts.
pub(crate) fn in_turn(options: &Options, sides: &mut [Measurement<'_>]) -> Result<Vec<Samples>, Trouble> {
    for side in &mut *sides {
        side()?;
    }
    let started = Instant::now();
    let mut samples = vec![Samples::default(); sides.len()];
    for rep in 0..options.reps {
        if rep > 0 && options.budget.is_some_and(|budget| started.elapsed() >= budget) {
            break;
        }
        for (side, samples) in sides.iter_mut().zip(&mut samples) {
            samples.0.push(side()?);
        }
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Size;
    use native::peer::Clock;
    use std::cell::RefCell;
    use std::time::Duration;

    fn options(reps: usize, budget: Option<Duration>) -> Options {
        Options { reps, budget, clock: Clock::Thread, size: Size::Quick }
    }

    fn of(values: &[f64]) -> Samples {
        Samples(values.to_vec())
    }

    #[test]
    fn a_median_is_the_middle() {
        assert_eq!(of(&[3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]).median(), 2.5);
        assert_eq!(of(&[7.0]).median(), 7.0);
        assert_eq!(of(&[]).median(), 0.0);
        // One far outlier moves a mean, not a median.
        let outlier = of(&[1.0, 1.0, 1.0, 1.0, 1e9]);
        assert_eq!((outlier.median(), outlier.slow(), outlier.len()), (1.0, 1, 5));
    }

    #[test]
    fn a_minimum_is_the_least() {
        assert_eq!(of(&[3.0, 1.0, 2.0]).min(), 1.0);
        assert_eq!(of(&[]).min(), 0.0);
    }

    #[test]
    fn sides_take_turns_and_the_first_round_does_not_count() {
        let order = RefCell::new(String::new());
        let options = options(2, None);
        let mut count = 0.0;
        let mut ours = || {
            order.borrow_mut().push('a');
            count += 1.0;
            Ok(count)
        };
        let mut theirs = || {
            order.borrow_mut().push('b');
            Ok(0.0)
        };
        let samples = in_turn(&options, &mut [&mut ours, &mut theirs]).expect("no trouble");
        assert_eq!(samples, [of(&[2.0, 3.0]), of(&[0.0, 0.0])]);
        assert_eq!(*order.borrow(), "ababab");
    }

    #[test]
    fn no_time_leaves_one_round() {
        let options = options(5, Some(Duration::ZERO));
        let samples = in_turn(&options, &mut [&mut || Ok(1.0)]).expect("no trouble");
        assert_eq!(samples, [of(&[1.0])]);
    }
}
