//! Files that keep what a search found: a scenario, and the seed of the schedule under which it failed.
//!
//! ```text
//! # what was wrong, in one line
//! scenario ../../scenarios/file/fill-against-truncate.fhs
//! seed sc:5c1,192c0
//! ```
//!
//! The scenario's path starts from the file's own folder.

use std::fs;
use std::path::{Component, Path, PathBuf};

use sim::explore::Seed;

use super::hunt::Failing;
use crate::exit::Error;

/// How the files' names end.
pub(super) const SUFFIX: &str = "seed";

/// What a file says.
pub(super) fn read(path: &Path, text: &str) -> Result<(PathBuf, Seed), Error> {
    let wrong = |line: usize, column: usize, what: &str| {
        Error::new(&format!("{}:{line}:{column}: {what}", path.display()))
    };
    let (mut scenario, mut seed) = (None, None);
    for (number, line) in (1..).zip(text.lines()) {
        match line.split_once(' ') {
            _ if line.trim().is_empty() || line.starts_with('#') => {}
            Some(("scenario", name)) if scenario.is_none() => scenario = Some(name.trim()),
            Some(("seed", line)) if seed.is_none() => {
                seed = Some(line.parse::<Seed>().map_err(|error| wrong(number, 6, &error.to_string()))?);
            }
            _ => return Err(wrong(number, 1, "expected `scenario PATH` and `seed LINE`, once each")),
        }
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    match (scenario, seed) {
        (Some(scenario), Some(seed)) => Ok((folder.join(scenario), seed)),
        _ => Err(wrong(text.lines().count().max(1), 1, "expected `scenario PATH` and `seed LINE`")),
    }
}

/// Keeps in a folder how a scenario fails; answers the file.
pub(super) fn write(folder: &Path, scenario: &Path, failing: &Failing) -> Result<PathBuf, Error> {
    let fail = |error: std::io::Error| Error::of_file(folder, &error);
    fs::create_dir_all(folder).map_err(fail)?;
    let stem = scenario.file_stem().map_or("found".into(), |stem| stem.to_string_lossy().into_owned());
    let (folder, scenario) = (folder.canonicalize().map_err(fail)?, scenario.canonicalize().map_err(fail)?);
    let number = failing
        .seed
        .to_string()
        .bytes()
        .fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let path = folder.join(format!("{stem}-{number:08x}.{SUFFIX}"));
    let what = failing.failure.to_string();
    let what = what.lines().next().unwrap_or_default();
    let scenario = from(&folder, &scenario);
    let text = format!("# {what}\nscenario {}\nseed {}\n", scenario.display(), failing.seed);
    fs::write(&path, text).map_err(|error| Error::of_file(&path, &error))?;
    Ok(path)
}

/// The way from a folder to a file, both absolute.
fn from(folder: &Path, file: &Path) -> PathBuf {
    let common = folder.components().zip(file.components()).take_while(|(a, b)| a == b).count();
    let up = folder.components().skip(common).map(|_| Component::ParentDir);
    up.chain(file.components().skip(common)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_from_a_folder_to_a_file() {
        let way = |folder, file| from(Path::new(folder), Path::new(file));
        assert_eq!(way("/r/found/explore", "/r/scenarios/a.fhs"), Path::new("../../scenarios/a.fhs"));
        assert_eq!(way("/r", "/r/a.fhs"), Path::new("a.fhs"));
    }

    #[test]
    fn what_is_kept_is_read() {
        let path = Path::new("found/x.seed");
        let (scenario, seed) = read(path, "# why\n\nscenario ../a.fhs\nseed sc:1c0\n").expect("whole");
        assert_eq!((scenario, seed.to_string()), (PathBuf::from("found/../a.fhs"), "sc:1c0".into()));
        for (text, place) in [
            ("", "found/x.seed:1:1:"),
            ("scenario a\n", "found/x.seed:1:1:"),
            ("seed sc:\nseed sc:\n", "found/x.seed:2:1:"),
            ("scenario a\nseed 1c0\n", "found/x.seed:2:6:"),
            ("what\n", "found/x.seed:1:1:"),
        ] {
            let error = read(path, text).expect_err(text).to_string();
            assert!(error.starts_with(place), "{text:?}: {error}");
        }
    }
}
