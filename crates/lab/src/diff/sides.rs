//! Both sides of a comparison.

use std::collections::BTreeSet;

use native::{Answer, Call, Status};

use super::compare::{Difference, compare};
use super::host::Host;
use super::known::Known;
use super::native::{Answers, Worker};
use super::ours::{self, Ran};
use super::program::Program;
use crate::exit::Error;

/// A wrong answer on Freehold's side: tests see that it is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Plant {
    /// Calls that answer `ENOMEM` answer `EINVAL`.
    Errno,
    /// A bit of loaded bytes is another one.
    Byte,
    /// A layout lacks its last mapping.
    Layout,
}

impl Plant {
    fn spoil(self, program: &Program, answers: &mut Answers) {
        for (op, answer) in program.ops.iter().zip(&mut answers.answers) {
            match self {
                Plant::Errno if answer.status == Status::Errno(12) => answer.status = Status::Errno(22),
                Plant::Byte if op.call == Call::Load && answer.value > 0xff => answer.value ^= 1 << 40,
                Plant::Layout if op.call == Call::Layout && answer.value > 0 => {
                    answers.areas.remove(answer.value as usize - 1);
                    answer.value -= 1;
                    return;
                }
                _ => {}
            }
        }
    }
}

/// The worker, what it runs on, and what is planted here.
pub(crate) struct Sides {
    worker: Worker,
    /// The host.
    pub(crate) host: Host,
    plant: Option<Plant>,
}

/// A program that ran on both sides.
#[derive(Debug)]
pub(crate) struct Done {
    /// Without the operations that would have met known differences.
    pub(crate) program: Program,
    /// Which those were, by number.
    pub(crate) dropped: BTreeSet<usize>,
    /// What Freehold answered.
    pub(crate) answers: Vec<Answer>,
    /// How many of its operations were compared: all, or those before it parted.
    pub(crate) compared: usize,
    /// The first difference.
    pub(crate) difference: Option<Difference>,
    /// Known differences that were met, or avoided.
    pub(crate) known: Vec<Known>,
}

impl Sides {
    /// Starts the worker.
    pub(crate) fn start(plant: Option<Plant>) -> Result<Sides, Error> {
        let worker = Worker::start(&ours::disk_contents())?;
        if worker.hello.privileges_error != 0 {
            return Err(Error::new(&"the native worker could not give up its privileges"));
        }
        let host = Host::new(&worker.hello);
        Ok(Sides { worker, host, plant })
    }

    /// Runs the rest of a program that ran here, and compares.
    pub(crate) fn finish(&mut self, program: &Program, mut ran: Ran) -> Result<Done, Error> {
        let program = program.without(&ran.dropped);
        if let Some(plant) = self.plant {
            plant.spoil(&program, &mut ran.answers);
        }
        let linux = self.worker.run(&program)?;
        let compared = compare(&program, &linux, &ran);
        let known = [ran.known, compared.known].concat();
        let (difference, answers) = (compared.difference, ran.answers.answers);
        let dropped = ran.dropped;
        Ok(Done { program, dropped, answers, compared: compared.operations, difference, known })
    }

    /// Runs a program on both sides.
    pub(crate) fn run(&mut self, program: &Program) -> Result<Done, Error> {
        let ran = ours::run(program, &self.host)?;
        self.finish(program, ran)
    }
}
