//! The text that `strace -f -ttt -T` writes with `-o`.
//!
//! It works without privileges, but `strace` sees neither faults nor what `execve` mapped. Flags
//! may be names or, with `-X raw`, numbers; descriptors should carry their paths (`-y`).

mod infer;
mod line;
mod number;

use std::collections::HashMap;

use self::line::{Line, Text};
use self::number::{flags, number, path, signed};
use super::{Builder, FileKey, ImportError, Options};
use crate::{Call, FileId, ForkMemory, Lack, Recording};

/// How `strace` must be started.
pub const FLAGS: [&str; 7] = ["-f", "-ttt", "-T", "-y", "-q", "-X", "raw"];

/// The calls that matter.
pub const CALLS: [&str; 26] = [
    "mmap",
    "munmap",
    "mprotect",
    "mremap",
    "brk",
    "madvise",
    "mlock",
    "mlock2",
    "munlock",
    "mlockall",
    "munlockall",
    "msync",
    "mincore",
    "setrlimit",
    "prlimit64",
    "ftruncate",
    "fsync",
    "fdatasync",
    "execve",
    "execveat",
    "fork",
    "vfork",
    "clone",
    "clone3",
    "exit",
    "exit_group",
];

/// A call that has returned, or the end of a task.
struct Happening {
    line: u64,
    tid: u32,
    start: u64,
    end: u64,
    what: What,
}

enum What {
    Call { name: String, args: Vec<String>, ret: i64 },
    Ended,
}

/// Imports the text.
///
/// # Errors
///
/// The first line that cannot be understood, or that there is no successful `execve`.
pub fn import(text: &[u8], options: Options) -> Result<Recording, ImportError> {
    let mut happenings = collect(&String::from_utf8_lossy(text))?;
    // A child's first lines may stand before the end of the call that made it.
    happenings.sort_by_key(|happening| happening.start);
    let mut builder = None;
    for happening in happenings {
        take(&mut builder, &happening, options)?;
    }
    let mut builder = builder.ok_or(ImportError::NoExec)?;
    let provenance = &mut builder.recording().provenance;
    provenance.recorder = "strace".to_owned();
    provenance.lacks.extend([Lack::Touches, Lack::Contents, Lack::Faults]);
    provenance.lacks.extend([Lack::KernelAccesses, Lack::ExecMappings]);
    let mut recording = builder.finish()?;
    infer::exec_mappings(&mut recording);
    recording.validate()?;
    Ok(recording)
}

/// Joins the two halves of calls that were interrupted by other tasks' lines.
fn collect(text: &str) -> Result<Vec<Happening>, ImportError> {
    let mut happenings = Vec::new();
    let mut halves: HashMap<u32, (u64, String)> = HashMap::new();
    for (number, raw) in (1u64..).zip(text.lines()) {
        let wrong = |what: &str| ImportError::Line { line: number, what: what.to_owned() };
        if raw.trim().is_empty() {
            continue;
        }
        let Line { tid, at, text } =
            Line::parse(raw).ok_or_else(|| wrong("expected PID, time and a call"))?;
        let (start, whole) = match text {
            Text::Signal => continue,
            Text::Ended => {
                let what = What::Ended;
                happenings.push(Happening { line: number, tid, start: at, end: at, what });
                continue;
            }
            Text::Unfinished(half) => {
                halves.insert(tid, (at, half.to_owned()));
                continue;
            }
            Text::Resumed(rest) => match halves.remove(&tid) {
                Some((start, half)) => (start, half + rest),
                None => return Err(wrong("a call is resumed that did not start")),
            },
            Text::Whole(whole) => (at, whole.to_owned()),
        };
        let call = line::call(&whole).ok_or_else(|| wrong("expected NAME(ARGS) = RESULT"))?;
        let (Some(ret), name) = (call.ret, call.name) else { continue };
        let end = call.lasted.map_or(at, |lasted| start.saturating_add(lasted));
        let what = What::Call { name, args: call.args, ret };
        happenings.push(Happening { line: number, tid, start, end, what });
    }
    Ok(happenings)
}

fn take(builder: &mut Option<Builder>, happening: &Happening, options: Options) -> Result<(), ImportError> {
    let Happening { tid, start, end, .. } = *happening;
    let (name, args, ret) = match &happening.what {
        What::Ended => {
            if let Some(builder) = builder {
                builder.exit(tid, start);
            }
            return Ok(());
        }
        What::Call { name, args, ret } => (name.as_str(), args, *ret),
    };
    if matches!(name, "execve" | "execveat") {
        if ret == 0 {
            exec(builder, happening, args, options);
        }
        return Ok(());
    }
    let Some(builder) = builder.as_mut().filter(|builder| builder.knows(tid)) else {
        return Ok(());
    };
    if let Some(memory) = fork_memory(name, args) {
        if let Ok(child) = u32::try_from(ret) {
            fork(builder, tid, child, memory, start);
        }
        return Ok(());
    }
    let wrong = |what: String| ImportError::Line { line: happening.line, what };
    let call = decode(builder, name, args, ret)
        .ok_or_else(|| wrong(format!("the arguments of {name} cannot be understood")))?;
    if let Some(call) = call {
        builder.call(tid, start, end, call, ret);
    }
    Ok(())
}

fn exec(builder: &mut Option<Builder>, happening: &Happening, args: &[String], options: Options) {
    let Happening { tid, end, .. } = *happening;
    let program = args.iter().find(|arg| arg.starts_with('"')).map_or("", String::as_str);
    let name = program.trim_matches('"').rsplit('/').next().unwrap_or_default();
    let builder = match builder {
        Some(builder) => builder,
        None if options.root.is_none_or(|root| root == tid) => {
            builder.insert(Builder::new(tid, name, end, options.sizes))
        }
        None => return,
    };
    builder.rename_for_exec(tid);
    builder.exec(tid, name, Vec::new(), 0, end);
}

fn fork(builder: &mut Builder, parent: u32, child: u32, memory: ForkMemory, at: u64) {
    let pid = match (memory, builder.pid_of(parent)) {
        (ForkMemory::Thread, Some(pid)) => pid,
        _ => child,
    };
    builder.fork(parent, pid, child, memory, at);
}

/// What kind of fork a call is, if it is one.
fn fork_memory(name: &str, args: &[String]) -> Option<ForkMemory> {
    let clone_flags = || {
        let text = args.iter().find_map(|arg| arg.split_once("flags=")).map_or("", |(_, f)| f);
        let end = text.find([',', '}']).unwrap_or(text.len());
        flags(text[..end].trim()).unwrap_or(0)
    };
    let bits = match name {
        "fork" => 0,
        "vfork" => number::CLONE_VM | number::CLONE_VFORK,
        "clone" | "clone3" => clone_flags(),
        _ => return None,
    };
    Some(match bits {
        bits if bits & number::CLONE_THREAD != 0 => ForkMemory::Thread,
        bits if bits & number::CLONE_VM == 0 => ForkMemory::Copied,
        bits if bits & number::CLONE_VFORK == 0 => ForkMemory::Shared,
        _ => ForkMemory::BorrowedUntilExec,
    })
}

/// The call of a line: `None` where it cannot be understood, `Some(None)` where it is of no
/// interest.
fn decode(builder: &mut Builder, name: &str, args: &[String], ret: i64) -> Option<Option<Call>> {
    let at = |index: usize| number(args.get(index)?);
    let bits = |index: usize| flags(args.get(index)?);
    Some(Some(match name {
        "mmap" => {
            let (len, offset) = (at(1)?, at(5)?);
            let mapped = bits(3)? & number::MAP_ANONYMOUS == 0 && ret >= 0;
            let file = mapped.then(|| {
                let path = args.get(4).and_then(|arg| path(arg)).unwrap_or("unknown");
                let key = FileKey { path: path.to_owned(), inode: 0 };
                builder.file(key, offset.saturating_add(len))
            });
            Call::Mmap { addr: at(0)?, len, prot: bits(2)?, flags: bits(3)?, file, offset }
        }
        "munmap" => Call::Munmap { addr: at(0)?, len: at(1)? },
        "mprotect" => Call::Mprotect { addr: at(0)?, len: at(1)?, prot: bits(2)? },
        "mremap" => {
            let new_addr = args.get(4).map_or(Some(0), |arg| number(arg))?;
            let (old_len, new_len) = (at(1)?, at(2)?);
            Call::Mremap { addr: at(0)?, old_len, new_len, flags: bits(3)?, new_addr }
        }
        "brk" => Call::Brk { addr: at(0)? },
        "madvise" => Call::Madvise { addr: at(0)?, len: at(1)?, advice: bits(2)? },
        "mlock" => Call::Mlock { addr: at(0)?, len: at(1)? },
        "mlock2" => Call::Mlock2 { addr: at(0)?, len: at(1)?, flags: bits(2)? },
        "munlock" => Call::Munlock { addr: at(0)?, len: at(1)? },
        "mlockall" => Call::Mlockall { flags: bits(0)? },
        "munlockall" => Call::Munlockall,
        "msync" => Call::Msync { addr: at(0)?, len: at(1)?, flags: bits(2)? },
        "mincore" => Call::Mincore { addr: at(0)?, len: at(1)? },
        "setrlimit" => setrlimit(&args[..1], args.get(1)?)?,
        "prlimit64" => match args.get(2)?.as_str() {
            "NULL" | "0" => return Some(None),
            _ if signed(args.first()?)? != 0 => return Some(None),
            limit => setrlimit(args.get(1..2)?, limit)?,
        },
        "ftruncate" => {
            return Some(
                known_file(builder, args).map(|file| Call::Ftruncate { file, len: at(1).unwrap_or(0) }),
            );
        }
        "fsync" | "fdatasync" => {
            return Some(known_file(builder, args).map(|file| Call::Fsync { file }));
        }
        _ => return Some(None),
    }))
}

/// `{rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY}`.
fn setrlimit(resource: &[String], limit: &str) -> Option<Call> {
    let field = |name: &str| {
        let (_, rest) = limit.split_once(name)?;
        number(rest[..rest.find([',', '}'])?].trim())
    };
    let resource = flags(resource.first()?)?;
    Some(Call::Setrlimit { resource, soft: field("rlim_cur=")?, hard: field("rlim_max=")? })
}

/// The file of a call's first argument, if it was mapped before.
fn known_file(builder: &Builder, args: &[String]) -> Option<FileId> {
    let path = path(args.first()?)?;
    builder.known_file(&FileKey { path: path.to_owned(), inode: 0 })
}

#[cfg(test)]
mod tests;
