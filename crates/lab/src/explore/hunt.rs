//! The search for a schedule under which a scenario fails.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use sim::explore::{self, Bounds, Ordered, Plan, Search, Seed, Strategy, Summary};

use super::run::{Cost, Failure, Kind, Log, Runner};

/// How to search.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which schedules.
    pub strategy: Strategy,
    /// How stores are ordered.
    pub ordered: Ordered,
    /// When to stop.
    pub bounds: Bounds,
}

/// What a search came to.
#[derive(Debug)]
pub struct Found {
    /// How many schedules were run, and whether that was all of them.
    pub summary: Summary,
    /// How long that took.
    pub elapsed: Duration,
    /// What for, as far as it was spent on runs.
    pub cost: Cost,
    /// A schedule under which the scenario fails, as short as it could be made.
    pub failing: Option<Failing>,
}

/// A schedule under which a scenario fails.
#[derive(Debug)]
pub struct Failing {
    /// What goes wrong.
    pub failure: Failure,
    /// The schedule.
    pub seed: Seed,
    /// How often it takes a CPU away from a task that could have gone on.
    pub preemptions: u32,
    /// How many choices of the seed could not be made: it is another scenario's, or another version's.
    pub misfits: u32,
    /// What happens under it.
    pub log: Log,
}

/// Runs a scenario under one schedule after another until one fails, or the search is over. `progress` is
/// told of each.
pub fn hunt(runner: &mut Runner<'_>, options: &Options, progress: &mut dyn FnMut(&Summary)) -> Found {
    let started = Instant::now();
    let mut search = Search::new(options.strategy.clone(), options.ordered, options.bounds);
    let mut failing = None;
    while let Some(plan) = search.next_plan() {
        let ran = runner.run(plan, None);
        let taken = search.take(&ran.run);
        progress(&search.summary());
        let failure = match (ran.failure, taken) {
            (Some(failure), _) => failure,
            (None, Err(error)) => Failure::not_repeatable(&error),
            (None, Ok(())) => continue,
        };
        failing = Some(shorten(runner, failure, ran.run.seed(), options.bounds.steps));
        break;
    }
    Found { summary: search.summary(), elapsed: started.elapsed(), cost: runner.cost(), failing }
}

/// How long a schedule is made shorter.
const SHORTENING: Duration = Duration::from_secs(20);
/// Schedules with more choices stay as they are: livelocks found at random.
const CHOICES_MAX: usize = 20_000;

/// Leaves out what does not matter of a schedule, and runs it once more to see what happens.
fn shorten(runner: &mut Runner<'_>, failure: Failure, seed: Seed, steps: u64) -> Failing {
    let is_worth_it = failure.kind != Kind::Misuse && seed.choices.len() <= CHOICES_MAX;
    let started = Instant::now();
    let mut try_again = |seed: &Seed| {
        (started.elapsed() < SHORTENING).then(|| again(runner, &failure, seed, steps)).flatten()
    };
    let seed = if is_worth_it { explore::minimise(seed, &mut try_again) } else { seed };
    let log = RefCell::default();
    let ran = runner.run(Plan::follow(seed.clone(), steps), Some(&log));
    Failing {
        failure: ran.failure.unwrap_or(failure),
        preemptions: ran.run.preemptions(),
        misfits: ran.run.misfits(),
        seed,
        log: log.into_inner(),
    }
}

/// Whether a seed makes the scenario fail in the same way; answers the seed of what was run.
fn again(runner: &mut Runner<'_>, failure: &Failure, seed: &Seed, steps: u64) -> Option<Seed> {
    let ran = runner.run(Plan::follow(seed.clone(), steps), None);
    ran.failure.is_some_and(|other| other.is_like(failure)).then(|| ran.run.seed())
}
