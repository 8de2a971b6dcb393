//! When the whole state is audited.

use std::num::NonZeroUsize;
use std::str::FromStr;

/// When the whole state is audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Never.
    Off,
    /// After the last event.
    End,
    /// Every so many steps (events, and accesses of touches), and after the last event.
    Every(NonZeroUsize),
}

impl When {
    /// Whether it is time, after so many steps.
    pub(crate) fn is_due(self, steps: usize) -> bool {
        matches!(self, When::Every(n) if steps.is_multiple_of(n.get()))
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
