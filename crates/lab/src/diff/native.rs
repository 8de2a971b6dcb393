//! The worker process, from the driver's side.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use native::{ANSWER_BYTES, AREA_BYTES, Answer, Area, HELLO_BYTES, Hello, Op, REPLY_BYTES, Reply, Request};

use super::program::Program;
use crate::exit::Error;

/// The hidden verb that the worker is.
pub(crate) const WORKER: &str = "diff-worker";
/// How long a program may take: the worker itself ends processes that take 20 s.
const PATIENCE: Duration = Duration::from_secs(40);

/// What one side answered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Answers {
    /// One for each operation.
    pub(crate) answers: Vec<Answer>,
    /// The layouts, one after the other; each [`native::Call::Layout`] answers how many are its.
    pub(crate) areas: Vec<Area>,
}

/// A running worker.
pub(crate) struct Worker {
    child: Child,
    input: ChildStdin,
    replies: Receiver<Result<Answers, String>>,
    /// What it said of itself.
    pub(crate) hello: Hello,
}

fn trouble(what: &dyn std::fmt::Display) -> Error {
    Error::new(&format!("the native worker: {what}"))
}

/// Reads exactly so many bytes.
fn take(from: &mut impl Read, bytes: usize) -> Result<Vec<u8>, String> {
    let mut buffer = vec![0; bytes];
    match from.read_exact(&mut buffer) {
        Ok(()) => Ok(buffer),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err("it ended".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn parsed<T>(bytes: &[u8], size: usize, parse: fn(&[u8]) -> Option<T>) -> Result<Vec<T>, String> {
    let all: Option<Vec<T>> = bytes.chunks_exact(size).map(parse).collect();
    all.ok_or_else(|| "it wrote what is no answer".into())
}

fn reply(from: &mut impl Read) -> Result<Answers, String> {
    let head = take(from, REPLY_BYTES)?;
    let head = Reply::from_bytes(&head).ok_or("it wrote what is no reply")?;
    let answers = take(from, head.answers as usize * ANSWER_BYTES)?;
    let areas = take(from, head.areas as usize * AREA_BYTES)?;
    match head.trouble {
        0 => {}
        98 => return Err("it faulted outside of the arena".into()),
        14 => return Err("a process of the program hung for 20 s and was ended".into()),
        signal if signal < 256 => return Err(format!("a process of the program died of signal {signal}")),
        error => return Err(format!("it could not run a program: error {}", error - 256)),
    }
    Ok(Answers {
        answers: parsed(&answers, ANSWER_BYTES, Answer::from_bytes)?,
        areas: parsed(&areas, AREA_BYTES, Area::from_bytes)?,
    })
}

fn listen(
    mut output: ChildStdout,
    hello: impl FnOnce(Result<Hello, String>),
    each: impl Fn(Result<Answers, String>) -> bool,
) {
    let said = take(&mut output, HELLO_BYTES)
        .and_then(|bytes| Hello::from_bytes(&bytes).ok_or_else(|| "it did not say hello".into()));
    let well = said.is_ok();
    hello(said);
    if !well {
        return;
    }
    loop {
        let answers = reply(&mut output);
        let over = answers.is_err();
        if !each(answers) || over {
            return;
        }
    }
}

impl Worker {
    /// Starts this very program again, as a worker whose disk file holds `contents`.
    pub(crate) fn start(contents: &[u8]) -> Result<Worker, Error> {
        let own = match std::env::var_os(OTHER_PROGRAM) {
            Some(path) => PathBuf::from(path),
            None => std::env::current_exe().map_err(|error| trouble(&error))?,
        };
        Worker::start_program(Command::new(own).arg(WORKER), contents)
    }

    fn start_program(command: &mut Command, contents: &[u8]) -> Result<Worker, Error> {
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
        let mut child = started.map_err(|error| trouble(&error))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (mut input, output) = pipes.ok_or_else(|| trouble(&"it has no pipes"))?;
        let (say, hello) = channel();
        let (send, replies) = channel();
        thread::spawn(move || {
            listen(output, |hello| drop(say.send(hello)), |answers| send.send(answers).is_ok());
        });
        let length = (contents.len() as u64).to_le_bytes();
        // A worker that is gone says so below.
        let _ = input.write_all(&length).and_then(|()| input.write_all(contents));
        let hello = match hello.recv_timeout(PATIENCE) {
            Ok(Ok(hello)) => hello,
            told => {
                let _ = child.kill();
                let _ = child.wait();
                let why = told.map_or("it says nothing".into(), |told| told.err().unwrap_or_default());
                return Err(trouble(&format!("it could not be set up: {why}")));
            }
        };
        Ok(Worker { child, input, replies, hello })
    }

    /// Runs a program.
    pub(crate) fn run(&mut self, program: &Program) -> Result<Answers, Error> {
        let request = Request { ops: program.ops.len() as u64, memlock: program.memlock };
        let mut bytes = request.to_bytes().to_vec();
        bytes.extend(program.ops.iter().flat_map(Op::to_bytes));
        // A worker that is gone says so below.
        let _ = self.input.write_all(&bytes).and_then(|()| self.input.flush());
        let answers = match self.replies.recv_timeout(PATIENCE) {
            Ok(Ok(answers)) => answers,
            Ok(Err(why)) => return Err(trouble(&why)),
            Err(RecvTimeoutError::Timeout) => return Err(trouble(&"it hangs, and was ended")),
            Err(RecvTimeoutError::Disconnected) => return Err(trouble(&"it is gone")),
        };
        let layouts = program.ops.iter().zip(&answers.answers);
        let areas: u64 =
            layouts.filter(|(op, _)| op.call == native::Call::Layout).map(|(_, a)| a.value).sum();
        if answers.answers.len() != program.ops.len() || areas != answers.areas.len() as u64 {
            return Err(trouble(&"it answered another program"));
        }
        Ok(answers)
    }
}

/// Tests name another program to run as the worker.
const OTHER_PROGRAM: &str = "FREEHOLD_DIFF_WORKER";

impl Drop for Worker {
    fn drop(&mut self) {
        // Its processes end by themselves within seconds.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
