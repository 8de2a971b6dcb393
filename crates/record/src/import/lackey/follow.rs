//! Follows Lackey's output, process by process, to events.

use std::collections::HashMap;
use std::io::{self, BufRead};

use super::line::{Args, CallResult, Line};
use super::maps::program_mappings;
use super::touched::Touched;
use crate::import::{Builder, FileKey, ImportError, Sizes, decode_call};
use crate::{FileId, ForkMemory, Lack, Mapping, Recording};

/// An epoch ends at the latest after this many instructions.
const EPOCH: u64 = 4_000_000;

/// Where the output of the processes is found.
pub(crate) trait Logs {
    /// The text of `/proc/PID/maps` of the root, before its first instruction.
    fn root_maps(&mut self) -> io::Result<String>;

    /// The whole output of a child that has ended or that nobody waited for.
    fn child(&mut self, pid: u32) -> io::Result<Box<dyn BufRead>>;
}

/// Makes a recording from the output of a root process and its children.
pub(crate) struct Follower<L> {
    builder: Builder,
    logs: L,
    /// When each child ended that was already followed.
    ends: HashMap<u32, u64>,
    execs: bool,
}

/// A process being followed.
struct Proc {
    pid: u32,
    clock: u64,
    epoch_end: u64,
    touched: Touched,
    /// The Linux tid of each of Valgrind's thread numbers.
    threads: HashMap<u32, u32>,
    /// Threads that were made and have not made a call yet.
    fresh: Vec<u32>,
    /// The thread that made the last call.
    current: u32,
    /// Calls that have not returned, by thread.
    pending: HashMap<u32, (u64, u64, Args)>,
    /// The path of each open descriptor.
    open: HashMap<u64, String>,
    /// Children that nobody has waited for yet, with the time of their fork.
    children: Vec<(u32, u64, HashMap<u64, String>)>,
}

impl<L: Logs> Follower<L> {
    /// A follower of the root process `pid`, which runs `name`.
    pub(crate) fn new(pid: u32, name: &str, logs: L) -> Self {
        let builder = Builder::new(pid, name, 0, Sizes::ThisMachine);
        Self { builder, logs, ends: HashMap::new(), execs: false }
    }

    /// Follows the root's output to its end, and its children's.
    pub(crate) fn follow(mut self, root: &mut dyn BufRead) -> Result<Recording, ImportError> {
        let pid = self.builder.recording().processes[0].pid;
        let mut process = Proc::new(pid, 0, HashMap::new());
        let mut start = Start::default();
        let mut line = Vec::new();
        while next_line(root, &mut line)? {
            let parsed = Line::parse(&line);
            if !start.done {
                start.take(&parsed, &mut self)?;
            }
            self.take(&mut process, parsed)?;
        }
        if !start.done {
            return Err(ImportError::NoExec);
        }
        self.end(&mut process)?;
        let provenance = &mut self.builder.recording().provenance;
        provenance.lacks.extend([Lack::Contents, Lack::Faults, Lack::KernelAccesses]);
        provenance.lacks.extend([Lack::CallEnds, Lack::TouchingThread, Lack::Times, Lack::Limits]);
        provenance.lacks.insert(Lack::FileCalls);
        if self.execs {
            provenance.lacks.insert(Lack::ExecedChildren);
        }
        self.builder.finish()
    }

    /// Follows a child from its fork to its end.
    fn follow_child(&mut self, pid: u32, clock: u64, open: HashMap<u64, String>) -> Result<(), ImportError> {
        let mut log = self.logs.child(pid)?;
        let mut process = Proc::new(pid, clock, open);
        let mut line = Vec::new();
        while next_line(&mut *log, &mut line)? {
            self.take(&mut process, Line::parse(&line))?;
        }
        self.end(&mut process)
    }

    fn take(&mut self, process: &mut Proc, line: Line) -> Result<(), ImportError> {
        match line {
            Line::Fetch { addr, len } => {
                process.clock += 1;
                if process.clock >= process.epoch_end {
                    self.end_epoch(process);
                }
                process.touched.read(addr, len);
            }
            Line::Load { addr, len } => process.touched.read(addr, len),
            Line::Store { addr, len } => process.touched.write(addr, len),
            Line::Modify { addr, len } => {
                process.touched.read(addr, len);
                process.touched.write(addr, len);
            }
            Line::Call { thread, number, args, result } => {
                process.enter(thread);
                match result {
                    Some(result) => self.call(process, number, &args, result, process.clock)?,
                    None => self.begin(process, thread, number, args),
                }
            }
            Line::Fork { thread, child } => {
                process.enter(thread);
                self.fork(process, child);
            }
            Line::Return { thread, number, result } => {
                process.enter(thread);
                if let Some((_, start, args)) =
                    process.pending.remove(&thread).filter(|pending| pending.0 == number)
                {
                    self.call(process, number, &args, result, start)?;
                }
            }
            Line::Other => {}
        }
        Ok(())
    }

    /// A call began that other threads may run during. What was touched until now was touched
    /// before it.
    fn begin(&mut self, process: &mut Proc, thread: u32, number: u64, args: Args) {
        if decode_call(number, &args.values, None).is_some() {
            self.end_epoch(process);
        }
        process.pending.insert(thread, (number, process.clock, args));
        self.leave(process, number);
    }

    /// A call returned.
    fn call(
        &mut self,
        process: &mut Proc,
        number: u64,
        args: &Args,
        result: CallResult,
        start: u64,
    ) -> Result<(), ImportError> {
        let ret = match result {
            Ok(value) => value as i64,
            Err(errno) => (errno as i64).wrapping_neg(),
        };
        if let Ok(value) = result {
            process.kernel_accesses(number, args, value);
            process.descriptors(number, args, value);
            match number {
                CLONE if value != 0 => self.thread(process, value as u32),
                WAIT4 if value != 0 => self.wait(process, value as u32)?,
                _ => {}
            }
            self.leave(process, number);
        }
        let file = self.mapped_file(process, number, args, ret);
        if let Some(call) = decode_call(number, &args.values, file) {
            self.end_epoch(process);
            self.builder.call(process.current, start, process.clock, call, ret);
        }
        Ok(())
    }

    /// A thread ends with a call that does not return, and so may its process.
    fn leave(&mut self, process: &mut Proc, number: u64) {
        match number {
            EXIT => {
                self.end_epoch(process);
                self.builder.exit(process.current, process.clock);
                let ended = process.current;
                process.threads.retain(|_, tid| *tid != ended);
                process.current = process.threads.values().copied().next().unwrap_or(process.pid);
            }
            EXECVE => self.execs = true,
            _ => {}
        }
    }

    fn thread(&mut self, process: &mut Proc, tid: u32) {
        self.end_epoch(process);
        let memory = ForkMemory::Thread;
        self.builder.fork(process.current, process.pid, tid, memory, process.clock);
        process.fresh.push(tid);
    }

    /// Valgrind turns every `vfork` into a `fork`.
    fn fork(&mut self, process: &mut Proc, child: u32) {
        self.end_epoch(process);
        let at = process.clock;
        self.builder.fork(process.current, child, child, ForkMemory::Copied, at);
        process.children.push((child, at, process.open.clone()));
    }

    /// A child ended, so its output is complete.
    fn wait(&mut self, process: &mut Proc, child: u32) -> Result<(), ImportError> {
        self.end_epoch(process);
        if let Some(index) = process.children.iter().position(|(pid, ..)| *pid == child) {
            let (pid, at, open) = process.children.remove(index);
            self.follow_child(pid, at, open)?;
        }
        if let Some(&end) = self.ends.get(&child) {
            process.clock = process.clock.max(end);
            process.epoch_end = process.clock + EPOCH;
        }
        Ok(())
    }

    /// A process's output ended: so did its tasks.
    fn end(&mut self, process: &mut Proc) -> Result<(), ImportError> {
        self.end_epoch(process);
        for (pid, at, open) in std::mem::take(&mut process.children) {
            self.follow_child(pid, at, open)?;
        }
        let mut tasks: Vec<u32> = process.threads.values().copied().collect();
        tasks.append(&mut process.fresh);
        tasks.sort_unstable();
        for tid in tasks {
            self.builder.exit(tid, process.clock);
        }
        self.ends.insert(process.pid, process.clock);
        Ok(())
    }

    fn end_epoch(&mut self, process: &mut Proc) {
        process.epoch_end = process.clock + EPOCH;
        if let Some(kind) = process.touched.take() {
            self.builder.moment(process.current, process.clock, kind);
        }
    }

    fn mapped_file(&mut self, process: &Proc, number: u64, args: &Args, ret: i64) -> Option<FileId> {
        let [_, len, _, flags, descriptor, offset] = args.values;
        if number != MMAP || flags & MAP_ANONYMOUS != 0 || ret < 0 {
            return None;
        }
        let unknown = || "unknown".to_owned();
        let path = process.open.get(&descriptor).cloned().unwrap_or_else(unknown);
        Some(self.builder.file(FileKey { path, inode: 0 }, offset.saturating_add(len)))
    }
}

impl Proc {
    fn new(pid: u32, clock: u64, open: HashMap<u64, String>) -> Self {
        Self {
            pid,
            clock,
            epoch_end: clock + EPOCH,
            touched: Touched::new(),
            threads: HashMap::new(),
            fresh: vec![pid],
            current: pid,
            pending: HashMap::new(),
            open,
            children: Vec::new(),
        }
    }

    /// The thread of Valgrind's number `thread` is the one that runs.
    fn enter(&mut self, thread: u32) {
        if let Some(&tid) = self.threads.get(&thread) {
            self.current = tid;
        } else if !self.fresh.is_empty() {
            self.current = self.fresh.remove(0);
            self.threads.insert(thread, self.current);
        }
    }

    /// The kernel read or wrote the program's memory in a simple read or write.
    fn kernel_accesses(&mut self, number: u64, args: &Args, done: u64) {
        let [first, second, ..] = args.values;
        match number {
            READ | PREAD | RECVFROM if done > 0 => self.touched.write(second, done),
            WRITE | PWRITE | SENDTO if done > 0 => self.touched.read(second, done),
            GETRANDOM if done > 0 => self.touched.write(first, done),
            _ => {}
        }
    }

    fn descriptors(&mut self, number: u64, args: &Args, value: u64) {
        match number {
            OPEN | OPENAT => {
                self.open.insert(value, args.text.clone().unwrap_or_default());
            }
            MEMFD_CREATE => {
                let name = args.text.as_deref().unwrap_or_default();
                self.open.insert(value, format!("/memfd:{name}"));
            }
            CLOSE => {
                self.open.remove(&args.values[0]);
            }
            _ => {}
        }
    }
}

const READ: u64 = 0;
const WRITE: u64 = 1;
const OPEN: u64 = 2;
const CLOSE: u64 = 3;
const MMAP: u64 = 9;
const BRK: u64 = 12;
const PREAD: u64 = 17;
const PWRITE: u64 = 18;
const SENDTO: u64 = 44;
const RECVFROM: u64 = 45;
const CLONE: u64 = 56;
const EXECVE: u64 = 59;
const EXIT: u64 = 60;
const WAIT4: u64 = 61;
const OPENAT: u64 = 257;
const GETRANDOM: u64 = 318;
const MEMFD_CREATE: u64 = 319;
const MAP_ANONYMOUS: u64 = 0x20;

/// What must be learned before the program's first instruction, and soon after: its mappings,
/// which are found once its stack is known, and where its heap starts.
#[derive(Default)]
struct Start {
    maps: Option<String>,
    mappings: Option<Vec<Mapping>>,
    done: bool,
}

impl Start {
    fn take<L: Logs>(&mut self, line: &Line, to: &mut Follower<L>) -> Result<(), ImportError> {
        match line {
            Line::Fetch { .. } if self.maps.is_none() => self.maps = Some(to.logs.root_maps()?),
            Line::Store { addr, .. } if self.mappings.is_none() => {
                let maps = self.maps.take().unwrap_or_default();
                self.mappings = Some(program_mappings(&maps, *addr, &mut to.builder));
            }
            Line::Call { number, args, result, .. } => {
                let brk_start = match result {
                    Some(Ok(value)) if *number == BRK && args.values[0] == 0 => *value,
                    _ => 0,
                };
                let pid = to.builder.recording().processes[0].pid;
                let name = to.builder.recording().processes[0].name.clone();
                let mappings = self.mappings.take().unwrap_or_default();
                to.builder.exec(pid, &name, mappings, brk_start, 0);
                self.done = true;
            }
            _ => {}
        }
        Ok(())
    }
}

fn next_line(from: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = from.read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(read > 0)
}
