//! Events of a recording in words, for traces.

use record::{Access, Call, EventKind, ForkMemory, Recording};

/// What the program does.
pub(crate) fn words(recording: &Recording, kind: &EventKind) -> String {
    match kind {
        EventKind::Fork { child_process, memory, .. } => {
            let pid = recording.processes.get(child_process.0 as usize).map_or(0, |process| process.pid);
            match memory {
                ForkMemory::Copied => format!("fork, child {pid}"),
                ForkMemory::BorrowedUntilExec => format!("vfork, child {pid}"),
                ForkMemory::Shared => format!("clone(CLONE_VM), child {pid}"),
                ForkMemory::Thread => "starts a thread".into(),
            }
        }
        EventKind::Exec { mappings, .. } => format!("execve, {} mappings", mappings.len()),
        EventKind::Exit => "exit".into(),
        EventKind::Call { call, .. } => of_call(call),
        EventKind::Fault { addr, access, .. } => {
            let access = match access {
                Access::Read => "loads",
                Access::Write => "stores to",
                Access::Execute => "executes",
            };
            format!("{access} {addr:#x}")
        }
        EventKind::Touch { read, written, .. } => {
            let pages = |runs: &[record::PageRun]| runs.iter().map(|run| run.count).sum::<u64>();
            format!("reads {} pages, then writes {}", pages(read), pages(written))
        }
        EventKind::Content { page, class } => format!("fills page {page:#x} with contents {class}"),
    }
}

fn of_call(call: &Call) -> String {
    let name = call.name();
    match *call {
        Call::Mmap { addr, len, prot, flags, .. } => {
            format!("{name}({addr:#x}, {len:#x}, prot {prot:#x}, flags {flags:#x})")
        }
        Call::Mprotect { addr, len, prot } => format!("{name}({addr:#x}, {len:#x}, prot {prot:#x})"),
        Call::Mremap { addr, old_len, new_len, .. } => {
            format!("{name}({addr:#x}, {old_len:#x}, {new_len:#x})")
        }
        Call::Madvise { addr, len, advice } => format!("{name}({addr:#x}, {len:#x}, advice {advice})"),
        Call::Brk { addr } => format!("{name}({addr:#x})"),
        Call::Munmap { addr, len }
        | Call::Mlock { addr, len }
        | Call::Mlock2 { addr, len, .. }
        | Call::Munlock { addr, len }
        | Call::Msync { addr, len, .. }
        | Call::Mincore { addr, len } => format!("{name}({addr:#x}, {len:#x})"),
        Call::Ftruncate { len, .. } => format!("{name}({len:#x})"),
        Call::Mlockall { .. } | Call::Munlockall | Call::Setrlimit { .. } | Call::Fsync { .. } => {
            format!("{name}()")
        }
    }
}
