//! What differs, in words made from the figures.

use std::cmp::Ordering;

use serde_json::Value;

use super::column::{Column, End};
use crate::replay::grouped;

/// How a column differs from the first one, a sentence each.
pub(super) fn differences(first: &Column, other: &Column) -> Vec<String> {
    let (Some(before), Some(after)) = (first.report(), other.report()) else {
        return vec![format!("{} cannot be compared with {}: a replay stopped.", other.policy, first.policy)];
    };
    let pair = Pair { first, other };
    let mut said = pair.copies();
    said.extend(pair.more_or_fewer("/faults/total", "takes", ("fault", "faults")));
    said.extend(pair.flushes());
    said.extend(pair.time());
    said.extend(pair.memory());
    said.extend(pair.more_or_fewer("/killed", "has", ("process killed", "processes killed")));
    if said.is_empty() {
        let same = comparable(before) == comparable(after);
        said.push(match same {
            true => format!("{} does the same as {}: every figure is equal.", other.policy, first.policy),
            false => format!("{} differs only in figures that are not in the table.", other.policy),
        });
    }
    said
}

/// A report without what the host decides, and without its name.
fn comparable(report: &Value) -> Value {
    let mut report = report.clone();
    if let Some(object) = report.as_object_mut() {
        object.remove("wall_ms");
        object.remove("policy");
    }
    report
}

/// Why a column is not good.
pub(super) fn findings(column: &Column) -> Vec<String> {
    let broken = |place, what: &str| {
        column.figure(place).filter(|&count| count > 0).map(|count| format!("{} {what}", grouped(count)))
    };
    match &column.end {
        End::Stopped(error) => vec![format!("it could not go on: {error}")],
        End::Reported { findings, .. } => {
            let counts = [
                broken("/audit/violations", "times a rule was found broken"),
                broken("/shadow/mismatches", "times memory held something else than was stored"),
            ];
            counts.into_iter().flatten().chain(findings.iter().cloned()).collect()
        }
    }
}

/// Two columns that have reports.
struct Pair<'a> {
    first: &'a Column,
    other: &'a Column,
}

impl Pair<'_> {
    fn figures(&self, place: &str) -> (u64, u64) {
        (self.first.figure(place).unwrap_or(0), self.other.figure(place).unwrap_or(0))
    }

    /// Pages that are copied by one and not by the other, and copies for nobody.
    fn copies(&self) -> Vec<String> {
        let (first, other) = (&self.first.policy, &self.other.policy);
        let (copied, reused) = (self.figures("/cow/copied"), self.figures("/cow/reused"));
        let (more, fewer) = (copied.1.saturating_sub(copied.0), copied.0.saturating_sub(copied.1));
        let mut said = Vec::new();
        if more > 0 && reused.0.checked_sub(reused.1) == Some(more) {
            said.push(format!("{other} copies {} that {first} writes in place.", pages(more)));
        } else if fewer > 0 && reused.1.checked_sub(reused.0) == Some(fewer) {
            said.push(format!("{other} writes {} in place that {first} copies.", pages(fewer)));
        } else {
            said.extend(self.more_or_fewer("/cow/copied", "copies", ("page", "pages")));
            said.extend(self.more_or_fewer("/cow/reused", "writes in place", ("page", "pages")));
        }
        match self.figures("/cow/needless") {
            (_, 0) => {}
            (_, needless) => {
                let them = if needless == 1 { "it" } else { "them" };
                let needless = pages(needless);
                said.push(format!("{other} copies {needless} needlessly: nobody else could see {them}."));
            }
        }
        said
    }

    /// "P takes 3 faults more than Q."
    fn more_or_fewer(&self, place: &str, verb: &str, nouns: (&str, &str)) -> Option<String> {
        let (first, other) = self.figures(place);
        let than = match other.cmp(&first) {
            Ordering::Equal => return None,
            Ordering::Greater => "more",
            Ordering::Less => "fewer",
        };
        let count = other.abs_diff(first);
        let noun = if count == 1 { nouns.0 } else { nouns.1 };
        let (name, of) = (&self.other.policy, &self.first.policy);
        Some(format!(
            "{name} {verb} {} {noun} {than} than {of} ({} to {}).",
            grouped(count),
            grouped(other),
            grouped(first)
        ))
    }

    fn flushes(&self) -> Vec<String> {
        let rounds = self.more_or_fewer("/tlb/flush_rounds", "needs", ("flush round", "flush rounds"));
        let ipis = self.more_or_fewer("/tlb/ipis", "interrupts", ("CPU", "CPUs"));
        rounds.into_iter().chain(ipis).collect()
    }

    fn time(&self) -> Option<String> {
        let (first, other) = self.figures("/sim_ns");
        if first == other {
            return None;
        }
        let (apart, than) = (other.abs_diff(first), if other > first { "more" } else { "less" });
        let share = apart as f64 * 100.0 / first.max(1) as f64;
        let (name, of) = (&self.other.policy, &self.first.policy);
        let apart = grouped(apart);
        Some(format!("{name} takes {apart} ns {than} simulated time than {of} ({share:.2} %)."))
    }

    fn memory(&self) -> Option<String> {
        let (first, other) = self.figures("/memory/peak_kib");
        if first == other {
            return None;
        }
        let than = if other > first { "more" } else { "less" };
        let (name, of) = (&self.other.policy, &self.first.policy);
        Some(format!("{name} uses {} KiB {than} at its peak than {of}.", grouped(other.abs_diff(first))))
    }
}

fn pages(count: u64) -> String {
    if count == 1 { "1 page".into() } else { format!("{} pages", grouped(count)) }
}
