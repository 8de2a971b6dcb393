//! The rules that make a recording make sense.
//!
//! They are what a replayer may rely on: everything named exists, everyone who acts is alive, and
//! address spaces start out well formed. Whether a call's outcome is possible is for the replayer
//! to find out.

use thiserror::Error;

use crate::{Event, EventKind, FileId, ForkMemory, Mapping, PageRun, ProcessId, Recording, TaskId};

/// The first address above user space on x86-64 with four-level tables.
pub const USER_TOP: u64 = 1 << 47;

const PAGE: u64 = 4096;

/// A rule that a recording breaks, and where.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Invalid {
    /// In the tables of processes and tasks.
    #[error("{0}")]
    Tables(Broken),
    /// In an event.
    #[error("event {number}: {broken}")]
    Event {
        /// The event's number, from 0.
        number: u64,
        /// The rule it breaks.
        broken: Broken,
    },
}

/// A rule that a recording breaks.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Broken {
    /// There is no event at all.
    #[error("there are no events")]
    NoEvents,
    /// The page size is not 4096.
    #[error("the page size is {0}, only 4096 is supported")]
    PageSize(u32),
    /// A process names a parent that does not come before it, or the root names one.
    #[error("{0} has a parent that does not come before it")]
    Parent(ProcessId),
    /// Task 0 is not in process 0.
    #[error("task 0 must belong to process 0")]
    Root,
    /// A process is named that the recording does not list.
    #[error("{0} is unknown")]
    UnknownProcess(ProcessId),
    /// A task is named that the recording does not list.
    #[error("{0} is unknown")]
    UnknownTask(TaskId),
    /// A file is named that the recording does not list.
    #[error("{0} is unknown")]
    UnknownFile(FileId),
    /// The first event is not the root's exec.
    #[error("the first event must be an exec of task 0")]
    NoRootExec,
    /// A task acts before it was forked.
    #[error("{0} acts before it exists")]
    NotBorn(TaskId),
    /// A task acts after it ended.
    #[error("{0} acts after its exit")]
    Dead(TaskId),
    /// A task, or the process it should start, is forked a second time.
    #[error("{0} or its process is forked twice")]
    BornTwice(TaskId),
    /// A fork and the tables disagree about who belongs to whom.
    #[error("the fork of {0} contradicts the tables of tasks and processes")]
    ForkMismatch(TaskId),
    /// An event ends before it starts.
    #[error("it ends at {end_ns} ns, before it starts at {time_ns} ns")]
    EndsEarly {
        /// Its start.
        time_ns: u64,
        /// Its end.
        end_ns: u64,
    },
    /// A mapping is empty, unaligned or outside user space.
    #[error("the mapping of {len:#x} bytes at {start:#x} is unaligned or outside user space")]
    BadMapping {
        /// Its start.
        start: u64,
        /// Its length.
        len: u64,
    },
    /// Two mappings of an exec overlap or are out of order.
    #[error("the mapping at {start:#x} overlaps the one before it or is out of order")]
    Overlap {
        /// The start of the second.
        start: u64,
    },
    /// An offset into a file is unaligned or overflows.
    #[error("the mapping at {start:#x} has the impossible file offset {offset:#x}")]
    BadOffset {
        /// The mapping's start.
        start: u64,
        /// The offset.
        offset: u64,
    },
    /// The heap starts outside user space.
    #[error("the heap starts at {0:#x}, outside user space")]
    BadBrk(u64),
    /// A run of pages is empty, out of order, or outside user space.
    #[error("the run of {count} pages at page {first_page:#x} is empty, out of order or outside user space")]
    BadRun {
        /// Its first page.
        first_page: u64,
        /// Its length.
        count: u64,
    },
}

/// Where a task is in its life.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Unborn,
    Alive,
    Dead,
}

/// Who has been born and who still lives.
struct Lives {
    tasks: Vec<Life>,
    processes_born: Vec<bool>,
}

impl Lives {
    /// Only the root lives. The tables must have been checked.
    fn new(recording: &Recording) -> Self {
        let mut lives = Self {
            tasks: vec![Life::Unborn; recording.tasks.len()],
            processes_born: vec![false; recording.processes.len()],
        };
        lives.tasks[0] = Life::Alive;
        lives.processes_born[0] = true;
        lives
    }

    fn bear(&mut self, process: ProcessId, task: TaskId, memory: ForkMemory) -> Result<(), Broken> {
        let life = &mut self.tasks[task.0 as usize];
        let born = &mut self.processes_born[process.0 as usize];
        if *life != Life::Unborn || (memory != ForkMemory::Thread && *born) {
            return Err(Broken::BornTwice(task));
        }
        *life = Life::Alive;
        *born = true;
        Ok(())
    }
}

impl Recording {
    /// Checks every rule that makes a recording make sense. Whatever was read holds them.
    ///
    /// # Errors
    ///
    /// The first rule that is broken, and the number of the event that breaks it.
    pub fn validate(&self) -> Result<(), Invalid> {
        check_tables(self).map_err(Invalid::Tables)?;
        let mut lives = Lives::new(self);
        for (number, event) in self.events.iter().enumerate() {
            check_event(self, &mut lives, number, event)
                .map_err(|broken| Invalid::Event { number: number as u64, broken })?;
        }
        Ok(())
    }
}

fn check_tables(recording: &Recording) -> Result<(), Broken> {
    if recording.provenance.page_size != 4096 {
        return Err(Broken::PageSize(recording.provenance.page_size));
    }
    for (index, process) in (0u32..).zip(&recording.processes) {
        let listed = match process.parent {
            None => index == 0,
            Some(parent) => parent.0 < index,
        };
        if !listed {
            return Err(Broken::Parent(ProcessId(index)));
        }
    }
    for task in &recording.tasks {
        if task.process.0 as usize >= recording.processes.len() {
            return Err(Broken::UnknownProcess(task.process));
        }
    }
    match recording.tasks.first() {
        Some(task) if task.process == ProcessId(0) => {}
        _ => return Err(Broken::Root),
    }
    if recording.events.is_empty() {
        return Err(Broken::NoEvents);
    }
    Ok(())
}

fn check_event(recording: &Recording, lives: &mut Lives, number: usize, event: &Event) -> Result<(), Broken> {
    match lives.tasks.get(event.task.0 as usize) {
        None => return Err(Broken::UnknownTask(event.task)),
        Some(Life::Unborn) => return Err(Broken::NotBorn(event.task)),
        Some(Life::Dead) => return Err(Broken::Dead(event.task)),
        Some(Life::Alive) => {}
    }
    if event.end_ns < event.time_ns {
        return Err(Broken::EndsEarly { time_ns: event.time_ns, end_ns: event.end_ns });
    }
    if number == 0 && (event.task.0 != 0 || !matches!(event.kind, EventKind::Exec { .. })) {
        return Err(Broken::NoRootExec);
    }
    match &event.kind {
        EventKind::Fork { child_process, child_task, memory } => {
            check_fork(recording, event.task, *child_process, *child_task, *memory)?;
            lives.bear(*child_process, *child_task, *memory)
        }
        EventKind::Exec { mappings, brk_start } => check_exec(recording, mappings, *brk_start),
        EventKind::Exit => {
            lives.tasks[event.task.0 as usize] = Life::Dead;
            Ok(())
        }
        EventKind::Call { call, .. } => match call.file() {
            Some(file) => check_file(recording, file),
            None => Ok(()),
        },
        EventKind::Touch { read, written, .. } => {
            check_runs(read)?;
            check_runs(written)
        }
        EventKind::Content { page, .. } => check_runs(&[PageRun { first_page: *page, count: 1 }]),
        EventKind::Fault { .. } => Ok(()),
    }
}

fn check_fork(
    recording: &Recording,
    task: TaskId,
    child_process: ProcessId,
    child_task: TaskId,
    memory: ForkMemory,
) -> Result<(), Broken> {
    let Some(child) = recording.tasks.get(child_task.0 as usize) else {
        return Err(Broken::UnknownTask(child_task));
    };
    let Some(process) = recording.processes.get(child_process.0 as usize) else {
        return Err(Broken::UnknownProcess(child_process));
    };
    let own = recording.tasks[task.0 as usize].process;
    let agrees = match memory {
        ForkMemory::Thread => child_process == own,
        _ => process.parent == Some(own),
    };
    if child.process != child_process || !agrees {
        return Err(Broken::ForkMismatch(child_task));
    }
    Ok(())
}

fn check_exec(recording: &Recording, mappings: &[Mapping], brk_start: u64) -> Result<(), Broken> {
    if brk_start >= USER_TOP {
        return Err(Broken::BadBrk(brk_start));
    }
    let mut free_from = 0;
    for mapping in mappings {
        let Mapping { start, len, .. } = *mapping;
        let end = start.checked_add(len).filter(|&end| end <= USER_TOP);
        let Some(end) = end.filter(|_| len > 0 && start % PAGE == 0 && len % PAGE == 0) else {
            return Err(Broken::BadMapping { start, len });
        };
        if start < free_from {
            return Err(Broken::Overlap { start });
        }
        free_from = end;
        if let Some(backing) = mapping.backing {
            check_file(recording, backing.file)?;
            let offset = backing.offset;
            if offset % PAGE != 0 || offset.checked_add(len).is_none_or(|end| end >> 63 != 0) {
                return Err(Broken::BadOffset { start, offset });
            }
        }
    }
    Ok(())
}

fn check_file(recording: &Recording, file: FileId) -> Result<(), Broken> {
    if (file.0 as usize) < recording.files.len() { Ok(()) } else { Err(Broken::UnknownFile(file)) }
}

fn check_runs(runs: &[PageRun]) -> Result<(), Broken> {
    let mut free_from = 0;
    for &PageRun { first_page, count } in runs {
        let end = first_page.checked_add(count).filter(|&end| end <= USER_TOP / PAGE);
        match end {
            Some(end) if count > 0 && first_page >= free_from => free_from = end,
            _ => return Err(Broken::BadRun { first_page, count }),
        }
    }
    Ok(())
}
