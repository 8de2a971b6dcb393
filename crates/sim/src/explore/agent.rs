//! Who can take the next step.

use std::fmt;

/// The most CPUs a machine may have whose schedules are explored.
pub const CPUS_EXPLORED: u32 = 8;

/// Kinds of agents; an agent's index is three times its CPU plus its kind.
const KINDS: u32 = 3;

/// Something whose steps the schedule orders.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Agent {
    /// A CPU goes on with its task (or takes one that is ready).
    Cpu(u32),
    /// A CPU takes the interrupt that reached it first.
    Interrupt(u32),
    /// The oldest store in a CPU's store buffer reaches memory.
    Buffer(u32),
}

impl Agent {
    /// The CPU it belongs to.
    pub fn cpu(self) -> u32 {
        match self {
            Agent::Cpu(cpu) | Agent::Interrupt(cpu) | Agent::Buffer(cpu) => cpu,
        }
    }

    /// How many agents so many CPUs have.
    pub(crate) const fn count(cpus: u32) -> usize {
        (cpus * KINDS) as usize
    }

    pub(crate) fn index(self) -> usize {
        let kind = match self {
            Agent::Cpu(_) => 0,
            Agent::Interrupt(_) => 1,
            Agent::Buffer(_) => 2,
        };
        (self.cpu() * KINDS + kind) as usize
    }

    pub(crate) fn from_index(index: usize) -> Agent {
        let cpu = index as u32 / KINDS;
        match index as u32 % KINDS {
            0 => Agent::Cpu(cpu),
            1 => Agent::Interrupt(cpu),
            _ => Agent::Buffer(cpu),
        }
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Agent::Cpu(cpu) => write!(f, "c{cpu}"),
            Agent::Interrupt(cpu) => write!(f, "i{cpu}"),
            Agent::Buffer(cpu) => write!(f, "b{cpu}"),
        }
    }
}

/// A set of agents.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Agents(u32);

impl Agents {
    pub(crate) fn one(agent: Agent) -> Agents {
        Agents(1 << agent.index())
    }

    pub(crate) fn add(&mut self, agent: Agent) {
        self.0 |= 1 << agent.index();
    }

    pub(crate) fn has(self, agent: Agent) -> bool {
        self.0 & 1 << agent.index() != 0
    }

    pub(crate) fn and(self, other: Agents) -> Agents {
        Agents(self.0 | other.0)
    }

    pub(crate) fn without(self, other: Agents) -> Agents {
        Agents(self.0 & !other.0)
    }

    pub(crate) fn len(self) -> u32 {
        self.0.count_ones()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Agent> {
        let mut bits = self.0;
        std::iter::from_fn(move || {
            let index = bits.trailing_zeros();
            (bits != 0).then(|| {
                bits &= bits - 1;
                Agent::from_index(index as usize)
            })
        })
    }
}
