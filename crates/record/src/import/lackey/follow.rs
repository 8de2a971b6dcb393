//! Follows the output of all processes to events.

use std::collections::{BTreeMap, HashMap};

use super::contents::Contents;
use super::handles::Handles;
use super::line::{Args, CallResult, Line};
use super::process::{EPOCH, Proc};
use super::start::Start;
use super::{More, Source};
use crate::import::{Builder, ImportError, Sizes, decode_call};
use crate::{EventKind, ForkMemory, Lack, PageRun, Recording};

/// Makes a recording from the output of a root process and its children.
pub(crate) struct Follower<S> {
    builder: Builder,
    source: S,
    start: Start,
    /// The processes that have not ended, by pid.
    running: BTreeMap<u32, Proc>,
    /// When each process ended that is no longer followed.
    ends: HashMap<u32, u64>,
    contents: Contents,
    execs: bool,
}

impl<S: Source> Follower<S> {
    /// A follower of the root process `pid`, which runs `name`.
    pub(crate) fn new(pid: u32, name: &str, source: S) -> Self {
        Self {
            builder: Builder::new(pid, name, 0, Sizes::ThisMachine),
            source,
            start: Start::default(),
            running: BTreeMap::from([(pid, Proc::new(pid, 0, Handles::default()))]),
            ends: HashMap::new(),
            contents: Contents::default(),
            execs: false,
        }
    }

    /// Follows all processes to their ends.
    pub(crate) fn follow(mut self) -> Result<Recording, ImportError> {
        while !self.running.is_empty() {
            let pids: Vec<u32> = self.running.keys().copied().collect();
            for pid in pids {
                self.advance(pid)?;
            }
            self.source.rest();
        }
        if !self.start.is_done() {
            return Err(ImportError::NoExec);
        }
        let provenance = &mut self.builder.recording().provenance;
        provenance.lacks.extend([Lack::Faults, Lack::KernelAccesses, Lack::CallEnds]);
        provenance.lacks.extend([Lack::TouchingThread, Lack::Times, Lack::Limits, Lack::FileCalls]);
        if self.contents.is_unknown() {
            provenance.lacks.insert(Lack::Contents);
        }
        if self.execs {
            provenance.lacks.insert(Lack::ExecedChildren);
        }
        let mut recording = self.builder.finish()?;
        Contents::settle(&mut recording);
        Ok(recording)
    }

    /// Follows what a process has printed, up to where it has to wait for a child's end.
    fn advance(&mut self, pid: u32) -> Result<(), ImportError> {
        let Some(mut process) = self.running.remove(&pid) else { return Ok(()) };
        if !self.may_go_on(&mut process) {
            self.running.insert(pid, process);
            return Ok(());
        }
        let more = self.source.more(pid, process.output.room())?;
        process.quiet = more == More::Nothing;
        self.take_lines(&mut process)?;
        if more != More::Ended || process.waits_for.is_some() {
            self.running.insert(pid, process);
            return Ok(());
        }
        if let Some(line) = process.output.rest().map(Line::parse) {
            self.take(&mut process, line);
        }
        self.end(&mut process);
        Ok(())
    }

    fn take_lines(&mut self, process: &mut Proc) -> Result<(), ImportError> {
        while process.waits_for.is_none() {
            let Some(line) = process.output.line().map(Line::parse) else { break };
            if !self.start.is_done() {
                self.start.take(&line, &mut self.builder, &mut self.source)?;
            }
            self.take(process, line);
        }
        Ok(())
    }

    fn take(&mut self, process: &mut Proc, line: Line) {
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
            // The CPU faults on such a load as on a store, once.
            Line::Modify { addr, len } => process.touched.write(addr, len),
            Line::Call { thread, number, args, result } => {
                process.enter(thread);
                match result {
                    Some(result) => self.call(process, number, &args, result, process.clock),
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
                    self.call(process, number, &args, result, start);
                }
            }
            Line::Other => {}
        }
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
    fn call(&mut self, process: &mut Proc, number: u64, args: &Args, result: CallResult, start: u64) {
        let ret = match result {
            Ok(value) => value as i64,
            Err(errno) => (errno as i64).wrapping_neg(),
        };
        if let Ok(value) = result {
            process.kernel_accesses(number, args, value);
            process.handles.note(number, args, value);
            match number {
                CLONE if value != 0 => self.thread(process, value as u32),
                WAIT4 if value != 0 => self.wait(process, value as u32),
                _ => {}
            }
            self.leave(process, number);
        }
        if let Some(call) = process.handles.memory_call(number, args, ret, &mut self.builder) {
            self.end_epoch(process);
            self.builder.call(process.current, start, process.clock, call, ret);
        }
    }

    /// A thread ends with a call that does not return, and so may its process.
    fn leave(&mut self, process: &mut Proc, number: u64) {
        match number {
            EXIT => {
                self.end_epoch(process);
                self.builder.exit(process.current, process.clock);
                process.leave();
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
        self.ends.remove(&child);
        self.running.insert(child, Proc::new(child, at, process.handles.clone()));
    }

    /// A child ended, or at least stopped.
    fn wait(&mut self, process: &mut Proc, child: u32) {
        self.end_epoch(process);
        process.waits_for = Some(child);
        if let Some(child) = self.running.get_mut(&child) {
            child.quiet = false;
        }
        self.may_go_on(process);
    }

    /// Whether the child that the process waited for was followed to its end, or to where it
    /// stopped. Then the process goes on when the child ended.
    fn may_go_on(&mut self, process: &mut Proc) -> bool {
        let Some(child) = process.waits_for else { return true };
        if self.running.get(&child).is_some_and(|child| !child.quiet) {
            return false;
        }
        process.waits_for = None;
        if let Some(&end) = self.ends.get(&child) {
            process.clock = process.clock.max(end);
            process.epoch_end = process.clock + EPOCH;
        }
        true
    }

    /// A process's output ended: so did its tasks.
    fn end(&mut self, process: &mut Proc) {
        self.end_epoch(process);
        for tid in process.take_threads() {
            self.builder.exit(tid, process.clock);
        }
        self.ends.insert(process.pid, process.clock);
    }

    fn end_epoch(&mut self, process: &mut Proc) {
        process.epoch_end = process.clock + EPOCH;
        let Some(kind) = process.touched.take() else { return };
        let written = match &kind {
            EventKind::Touch { written, .. } => written.clone(),
            _ => Vec::new(),
        };
        self.builder.moment(process.current, process.clock, kind);
        self.look(process, &written);
    }

    /// Looks at pages that were just written.
    fn look(&mut self, process: &Proc, written: &[PageRun]) {
        for page in written.iter().flat_map(|run| run.first_page..run.first_page + run.count) {
            if let Some(bytes) = self.source.page(process.pid, page) {
                let class = self.contents.class_of(bytes);
                self.builder.moment(process.current, process.clock, EventKind::Content { page, class });
            }
        }
    }
}

const CLONE: u64 = 56;
const EXECVE: u64 = 59;
const EXIT: u64 = 60;
const WAIT4: u64 = 61;
