//! Records with `perf`.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};

use super::counts::Outcome;
use super::helper::{command, with_helper};
use super::scratch::Scratch;
use super::{Order, RecordError, counts};
use crate::Recording;
use crate::import::{self, Options, Sizes};

/// Memory of each CPU's buffer: enough for a storm of faults to wait in while `perf` is not run.
const BUFFER: &str = "64M";

/// The proof that `perf` can be used.
pub(super) struct Ready {
    version: String,
}

/// Checks that `perf` is there and may see the tracepoints it needs.
pub(super) fn ready() -> Result<Ready, RecordError> {
    let missing = |why: String| RecordError::Tool { tool: "perf", why };
    let output =
        Command::new("perf").arg("--version").output().map_err(|error| missing(error.to_string()))?;
    if !output.status.success() {
        return Err(missing("`perf --version` fails".to_owned()));
    }
    let events = tracing_events().map_err(missing)?;
    for event in import::perf::EVENTS.iter().chain(&import::perf::CALL_EVENTS) {
        let path = events.join(event.replace(':', "/")).join("id");
        std::fs::read(&path)
            .map_err(|error| missing(format!("the tracepoint {event} cannot be read: {error}")))?;
    }
    Ok(Ready { version: String::from_utf8_lossy(&output.stdout).trim().to_owned() })
}

/// The directory of the tracepoints, mounted if need be and possible.
fn tracing_events() -> Result<PathBuf, String> {
    let places = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
    let find = || places.iter().map(|place| Path::new(place).join("events")).find(|p| p.exists());
    if let Some(events) = find() {
        return Ok(events);
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tracefs"), places[0], Some("tracefs"), flags, None::<&str>)
        .map_err(|error| format!("tracefs is not mounted at {} ({error})", places[0]))?;
    find().ok_or_else(|| "this kernel has no tracepoints".to_owned())
}

/// Runs and records the program.
pub(super) fn record(order: &Order, ready: Ready) -> Result<(Recording, Outcome, Vec<String>), RecordError> {
    let scratch = Scratch::new()?;
    let (data, file) = (scratch.join("perf.data"), scratch.join("counts"));
    let mut words: Vec<String> =
        ["perf", "record", "-q", "-d", "-m", BUFFER, "-o"].map(str::to_owned).to_vec();
    words.push(data.to_string_lossy().into_owned());
    words.extend(["-e".to_owned(), import::perf::EVENTS.join(",")]);
    for event in import::perf::CALL_EVENTS {
        words.extend(["-e", event, "--filter"].map(str::to_owned));
        words.push(import::perf::filter());
    }
    words.push("--".to_owned());
    words.extend(with_helper(order, &file)?);
    let failed = |error| RecordError::Run { program: "perf".to_owned(), error };
    command(&words)?.status().map_err(failed)?;
    let outcome = counts::load(&file).ok_or(RecordError::NotRun { tool: "perf" })?;
    let options = Options { root: Some(outcome.pid), sizes: Sizes::ThisMachine };
    let mut recording =
        import::perf::import(&data, options).map_err(|error| RecordError::Output { tool: "perf", error })?;
    recording.provenance.recorder = ready.version.replace(" version", "");
    let notes = vec!["Linux's times include the cost of being watched by perf".to_owned()];
    Ok((recording, outcome, notes))
}
