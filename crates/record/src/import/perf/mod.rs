//! `perf.data` files, as `perf record` writes them.
//!
//! Wanted are the tracepoints `exceptions:page_fault_user` and `exceptions:page_fault_kernel`,
//! `raw_syscalls:sys_enter` and `raw_syscalls:sys_exit` for the memory calls, and
//! `task:task_newtask`, recorded with `-d` so that every mapping leaves a record.
//! [`EVENTS`] and [`filter`] are what [`recorder`](crate::recorder) passes to `perf`.

mod layout;
mod machine;
mod space;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use linux_perf_data::linux_perf_event_reader::{EventRecord, RawEventRecord};
use linux_perf_data::{PerfFile, PerfFileReader, PerfFileRecord};

use self::layout::Layouts;
use self::machine::{Machine, Moment};
use super::{ImportError, Options};
use crate::{Lack, Recording};

/// The tracepoints that need no filter.
pub const EVENTS: [&str; 3] =
    ["exceptions:page_fault_user", "exceptions:page_fault_kernel", "task:task_newtask"];

/// The tracepoints that need [`filter`].
pub const CALL_EVENTS: [&str; 2] = ["raw_syscalls:sys_enter", "raw_syscalls:sys_exit"];

/// The x86-64 numbers of the calls that matter.
const CALLS: [u32; 15] = [9, 10, 11, 12, 25, 26, 27, 28, 59, 149, 150, 151, 152, 322, 325];

/// A record of `PERF_RECORD_MMAP2` with a build id in place of the inode.
const MISC_BUILD_ID: u16 = 1 << 14;

/// The in-kernel filter that keeps only the calls that matter.
#[must_use]
pub fn filter() -> String {
    CALLS.map(|number| format!("id=={number}")).join("||")
}

/// Imports a `perf.data` file.
///
/// # Errors
///
/// When the file cannot be read, was not made on x86-64, or holds no exec of the program.
pub fn import(path: &Path, options: Options) -> Result<Recording, ImportError> {
    let file = BufReader::new(File::open(path)?);
    let PerfFileReader { mut perf_file, mut record_iter } =
        PerfFileReader::parse_file(file).map_err(broken)?;
    let layouts = Layouts::read(&perf_file)?;
    let mut machine = Machine::new(options);
    while let Some(record) = record_iter.next_record(&mut perf_file).map_err(broken)? {
        if let PerfFileRecord::EventRecord { attr_index, record } = record {
            take_record(&layouts, &mut machine, attr_index, &record)?;
        }
    }
    let mut recording = machine.finish()?;
    describe(&perf_file, &mut recording)?;
    Ok(recording)
}

fn take_record(
    layouts: &Layouts,
    machine: &mut Machine,
    attr_index: usize,
    record: &RawEventRecord<'_>,
) -> Result<(), ImportError> {
    if record.misc & MISC_BUILD_ID != 0 && record.record_type.0 == MMAP2 {
        return Err(ImportError::Perf("recorded with --buildid-mmap, which hides inodes".into()));
    }
    let common = record.common_data().map_err(broken)?;
    let at = common.timestamp.unwrap_or(0);
    let parsed = record.parse().map_err(broken)?;
    match parsed {
        EventRecord::Sample(sample) => {
            let tid = sample.tid.unwrap_or(0) as u32;
            let Some(raw) = sample.raw else { return Ok(()) };
            let moment = Moment { at: sample.timestamp.unwrap_or(at), tid };
            if let Some(point) = layouts.decode(attr_index, &raw.as_slice()) {
                machine.tracepoint(moment, point);
            }
        }
        EventRecord::Comm(comm) if comm.is_execve => {
            let name = String::from_utf8_lossy(&comm.name.as_slice()).into_owned();
            machine.exec(Moment { at, tid: comm.pid as u32 }, &name);
        }
        EventRecord::Fork(fork) => machine.fork(&fork),
        EventRecord::Exit(exit) => {
            machine.exit(Moment { at: exit.timestamp, tid: exit.tid as u32 });
        }
        EventRecord::Mmap2(mapped) => machine.mapped(&mapped),
        EventRecord::Lost(lost) => machine.lost(lost.count),
        _ => {}
    }
    Ok(())
}

/// `PERF_RECORD_MMAP2`.
const MMAP2: u32 = 10;

fn describe(perf_file: &PerfFile, recording: &mut Recording) -> Result<(), ImportError> {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let provenance = &mut recording.provenance;
    let version = perf_file.perf_version().map_err(broken)?;
    provenance.recorder = format!("perf {}", text(version)).trim_end().to_owned();
    provenance.kernel = text(perf_file.os_release().map_err(broken)?);
    provenance.cpus = perf_file.nr_cpus().map_err(broken)?.map_or(0, |cpus| cpus.nr_cpus_online);
    provenance.lacks.extend([Lack::Touches, Lack::Contents, Lack::Limits, Lack::FileCalls]);
    match perf_file.arch().map_err(broken)? {
        None | Some("x86_64") => Ok(()),
        Some(other) => Err(ImportError::Architecture(other.to_owned())),
    }
}

fn broken(error: impl std::fmt::Display) -> ImportError {
    ImportError::Perf(error.to_string())
}

#[cfg(test)]
mod tests;
