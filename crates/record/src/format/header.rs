//! The header: provenance, Linux's counts, files, processes, tasks.

use super::ReadError;
use super::wire::{Reader, Writer};
use crate::{FileInfo, FileKind, Lack, LinuxCounts, Process, ProcessId, Provenance, Recording, Task};

/// Writes everything of `recording` but its events.
pub(super) fn put(recording: &Recording, w: &mut Writer) {
    put_provenance(&recording.provenance, w);
    put_counts(&recording.linux, w);
    w.list(&recording.files, put_file);
    w.list(&recording.processes, |w, process| {
        w.number(process.pid.into());
        w.option(process.parent, |w, parent| w.number(parent.0.into()));
        w.string(&process.name);
    });
    w.list(&recording.tasks, |w, task| {
        w.number(task.tid.into());
        w.number(task.process.0.into());
    });
}

/// Reads a recording that has no events yet.
pub(super) fn take(r: &mut Reader<'_>) -> Result<Recording, ReadError> {
    let provenance = take_provenance(r)?;
    let linux = take_counts(r)?;
    let files = r.list("number of files", 3, take_file)?;
    let processes = r.list("number of processes", 3, |r| {
        Ok(Process {
            pid: r.number_u32("pid")?,
            parent: r.option("parent process", |r| Ok(ProcessId(r.number_u32("process")?)))?,
            name: r.string("process name")?,
        })
    })?;
    let tasks = r.list("number of tasks", 2, |r| {
        Ok(Task { tid: r.number_u32("tid")?, process: ProcessId(r.number_u32("process")?) })
    })?;
    Ok(Recording { provenance, linux, files, processes, tasks, events: Vec::new() })
}

fn put_provenance(p: &Provenance, w: &mut Writer) {
    w.list(&p.program, |w, arg| w.string(arg));
    w.string(&p.recorder);
    w.string(&p.kernel);
    w.number(p.cpus.into());
    w.number(p.page_size.into());
    w.string(&p.thp);
    w.string(&p.date);
    w.string(&p.freehold);
    let lacks: Vec<Lack> = p.lacks.iter().copied().collect();
    w.list(&lacks, |w, lack| w.byte(*lack as u8));
    w.number(p.lost_events);
    w.list(&p.notes, |w, note| w.string(note));
}

fn take_provenance(r: &mut Reader<'_>) -> Result<Provenance, ReadError> {
    Ok(Provenance {
        program: r.list("number of arguments", 1, |r| r.string("argument"))?,
        recorder: r.string("recorder")?,
        kernel: r.string("kernel release")?,
        cpus: r.number_u32("number of CPUs")?,
        page_size: r.number_u32("page size")?,
        thp: r.string("huge page setting")?,
        date: r.string("date")?,
        freehold: r.string("version of Freehold")?,
        lacks: r.list("number of lacks", 1, take_lack)?.into_iter().collect(),
        lost_events: r.number("number of lost events")?,
        notes: r.list("number of notes", 1, |r| r.string("note"))?,
    })
}

fn take_lack(r: &mut Reader<'_>) -> Result<Lack, ReadError> {
    let byte = r.byte("lack")?;
    Lack::ALL.get(usize::from(byte)).copied().ok_or_else(|| r.bad("lack", byte.into()))
}

fn put_counts(counts: &LinuxCounts, w: &mut Writer) {
    let LinuxCounts { minor_faults, major_faults, peak_rss_kib, wall_ns, user_ns, system_ns } = *counts;
    for count in [minor_faults, major_faults, peak_rss_kib, wall_ns, user_ns, system_ns] {
        w.option(count, Writer::number);
    }
}

fn take_counts(r: &mut Reader<'_>) -> Result<LinuxCounts, ReadError> {
    let mut count = || r.option("Linux count", |r| r.number("Linux count"));
    Ok(LinuxCounts {
        minor_faults: count()?,
        major_faults: count()?,
        peak_rss_kib: count()?,
        wall_ns: count()?,
        user_ns: count()?,
        system_ns: count()?,
    })
}

fn put_file(w: &mut Writer, file: &FileInfo) {
    w.string(&file.name);
    w.number(file.size);
    w.byte(match file.kind {
        FileKind::Regular => 0,
        FileKind::Device => 1,
        FileKind::SharedMemory => 2,
        FileKind::SharedAnonymous => 3,
    });
}

fn take_file(r: &mut Reader<'_>) -> Result<FileInfo, ReadError> {
    let name = r.string("file name")?;
    let size = r.number("file size")?;
    if size >> 63 != 0 {
        return Err(r.bad("possible file size", size));
    }
    let kind = match r.byte("kind of file")? {
        0 => FileKind::Regular,
        1 => FileKind::Device,
        2 => FileKind::SharedMemory,
        3 => FileKind::SharedAnonymous,
        other => return Err(r.bad("kind of file", other.into())),
    };
    Ok(FileInfo { name, size, kind })
}
