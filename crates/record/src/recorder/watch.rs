//! A program under Valgrind: what its processes print, and what is in their memory.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use super::RecordError;
use super::pipes::{Pipes, read_some};
use crate::import::{More, Page, Source};

/// Starts Valgrind with a pipe where its root process wants its log file, so that the gigabytes
/// it prints are followed and never stored, and so that it waits for us before the first
/// instruction.
const START: &str = r#"mkfifo "$0.$$" 2>/dev/null; exec valgrind -q --vgdb=no --tool=lackey \
    --trace-mem=yes --basic-counts=no --trace-children=no --trace-syscalls=yes \
    --log-file="$0.%p" -- "$@""#;

/// How much output is read at once. A process may be ahead of what is followed by this and by
/// what a pipe holds, which is as much again.
const CHUNK: usize = 64 << 10;

/// How long to wait for more output: less than it takes to fill a pipe.
const REST: Duration = Duration::from_millis(1);

/// How much output of a process shows that there will be no less at once.
const MUCH: usize = CHUNK / 2;

/// A process being watched.
struct Process {
    log: File,
    memory: Option<File>,
}

/// A program under Valgrind.
pub(super) struct Watch {
    child: Child,
    pipes: Pipes,
    /// The file that every process under Valgrind executes, once it is known.
    tool: Option<PathBuf>,
    processes: HashMap<u32, Process>,
    chunk: Vec<u8>,
    /// Some process printed much since the last rest.
    much: bool,
    page: Page,
}

impl Watch {
    /// Starts `program` under Valgrind.
    pub(super) fn start(program: &[String]) -> Result<Self, RecordError> {
        let mut pipes = Pipes::new()?;
        pipes.provide()?;
        let failed = |error| RecordError::Run { program: "valgrind".to_owned(), error };
        let mut command = Command::new("sh");
        command.args(["-c", START]).arg(pipes.prefix()).args(program);
        let child = command.spawn().map_err(failed)?;
        let (chunk, page) = (vec![0; CHUNK], [0; 4096]);
        Ok(Self { child, pipes, tool: None, processes: HashMap::new(), chunk, much: false, page })
    }

    /// The pid of the program's first process.
    pub(super) fn root(&self) -> u32 {
        self.child.id()
    }

    fn read(&mut self, pid: u32, text: &mut Vec<u8>) -> io::Result<usize> {
        if !self.processes.contains_key(&pid) {
            let Some(log) = self.pipes.open(pid)? else { return Ok(0) };
            self.processes.insert(pid, Process { log, memory: None });
        }
        let Some(process) = self.processes.get_mut(&pid) else { return Ok(0) };
        let read = read_some(&mut process.log, &mut self.chunk)?;
        text.extend_from_slice(&self.chunk[..read]);
        self.much |= read >= MUCH;
        Ok(read)
    }

    /// Whether a process may still print: any of its threads is Valgrind's.
    fn may_print(&mut self, pid: u32) -> io::Result<bool> {
        let Some(tool) = &self.tool else { return Ok(self.child.try_wait()?.is_none()) };
        let is_tool = |exe: &Path| fs::read_link(exe).is_ok_and(|exe| exe == *tool);
        if is_tool(Path::new(&format!("/proc/{pid}/exe"))) {
            return Ok(true);
        }
        // The first thread may end before the others.
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        Ok(threads.map(|thread| thread.path().join("exe")).any(|exe| is_tool(&exe)))
    }
}

impl Source for Watch {
    fn root_maps(&mut self) -> io::Result<String> {
        fs::read_to_string(format!("/proc/{}/maps", self.root()))
    }

    fn more(&mut self, pid: u32, text: &mut Vec<u8>) -> io::Result<More> {
        if self.read(pid, text)? > 0 {
            if self.tool.is_none() {
                self.tool = fs::read_link(format!("/proc/{pid}/exe")).ok();
            }
            return Ok(More::Some);
        }
        if self.may_print(pid)? {
            return Ok(More::Nothing);
        }
        // What it printed last may have come in between.
        if self.read(pid, text)? > 0 {
            return Ok(More::Some);
        }
        self.processes.remove(&pid);
        Ok(More::Ended)
    }

    fn page(&mut self, pid: u32, page: u64) -> Option<&Page> {
        let process = self.processes.get_mut(&pid)?;
        if process.memory.is_none() {
            process.memory = File::open(format!("/proc/{pid}/mem")).ok();
        }
        process.memory.as_ref()?.read_exact_at(&mut self.page, page * 4096).ok()?;
        Some(&self.page)
    }

    /// Many small reads would cost more than the processes that print.
    fn rest(&mut self) {
        if !std::mem::take(&mut self.much) {
            thread::sleep(REST);
        }
        // What cannot be made now is tried again.
        let _ = self.pipes.provide();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Where following failed the program is still there; else both find nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
