//! Schedules drawn at random.

use super::agent::{Agent, Agents, CHANNELS_MAX, CPUS_EXPLORED, Shape};
use crate::synthetic::mix;

/// Numbers that one seed determines.
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    state: u64,
    /// One decision in so many departs from the default.
    rarity: u64,
}

impl Dice {
    pub(crate) fn new(seed: u64, run: u64) -> Dice {
        let state = mix(seed ^ mix(run));
        // Few or many departures: neither finds everything.
        let rarity = [2, 8, 32, 128][(state % 4) as usize];
        Dice { state, rarity }
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.state = self.state.wrapping_add(1);
        // The product's upper half is below `n`.
        ((u128::from(mix(self.state)) * u128::from(n.max(1))) >> 64) as u64
    }

    pub(crate) fn choose(&mut self, enabled: Agents, default: Agent) -> Agent {
        if self.below(self.rarity) != 0 {
            return default;
        }
        let index = self.below(u64::from(enabled.len())) as usize;
        enabled.iter().nth(index).unwrap_or(default)
    }
}

/// Probabilistic concurrency testing: random priorities, and a few random moments at which the running agent
/// falls behind all others (Burckhardt, Kothari, Musuvathi and Nagarakatte, "A randomized scheduler with
/// probabilistic guarantees of finding bugs", ASPLOS 2010).
#[derive(Clone, Debug)]
pub(crate) struct Priorities {
    /// By agent; the higher goes first.
    of: Vec<u64>,
    /// At which decisions the running agent falls behind, ascending.
    changes: Vec<u64>,
    made: u64,
}

impl Priorities {
    /// `depth` is the number of orderings that a bug needs; `length` how many decisions a run makes.
    pub(crate) fn new(seed: u64, run: u64, depth: u32, length: u64) -> Priorities {
        let mut dice = Dice::new(seed, run);
        let priority = |dice: &mut Dice| dice.below(1 << 32) + u64::from(depth);
        let cpus = Shape { cpus: CPUS_EXPLORED, channels: 0 }.agents();
        let mut of: Vec<u64> = (0..cpus).map(|_| priority(&mut dice)).collect();
        let mut changes: Vec<u64> = (1..depth).map(|_| dice.below(length)).collect();
        changes.sort_unstable();
        // Drawn last, so that a seed means the same whether there are devices or not.
        of.extend((0..CHANNELS_MAX).map(|_| priority(&mut dice)));
        Priorities { of, changes, made: 0 }
    }

    pub(crate) fn choose(&mut self, enabled: Agents, default: Agent) -> Agent {
        let first = |of: &[u64]| enabled.iter().max_by_key(|agent| of[agent.index()]).unwrap_or(default);
        let mut chosen = first(&self.of);
        while let Some(index) = self.changes.iter().position(|&change| change == self.made) {
            self.changes.remove(index);
            // Below all first priorities, and below those that fell before.
            self.of[chosen.index()] = self.changes.len() as u64;
            chosen = first(&self.of);
        }
        self.made += 1;
        chosen
    }
}
