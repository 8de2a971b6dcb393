//! A schedule in one line.

use super::Agent;
use super::agent::{CHANNELS_MAX, CPUS_EXPLORED};
use std::fmt;
use std::str::FromStr;

/// A seed may name so many decisions.
const LENGTH_MAX: usize = 100_000;

/// How memory orders the CPUs' stores.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ordered {
    /// As they happen: sequential consistency.
    #[default]
    Sequential,
    /// Each CPU's stores wait in its store buffer (x86-TSO).
    Buffered,
}

/// Where a schedule departs from the default one, which lets a CPU run until it has to wait and takes
/// interrupts at once. A decision is a moment at which more than one agent could go on; they are counted
/// from 0.
///
/// As text: `sc:` (or `tso:`), then the decisions with the agent chosen, as in `sc:41c1,57i0`: `c` a CPU, `i`
/// its interrupt, `b` its store buffer, `d` a device's channel.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seed {
    /// How stores are ordered.
    pub ordered: Ordered,
    /// Decision and choice, ascending.
    pub choices: Vec<(u32, Agent)>,
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.ordered {
            Ordered::Sequential => "sc:",
            Ordered::Buffered => "tso:",
        })?;
        for (index, (decision, agent)) in self.choices.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{decision}{agent}")?;
        }
        Ok(())
    }
}

/// Why a line is no seed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{part}` in a seed: expected {expected}")]
pub struct SeedError {
    part: String,
    expected: &'static str,
}

impl SeedError {
    fn new(part: &str, expected: &'static str) -> SeedError {
        SeedError { part: part.chars().take(40).collect(), expected }
    }
}

impl FromStr for Seed {
    type Err = SeedError;

    fn from_str(text: &str) -> Result<Seed, SeedError> {
        let (ordered, rest) = match text.trim().split_once(':') {
            Some(("sc", rest)) => (Ordered::Sequential, rest),
            Some(("tso", rest)) => (Ordered::Buffered, rest),
            _ => return Err(SeedError::new(text, "`sc:` or `tso:` at the start")),
        };
        let parts = rest.split(',').filter(|part| !part.is_empty());
        let choices = parts.map(choice).collect::<Result<Vec<_>, _>>()?;
        if choices.len() > LENGTH_MAX {
            return Err(SeedError::new(text, "at most 100000 choices"));
        }
        if !choices.is_sorted_by_key(|choice| choice.0) {
            return Err(SeedError::new(text, "decisions in ascending order"));
        }
        Ok(Seed { ordered, choices })
    }
}

fn choice(part: &str) -> Result<(u32, Agent), SeedError> {
    let fail = || SeedError::new(part, "a decision and an agent, as in `41c1`, `57i0` or `60b0`");
    let letter = part.find(|c: char| !c.is_ascii_digit()).ok_or_else(fail)?;
    let decision = part[..letter].parse().map_err(|_| fail())?;
    let kind = part[letter..].chars().next().ok_or_else(fail)?;
    let number = part[letter + kind.len_utf8()..].parse().map_err(|_| fail())?;
    let (agent, end, expected) = match kind {
        'c' => (Agent::Cpu(number), CPUS_EXPLORED, "a CPU below 8"),
        'i' => (Agent::Interrupt(number), CPUS_EXPLORED, "a CPU below 8"),
        'b' => (Agent::Buffer(number), CPUS_EXPLORED, "a CPU below 8"),
        'd' => (Agent::Channel(number), CHANNELS_MAX, "a channel below 8"),
        _ => return Err(fail()),
    };
    if number < end { Ok((decision, agent)) } else { Err(SeedError::new(part, expected)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_what_its_text_says() {
        for text in ["sc:", "tso:", "sc:0c1", "tso:3b0,41c1,57i0", "sc:2d0,7d7"] {
            assert_eq!(text.parse::<Seed>().expect("a seed").to_string(), text);
        }
    }

    #[test]
    fn what_is_no_seed_is_refused() {
        let texts = [
            "",
            "sc",
            "pso:1c0",
            "sc:c1",
            "sc:1",
            "sc:1x0",
            "sc:1c9",
            "sc:1d8",
            "sc:5c0,4c0",
            "sc:1é0",
            "sc:99999999999c0",
        ];
        for text in texts {
            assert!(text.parse::<Seed>().is_err(), "{text}");
        }
    }
}
