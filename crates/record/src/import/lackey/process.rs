//! A process being followed.

use std::collections::HashMap;

use super::handles::Handles;
use super::line::Args;
use super::touched::Touched;

/// An epoch ends at the latest after this many instructions.
pub(super) const EPOCH: u64 = 4_000_000;

/// A process being followed.
pub(super) struct Proc {
    pub(super) pid: u32,
    pub(super) clock: u64,
    pub(super) epoch_end: u64,
    pub(super) touched: Touched,
    /// The Linux tid of each of Valgrind's thread numbers.
    pub(super) threads: HashMap<u32, u32>,
    /// Threads that were made and have not made a call yet.
    pub(super) fresh: Vec<u32>,
    /// The thread that made the last call.
    pub(super) current: u32,
    /// Calls that have not returned, by thread.
    pub(super) pending: HashMap<u32, (u64, u64, Args)>,
    pub(super) handles: Handles,
    pub(super) output: Output,
    /// The child it waited for, whose end has to be followed first.
    pub(super) waits_for: Option<u32>,
    /// It was asked for more since somebody began to wait for it, and had nothing.
    pub(super) quiet: bool,
}

impl Proc {
    pub(super) fn new(pid: u32, clock: u64, handles: Handles) -> Self {
        Self {
            pid,
            clock,
            epoch_end: clock + EPOCH,
            touched: Touched::new(),
            threads: HashMap::new(),
            fresh: vec![pid],
            current: pid,
            pending: HashMap::new(),
            handles,
            output: Output::default(),
            waits_for: None,
            quiet: false,
        }
    }

    /// The thread of Valgrind's number `thread` is the one that runs.
    pub(super) fn enter(&mut self, thread: u32) {
        if let Some(&tid) = self.threads.get(&thread) {
            self.current = tid;
        } else if !self.fresh.is_empty() {
            self.current = self.fresh.remove(0);
            self.threads.insert(thread, self.current);
        }
    }

    /// The running thread ended.
    pub(super) fn leave(&mut self) {
        let ended = self.current;
        self.threads.retain(|_, tid| *tid != ended);
        self.current = self.threads.values().copied().next().unwrap_or(self.pid);
    }

    /// The threads that are left.
    pub(super) fn take_threads(&mut self) -> Vec<u32> {
        let mut tasks: Vec<u32> = self.threads.drain().map(|(_, tid)| tid).collect();
        tasks.append(&mut self.fresh);
        tasks.sort_unstable();
        tasks
    }

    /// The kernel read or wrote the program's memory in a simple read or write.
    pub(super) fn kernel_accesses(&mut self, number: u64, args: &Args, done: u64) {
        let [first, second, ..] = args.values;
        match number {
            READ | PREAD | RECVFROM if done > 0 => self.touched.write(second, done),
            WRITE | PWRITE | SENDTO if done > 0 => self.touched.read(second, done),
            GETRANDOM if done > 0 => self.touched.write(first, done),
            _ => {}
        }
    }
}

const READ: u64 = 0;
const WRITE: u64 = 1;
const PREAD: u64 = 17;
const PWRITE: u64 = 18;
const SENDTO: u64 = 44;
const RECVFROM: u64 = 45;
const GETRANDOM: u64 = 318;

/// Output that was read and not yet followed.
#[derive(Default)]
pub(super) struct Output {
    text: Vec<u8>,
    at: usize,
}

impl Output {
    /// Where more of it is added.
    pub(super) fn room(&mut self) -> &mut Vec<u8> {
        self.text.drain(..self.at);
        self.at = 0;
        &mut self.text
    }

    /// The next whole line, without its end.
    pub(super) fn line(&mut self) -> Option<&[u8]> {
        let from = self.at;
        let len = self.text[from..].iter().position(|&byte| byte == b'\n')?;
        self.at = from + len + 1;
        Some(&self.text[from..from + len])
    }

    /// What is left when no more lines come.
    pub(super) fn rest(&mut self) -> Option<&[u8]> {
        let from = std::mem::replace(&mut self.at, self.text.len());
        Some(&self.text[from..]).filter(|rest| !rest.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::Output;

    #[test]
    fn lines_come_whole() {
        let mut output = Output::default();
        output.room().extend_from_slice(b"one\ntw");
        assert_eq!(output.line(), Some(&b"one"[..]));
        assert_eq!(output.line(), None);
        output.room().extend_from_slice(b"o\n\nend");
        assert_eq!(output.line(), Some(&b"two"[..]));
        assert_eq!(output.line(), Some(&b""[..]));
        assert_eq!(output.line(), None);
        assert_eq!(output.rest(), Some(&b"end"[..]));
        assert_eq!(output.rest(), None);
    }
}
