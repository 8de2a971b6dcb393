//! Who can take the next step.

use std::fmt;

/// The most CPUs a machine may have whose schedules are explored.
pub const CPUS_EXPLORED: u32 = 8;

/// The most channels a machine's devices may have.
pub(crate) const CHANNELS_MAX: u32 = 8;

/// Kinds of agents of a CPU; their index is three times the CPU plus the kind. Channels come after them.
const KINDS: u32 = 3;
/// Index of the first channel in a set of agents.
const CHANNELS: u32 = CPUS_EXPLORED * KINDS;

/// Something whose steps the schedule orders.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Agent {
    /// A CPU goes on with its task (or takes one that is ready).
    Cpu(u32),
    /// A CPU takes the interrupt that reached it first.
    Interrupt(u32),
    /// The oldest store in a CPU's store buffer reaches memory.
    Buffer(u32),
    /// A device makes the oldest transfer of a channel.
    Channel(u32),
}

impl Agent {
    pub(crate) fn index(self) -> usize {
        let index = match self {
            Agent::Cpu(cpu) => cpu * KINDS,
            Agent::Interrupt(cpu) => cpu * KINDS + 1,
            Agent::Buffer(cpu) => cpu * KINDS + 2,
            Agent::Channel(channel) => CHANNELS + channel,
        };
        index as usize
    }

    pub(crate) fn from_index(index: usize) -> Agent {
        let index = index as u32;
        if index >= CHANNELS {
            return Agent::Channel(index - CHANNELS);
        }
        match index % KINDS {
            0 => Agent::Cpu(index / KINDS),
            1 => Agent::Interrupt(index / KINDS),
            _ => Agent::Buffer(index / KINDS),
        }
    }
}

/// How many of which agents a machine has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    pub(crate) cpus: u32,
    pub(crate) channels: u32,
}

impl Shape {
    /// How many agents it has.
    pub(crate) fn agents(self) -> usize {
        (self.cpus * KINDS + self.channels) as usize
    }

    /// An agent's place among them: without a gap.
    pub(crate) fn place(self, agent: Agent) -> usize {
        match agent {
            Agent::Channel(channel) => (self.cpus * KINDS + channel) as usize,
            _ => agent.index(),
        }
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Agent::Cpu(cpu) => write!(f, "c{cpu}"),
            Agent::Interrupt(cpu) => write!(f, "i{cpu}"),
            Agent::Buffer(cpu) => write!(f, "b{cpu}"),
            Agent::Channel(channel) => write!(f, "d{channel}"),
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
