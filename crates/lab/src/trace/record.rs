//! What a trace is made of.

use freehold::machine::Event;
use record::Recording;
use sim::Told;

/// What a trace says of the run before its first record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The recording's name.
    pub recording: String,
    /// CPUs of the machine.
    pub cpus: u32,
    /// Frames of the machine.
    pub frames: u64,
    /// The recording's processes: their numbers on Linux, and their names.
    pub processes: Vec<(u32, String)>,
    /// The recording's tasks: their numbers on Linux, and the process of each.
    pub tasks: Vec<(u32, u32)>,
    /// The recording's files.
    pub files: Vec<String>,
}

impl Header {
    /// For a replay of a recording.
    #[must_use]
    pub fn of(name: &str, recording: &Recording, cpus: u32, memory: u64) -> Header {
        Header {
            recording: name.into(),
            cpus,
            frames: memory / freehold::machine::PAGE_SIZE,
            processes: recording.processes.iter().map(|p| (p.pid, p.name.clone())).collect(),
            tasks: recording.tasks.iter().map(|t| (t.tid, t.process.0)).collect(),
            files: recording.files.iter().map(|f| f.name.clone()).collect(),
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The CPU's clock, in simulated nanoseconds.
    pub at_ns: u64,
    /// The CPU.
    pub cpu: u32,
    /// The machine's task; `None` where the CPU was idle.
    pub task: Option<u32>,
    /// What happened.
    pub what: What,
}

/// What happened: to the manager and the machine, or to the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The manager or the machine told it.
    Machine(Event),
    /// The program did it.
    Program(Program),
}

/// What the program did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// The run starts: what was before was setting up, and the clocks start again.
    Starts,
    /// The machine's task runs this task of the recording from here on.
    Born {
        /// Its number in the recording.
        task: u32,
    },
    /// A process has this address space from here on.
    HasSpace {
        /// The process's number in the recording.
        process: u32,
        /// The space.
        asid: u32,
    },
    /// An event of the recording begins.
    Begins {
        /// Its number.
        event: u32,
        /// What the program does, in words.
        text: String,
    },
    /// A call of the program answers.
    Answers {
        /// The number of the event.
        event: u32,
        /// What it returns: a negated errno if it fails.
        answer: i64,
    },
    /// An event is over.
    Ends {
        /// Its number.
        event: u32,
    },
}

impl Record {
    /// An event that the machine passed on.
    #[must_use]
    pub fn of(told: &Told) -> Record {
        let Told { at_ns, cpu, task, event, .. } = *told;
        Record { at_ns, cpu: cpu.0, task: task.map(|task| task.0), what: What::Machine(event) }
    }

    /// The machine's event, if it is one.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        match &self.what {
            What::Machine(event) => Some(event),
            What::Program(_) => None,
        }
    }
}

/// Who is told every record of a replay, in the order in which things happen.
pub trait Listener: Send {
    /// One more record.
    fn hear(&mut self, record: &Record);
    /// The run is over.
    ///
    /// # Errors
    ///
    /// What went wrong while it listened, in one line.
    fn finish(&mut self) -> Result<(), String> {
        Ok(())
    }
}
