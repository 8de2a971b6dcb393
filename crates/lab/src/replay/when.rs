//! When the whole state is audited.

use std::num::NonZeroUsize;
use std::str::FromStr;

/// When the whole state is audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Never.
    Off,
    /// After the last event.
    End,
    /// Every so many events, and after the last.
    Every(NonZeroUsize),
}

impl When {
    /// Whether it is time, with so many of all events done.
    pub(crate) fn is_due(self, done: usize, all: usize) -> bool {
        match self {
            When::Off => false,
            When::End => done == all,
            When::Every(n) => done == all || done.is_multiple_of(n.get()),
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(When::Off),
            "end" => Ok(When::End),
            "step" => Ok(When::Every(NonZeroUsize::MIN)),
            _ => text
                .strip_prefix("every=")
                .and_then(|n| n.parse().ok())
                .map(When::Every)
                .ok_or_else(|| format!("'{text}' is none of off, end, step, every=N (N from 1)")),
        }
    }
}
