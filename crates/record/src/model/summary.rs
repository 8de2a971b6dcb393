//! What is in a recording, counted.

use std::collections::BTreeMap;

use crate::{Access, EventKind, Origin, PageRun, Recording};

/// The calls of one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// How many were made.
    pub made: u64,
    /// How many of them failed.
    pub failed: u64,
}

/// The counts of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events of every kind.
    pub events: u64,
    /// Events by the name of their kind.
    pub by_kind: BTreeMap<&'static str, u64>,
    /// Calls by name.
    pub calls: BTreeMap<&'static str, CallCounts>,
    /// Processes.
    pub processes: u64,
    /// Tasks that share a process with another; every process counts one task besides these.
    pub threads: u64,
    /// Files that were mapped.
    pub files: u64,
    /// Faults on a load, a store and a fetch.
    pub faults_by_access: [u64; 3],
    /// Faults the kernel took on the program's behalf.
    pub faults_in_kernel: u64,
    /// Page reads in touches: a page counts once in each epoch.
    pub pages_read: u64,
    /// Page writes in touches: a page counts once in each epoch.
    pub pages_written: u64,
    /// The latest end of any event.
    pub duration_ns: u64,
}

impl Recording {
    /// Counts what is in it.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary::of(self)
    }
}

impl Summary {
    /// Counts `recording`.
    #[must_use]
    pub fn of(recording: &Recording) -> Self {
        let mut summary = Self {
            events: recording.events.len() as u64,
            processes: recording.processes.len() as u64,
            threads: recording.tasks.len().saturating_sub(recording.processes.len()) as u64,
            files: recording.files.len() as u64,
            ..Self::default()
        };
        for event in &recording.events {
            summary.duration_ns = summary.duration_ns.max(event.end_ns);
            *summary.by_kind.entry(event.kind.name()).or_default() += 1;
            summary.count(&event.kind);
        }
        summary
    }

    fn count(&mut self, kind: &EventKind) {
        match kind {
            EventKind::Call { call, ret } => {
                let counts = self.calls.entry(call.name()).or_default();
                counts.made += 1;
                counts.failed += u64::from(*ret < 0);
            }
            EventKind::Fault { access, origin, .. } => {
                self.faults_by_access[match access {
                    Access::Read => 0,
                    Access::Write => 1,
                    Access::Execute => 2,
                }] += 1;
                self.faults_in_kernel += u64::from(*origin == Origin::Kernel);
            }
            EventKind::Touch { read, written, .. } => {
                self.pages_read = self.pages_read.saturating_add(pages(read));
                self.pages_written = self.pages_written.saturating_add(pages(written));
            }
            _ => {}
        }
    }
}

fn pages(runs: &[PageRun]) -> u64 {
    runs.iter().fold(0, |sum, run| sum.saturating_add(run.count))
}
