//! Records page touches with Valgrind's Lackey.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use super::scratch::Scratch;
use super::{Order, RecordError};
use crate::Recording;
use crate::import::{Follower, Logs};

/// Starts Valgrind with a pipe where its root process wants its log file, so that the gigabytes
/// it prints are followed and never stored, and so that it waits for us before the first
/// instruction. Children that the program forks print to ordinary files beside the pipe.
const START: &str = r#"mkfifo "$0/log.$$" && exec valgrind -q --vgdb=no --tool=lackey \
    --trace-mem=yes --basic-counts=no --trace-children=no --trace-syscalls=yes \
    --log-file="$0/log.%p" -- "$@""#;

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
    let scratch = Scratch::new()?;
    let failed = |error| RecordError::Run { program: "valgrind".to_owned(), error };
    let mut child = Command::new("sh")
        .args(["-c", START])
        .arg(scratch.path())
        .args(&order.program)
        .spawn()
        .map_err(failed)?;
    let pid = child.id();
    let (pipe, keeper) = open_pipe(&scratch, &mut child)?;
    let waiting = thread::spawn(move || {
        let status = child.wait();
        drop(keeper);
        status
    });
    let logs = Files { scratch, root: pid, followed: HashSet::new() };
    let program = order.program.first().map(String::as_str).unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default();
    let followed = Follower::new(pid, name, logs).follow(&mut BufReader::with_capacity(1 << 20, pipe));
    match waiting.join() {
        Ok(status) => status.map_err(failed)?,
        Err(_) => return Err(RecordError::NotRun { tool: "valgrind" }),
    };
    let mut recording = followed.map_err(|error| RecordError::Output { tool: "valgrind", error })?;
    recording.provenance.recorder = version()?;
    Ok(recording)
}

/// Opens the pipe once the shell has made it, for reading and, so that neither this nor a read
/// ends before Valgrind has opened it or failed to, for writing.
fn open_pipe(scratch: &Scratch, child: &mut Child) -> Result<(File, File), RecordError> {
    let path = scratch.join(&format!("log.{}", child.id()));
    while !path.exists() {
        if child.try_wait()?.is_some() {
            return Err(RecordError::NotRun { tool: "valgrind" });
        }
        thread::sleep(Duration::from_millis(5));
    }
    let keeper = File::options().read(true).write(true).open(&path)?;
    Ok((File::open(&path)?, keeper))
}

/// The logs in a scratch directory.
struct Files {
    scratch: Scratch,
    root: u32,
    followed: HashSet<PathBuf>,
}

impl Logs for Files {
    fn root_maps(&mut self) -> io::Result<String> {
        fs::read_to_string(format!("/proc/{}/maps", self.root))
    }

    fn child(&mut self, pid: u32) -> io::Result<Box<dyn BufRead>> {
        let path = self.scratch.join(&format!("log.{pid}"));
        if !self.followed.insert(path.clone()) {
            return Ok(Box::new(io::empty()));
        }
        let file = File::open(&path)?;
        // The open file keeps its bytes; the name can go at once.
        fs::remove_file(&path)?;
        Ok(Box::new(BufReader::with_capacity(1 << 20, file)))
    }
}
