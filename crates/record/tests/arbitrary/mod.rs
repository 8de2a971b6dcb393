//! Valid recordings of every shape.

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use record::{
    Access, Backing, Call, Event, EventKind, FileId, FileInfo, FileKind, ForkMemory, Lack, LinuxCounts,
    Mapping, MappingKind, Origin, PageRun, Process, ProcessId, Prot, Provenance, Recording, Sharing, Task,
    TaskId,
};

const FILES: u32 = 3;

/// A recording with two processes and three tasks.
pub(crate) fn recording() -> impl Strategy<Value = Recording> {
    let tables = (provenance(), counts(), vec(file(), FILES as usize));
    (tables, exec(), vec(event(), 0..40)).prop_map(|((provenance, linux, files), first, rest)| {
        let mut events = vec![
            Event { time_ns: 0, end_ns: 0, task: TaskId(0), kind: first },
            fork(ProcessId(0), TaskId(1), ForkMemory::Thread),
            fork(ProcessId(1), TaskId(2), ForkMemory::Copied),
        ];
        events.extend(rest);
        events.push(Event { time_ns: 5, end_ns: 9, task: TaskId(2), kind: EventKind::Exit });
        let process = |pid, parent| Process { pid, parent, name: "p".into() };
        let task = |tid, process| Task { tid, process: ProcessId(process) };
        Recording {
            provenance,
            linux,
            files,
            processes: vec![process(7, None), process(8, Some(ProcessId(0)))],
            tasks: vec![task(7, 0), task(9, 0), task(8, 1)],
            events,
        }
    })
}

fn fork(child_process: ProcessId, child_task: TaskId, memory: ForkMemory) -> Event {
    let kind = EventKind::Fork { child_process, child_task, memory };
    Event { time_ns: 1, end_ns: 1, task: TaskId(0), kind }
}

fn provenance() -> impl Strategy<Value = Provenance> {
    let texts = (vec(".*", 0..4), ".*", ".*", ".*", ".*", vec(".*", 0..3));
    let numbers = (any::<u32>(), any::<u64>(), btree_set(0..Lack::ALL.len(), 0..5));
    (texts, numbers).prop_map(|(texts, (cpus, lost_events, lacks))| Provenance {
        program: texts.0,
        recorder: texts.1,
        kernel: texts.2,
        cpus,
        page_size: 4096,
        thp: texts.3,
        date: texts.4,
        freehold: "0".into(),
        lacks: lacks.into_iter().map(|index| Lack::ALL[index]).collect(),
        lost_events,
        notes: texts.5,
    })
}

fn counts() -> impl Strategy<Value = LinuxCounts> {
    let count = || option::of(any::<u64>());
    (count(), count(), count(), count(), count(), count()).prop_map(|c| LinuxCounts {
        minor_faults: c.0,
        major_faults: c.1,
        peak_rss_kib: c.2,
        wall_ns: c.3,
        user_ns: c.4,
        system_ns: c.5,
    })
}

fn file() -> impl Strategy<Value = FileInfo> {
    let kinds = [FileKind::Regular, FileKind::Device, FileKind::SharedMemory, FileKind::SharedAnonymous];
    (".*", 0..1u64 << 63, proptest::sample::select(kinds.to_vec())).prop_map(|(name, size, kind)| FileInfo {
        name,
        size,
        kind,
    })
}

fn event() -> impl Strategy<Value = Event> {
    let kind = prop_oneof![
        exec(),
        (call(), any::<i64>()).prop_map(|(call, ret)| EventKind::Call { call, ret }),
        fault(),
        (any::<u32>(), runs(), runs()).prop_map(|(epoch, read, written)| EventKind::Touch {
            epoch,
            read,
            written
        }),
        (0..1u64 << 35, any::<u64>()).prop_map(|(page, class)| EventKind::Content { page, class }),
    ];
    (any::<u64>(), any::<u64>(), 0..3u32, kind).prop_map(|(a, b, task, kind)| Event {
        time_ns: a.min(b),
        end_ns: a.max(b),
        task: TaskId(task),
        kind,
    })
}

fn fault() -> impl Strategy<Value = EventKind> {
    let accesses = [Access::Read, Access::Write, Access::Execute];
    let origins = [Origin::User, Origin::Kernel];
    let select = proptest::sample::select::<Access>;
    (any::<u64>(), select(accesses.to_vec()), proptest::sample::select(origins.to_vec()))
        .prop_map(|(addr, access, origin)| EventKind::Fault { addr, access, origin })
}

fn runs() -> impl Strategy<Value = Vec<PageRun>> {
    vec((0..1u64 << 20, 1..1u64 << 20), 0..8).prop_map(|parts| {
        let mut next = 0;
        let lay = |(gap, count)| {
            let first_page = next + gap;
            next = first_page + count;
            PageRun { first_page, count }
        };
        parts.into_iter().map(lay).collect()
    })
}

fn exec() -> impl Strategy<Value = EventKind> {
    let part = (1..1u64 << 20, 1..1u64 << 10, 0..8u8, any::<bool>(), 0..6usize, backing());
    (vec(part, 0..6), 0..1u64 << 47).prop_map(|(parts, brk_start)| {
        let mut next = 0;
        let lay = |(gap, pages, prot, shared, kind, backing): (u64, u64, u8, bool, usize, _)| {
            let start = next + gap * 4096;
            next = start + pages * 4096;
            let sharing = if shared { Sharing::Shared } else { Sharing::Private };
            Mapping { start, len: pages * 4096, prot: Prot(prot), sharing, kind: KINDS[kind], backing }
        };
        EventKind::Exec { mappings: parts.into_iter().map(lay).collect(), brk_start }
    })
}

const KINDS: [MappingKind; 6] = [
    MappingKind::File,
    MappingKind::Anonymous,
    MappingKind::Heap,
    MappingKind::Stack,
    MappingKind::Vdso,
    MappingKind::Vvar,
];

fn backing() -> impl Strategy<Value = Option<Backing>> {
    let some = (0..FILES, 0..1u64 << 40);
    option::of(some.prop_map(|(file, page)| Backing { file: FileId(file), offset: page * 4096 }))
}

fn call() -> impl Strategy<Value = Call> {
    let file = option::of((0..FILES).prop_map(FileId));
    (0..16u8, any::<[u64; 5]>(), file).prop_map(|(number, [a, b, c, d, e], file)| match number {
        0 => Call::Mmap { addr: a, len: b, prot: c, flags: d, file, offset: e },
        1 => Call::Munmap { addr: a, len: b },
        2 => Call::Mprotect { addr: a, len: b, prot: c },
        3 => Call::Mremap { addr: a, old_len: b, new_len: c, flags: d, new_addr: e },
        4 => Call::Brk { addr: a },
        5 => Call::Madvise { addr: a, len: b, advice: c },
        6 => Call::Mlock { addr: a, len: b },
        7 => Call::Mlock2 { addr: a, len: b, flags: c },
        8 => Call::Munlock { addr: a, len: b },
        9 => Call::Mlockall { flags: a },
        10 => Call::Munlockall,
        11 => Call::Msync { addr: a, len: b, flags: c },
        12 => Call::Mincore { addr: a, len: b },
        13 => Call::Setrlimit { resource: a, soft: b, hard: c },
        14 => Call::Ftruncate { file: file.unwrap_or(FileId(0)), len: a },
        _ => Call::Fsync { file: file.unwrap_or(FileId(0)) },
    })
}
