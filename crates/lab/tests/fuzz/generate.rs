//! Small recordings made up: plausible calls in a small arena, and wild ones.

use record::{
    Access, Backing, Call, Event, EventKind, FileId, FileInfo, FileKind, ForkMemory, Mapping, MappingKind,
    Origin, PageRun, Process, ProcessId, Prot, Recording, Sharing, Task, TaskId, example,
};

use super::random::Random;

const PAGE: u64 = 4096;
/// Crosses a boundary of page tables.
const ARENA: u64 = 0x7000_0000_0000 - 24 * PAGE;
const ARENA_PAGES: u64 = 48;
const HEAP: u64 = 0x60_0000;
const STACK_END: u64 = 0x7fff_f000_0000;
const FILES: u64 = 4;

/// Numbers that are likely to hurt.
pub(crate) const WILD: [u64; 17] = [
    0,
    1,
    4095,
    4096,
    0x1_0000,
    (1 << 31) - 1,
    1 << 32,
    1 << 40,
    (1 << 47) - 4096,
    1 << 47,
    1 << 52,
    (1 << 63) - 4096,
    (1 << 63) - 1,
    1 << 63,
    0xffff_8000_0000_0000,
    u64::MAX - 4095,
    u64::MAX,
];

/// A recording with processes and tasks that come and go.
pub(crate) fn recording(random: &mut Random) -> Recording {
    let mut recording = Recording { events: Vec::new(), ..example() };
    recording.files = vec![
        file("regular", 10 * PAGE + 123, FileKind::Regular),
        file("shm", 6 * PAGE, FileKind::SharedMemory),
        file("device", 0, FileKind::Device),
        file("empty", 0, FileKind::Regular),
    ];
    recording.processes.truncate(1);
    recording.tasks.truncate(1);
    let mut clock = 0;
    push(&mut recording, (0, 0), TaskId(0), exec(random));
    for _ in 0..20 + random.below(60) {
        clock += random.below(300);
        let lasts = if random.once_in(3) { random.below(900) } else { 0 };
        let task = TaskId(random.below(recording.tasks.len() as u64) as u32);
        let kind = event(random, &mut recording, task);
        push(&mut recording, (clock, clock + lasts), task, kind);
    }
    repair(&mut recording);
    recording
}

/// Drops what is impossible by the format: events of the dead and the unborn.
pub(crate) fn repair(recording: &mut Recording) {
    while let Err(error) = recording.validate() {
        match error {
            record::Invalid::Event { number, .. } => drop(recording.events.remove(number as usize)),
            other => panic!("the tables are good: {other}"),
        }
    }
}

fn push(recording: &mut Recording, (time_ns, end_ns): (u64, u64), task: TaskId, kind: EventKind) {
    recording.events.push(Event { time_ns, end_ns, task, kind });
}

fn file(name: &str, size: u64, kind: FileKind) -> FileInfo {
    FileInfo { name: name.into(), size, kind }
}

fn event(random: &mut Random, recording: &mut Recording, task: TaskId) -> EventKind {
    match random.below(40) {
        0 if recording.tasks.len() < 10 => fork(random, recording, task),
        1 if random.once_in(2) => exec(random),
        2 => EventKind::Exit,
        3..=9 => EventKind::Touch { epoch: 0, read: runs(random), written: runs(random) },
        10 => EventKind::Content { page: place(random) / PAGE % (1 << 35), class: random.below(4) },
        11..=17 => {
            let addr = if random.once_in(12) { random.pick(&WILD) } else { place(random) };
            let access = random.pick(&[Access::Read, Access::Write, Access::Execute]);
            EventKind::Fault { addr: addr.wrapping_add(random.below(PAGE)), access, origin: Origin::User }
        }
        _ => call(random),
    }
}

fn fork(random: &mut Random, recording: &mut Recording, task: TaskId) -> EventKind {
    let own = recording.tasks[task.0 as usize].process;
    let kinds = [
        ForkMemory::Copied,
        ForkMemory::Copied,
        ForkMemory::BorrowedUntilExec,
        ForkMemory::Shared,
        ForkMemory::Thread,
    ];
    let memory = random.pick(&kinds);
    let mut process = own;
    if memory != ForkMemory::Thread {
        process = ProcessId(recording.processes.len() as u32);
        recording.processes.push(Process { pid: 200 + process.0, parent: Some(own), name: "child".into() });
    }
    let child_task = TaskId(recording.tasks.len() as u32);
    recording.tasks.push(Task { tid: 300 + child_task.0, process });
    EventKind::Fork { child_process: process, child_task, memory }
}

/// Pages from the arena, the heap or the stack.
fn runs(random: &mut Random) -> Vec<PageRun> {
    let mut next = place(random) / PAGE;
    (0..random.below(4))
        .map(|_| {
            let run = PageRun { first_page: next + random.below(4), count: 1 + random.below(12) };
            next = run.first_page + run.count;
            run
        })
        .collect()
}

fn place(random: &mut Random) -> u64 {
    match random.below(16) {
        0 => HEAP + random.below(16) * PAGE,
        1 => STACK_END - (1 + random.below(40)) * PAGE,
        2 => STACK_END - (1 + random.below(2100)) * PAGE,
        3 => 0x40_0000 + random.below(12) * PAGE,
        _ => ARENA + random.below(ARENA_PAGES) * PAGE,
    }
}

fn length(random: &mut Random) -> u64 {
    match random.below(24) {
        0 => random.pick(&WILD),
        1 => random.below(20 * PAGE),
        2 => random.below(2000) * PAGE,
        _ => (1 + random.below(20)) * PAGE,
    }
}

fn address(random: &mut Random) -> u64 {
    match random.below(30) {
        0 => random.pick(&WILD),
        1 => place(random) + random.below(PAGE),
        _ => place(random),
    }
}

/// A call with the answer it has if it succeeds, or another one.
fn call(random: &mut Random) -> EventKind {
    let (addr, len) = (address(random), length(random));
    let (call, answer) = match random.below(26) {
        0..=6 => mmap(random, addr, len),
        7..=9 => (Call::Munmap { addr, len }, 0),
        10..=12 => {
            (Call::Mprotect { addr, len, prot: random.pick(&[0, 1, 1, 3, 3, 3, 5, 7, 1 << 24 | 3]) }, 0)
        }
        13..=15 => mremap(random, addr, len),
        16 => brk(random),
        17..=20 => (Call::Madvise { addr, len, advice: random.pick(&ADVICE) }, 0),
        21 => (Call::Mlock2 { addr, len, flags: random.below(2) }, 0),
        22 => (Call::Munlock { addr, len }, 0),
        23 => rare(random, addr, len),
        24 => (Call::Msync { addr, len, flags: random.below(8) }, 0),
        _ => {
            let file = FileId(random.below(FILES) as u32);
            let len = if random.once_in(8) { random.pick(&WILD) } else { random.below(14 * PAGE) };
            (if random.once_in(3) { Call::Fsync { file } } else { Call::Ftruncate { file, len } }, 0)
        }
    };
    let ret = match random.below(30) {
        0 => -(random.below(140) as i64),
        1 => random.pick(&WILD) as i64,
        _ => answer as i64,
    };
    EventKind::Call { call, ret }
}

const ADVICE: [u64; 16] = [0, 1, 2, 3, 4, 4, 4, 8, 8, 10, 11, 18, 19, 22, 23, 21];
const MAP_TYPES: [u64; 5] = [1, 2, 2, 2, 3];
const MAP_FIXED: u64 = 0x10;

fn mmap(random: &mut Random, addr: u64, len: u64) -> (Call, u64) {
    let mut flags = random.pick(&MAP_TYPES) | [MAP_FIXED, 0x10_0000][random.once_in(4) as usize];
    let file = random.once_in(2).then(|| FileId(random.below(FILES) as u32));
    if file.is_none() {
        flags |= 0x20;
    }
    for rare in [0x100, 0x2000, 0x8000, 0x4000, 0x40] {
        if random.once_in(12) {
            flags |= rare;
        }
    }
    let offset = if random.once_in(20) { random.pick(&WILD) } else { random.below(12) * PAGE };
    let prot = random.pick(&[0, 1, 3, 3, 3, 3, 7]);
    (Call::Mmap { addr, len, prot, flags, file, offset }, addr)
}

fn mremap(random: &mut Random, addr: u64, old_len: u64) -> (Call, u64) {
    let new_len = if random.once_in(2) { old_len } else { length(random) };
    let new_addr = address(random);
    let flags = random.pick(&[0, 0, 1, 3, 3, 3, 5, 7]);
    let answer = if flags > 1 { new_addr } else { addr };
    (Call::Mremap { addr, old_len, new_len, flags, new_addr }, answer)
}

fn brk(random: &mut Random) -> (Call, u64) {
    let addr = if random.once_in(6) { random.pick(&WILD) } else { HEAP + random.below(30 * PAGE) };
    (Call::Brk { addr }, addr)
}

fn rare(random: &mut Random, addr: u64, len: u64) -> (Call, u64) {
    let call = match random.below(5) {
        0 => Call::Mlockall { flags: random.below(8) },
        1 => Call::Munlockall,
        2 => Call::Mlock { addr, len },
        3 => Call::Mincore { addr, len },
        _ => Call::Setrlimit {
            resource: random.pick(&[2, 3, 8, 9, 7]),
            soft: random.pick(&WILD),
            hard: random.pick(&WILD),
        },
    };
    (call, 0)
}

fn exec(random: &mut Random) -> EventKind {
    let mut next = 0x40_0000;
    let mut mappings = Vec::new();
    for _ in 0..random.below(5) {
        next += random.below(3) * PAGE;
        let len = (1 + random.below(4)) * PAGE;
        let kinds = [
            MappingKind::File,
            MappingKind::Anonymous,
            MappingKind::Heap,
            MappingKind::Vdso,
            MappingKind::Vvar,
        ];
        let kind = if random.once_in(20) { MappingKind::Stack } else { random.pick(&kinds) };
        let file = FileId(random.below(FILES) as u32);
        let backing = random.once_in(2).then(|| Backing { file, offset: random.below(12) * PAGE });
        let sharing = if random.once_in(8) { Sharing::Shared } else { Sharing::Private };
        mappings.push(Mapping {
            start: next,
            len,
            prot: Prot(random.below(8) as u8),
            sharing,
            kind,
            backing,
        });
        next += len;
    }
    if !random.once_in(10) {
        let len = (1 + random.below(8)) * PAGE;
        let (prot, sharing) = (Prot::READ | Prot::WRITE, Sharing::Private);
        let start = STACK_END - len;
        mappings.push(Mapping { start, len, prot, sharing, kind: MappingKind::Stack, backing: None });
    }
    let odd = [0, 1, 0x40_0000, STACK_END, (1 << 47) - 1];
    let brk_start = if random.once_in(8) { random.pick(&odd) } else { HEAP };
    EventKind::Exec { mappings, brk_start }
}
