//! Which schedules are run.
//!
//! The exhaustive search runs every schedule with up to a number of preemptions, except those equivalent to
//! one that was run: it tries another agent at a decision only if a race of some run says that the order
//! matters there. A race asks for its later agent right before its earlier step; since that may cost a
//! preemption too many, also where the earlier step's CPU was let run, which costs none (Coons, Musuvathi
//! and McKinley, "Bounded partial-order reduction", OOPSLA 2013). The bound grows from 0, so that the
//! simplest failure is found first (Musuvathi and Qadeer, "Iterative context bounding", PLDI 2007).

use super::agent::{Agent, Agents};
use super::plan::{Decision, Plan, Races, Run, Then};
use super::random::{Dice, Priorities};
use super::seed::{Ordered, Seed};
use std::time::{Duration, Instant};

/// How schedules are chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Strategy {
    /// All of them, up to a number of preemptions, but one of each set of equivalent ones.
    Exhaustive {
        /// How often a run may take a CPU away from a task that could go on.
        preemptions: u32,
    },
    /// All of them, equivalent ones too: to check the above, and to see what it saves.
    Unpruned {
        /// As above.
        preemptions: u32,
    },
    /// At random.
    Random {
        /// Determines all of them.
        seed: u64,
    },
    /// Probabilistic concurrency testing.
    Pct {
        /// Determines all of them.
        seed: u64,
        /// How many orderings a bug needs.
        depth: u32,
    },
    /// This one.
    Replay(Seed),
}

/// Where a search stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// How many schedules are run.
    pub schedules: u64,
    /// How many points a run may pass; more is a livelock.
    pub steps: u64,
    /// How long the search may take. An exhaustive search always looks at one schedule.
    pub time: Option<Duration>,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { schedules: u64::MAX, steps: 200_000, time: None }
    }
}

/// What a search did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// How many schedules were run.
    pub schedules: u64,
    /// How many other choices at decisions (within the last bound) would have led to equivalent schedules
    /// only.
    pub pruned: u64,
    /// The number of preemptions up to which every schedule was run, or an equivalent one.
    pub complete: Option<u32>,
    /// The most points that a run passed.
    pub steps: u64,
}

/// A decision on the path that is being searched.
struct Node {
    made: Decision,
    /// Who has been tried, is being tried, or need not be.
    done: Agents,
    /// Who has to be tried.
    wanted: Agents,
    /// How many preemptions came before.
    spent: u32,
}

/// A search through the schedules of one scenario.
pub struct Search {
    strategy: Strategy,
    ordered: Ordered,
    bounds: Bounds,
    started: Instant,
    path: Vec<Node>,
    /// The bound on preemptions that is being searched.
    allowed: u32,
    /// Decisions of the last random run.
    length: u64,
    over: bool,
    summary: Summary,
}

impl Search {
    /// A search that has run nothing yet.
    pub fn new(strategy: Strategy, ordered: Ordered, bounds: Bounds) -> Search {
        Search {
            strategy,
            ordered,
            bounds,
            started: Instant::now(),
            path: Vec::new(),
            allowed: 0,
            length: 1,
            over: false,
            summary: Summary::default(),
        }
    }

    /// What it did so far.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// The next schedule to run. [`Search::take`] is told what became of it.
    pub fn next_plan(&mut self) -> Option<Plan> {
        let late = self.bounds.time.is_some_and(|time| self.started.elapsed() >= time);
        if self.over || self.summary.schedules >= self.bounds.schedules || late && self.summary.schedules != 0
        {
            return None;
        }
        let run = self.summary.schedules;
        let (then, races) = match &self.strategy {
            Strategy::Exhaustive { .. } => (Then::Default, Races::Sought),
            Strategy::Unpruned { .. } => (Then::Default, Races::Ignored),
            &Strategy::Random { seed } => (Then::Random(Dice::new(seed, run)), Races::Ignored),
            &Strategy::Pct { seed, depth } => {
                (Then::Pct(Priorities::new(seed, run, depth, self.length)), Races::Ignored)
            }
            Strategy::Replay(seed) => return Some(Plan::follow(seed.clone(), self.bounds.steps)),
        };
        let prefix = self.path.iter().map(|node| node.made.chosen).collect();
        Some(Plan { ordered: self.ordered, prefix, then, steps_max: self.bounds.steps, races })
    }

    /// Takes note of a run. Answers an error if the scenario does not behave the same way when it is run the
    /// same way: then a search makes no sense.
    pub fn take(&mut self, run: &Run) -> Result<(), NotRepeatable> {
        self.summary.schedules += 1;
        self.summary.steps = self.summary.steps.max(run.steps);
        self.length = run.decisions.len() as u64;
        match self.strategy {
            Strategy::Exhaustive { preemptions } => {
                self.note(run)?;
                self.go_back(preemptions);
            }
            Strategy::Unpruned { preemptions } => {
                self.note(run)?;
                for node in &mut self.path {
                    node.wanted = node.made.enabled;
                }
                self.go_back(preemptions);
            }
            Strategy::Random { .. } | Strategy::Pct { .. } => {}
            Strategy::Replay(_) => self.over = true,
        }
        Ok(())
    }

    // ---- the exhaustive search ----

    fn note(&mut self, run: &Run) -> Result<(), NotRepeatable> {
        let same = |(node, made): (&Node, &Decision)| {
            node.made.enabled == made.enabled && node.made.chosen == made.chosen
        };
        if run.decisions.len() < self.path.len() || !self.path.iter().zip(&run.decisions).all(same) {
            return Err(NotRepeatable);
        }
        for made in &run.decisions[self.path.len()..] {
            let spent = self
                .path
                .last()
                .map_or(0, |node| node.spent + u32::from(node.made.is_preemption(node.made.chosen)));
            let chosen = Agents::one(made.chosen);
            self.path.push(Node { made: *made, done: chosen, wanted: chosen, spent });
        }
        for race in &run.races {
            self.want(race.decision, race.agent);
            let block = self.path[race.decision as usize].made.block_after(race.decision);
            if block != u32::MAX {
                self.want(block, race.agent);
            }
        }
        Ok(())
    }

    /// Asks for an agent to be tried at a decision. If it could not go on there, any of the others may be
    /// what lets it.
    fn want(&mut self, decision: u32, agent: Agent) {
        let node = &mut self.path[decision as usize];
        let enabled = node.made.enabled;
        node.wanted = node.wanted.and(if enabled.has(agent) { Agents::one(agent) } else { enabled });
    }

    /// Goes back to the last decision at which something is left to try, and tries it.
    fn go_back(&mut self, preemptions: u32) {
        let allowed = self.allowed;
        while let Some(node) = self.path.last_mut() {
            let affordable = |made: &Decision, spent: u32, agent: Agent| {
                spent + u32::from(made.is_preemption(agent)) <= allowed
            };
            let mut left = node.wanted.without(node.done).iter();
            if let Some(agent) = left.find(|&agent| affordable(&node.made, node.spent, agent)) {
                node.done.add(agent);
                node.made.chosen = agent;
                return;
            }
            let never = node.made.enabled.without(node.wanted).iter();
            self.summary.pruned +=
                never.filter(|&agent| affordable(&node.made, node.spent, agent)).count() as u64;
            self.path.pop();
        }
        self.summary.complete = Some(allowed);
        self.allowed += 1;
        self.over = allowed >= preemptions;
        if !self.over {
            self.summary.pruned = 0;
        }
    }
}

/// A run that was to repeat another one's decisions met others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the same schedule led elsewhere: the scenario depends on more than its schedule")]
pub struct NotRepeatable;
