//! Records with `strace`.

use std::process::Command;

use super::counts::Outcome;
use super::helper::{command, with_helper};
use super::scratch::Scratch;
use super::{Order, RecordError, counts};
use crate::Recording;
use crate::import::{self, Options, Sizes};

/// Runs and records the program.
pub(super) fn record(
    order: &Order,
    mut notes: Vec<String>,
) -> Result<(Recording, Outcome, Vec<String>), RecordError> {
    let version = version()?;
    let scratch = Scratch::new()?;
    let (text, file) = (scratch.join("strace"), scratch.join("counts"));
    let mut words: Vec<String> = import::strace::FLAGS.map(str::to_owned).to_vec();
    words.insert(0, "strace".to_owned());
    words.extend(["-o".to_owned(), text.to_string_lossy().into_owned()]);
    words.extend(["-e".to_owned(), format!("trace={}", import::strace::CALLS.join(","))]);
    words.push("--".to_owned());
    words.extend(with_helper(order, &file)?);
    let failed = |error| RecordError::Run { program: "strace".to_owned(), error };
    command(&words)?.status().map_err(failed)?;
    let outcome = counts::load(&file).ok_or(RecordError::NotRun { tool: "strace" })?;
    let options = Options { root: Some(outcome.pid), sizes: Sizes::ThisMachine };
    let text = std::fs::read(&text)?;
    let mut recording = import::strace::import(&text, options)
        .map_err(|error| RecordError::Output { tool: "strace", error })?;
    recording.provenance.recorder = version;
    notes.push("Linux's times include the cost of being watched by strace".to_owned());
    notes.push("what exec mapped is inferred from the calls that needed it".to_owned());
    Ok((recording, outcome, notes))
}

fn version() -> Result<String, RecordError> {
    let missing = |why: String| RecordError::Tool { tool: "strace", why };
    let output =
        Command::new("strace").arg("--version").output().map_err(|error| missing(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().unwrap_or_default();
    Ok(line.replace(" -- version", ""))
}
