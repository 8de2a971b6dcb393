//! What `diff` tells.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use native::{Call, Status};
use serde_json::json;

use super::host::Host;
use super::known::Known;
use super::minimise::minimise;
use super::names::signature;
use super::print;
use super::program::Program;
use super::sides::{Done, Sides};
use crate::exit::{self, Error};

/// A program that differs.
#[derive(Debug)]
pub(crate) struct Found {
    /// Which of the random programs it was.
    pub(crate) program_number: u64,
    /// Minimised, as a C-like program; `--replay` runs it.
    pub(crate) text: String,
}

/// What was run, and what was found.
#[derive(Debug)]
pub(crate) struct Report {
    host: String,
    /// Operations that both sides did and whose answers were compared.
    pub(crate) ops: u64,
    /// Operations that programs had, without those dropped for a known difference.
    made: u64,
    programs: u64,
    by_call: BTreeMap<Call, u64>,
    known: BTreeMap<Known, u64>,
    /// Wall-clock time.
    pub(crate) took: Duration,
    /// The first difference.
    pub(crate) found: Option<Found>,
}

impl Report {
    pub(crate) fn new(host: &Host) -> Report {
        Report {
            host: host.release.clone(),
            ops: 0,
            made: 0,
            programs: 0,
            by_call: BTreeMap::new(),
            known: BTreeMap::new(),
            took: Duration::ZERO,
            found: None,
        }
    }

    /// Counts a program that was run.
    pub(crate) fn count(&mut self, done: &Done) {
        self.programs += 1;
        for (op, answer) in done.program.ops.iter().zip(&done.answers).take(done.compared) {
            if answer.status != Status::Skipped {
                self.ops += 1;
                *self.by_call.entry(op.call).or_default() += 1;
            }
        }
        self.made += done.program.ops.len() as u64;
        for known in &done.known {
            *self.known.entry(*known).or_default() += 1;
        }
    }

    /// Minimises a program that differs, and keeps its text.
    pub(crate) fn note(&mut self, sides: &mut Sides, program: &Program, number: u64) -> Result<(), Error> {
        let mut trouble = None;
        let small = minimise(program, |program| match sides.run(program) {
            Ok(done) => done.difference.is_some(),
            Err(error) => {
                trouble = Some(error);
                false
            }
        });
        if let Some(error) = trouble {
            return Err(error);
        }
        self.found = Some(Found { program_number: number, text: annotated(sides, &small)? });
        Ok(())
    }

    fn forks_permille(&self) -> u64 {
        let forks = self.by_call.get(&Call::Fork).copied().unwrap_or(0);
        forks * 1000 / self.ops.max(1)
    }

    fn ops_a_second(&self) -> u64 {
        (self.ops as f64 / self.took.as_secs_f64().max(1e-9)) as u64
    }

    /// Prints it.
    pub(crate) fn print(&self, json: bool) -> Result<(), Error> {
        exit::print(&if json { self.json() } else { self.text() })
    }

    fn json(&self) -> String {
        let calls: BTreeMap<&str, u64> =
            self.by_call.iter().map(|(call, n)| (signature(*call).0, *n)).collect();
        let known: BTreeMap<&str, u64> = self.known.iter().map(|(known, n)| (known.id(), *n)).collect();
        let object = json!({
            "host": self.host,
            "programs": self.programs,
            "operations": self.ops,
            "skipped": self.made - self.ops,
            "calls": calls,
            "forks_permille": self.forks_permille(),
            "known_differences": known,
            "differences": u64::from(self.found.is_some()),
            "program": self.found.as_ref().map(|found| &found.text),
            "wall_ms": self.took.as_millis() as u64,
            "ops_per_second": self.ops_a_second(),
        });
        format!("{object}\n")
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let forks = self.forks_permille();
        let _ = writeln!(
            text,
            "{} operations in {} programs on Linux {}, {}.{} % of them forks; {:.1} s, {} operations/s",
            self.ops,
            self.programs,
            self.host,
            forks / 10,
            forks % 10,
            self.took.as_secs_f64(),
            self.ops_a_second()
        );
        let left_out: u64 = self.known.values().sum();
        let _ = writeln!(
            text,
            "not compared: {} of processes that do not live, or after a program parted; {left_out} for known \
             differences",
            self.made - self.ops
        );
        let calls: Vec<String> =
            self.by_call.iter().map(|(call, n)| format!("{} {n}", signature(*call).0)).collect();
        let _ = writeln!(text, "{}", calls.join(", "));
        let known: Vec<String> = self.known.iter().map(|(known, n)| format!("{} {n}", known.id())).collect();
        if !known.is_empty() {
            let _ = writeln!(text, "known differences (docs/linux-differences.md): {}", known.join(", "));
        }
        match &self.found {
            None => text.push_str("no difference\n"),
            Some(found) => {
                let _ = write!(text, "difference, minimised:\n\n{}", found.text);
            }
        }
        text
    }
}

/// A program with what each operation answered, on both sides where they differ. What was left out stays: it
/// may be why a side prepared itself in another way ([`super::program::Traits`]).
fn annotated(sides: &mut Sides, program: &Program) -> Result<String, Error> {
    let done = sides.run(program)?;
    let mut text = format!("memlock {:#x};\n", program.memlock);
    let mut number = 0;
    for (original, op) in program.ops.iter().enumerate() {
        let statement = print::operation(op);
        if done.dropped.contains(&original) {
            let _ = writeln!(text, "{statement} // left out: a known difference");
            continue;
        }
        let said = match (&done.difference, done.answers.get(number)) {
            (Some(difference), _) if difference.number == number => difference.what.clone(),
            (_, Some(answer)) => print::answer(op, answer),
            (_, None) => continue,
        };
        let _ = writeln!(text, "{statement} // {said}");
        number += 1;
    }
    if let Some(difference) = done.difference.as_ref().filter(|d| d.number >= number) {
        let _ = writeln!(text, "// {}", difference.what);
    }
    Ok(text)
}
