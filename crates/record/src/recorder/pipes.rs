//! Named pipes for the output of processes that do not exist yet.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use nix::libc::O_NONBLOCK;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::scratch::Scratch;

/// How many pids after the newest of the system have a pipe. More processes than these start
/// while nobody looks only where the whole system forks all the time.
const AHEAD: u32 = 1024;

/// How many pipes there may be at all.
const MOST: u32 = 1 << 16;

/// A directory of named pipes, one for each of the next pids.
///
/// Valgrind opens its log by a name with the pid in it, in a forked child first of all. Where that
/// is a pipe, the child waits until somebody reads. A pid that comes unforeseen gets an ordinary
/// file, which keeps all that the process prints, and lets it run ahead.
pub(super) struct Pipes {
    scratch: Scratch,
    made: u32,
    /// All pids before this one that will have a pipe have one.
    next: u32,
}

impl Pipes {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { scratch: Scratch::new()?, made: 0, next: 0 })
    }

    /// What the name of every log begins with, before a dot and the pid.
    pub(super) fn prefix(&self) -> PathBuf {
        self.scratch.join("log")
    }

    /// Makes the pipes of the pids that come next.
    pub(super) fn provide(&mut self) -> io::Result<()> {
        let newest = newest_pid()?;
        self.next = self.next.max(newest.saturating_add(1));
        while self.next <= newest.saturating_add(AHEAD) && self.made < MOST {
            self.make(self.next)?;
            self.next += 1;
        }
        Ok(())
    }

    /// Makes the pipe of a pid, unless a log of that name is already there.
    pub(super) fn make(&mut self, pid: u32) -> io::Result<()> {
        match mkfifo(&self.path(pid), Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(()) => self.made += 1,
            Err(nix::Error::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Opens the log of a pid for reading, if there is one by now.
    pub(super) fn open(&self, pid: u32) -> io::Result<Option<File>> {
        match File::options().read(true).custom_flags(O_NONBLOCK).open(self.path(pid)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    fn path(&self, pid: u32) -> PathBuf {
        self.scratch.join(&format!("log.{pid}"))
    }
}

impl Drop for Pipes {
    /// Nobody may be left waiting for a reader.
    fn drop(&mut self) {
        for entry in fs::read_dir(self.scratch.path()).into_iter().flatten().flatten() {
            // A process that is still there goes on without a log.
            let _ = File::options().read(true).custom_flags(O_NONBLOCK).open(entry.path());
        }
    }
}

/// Reads what there is, at most one buffer; nothing where there is nothing yet.
pub(super) fn read_some(log: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    match log.read(buffer) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        read => read,
    }
}

/// The pid that was given out last.
fn newest_pid() -> io::Result<u32> {
    let text = fs::read_to_string("/proc/loadavg")?;
    let last = text.split_ascii_whitespace().last().and_then(|pid| pid.parse().ok());
    last.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/loadavg names no pid"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_next_processes_have_pipes() {
        let mut pipes = Pipes::new().unwrap();
        pipes.provide().unwrap();
        let child = std::process::Command::new("true").spawn().unwrap();
        let (pid, mut child) = (child.id(), child);
        child.wait().unwrap();
        let mut log = pipes.open(pid).unwrap().expect("the pipe was there first");
        let mut buffer = [0; 8];
        assert_eq!(read_some(&mut log, &mut buffer).unwrap(), 0);
        let mut writer = File::options().write(true).open(pipes.path(pid)).unwrap();
        assert_eq!(read_some(&mut log, &mut buffer).unwrap(), 0);
        writer.write_all(b"I  1,1\n").unwrap();
        assert_eq!(read_some(&mut log, &mut buffer).unwrap(), 7);
        drop(writer);
        assert_eq!(read_some(&mut log, &mut buffer).unwrap(), 0);
    }

    #[test]
    fn a_log_that_is_a_file_is_read_as_one() {
        let mut pipes = Pipes::new().unwrap();
        assert!(pipes.open(1).unwrap().is_none());
        fs::write(pipes.path(1), "I  1,1\n").unwrap();
        pipes.make(1).unwrap();
        let mut log = pipes.open(1).unwrap().unwrap();
        assert_eq!(read_some(&mut log, &mut [0; 16]).unwrap(), 7);
    }

    #[test]
    fn nobody_waits_for_ever() {
        let mut pipes = Pipes::new().unwrap();
        pipes.make(1).unwrap();
        let path = pipes.path(1);
        let writer = std::thread::spawn(move || File::options().write(true).open(path).is_ok());
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(!writer.is_finished());
        drop(pipes);
        assert!(writer.join().unwrap());
    }
}
