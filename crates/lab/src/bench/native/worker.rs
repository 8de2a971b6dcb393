//! Another process of Linux's, for work in two address spaces.
//!
//! It reads a line for each piece of work, `KIND ROUNDS`, does it, and answers a line.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::Trouble;
use super::attempt::Attempt;
use super::rounds::{Kind, linux_rounds};
use crate::exit::{Error, Verdict};

/// The hidden verb that it is.
pub(crate) const WORKER: &str = "bench-worker";
/// The CPU it runs on.
const CPU: usize = 1;
/// What it answers.
const DONE: &str = "done";

/// The command line of the worker.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkerArgs {}

/// Is the worker.
pub(crate) fn run_worker(_: &WorkerArgs) -> Result<Verdict, Error> {
    works().map(|()| Verdict::Good).map_err(|trouble| Error::new(&trouble))
}

fn works() -> Result<(), Trouble> {
    native::peer::run_on(CPU).at("sched_setaffinity")?;
    for line in std::io::stdin().lock().lines() {
        let line = line.at("standard input")?;
        let wrong = || Trouble::new(&"the worker was asked for what it does not know");
        let (kind, rounds) = line.split_once(' ').ok_or_else(wrong)?;
        let kind = Kind::parse(kind).ok_or_else(wrong)?;
        linux_rounds(kind, rounds.parse().map_err(|_| wrong())?)?;
        writeln!(std::io::stdout(), "{DONE}").at("standard output")?;
    }
    Ok(())
}

/// A running worker. It ends with its standard input.
pub(super) struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts it.
    pub(super) fn start() -> Result<Worker, Trouble> {
        let program = std::env::current_exe().at("this program's file")?;
        let mut child = Command::new(program)
            .arg(WORKER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .at("the worker")?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.ok_or_else(|| Trouble::new(&"the worker has no pipes"))?;
        Ok(Worker { child, input: Some(input), output: BufReader::new(output) })
    }

    /// Begins work.
    pub(super) fn begin(&mut self, kind: Kind, rounds: u64) -> Result<(), Trouble> {
        let input = self.input.as_mut().ok_or_else(|| Trouble::new(&"the worker has ended"))?;
        writeln!(input, "{} {rounds}", kind.word()).at("the worker's input")
    }

    /// Waits until the work is done.
    pub(super) fn finish(&mut self) -> Result<(), Trouble> {
        let mut line = String::new();
        self.output.read_line(&mut line).at("the worker's output")?;
        if line.trim() == DONE { Ok(()) } else { Err(Trouble::new(&"the worker did not finish its work")) }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.input = None;
        // It ends by itself; there is nothing to tell if it did not.
        let _ = self.child.wait();
    }
}
