//! What `explore` prints: a line for each scenario, a story for each that fails, or JSON.

use std::fmt::Write;

use serde_json::{Value, json};
use sim::explore::Summary;

use super::find;
use super::hunt::{Failing, Found};
use super::run::{Entry, Part, What};
use super::story;

/// One scenario and what became of it.
#[derive(Debug)]
pub(super) struct Line<'s> {
    pub(super) scenario: &'s find::Found,
    pub(super) found: Found,
}

impl Line<'_> {
    fn name(&self) -> String {
        self.scenario.path.display().to_string()
    }

    /// A line, and the story if it failed.
    pub(super) fn text(&self, width: usize) -> String {
        let Summary { schedules, pruned, complete, .. } = self.found.summary;
        let name = self.name();
        let bound = match (&self.found.failing, complete) {
            (Some(_), _) => "FAILED".into(),
            (None, Some(preemptions)) => format!("complete at {preemptions}"),
            (None, None) => "passed".into(),
        };
        let seconds = self.found.elapsed.as_secs_f64();
        let mut text = format!(
            "{name:width$} {schedules:>9} schedules {pruned:>9} pruned  {bound:<13} {seconds:>7.2} s\n"
        );
        if let Some(failing) = &self.found.failing {
            text.push_str(&self.failure(failing));
        }
        text
    }

    fn failure(&self, failing: &Failing) -> String {
        let scenario = &self.scenario.scenario;
        let mut text =
            format!("\n  {}\n  {}\n\n", scenario.title, failing.failure.to_string().replace('\n', "\n  "));
        if let Some(spot) = failing.failure.spot {
            let step = self.step_text(spot.at.line);
            let _ = writeln!(text, "  at cpu {}, {}:{}: {step}\n", spot.cpu, self.name(), spot.at.line);
        }
        text.push_str(&story::tell(&failing.log, scenario.cpus.len()));
        if failing.misfits > 0 {
            let _ = writeln!(
                text,
                "\n  {} choices of the seed could not be made: it is not of this scenario",
                failing.misfits
            );
        }
        let seed = match self.scenario.seed {
            Some(_) => String::new(),
            None => format!(" --replay '{}'", failing.seed),
        };
        let _ = writeln!(text, "\n  replay: freehold explore {}{seed}\n", self.name());
        text
    }

    fn step_text(&self, line: u32) -> String {
        fn find(steps: &[super::script::Step], line: u32) -> Option<&str> {
            use super::script::Action::{As, Repeat, Walking};
            steps.iter().find_map(|step| match &step.action {
                _ if step.at.line == line => Some(step.text.as_str()),
                Repeat { body, .. } | As(_, body) | Walking(body) => find(body, line),
                _ => None,
            })
        }
        let scenario = &self.scenario.scenario;
        let of_cpus = scenario.cpus.iter().flat_map(|cpu| [&cpu.steps, &cpu.interrupt]);
        let sections = [&scenario.setup, &scenario.end].into_iter().chain(of_cpus);
        sections.into_iter().find_map(|steps| find(steps, line)).unwrap_or("").into()
    }

    /// As `--json` has it.
    pub(super) fn json(&self) -> Value {
        let scenario = &self.scenario.scenario;
        let Summary { schedules, pruned, complete, steps } = self.found.summary;
        json!({
            "file": self.name(),
            "title": scenario.title,
            "rules": scenario.rules,
            "cpus": scenario.cpus.len(),
            "passed": self.found.failing.is_none(),
            "schedules": schedules,
            "pruned": pruned,
            "complete_preemptions": complete,
            "longest_run_steps": steps,
            "seconds": self.found.elapsed.as_secs_f64(),
            "seconds_by_part": parts(&self.found),
            "failure": self.found.failing.as_ref().map(failure_json),
        })
    }
}

/// Seconds for each part of a run.
fn parts(found: &Found) -> Value {
    Part::ALL
        .iter()
        .map(|part| (part.name().to_string(), Value::from(found.cost.of(*part).as_secs_f64())))
        .collect()
}

fn failure_json(failing: &Failing) -> Value {
    let failure = &failing.failure;
    json!({
        "kind": failure.kind.name(),
        "rule": failure.rule,
        "text": failure.text,
        "cpu": failure.spot.map(|spot| spot.cpu),
        "line": failure.spot.map(|spot| spot.at.line),
        "column": failure.spot.map(|spot| spot.at.column),
        "seed": failing.seed.to_string(),
        "preemptions": failing.preemptions,
        "misfits": failing.misfits,
        "story": failing.log.entries.iter().map(entry_json).collect::<Vec<_>>(),
    })
}

fn entry_json(entry: &Entry) -> Value {
    let (what, line, text) = match &entry.what {
        What::Begins(at, text) => ("begins", Some(at.line), text),
        What::Ends(at, text) => ("ends", Some(at.line), text),
        What::Event(text) => ("event", None, text),
    };
    json!({
        "step": entry.step,
        "cpu": entry.cpu,
        "process": entry.process,
        "what": what,
        "line": line,
        "text": text,
    })
}

/// All of it.
pub(super) fn json(lines: &[Line<'_>]) -> String {
    let failed = lines.iter().filter(|line| line.found.failing.is_some()).count();
    let object = json!({
        "scenarios": lines.iter().map(Line::json).collect::<Vec<_>>(),
        "passed": lines.len() - failed,
        "failed": failed,
        "schedules": lines.iter().map(|line| line.found.summary.schedules).sum::<u64>(),
        "seconds": lines.iter().map(|line| line.found.elapsed.as_secs_f64()).sum::<f64>(),
    });
    format!("{object:#}\n")
}

/// The last line.
pub(super) fn sum(lines: &[Line<'_>], bound: Option<u32>) -> String {
    let failed = lines.iter().filter(|line| line.found.failing.is_some()).count();
    let is_complete = |line: &&Line<'_>| bound.is_some() && line.found.summary.complete == bound;
    let complete = match bound {
        Some(preemptions) => {
            format!(", {} complete at {preemptions} preemptions", lines.iter().filter(is_complete).count())
        }
        None => String::new(),
    };
    let schedules: u64 = lines.iter().map(|line| line.found.summary.schedules).sum();
    let seconds: f64 = lines.iter().map(|line| line.found.elapsed.as_secs_f64()).sum();
    format!(
        "{} scenarios: {} passed, {failed} failed{complete}; {schedules} schedules in \
         {seconds:.1} s, {:.0} a minute\n",
        lines.len(),
        lines.len() - failed,
        schedules as f64 / seconds.max(1e-9) * 60.0,
    )
}
