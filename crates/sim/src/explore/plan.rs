//! One run: what it is to decide, and what it decided.

use super::agent::{Agent, Agents};
use super::happens::Race;
use super::random::{Dice, Priorities};
use super::seed::{Ordered, Seed};

/// How a run is to be scheduled.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How stores are ordered.
    pub(crate) ordered: Ordered,
    /// What the first decisions are.
    pub(crate) prefix: Vec<Agent>,
    /// How the others are made.
    pub(crate) then: Then,
    /// How many points a run may pass.
    pub(crate) steps_max: u64,
    /// Whether races are looked for.
    pub(crate) races: Races,
}

/// Whether a run looks for what could have come the other way round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Races {
    Sought,
    Ignored,
}

/// How decisions are made.
#[derive(Clone, Debug)]
pub(crate) enum Then {
    /// The same agent as long as it can.
    Default,
    /// At random.
    Random(Dice),
    /// The agent with the highest priority.
    Pct(Priorities),
    /// As a seed says.
    Follow(Seed),
}

impl Plan {
    /// The schedule of a seed. A choice of an agent that cannot go on at its decision is passed over (see
    /// [`Run::misfits`]).
    pub fn follow(seed: Seed, steps_max: u64) -> Plan {
        Plan {
            ordered: seed.ordered,
            prefix: Vec::new(),
            then: Then::Follow(seed),
            steps_max,
            races: Races::Ignored,
        }
    }
}

/// A decision that was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Decision {
    /// Who could have gone on.
    pub(crate) enabled: Agents,
    /// Who did.
    pub(crate) chosen: Agent,
    /// Who would have by default.
    pub(crate) default: Agent,
    /// The CPU that ran before.
    pub(crate) last: u32,
    /// The decision at which that CPU was let run; `u32::MAX` if nobody else could run then.
    pub(crate) block: u32,
}

impl Decision {
    /// The decision at which the CPU that goes on after this one, number `own`, was let run.
    pub(crate) fn block_after(&self, own: u32) -> u32 {
        match self.chosen {
            Agent::Cpu(cpu) if cpu != self.last => own,
            _ => self.block,
        }
    }

    /// Whether the choice takes a CPU away from a task that could go on.
    pub(crate) fn is_preemption(&self, choice: Agent) -> bool {
        match choice {
            Agent::Cpu(cpu) => cpu != self.last && self.enabled.has(Agent::Cpu(self.last)),
            Agent::Interrupt(_) | Agent::Buffer(_) | Agent::Channel(_) => false,
        }
    }
}

/// What a run decided.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Run {
    pub(crate) ordered: Ordered,
    pub(crate) decisions: Vec<Decision>,
    pub(crate) races: Vec<Race>,
    pub(crate) misfits: u32,
    pub(crate) steps: u64,
}

impl Run {
    /// The seed that makes the same run again.
    pub fn seed(&self) -> Seed {
        let departs = |(number, made): (usize, &Decision)| {
            (made.chosen != made.default).then_some((number as u32, made.chosen))
        };
        let choices = self.decisions.iter().enumerate().filter_map(departs).collect();
        Seed { ordered: self.ordered, choices }
    }

    /// How often it took a CPU away from a task that could have gone on.
    pub fn preemptions(&self) -> u32 {
        self.decisions.iter().filter(|made| made.is_preemption(made.chosen)).count() as u32
    }

    /// How many points it passed at which CPUs can meet.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// How many choices of its seed could not be made: the seed is another scenario's, or another version's.
    pub fn misfits(&self) -> u32 {
        self.misfits
    }
}
