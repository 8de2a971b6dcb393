//! What every importer needs: dense numbers for pids, tids and files, and the order of effects.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::{ImportError, Sizes};
use crate::{
    Call, Event, EventKind, FileId, FileInfo, FileKind, ForkMemory, Mapping, Process, ProcessId, Recording,
    Task, TaskId,
};

/// What tells one mapped file from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileKey {
    /// Its path, as the source gives it.
    pub(crate) path: String,
    /// Its inode, or 0 where the source has none.
    pub(crate) inode: u64,
}

/// A task that lives.
#[derive(Clone, Copy)]
struct Living {
    task: TaskId,
    process: ProcessId,
    /// No event of the task may take effect before this.
    born: u64,
}

/// An event and when it took effect.
struct Placed {
    at: u64,
    event: Event,
}

/// A recording in the making.
pub(crate) struct Builder {
    recording: Recording,
    living: BTreeMap<u32, Living>,
    files: HashMap<FileKey, FileId>,
    placed: Vec<Placed>,
    start: u64,
    sizes: Sizes,
}

impl Builder {
    /// A recording whose root is the process `pid`, starting at `start` on the source's clock.
    pub(crate) fn new(pid: u32, name: &str, start: u64, sizes: Sizes) -> Self {
        let root = Living { task: TaskId(0), process: ProcessId(0), born: start };
        let mut recording = Recording::default();
        recording.provenance.page_size = 4096;
        recording.processes.push(Process { pid, parent: None, name: name.to_owned() });
        recording.tasks.push(Task { tid: pid, process: ProcessId(0) });
        Self {
            recording,
            living: BTreeMap::from([(pid, root)]),
            files: HashMap::new(),
            placed: Vec::new(),
            start,
            sizes,
        }
    }

    /// The recording's own fields, for an importer to fill in.
    pub(crate) fn recording(&mut self) -> &mut Recording {
        &mut self.recording
    }

    /// Whether a task of this tid lives and is recorded.
    pub(crate) fn knows(&self, tid: u32) -> bool {
        self.living.contains_key(&tid)
    }

    /// The process a living task belongs to.
    pub(crate) fn process_of(&self, tid: u32) -> Option<ProcessId> {
        self.living.get(&tid).map(|living| living.process)
    }

    /// The Linux pid of the process a living task belongs to.
    pub(crate) fn pid_of(&self, tid: u32) -> Option<u32> {
        let process = self.process_of(tid)?;
        Some(self.recording.processes[process.0 as usize].pid)
    }

    /// The number of a file that was mapped before.
    pub(crate) fn known_file(&self, key: &FileKey) -> Option<FileId> {
        self.files.get(key).copied()
    }

    /// A task of the process `pid` that is known only by another tid: when a thread that is not
    /// the first calls exec, Linux gives it the first one's tid.
    pub(crate) fn rename_for_exec(&mut self, pid: u32) {
        if self.living.contains_key(&pid) {
            return;
        }
        let process = |living: &Living| self.recording.processes[living.process.0 as usize].pid;
        let other = self.living.iter().find(|(_, living)| process(living) == pid);
        if let Some((&tid, &living)) = other {
            self.living.remove(&tid);
            self.living.insert(pid, living);
        }
    }

    /// `parent` made a task at `at`. Nothing happens where `parent` is not recorded.
    pub(crate) fn fork(&mut self, parent: u32, pid: u32, tid: u32, memory: ForkMemory, at: u64) {
        let Some(&Living { task, process, .. }) = self.living.get(&parent) else { return };
        let child_process = if memory == ForkMemory::Thread {
            process
        } else {
            let name = self.recording.processes[process.0 as usize].name.clone();
            let id = ProcessId(self.recording.processes.len() as u32);
            self.recording.processes.push(Process { pid, parent: Some(process), name });
            id
        };
        let child_task = TaskId(self.recording.tasks.len() as u32);
        self.recording.tasks.push(Task { tid, process: child_process });
        let child = Living { task: child_task, process: child_process, born: at };
        self.living.insert(tid, child);
        let kind = EventKind::Fork { child_process, child_task, memory };
        self.place(at, Event { time_ns: at, end_ns: at, task, kind });
    }

    /// The process of `tid` got a new address space at `at`.
    pub(crate) fn exec(&mut self, tid: u32, name: &str, mappings: Vec<Mapping>, brk_start: u64, at: u64) {
        if let Some(process) = self.process_of(tid) {
            name.clone_into(&mut self.recording.processes[process.0 as usize].name);
        }
        self.moment(tid, at, EventKind::Exec { mappings, brk_start });
    }

    /// The task ended at `at`.
    pub(crate) fn exit(&mut self, tid: u32, at: u64) {
        self.moment(tid, at, EventKind::Exit);
        self.living.remove(&tid);
    }

    /// The task did something at `at`.
    pub(crate) fn moment(&mut self, tid: u32, at: u64, kind: EventKind) {
        if let Some(living) = self.living.get(&tid) {
            let at = at.max(living.born);
            self.place(at, Event { time_ns: at, end_ns: at, task: living.task, kind });
        }
    }

    /// The task made a call from `start` to `end`.
    ///
    /// Calls of several tasks overlap, and what one gives back another may be given at once. So a
    /// call that takes away stands where it started and one that gives stands where it ended: the
    /// true moment of the first is never earlier, and that of the second never later.
    pub(crate) fn call(&mut self, tid: u32, start: u64, end: u64, call: Call, ret: i64) {
        let Some(living) = self.living.get(&tid) else { return };
        let start = start.max(living.born);
        let end = end.max(start);
        let takes = matches!(call, Call::Munmap { .. } | Call::Madvise { .. });
        let at = if takes && ret >= 0 { start } else { end };
        let kind = EventKind::Call { call, ret };
        self.place(at, Event { time_ns: start, end_ns: end, task: living.task, kind });
    }

    /// The number of a mapped file, of which at least `extent` bytes exist.
    pub(crate) fn file(&mut self, key: FileKey, extent: u64) -> FileId {
        if let Some(&id) = self.files.get(&key) {
            let file = &mut self.recording.files[id.0 as usize];
            file.size = file.size.max(extent);
            return id;
        }
        let id = FileId(self.recording.files.len() as u32);
        let info = describe(&key.path, extent, self.sizes);
        self.recording.files.push(info);
        self.files.insert(key, id);
        id
    }

    /// The recording, in order of effects and with times from its start.
    pub(crate) fn finish(mut self) -> Result<Recording, ImportError> {
        self.placed.sort_by_key(|placed| placed.at);
        let start = self.start;
        self.recording.events = self
            .placed
            .into_iter()
            .map(|Placed { mut event, .. }| {
                event.time_ns = event.time_ns.saturating_sub(start);
                event.end_ns = event.end_ns.saturating_sub(start);
                event
            })
            .collect();
        self.recording.validate()?;
        Ok(self.recording)
    }

    fn place(&mut self, at: u64, event: Event) {
        self.placed.push(Placed { at, event });
    }
}

fn describe(path: &str, extent: u64, sizes: Sizes) -> FileInfo {
    let plain = path.trim_end_matches(" (deleted)");
    let shared = ["/dev/shm/", "/memfd:", "/SYSV"];
    let kind = if shared.iter().any(|prefix| plain.starts_with(prefix)) {
        FileKind::SharedMemory
    } else if plain.starts_with("/dev/") {
        FileKind::Device
    } else {
        FileKind::Regular
    };
    let name = plain.rsplit('/').next().unwrap_or(plain).to_owned();
    let known = match (sizes, kind) {
        (Sizes::ThisMachine, FileKind::Regular) => {
            std::fs::metadata(Path::new(path)).ok().map(|meta| meta.len())
        }
        _ => None,
    };
    let size = known.filter(|size| size.div_ceil(4096) * 4096 >= extent).unwrap_or(extent);
    FileInfo { name, size, kind }
}
