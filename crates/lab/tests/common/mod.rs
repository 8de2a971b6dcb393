//! Running the command, as a user does.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use record::Recording;
use serde_json::Value;

/// The command with these arguments.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freehold"));
    command.args(args);
    command
}

/// Runs it to its end.
pub(crate) fn freehold(args: &[&str]) -> Output {
    command(args).output().expect("the command was built with this test")
}

/// A recording of the repository.
pub(crate) fn real(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recordings").join(name);
    path.to_str().expect("a plain path").to_owned()
}

/// Where a test may leave a file: tests of one file may run in processes of their own, at once.
pub(crate) fn own_file(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(std::process::id().to_string());
    std::fs::create_dir_all(&folder).expect("a writable directory");
    folder.join(name)
}

/// A recording in a file of its own.
pub(crate) fn written(name: &str, recording: &Recording) -> String {
    let path = own_file(name);
    recording.write(&path).expect("a valid recording and a writable directory");
    path.to_str().expect("a plain path").to_owned()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What `replay --json` prints, if it ends with this status.
pub(crate) fn replayed(status: i32, recording: &str, options: &[&str]) -> Value {
    let args = [&["replay", recording, "--json"], options].concat();
    let output = freehold(&args);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{args:?}: {error}");
    assert!(error.is_empty(), "{args:?}: {error}");
    serde_json::from_slice(&output.stdout).expect("one object")
}

/// The one line of an error with status 2.
pub(crate) fn refused(args: &[&str]) -> String {
    let output = freehold(args);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
    assert_eq!(error.lines().count(), 1, "{args:?}: {error}");
    assert!(error.starts_with("freehold: ") && error.len() > 20, "{args:?}: {error}");
    assert!(output.stdout.is_empty(), "{args:?}: {}", text(&output.stdout));
    error
}
