//! The process between the watching tool and the program.
//!
//! It needs a process of its own because Linux counts for a parent what its children cost: the
//! helper's only child is the program, so the tool's own cost stays out.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Instant;

use super::counts::{self, Outcome};
use super::scratch::Scratch;
use super::{Order, RecordError};

/// The helper's work: runs `program` without transparent huge pages, and leaves the outcome in
/// the file `counts`. Gives the status the helper should exit with, which is the program's.
///
/// # Errors
///
/// When the program cannot be started or the file cannot be written.
pub fn run(counts: &Path, program: &[String]) -> Result<i32, RecordError> {
    // Inherited by the program and all its children; no other process notices.
    nix::sys::prctl::set_thp_disable(true).map_err(std::io::Error::from)?;
    let started = Instant::now();
    let mut command = command(program)?;
    let failed = |error| RecordError::Run { program: program[0].clone(), error };
    let mut child = command.spawn().map_err(failed)?;
    let status = child.wait().map_err(failed)?;
    let outcome = Outcome {
        pid: child.id(),
        status: shell_status(status),
        counts: counts::of_children(started.elapsed())?,
    };
    counts::store(counts, &outcome)?;
    Ok(outcome.status)
}

/// Runs the program under the helper and nothing else.
pub(super) fn run_plain(order: &Order) -> Result<Outcome, RecordError> {
    let scratch = Scratch::new()?;
    let file = scratch.join("counts");
    let words = with_helper(order, &file)?;
    let failed = |error| RecordError::Run { program: words[0].clone(), error };
    command(&words)?.status().map_err(failed)?;
    counts::load(&file).ok_or(RecordError::NotRun { tool: "the helper" })
}

/// The words that start the helper with the order's program.
pub(super) fn with_helper(order: &Order, counts: &Path) -> Result<Vec<String>, RecordError> {
    if order.program.is_empty() {
        return Err(RecordError::NoProgram);
    }
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut words: Vec<String> = order.helper.iter().map(|word| text(word)).collect();
    words.push(text(counts));
    words.push("--".to_owned());
    words.extend(order.program.iter().cloned());
    Ok(words)
}

/// The command of some words.
pub(super) fn command(words: &[String]) -> Result<Command, RecordError> {
    let (program, args) = words.split_first().ok_or(RecordError::NoProgram)?;
    let mut command = Command::new(program);
    command.args(args);
    Ok(command)
}

fn shell_status(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
