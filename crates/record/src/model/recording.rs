//! The recording as a whole.

use std::path::Path;

use crate::{Event, FileInfo, Invalid, LinuxCounts, ProcessId, Provenance, ReadError, Summary};
use crate::{WriteError, format};

/// A process of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its pid on Linux, to find it again in other tools' output.
    pub pid: u32,
    /// Who forked it; `None` for the root.
    pub parent: Option<ProcessId>,
    /// The base name of the last program it ran.
    pub name: String,
}

/// A task (a thread) of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its tid on Linux.
    pub tid: u32,
    /// The process it belongs to.
    pub process: ProcessId,
}

/// One run of a program: where it comes from, who took part, and what happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// Where it comes from.
    pub provenance: Provenance,
    /// What Linux counted.
    pub linux: LinuxCounts,
    /// The files that were mapped.
    pub files: Vec<FileInfo>,
    /// The processes. The first is the root.
    pub processes: Vec<Process>,
    /// The tasks. The first is the root process's first.
    pub tasks: Vec<Task>,
    /// What happened, in order of effect. The first is the `Exec` of task 0.
    pub events: Vec<Event>,
}

impl Recording {
    /// Reads a recording from a file.
    ///
    /// # Errors
    ///
    /// What is wrong with it and where; see [`ReadError`].
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        format::read_file(path)
    }

    /// Reads a recording from the bytes of a file.
    ///
    /// # Errors
    ///
    /// What is wrong with it and where; see [`ReadError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReadError> {
        format::decode(bytes)
    }

    /// Writes the recording to a file, which appears only once it is whole.
    ///
    /// # Errors
    ///
    /// When the recording breaks a rule of [`validate`](Self::validate), is too large for the
    /// format, or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), WriteError> {
        format::write_file(self, path)
    }

    /// The bytes of its file.
    ///
    /// # Errors
    ///
    /// When the recording breaks a rule of [`validate`](Self::validate) or is too large for the
    /// format.
    pub fn to_bytes(&self) -> Result<Vec<u8>, WriteError> {
        format::encode(self)
    }

    /// Checks every rule that makes a recording make sense. Whatever was read holds them.
    ///
    /// # Errors
    ///
    /// The first rule that is broken, and the number of the event that breaks it.
    pub fn validate(&self) -> Result<(), Invalid> {
        crate::model::validate::validate(self)
    }

    /// Counts what is in it.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary::of(self)
    }
}
