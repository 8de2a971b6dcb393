//! Events as bytes.
//!
//! An event starts with a byte: bits 0 to 4 say what it is, bit 5 that it lasts (an end is stored)
//! and bit 6 that another task than in the event before did it (the task is stored). Bit 7 is 0.

use super::wire::{Reader, Writer};
use super::{ReadError, call};
use crate::{Access, Backing, Event, EventKind, FileId, ForkMemory, Mapping, MappingKind, Origin};
use crate::{PageRun, ProcessId, Prot, Sharing, TaskId};

const LASTS: u8 = 1 << 5;
const OTHER_TASK: u8 = 1 << 6;

/// The fewest bytes an event takes: its head and its time.
pub(super) const LEAST: u64 = 2;

/// Writes an event that follows one of task `previous`.
pub(super) fn put(event: &Event, previous: TaskId, w: &mut Writer) {
    let mut head = number(&event.kind);
    if event.end_ns != event.time_ns {
        head |= LASTS;
    }
    if event.task != previous {
        head |= OTHER_TASK;
    }
    w.byte(head);
    if event.task != previous {
        w.number(event.task.0.into());
    }
    w.times(event.time_ns, event.end_ns);
    put_kind(&event.kind, w);
}

/// Reads an event that follows one of task `previous`.
pub(super) fn take(previous: TaskId, r: &mut Reader<'_>) -> Result<Event, ReadError> {
    let head = r.byte("kind of event")?;
    let task = match head & OTHER_TASK {
        0 => previous,
        _ => TaskId(r.number_u32("task")?),
    };
    let (time_ns, end_ns) = r.times(head & LASTS != 0)?;
    let kind = take_kind(head & !(LASTS | OTHER_TASK), r)?;
    Ok(Event { time_ns, end_ns, task, kind })
}

/// Faults have the numbers from 8: access times two plus origin.
const FAULT: u8 = 8;

fn number(kind: &EventKind) -> u8 {
    match kind {
        EventKind::Fork { .. } => 0,
        EventKind::Exec { .. } => 1,
        EventKind::Exit => 2,
        EventKind::Call { .. } => 3,
        EventKind::Touch { .. } => 4,
        EventKind::Content { .. } => 5,
        EventKind::Fault { access, origin, .. } => {
            let access = match access {
                Access::Read => 0,
                Access::Write => 1,
                Access::Execute => 2,
            };
            FAULT + 2 * access + u8::from(*origin == Origin::Kernel)
        }
    }
}

fn put_kind(kind: &EventKind, w: &mut Writer) {
    match kind {
        EventKind::Fork { child_process, child_task, memory } => {
            w.number(child_process.0.into());
            w.number(child_task.0.into());
            w.byte(match memory {
                ForkMemory::Copied => 0,
                ForkMemory::BorrowedUntilExec => 1,
                ForkMemory::Shared => 2,
                ForkMemory::Thread => 3,
            });
        }
        EventKind::Exec { mappings, brk_start } => {
            w.number(*brk_start);
            w.list(mappings, put_mapping);
        }
        EventKind::Exit => {}
        EventKind::Call { call, ret } => call::put(call, *ret, w),
        EventKind::Fault { addr, .. } => w.addr(*addr),
        EventKind::Touch { epoch, read, written } => {
            w.number((*epoch).into());
            put_runs(read, w);
            put_runs(written, w);
        }
        EventKind::Content { page, class } => {
            w.number(*page);
            w.number(*class);
        }
    }
}

fn take_kind(number: u8, r: &mut Reader<'_>) -> Result<EventKind, ReadError> {
    Ok(match number {
        0 => take_fork(r)?,
        1 => EventKind::Exec {
            brk_start: r.number("start of the heap")?,
            mappings: r.list("number of mappings", 6, take_mapping)?,
        },
        2 => EventKind::Exit,
        3 => {
            let (call, ret) = call::take(r)?;
            EventKind::Call { call, ret }
        }
        4 => EventKind::Touch { epoch: r.number_u32("epoch")?, read: take_runs(r)?, written: take_runs(r)? },
        5 => EventKind::Content { page: r.number("page")?, class: r.number("class")? },
        8..=13 => EventKind::Fault {
            addr: r.addr("address")?,
            access: [Access::Read, Access::Write, Access::Execute][usize::from(number - FAULT) / 2],
            origin: [Origin::User, Origin::Kernel][usize::from(number - FAULT) % 2],
        },
        other => return Err(r.bad("kind of event", other.into())),
    })
}

fn take_fork(r: &mut Reader<'_>) -> Result<EventKind, ReadError> {
    Ok(EventKind::Fork {
        child_process: ProcessId(r.number_u32("process")?),
        child_task: TaskId(r.number_u32("task")?),
        memory: match r.byte("kind of fork")? {
            0 => ForkMemory::Copied,
            1 => ForkMemory::BorrowedUntilExec,
            2 => ForkMemory::Shared,
            3 => ForkMemory::Thread,
            other => return Err(r.bad("kind of fork", other.into())),
        },
    })
}

fn put_mapping(w: &mut Writer, mapping: &Mapping) {
    w.addr(mapping.start);
    w.number(mapping.len);
    w.byte(mapping.prot.0);
    w.byte(match mapping.sharing {
        Sharing::Private => 0,
        Sharing::Shared => 1,
    });
    w.byte(match mapping.kind {
        MappingKind::File => 0,
        MappingKind::Anonymous => 1,
        MappingKind::Heap => 2,
        MappingKind::Stack => 3,
        MappingKind::Vdso => 4,
        MappingKind::Vvar => 5,
    });
    w.option(mapping.backing, |w, backing| {
        w.number(backing.file.0.into());
        w.number(backing.offset);
    });
}

fn take_mapping(r: &mut Reader<'_>) -> Result<Mapping, ReadError> {
    let start = r.addr("address")?;
    let len = r.number("length")?;
    let prot = match r.byte("protection")? {
        bits @ 0..8 => Prot(bits),
        other => return Err(r.bad("protection", other.into())),
    };
    let sharing = match r.byte("sharing")? {
        0 => Sharing::Private,
        1 => Sharing::Shared,
        other => return Err(r.bad("sharing", other.into())),
    };
    let kind = match r.byte("kind of mapping")? {
        0 => MappingKind::File,
        1 => MappingKind::Anonymous,
        2 => MappingKind::Heap,
        3 => MappingKind::Stack,
        4 => MappingKind::Vdso,
        5 => MappingKind::Vvar,
        other => return Err(r.bad("kind of mapping", other.into())),
    };
    let backing = r.option("file", |r| {
        Ok(Backing { file: FileId(r.number_u32("file")?), offset: r.number("file offset")? })
    })?;
    Ok(Mapping { start, len, prot, sharing, kind, backing })
}

/// Runs are gaps and lengths; the first gap counts from page 0.
fn put_runs(runs: &[PageRun], w: &mut Writer) {
    let mut end = 0;
    w.list(runs, |w, run| {
        w.signed(run.first_page.wrapping_sub(end) as i64);
        w.number(run.count);
        end = run.first_page.wrapping_add(run.count);
    });
}

fn take_runs(r: &mut Reader<'_>) -> Result<Vec<PageRun>, ReadError> {
    let mut end = 0u64;
    r.list("number of runs", 2, |r| {
        let first_page = end.wrapping_add(r.signed("page")? as u64);
        let count = r.number("number of pages")?;
        end = first_page.wrapping_add(count);
        Ok(PageRun { first_page, count })
    })
}
