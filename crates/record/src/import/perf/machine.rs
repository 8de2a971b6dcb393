//! Follows the records of a `perf.data` file, in time, to the events they mean.

use std::collections::HashMap;

use linux_perf_data::linux_perf_event_reader::{ForkOrExitRecord, Mmap2FileId, Mmap2Record};

use super::layout::Point;
use super::space::FreshSpace;
use crate::import::{Builder, FileKey, ImportError, Options, decode_call};
use crate::{
    Access, Backing, EventKind, FileId, ForkMemory, Mapping, MappingKind, Origin, Prot, Recording, Sharing,
    USER_TOP,
};

/// Who did something, and when.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: u64,
    pub(super) tid: u32,
}

/// An exec that goes on until its call returns.
struct PendingExec {
    at: u64,
    name: String,
    space: FreshSpace,
    brk_start: u64,
    /// Whether the call has returned, so that only the heap's start is still wanted.
    returned: bool,
    /// What the task did since, held back so that the exec comes first.
    faults: Vec<(u64, EventKind)>,
}

/// A call that goes on until it returns.
struct PendingCall {
    at: u64,
    number: u64,
    args: [u64; 6],
    /// The last mapping that was made meanwhile.
    mapped: Option<Mapped>,
}

/// A mapping that was made in a call.
struct Mapped {
    start: u64,
    len: u64,
    file: Option<FileKey>,
}

/// All that is known while the records go by.
pub(super) struct Machine {
    options: Options,
    builder: Option<Builder>,
    calls: HashMap<u32, PendingCall>,
    execs: HashMap<u32, PendingExec>,
    /// New processes by their tid, until the flags they were made with are known.
    forks: HashMap<u32, ForkOrExitRecord>,
    lost: u64,
}

impl Machine {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            builder: None,
            calls: HashMap::new(),
            execs: HashMap::new(),
            forks: HashMap::new(),
            lost: 0,
        }
    }

    /// A process execs: its old memory is gone, records of its new mappings follow.
    pub(super) fn exec(&mut self, Moment { at, tid }: Moment, name: &str) {
        self.settle_fork(tid, 0);
        let builder = match &mut self.builder {
            Some(builder) => builder,
            None if self.options.root.is_none_or(|root| root == tid) => {
                self.builder.insert(Builder::new(tid, name, at, self.options.sizes))
            }
            None => return,
        };
        builder.rename_for_exec(tid);
        if builder.knows(tid) {
            self.settle_exec(tid);
            let exec = PendingExec {
                at,
                name: name.to_owned(),
                space: FreshSpace::default(),
                brk_start: 0,
                returned: false,
                faults: Vec::new(),
            };
            self.execs.insert(tid, exec);
        }
    }

    /// A task was made. How, the tracepoint says that follows before the new task can run.
    pub(super) fn fork(&mut self, fork: &ForkOrExitRecord) {
        let (tid, parent) = (fork.tid as u32, fork.ptid as u32);
        self.settle_exec(parent);
        if fork.pid != fork.ppid {
            self.forks.insert(tid, fork.clone());
        } else if let Some(builder) = &mut self.builder {
            builder.fork(parent, fork.pid as u32, tid, ForkMemory::Thread, fork.timestamp);
        }
    }

    /// Puts a new process into the recording; without flags it was an ordinary fork.
    fn settle_fork(&mut self, tid: u32, flags: u64) {
        let Some(fork) = self.forks.remove(&tid) else { return };
        let memory = match (flags & CLONE_VM != 0, flags & CLONE_VFORK != 0) {
            (false, _) => ForkMemory::Copied,
            (true, false) => ForkMemory::Shared,
            (true, true) => ForkMemory::BorrowedUntilExec,
        };
        if let Some(builder) = &mut self.builder {
            builder.fork(fork.ptid as u32, fork.pid as u32, tid, memory, fork.timestamp);
        }
    }

    /// A task ended.
    pub(super) fn exit(&mut self, Moment { at, tid }: Moment) {
        self.settle_fork(tid, 0);
        self.settle_exec(tid);
        self.calls.remove(&tid);
        if let Some(builder) = &mut self.builder {
            builder.exit(tid, at);
        }
    }

    /// A mapping was made, by an exec or in a call.
    pub(super) fn mapped(&mut self, record: &Mmap2Record<'_>) {
        let tid = record.tid as u32;
        let path = String::from_utf8_lossy(&record.path.as_slice()).into_owned();
        if path == "[stack]" && !self.execs.contains_key(&tid) {
            return;
        }
        let file = path.starts_with('/') && !path.starts_with("//anon");
        let inode = match &record.file_id {
            Mmap2FileId::InodeAndVersion(id) => id.inode,
            Mmap2FileId::BuildId(_) => 0,
        };
        let key = file.then(|| FileKey { path: path.clone(), inode });
        let pending = self.execs.get_mut(&tid).filter(|exec| !exec.returned);
        if let (Some(exec), Some(builder)) = (pending, &mut self.builder) {
            let extent = record.page_offset.saturating_add(record.length);
            let backing =
                key.map(|key| Backing { file: builder.file(key, extent), offset: record.page_offset });
            exec.space.map(fresh_mapping(record, &path, backing));
        } else if let Some(call) = self.calls.get_mut(&tid) {
            call.mapped = Some(Mapped { start: record.address, len: record.length, file: key });
        }
    }

    /// The kernel had no room for some records.
    pub(super) fn lost(&mut self, count: u64) {
        self.lost = self.lost.saturating_add(count);
    }

    /// A tracepoint was passed.
    pub(super) fn tracepoint(&mut self, moment: Moment, point: Point) {
        self.settle_fork(moment.tid, 0);
        match point {
            Point::NewTask { tid, clone_flags } => self.settle_fork(tid, clone_flags),
            Point::UserFault { addr, error_code } => {
                self.fault(moment, addr, error_code, Origin::User);
            }
            Point::KernelFault { addr, error_code } if addr < USER_TOP => {
                self.fault(moment, addr, error_code, Origin::Kernel);
            }
            Point::KernelFault { .. } => {}
            Point::Enter { number, args } => {
                let call = PendingCall { at: moment.at, number, args, mapped: None };
                self.calls.insert(moment.tid, call);
            }
            Point::Exit { number: EXECVE | EXECVEAT, .. } => {
                self.calls.remove(&moment.tid);
                if let Some(exec) = self.execs.get_mut(&moment.tid) {
                    exec.returned = true;
                }
            }
            Point::Exit { number, ret } => self.returned(moment, number, ret as i64),
        }
    }

    pub(super) fn finish(mut self) -> Result<Recording, ImportError> {
        let pending: Vec<u32> = self.execs.keys().copied().collect();
        for tid in pending {
            self.settle_exec(tid);
        }
        let mut builder = self.builder.ok_or(ImportError::NoExec)?;
        builder.recording().provenance.lost_events = self.lost;
        builder.finish()
    }

    fn fault(&mut self, Moment { at, tid }: Moment, addr: u64, error_code: u64, origin: Origin) {
        let access = match error_code {
            code if code & FAULT_FETCH != 0 => Access::Execute,
            code if code & FAULT_WRITE != 0 => Access::Write,
            _ => Access::Read,
        };
        let kind = EventKind::Fault { addr, access, origin };
        if let Some(exec) = self.execs.get_mut(&tid) {
            exec.faults.push((at, kind));
        } else if let Some(builder) = &mut self.builder {
            builder.moment(tid, at, kind);
        }
    }

    fn returned(&mut self, Moment { at, tid }: Moment, number: u64, ret: i64) {
        let Some(pending) = self.calls.remove(&tid).filter(|call| call.number == number) else {
            return;
        };
        if number == BRK
            && let Some(exec) = self.execs.get_mut(&tid)
        {
            exec.brk_start = if pending.args[0] == 0 { ret as u64 } else { 0 };
        }
        self.settle_exec(tid);
        let Some(builder) = &mut self.builder else { return };
        if !builder.knows(tid) {
            return;
        }
        let file = mapped_file(builder, &pending, ret);
        if let Some(call) = decode_call(number, &pending.args, file) {
            builder.call(tid, pending.at, at, call, ret);
        }
    }

    /// Puts an exec into the recording: nothing more can be learned about it.
    fn settle_exec(&mut self, tid: u32) {
        let Some(exec) = self.execs.remove(&tid) else { return };
        let Some(builder) = &mut self.builder else { return };
        let brk_start = if exec.brk_start < USER_TOP { exec.brk_start } else { 0 };
        builder.exec(tid, &exec.name, exec.space.finish(), brk_start, exec.at);
        for (at, kind) in exec.faults {
            builder.moment(tid, at, kind);
        }
    }
}

const CLONE_VM: u64 = 0x100;
const CLONE_VFORK: u64 = 0x4000;
const FAULT_WRITE: u64 = 1 << 1;
const FAULT_FETCH: u64 = 1 << 4;
const MAP_SHARED: u32 = 1;
const MAP_ANONYMOUS: u64 = 0x20;
const MMAP: u64 = 9;
const BRK: u64 = 12;
const EXECVE: u64 = 59;
const EXECVEAT: u64 = 322;

fn fresh_mapping(record: &Mmap2Record<'_>, path: &str, backing: Option<Backing>) -> Mapping {
    let kind = match path {
        "[stack]" => MappingKind::Stack,
        "[heap]" => MappingKind::Heap,
        "[vdso]" => MappingKind::Vdso,
        path if path.starts_with("[vvar") => MappingKind::Vvar,
        _ if backing.is_some() => MappingKind::File,
        _ => MappingKind::Anonymous,
    };
    let sharing = match record.flags & MAP_SHARED {
        0 => Sharing::Private,
        _ => Sharing::Shared,
    };
    let prot = Prot((record.protection & 7) as u8);
    Mapping { start: record.address, len: record.length, prot, sharing, kind, backing }
}

/// The file that a call of `mmap` mapped: the one whose mapping, made during the call, holds the
/// address that the call returned.
fn mapped_file(builder: &mut Builder, call: &PendingCall, ret: i64) -> Option<FileId> {
    let [_, len, _, flags, _, offset] = call.args;
    if call.number != MMAP || flags & MAP_ANONYMOUS != 0 || ret < 0 {
        return None;
    }
    let extent = offset.saturating_add(len);
    let key = match &call.mapped {
        Some(Mapped { start, len, file: Some(key) }) if (ret as u64).wrapping_sub(*start) < *len => {
            key.clone()
        }
        _ => FileKey { path: "unknown".to_owned(), inode: 0 },
    };
    Some(builder.file(key, extent))
}
