//! Records page touches and contents with Valgrind's Lackey.

use std::process::Command;

use super::watch::Watch;
use super::{Order, RecordError};
use crate::Recording;
use crate::import::Follower;

/// Checks that Valgrind and its Lackey are there.
pub(super) fn ready() -> Result<(), RecordError> {
    version().map(|_| ())
}

fn version() -> Result<String, RecordError> {
    let missing = |why: String| RecordError::Tool { tool: "valgrind", why };
    let output =
        Command::new("valgrind").arg("--version").output().map_err(|error| missing(error.to_string()))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().replace("valgrind-", "valgrind "))
}

/// Runs and records the program.
pub(super) fn record(order: &Order) -> Result<Recording, RecordError> {
    let watch = Watch::start(&order.program)?;
    let program = order.program.first().map(String::as_str).unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default();
    let followed = Follower::new(watch.root(), name, watch).follow();
    let mut recording = followed.map_err(|error| RecordError::Output { tool: "valgrind", error })?;
    recording.provenance.recorder = version()?;
    Ok(recording)
}
