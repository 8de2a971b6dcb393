//! What a run of a scenario came to.

use std::fmt;

use super::super::script::Place;

/// What went wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A rule of `docs/rules.md` does not hold.
    Rule,
    /// A load found what nobody stored there.
    WrongByte,
    /// Something is not as the scenario expects it.
    Expectation,
    /// A translation was used, or kept, whose frame was given up.
    StaleTranslation,
    /// The machine found something else to be wrong.
    Machine,
    /// Nobody can go on.
    Deadlock,
    /// It does not come to an end.
    Livelock,
    /// Something is left when everybody has exited.
    Leak,
    /// An assertion of the manager does not hold.
    Panic,
    /// The same schedule led elsewhere when it was run again.
    NotRepeatable,
    /// The scenario itself does not make sense.
    Misuse,
}

impl Kind {
    /// As `--json` has it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Rule => "rule",
            Kind::WrongByte => "wrong-byte",
            Kind::Expectation => "expectation",
            Kind::StaleTranslation => "stale-translation",
            Kind::Machine => "machine",
            Kind::Deadlock => "deadlock",
            Kind::Livelock => "livelock",
            Kind::Leak => "leak",
            Kind::Panic => "panic",
            Kind::NotRepeatable => "not-repeatable",
            Kind::Misuse => "misuse",
        }
    }
}

/// Where something went wrong: which step of which CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spot {
    /// The CPU.
    pub cpu: u32,
    /// The step.
    pub at: Place,
}

/// A run that went wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// What.
    pub kind: Kind,
    /// The rule's number, if it has one: `TR3`, `O1`, the machine's own name for it.
    pub rule: Option<String>,
    /// In words. It may have several lines.
    pub text: String,
    /// Where, unless it was seen when all was over.
    pub spot: Option<Spot>,
}

impl Failure {
    pub(super) fn new(kind: Kind, text: impl Into<String>) -> Failure {
        let rule = match kind {
            Kind::WrongByte => Some("O1".into()),
            Kind::Deadlock => Some("O4".into()),
            Kind::Livelock => Some("O6".into()),
            _ => None,
        };
        Failure { kind, rule, text: text.into(), spot: None }
    }

    /// A run did not do what the same schedule did before.
    pub(crate) fn not_repeatable(why: &impl fmt::Display) -> Failure {
        Failure::new(Kind::NotRepeatable, why.to_string())
    }

    /// Whether another run failed in the same way: at the same step, if there was one, with the same rule.
    /// What the text says of values and addresses may differ from schedule to schedule.
    pub fn is_like(&self, other: &Failure) -> bool {
        (self.kind, &self.rule, self.spot) == (other.kind, &other.rule, other.spot)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Some(rule) => write!(f, "{} ({rule}): {}", self.kind.name(), self.text),
            None => write!(f, "{}: {}", self.kind.name(), self.text),
        }
    }
}
