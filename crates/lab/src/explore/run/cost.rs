//! Where the host's time goes.

use std::time::{Duration, Instant};

/// The parts of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The machine and the manager are built, files and the first process made.
    Build,
    /// `setup` and `end`.
    Alone,
    /// The CPUs together.
    Together,
    /// The oracle looks at everything, the shadow at every word.
    Audit,
    /// All exit, and the oracle looks again.
    TakeDown,
}

/// The host's time, by part of a run.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Cost([Duration; Part::ALL.len()]);

impl Part {
    /// All of them.
    pub const ALL: [Part; 5] = [Part::Build, Part::Alone, Part::Together, Part::Audit, Part::TakeDown];

    /// As `--json` has it.
    pub fn name(self) -> &'static str {
        match self {
            Part::Build => "build",
            Part::Alone => "alone",
            Part::Together => "together",
            Part::Audit => "audit",
            Part::TakeDown => "take_down",
        }
    }
}

impl Cost {
    /// What a part took in all runs.
    pub fn of(&self, part: Part) -> Duration {
        self.0[part as usize]
    }

    /// A part is over that began at `since`, and another one begins.
    pub(super) fn book(&mut self, part: Part, since: &mut Instant) {
        let now = Instant::now();
        self.0[part as usize] += now - *since;
        *since = now;
    }
}
