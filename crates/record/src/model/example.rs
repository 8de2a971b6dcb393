//! A recording small enough to read, for examples and tests.

use std::collections::BTreeSet;

use crate::{Access, Backing, Call, Event, EventKind, FileId, FileInfo, FileKind, ForkMemory, Lack};
use crate::{LinuxCounts, Mapping, MappingKind, Origin, PageRun, Process, ProcessId, Prot};
use crate::{Provenance, Recording, Sharing, Task, TaskId};

/// A program that maps four pages, touches three of them, and ends, with the help of a thread.
#[must_use]
pub fn example() -> Recording {
    Recording {
        provenance: Provenance {
            program: vec!["./four-pages".into()],
            recorder: "written by hand".into(),
            page_size: 4096,
            cpus: 1,
            lacks: BTreeSet::from([Lack::Contents]),
            ..Provenance::default()
        },
        linux: LinuxCounts { minor_faults: Some(3), ..LinuxCounts::default() },
        files: vec![FileInfo { name: "four-pages".into(), size: 16384, kind: FileKind::Regular }],
        processes: vec![Process { pid: 100, parent: None, name: "four-pages".into() }],
        tasks: vec![Task { tid: 100, process: ProcessId(0) }, Task { tid: 101, process: ProcessId(0) }],
        events: events(),
    }
}

fn events() -> Vec<Event> {
    let thread =
        EventKind::Fork { child_process: ProcessId(0), child_task: TaskId(1), memory: ForkMemory::Thread };
    let map = Call::Mmap { addr: 0, len: 0x4000, prot: 3, flags: 0x22, file: None, offset: 0 };
    let unmap = Call::Munmap { addr: MAPPED, len: 0x4000 };
    let touch = EventKind::Touch {
        epoch: 0,
        read: vec![PageRun { first_page: MAPPED >> 12, count: 2 }],
        written: vec![PageRun { first_page: (MAPPED >> 12) + 1, count: 2 }],
    };
    vec![
        event(0, 0, 0, exec()),
        event(900, 1_000, 0, EventKind::Call { call: map, ret: MAPPED as i64 }),
        event(1_500, 1_500, 0, thread),
        event(2_000, 2_000, 1, fault(MAPPED + 8, Access::Read, Origin::User)),
        event(2_100, 2_100, 1, fault(MAPPED + 0x1000, Access::Write, Origin::Kernel)),
        event(2_900, 2_900, 1, touch),
        event(3_000, 3_000, 1, EventKind::Content { page: MAPPED >> 12, class: 0 }),
        event(3_100, 3_100, 1, EventKind::Exit),
        event(4_000, 4_200, 0, EventKind::Call { call: unmap, ret: 0 }),
        event(5_000, 5_000, 0, EventKind::Exit),
    ]
}

const MAPPED: u64 = 0x7f00_0000_0000;

fn event(time_ns: u64, end_ns: u64, task: u32, kind: EventKind) -> Event {
    Event { time_ns, end_ns, task: TaskId(task), kind }
}

fn fault(addr: u64, access: Access, origin: Origin) -> EventKind {
    EventKind::Fault { addr, access, origin }
}

fn exec() -> EventKind {
    let text = Mapping {
        start: 0x40_0000,
        len: 0x2000,
        prot: Prot::READ | Prot::EXEC,
        sharing: Sharing::Private,
        kind: MappingKind::File,
        backing: Some(Backing { file: FileId(0), offset: 0 }),
    };
    let stack = Mapping {
        start: 0x7fff_ffde_0000,
        len: 0x2_1000,
        prot: Prot::READ | Prot::WRITE,
        sharing: Sharing::Private,
        kind: MappingKind::Stack,
        backing: None,
    };
    EventKind::Exec { mappings: vec![text, stack], brk_start: 0x60_0000 }
}
