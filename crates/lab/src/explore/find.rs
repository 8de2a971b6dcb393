//! Scenario files, and seeds of schedules under which they failed: those that were named, and those in
//! folders that were named.

use std::fs;
use std::path::{Path, PathBuf};

use sim::explore::Seed;

use super::keep;
use super::script::{self, FILE_BYTES, Scenario};
use crate::exit::Error;

/// How scenario files' names end.
const SUFFIX: &str = "fhs";
/// Folders within folders.
const DEPTH: u32 = 8;

/// A scenario and its file.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) scenario: Scenario,
    /// The one schedule that is meant, if a seed's file was named.
    pub(super) seed: Option<Seed>,
}

/// Reads every scenario that is meant, in the order of their names.
pub(super) fn all(paths: &[PathBuf]) -> Result<Vec<Found>, Error> {
    let mut files = Vec::new();
    for path in paths {
        let before = files.len();
        collect(path, DEPTH, &mut files)?;
        files[before..].sort();
        if files.len() == before {
            return Err(Error::of_file(
                path,
                &format!("no scenario is in this folder (*.{SUFFIX}, *.{})", keep::SUFFIX),
            ));
        }
    }
    files.into_iter().map(read).collect()
}

fn collect(path: &Path, depth: u32, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let kind = fs::metadata(path).map_err(|error| Error::of_file(path, &error))?;
    if !kind.is_dir() {
        files.push(path.into());
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(|error| Error::of_file(path, &error))? {
        let inner = entry.map_err(|error| Error::of_file(path, &error))?.path();
        let is_folder = inner.is_dir();
        if is_folder && depth > 0 {
            collect(&inner, depth - 1, files)?;
        } else if !is_folder && (has_suffix(&inner, SUFFIX) || has_suffix(&inner, keep::SUFFIX)) {
            files.push(inner);
        }
    }
    Ok(())
}

fn has_suffix(path: &Path, suffix: &str) -> bool {
    path.extension().is_some_and(|own| own == suffix)
}

fn read(path: PathBuf) -> Result<Found, Error> {
    if !has_suffix(&path, keep::SUFFIX) {
        return read_scenario(path);
    }
    let (scenario, seed) = keep::read(&path, &text(&path)?)?;
    let found = read_scenario(scenario)?;
    Ok(Found { path, seed: Some(seed), ..found })
}

fn read_scenario(path: PathBuf) -> Result<Found, Error> {
    match script::parse(&text(&path)?) {
        Ok(scenario) => Ok(Found { path, scenario, seed: None }),
        Err(error) => Err(Error::new(&format!("{}:{error}", path.display()))),
    }
}

/// What is in a file.
fn text(path: &Path) -> Result<String, Error> {
    let size = fs::metadata(path).map_err(|error| Error::of_file(path, &error))?.len();
    if size > FILE_BYTES as u64 {
        return Err(Error::of_file(path, &format!("a scenario has at most {FILE_BYTES} bytes")));
    }
    let bytes = fs::read(path).map_err(|error| Error::of_file(path, &error))?;
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
        Error::new(&format!("{}:{line}:{column}: no UTF-8", path.display()))
    })
}
