//! A column: one policy, and what became of a recording under it.

use serde_json::{Value, json};

use crate::exit::Error;
use crate::policy::Policy;
use crate::replay::Report;

/// One policy, and what became of the recording under it.
pub(super) struct Column {
    /// Its choices, as on a command line.
    pub(super) policy: String,
    /// How it ended.
    pub(super) end: End,
}

/// How a replay ended.
pub(super) enum End {
    /// With a report.
    Reported {
        /// As `replay --json` prints it.
        report: Value,
        /// What was found wrong first.
        findings: Vec<String>,
        /// Whether nothing was.
        good: bool,
    },
    /// It could not go on.
    Stopped(Error),
}

impl Column {
    /// What became of a recording under a policy.
    pub(super) fn new(policy: &Policy, replayed: Result<Report, Error>) -> Column {
        let end = match replayed {
            Ok(report) => End::Reported {
                report: report.json(),
                findings: report.findings().map(str::to_owned).collect(),
                good: report.is_good(),
            },
            Err(error) => End::Stopped(error),
        };
        Column { policy: policy.to_string(), end }
    }

    /// Whether it came to its end, and nothing was found wrong.
    pub(super) fn is_good(&self) -> bool {
        matches!(self.end, End::Reported { good: true, .. })
    }

    /// What is reported, if anything is.
    pub(super) fn report(&self) -> Option<&Value> {
        match &self.end {
            End::Reported { report, .. } => Some(report),
            End::Stopped(_) => None,
        }
    }

    /// A figure of the report, by its place in it.
    pub(super) fn figure(&self, place: &str) -> Option<u64> {
        self.report()?.pointer(place)?.as_u64()
    }

    /// For `--json`.
    pub(super) fn to_json(&self) -> Value {
        let (status, why) = match &self.end {
            End::Reported { good: true, .. } => ("good", Vec::new()),
            End::Reported { findings, .. } => ("broken", findings.clone()),
            End::Stopped(error) => ("stopped", vec![error.to_string()]),
        };
        json!({ "policy": self.policy, "status": status, "why": why, "report": self.report() })
    }
}
