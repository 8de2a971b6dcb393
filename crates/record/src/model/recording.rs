//! The recording as a whole.

use crate::{Event, FileInfo, LinuxCounts, ProcessId, Provenance};

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
