//! Recordings that are well formed and absurd: each is replayed to its end, or refused in one line that names
//! the event; none panics, hangs, or breaks a rule.

#[allow(dead_code, reason = "each test uses what it needs of it")]
mod common;

use common::{freehold, text, written};
use record::{
    Access, Backing, Call, Event, EventKind, FileId, FileInfo, FileKind, ForkMemory, Mapping, MappingKind,
    Origin, PageRun, Process, ProcessId, Prot, Recording, Sharing, Task, TaskId, example,
};

const PAGE: u64 = 4096;
const AT: u64 = 0x7000_0000_0000;
const PRIVATE: u64 = 0x22;
const SHARED: u64 = 0x21;
const FIXED: u64 = 0x10;
const ALL_ONES: u64 = u64::MAX;

/// How a replay must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With a good report.
    Good,
    /// Refused.
    Refused,
    /// Either.
    Any,
}

/// The example's program, doing these things.
fn doing(kinds: Vec<EventKind>) -> Recording {
    let mut recording = example();
    recording.tasks.truncate(1);
    recording.events.truncate(1);
    add(&mut recording, 0, kinds);
    recording
}

fn add(recording: &mut Recording, task: u32, kinds: Vec<EventKind>) {
    for kind in kinds {
        let now = recording.events.len() as u64 * 100;
        recording.events.push(Event { time_ns: now, end_ns: now, task: TaskId(task), kind });
    }
}

fn call(call: Call, ret: i64) -> EventKind {
    EventKind::Call { call, ret }
}

fn mmap(addr: u64, len: u64, flags: u64) -> EventKind {
    call(Call::Mmap { addr, len, prot: 3, flags, file: None, offset: 0 }, addr as i64)
}

fn fault(addr: u64, access: Access) -> EventKind {
    EventKind::Fault { addr, access, origin: Origin::User }
}

fn touch(first_page: u64, count: u64) -> EventKind {
    let run = PageRun { first_page, count };
    EventKind::Touch { epoch: 0, read: vec![run], written: vec![run] }
}

fn check(name: &str, recording: &Recording, end: End) -> String {
    let path = written(&format!("hostile-{name}.fhr"), recording);
    let output = freehold(&["replay", &path, "--json", "--memory", "256M", "--audit", "every=50"]);
    let error = text(&output.stderr);
    match output.status.code() {
        Some(0) if end != End::Refused => assert!(error.is_empty(), "{name}: {error}"),
        Some(2) if end != End::Good => {
            assert_eq!(error.lines().count(), 1, "{name}: {error}");
            assert!(error.starts_with(&format!("freehold: {path}: ")), "{name}: {error}");
        }
        code => panic!("{name}: {code:?} instead of {end:?}: {error}{}", text(&output.stdout)),
    }
    error
}

#[test]
fn calls_that_cannot_have_been() {
    let names_event = |name: &str, kinds: Vec<EventKind>| {
        let number = kinds.len();
        let error = check(name, &doing(kinds), End::Refused);
        assert!(error.contains(&format!("event {number}: ")), "{name}: {error}");
    };
    names_event("huge-mmap", vec![mmap(AT, 1 << 63, PRIVATE | FIXED)]);
    names_event("all-ones-mmap", vec![mmap(AT, ALL_ONES, PRIVATE | FIXED)]);
    names_event("overlap", vec![mmap(AT, 8 * PAGE, PRIVATE), mmap(AT + PAGE, PAGE, PRIVATE)]);
    names_event("kernel-mmap", vec![mmap(0xffff_8000_0000_0000, PAGE, PRIVATE | FIXED)]);
    names_event("low-mmap", vec![mmap(0, PAGE, PRIVATE | FIXED)]);
    names_event("unaligned-mmap", vec![mmap(AT + 1, PAGE, PRIVATE)]);
    names_event("huge-munmap", vec![call(Call::Munmap { addr: 0, len: 1 << 63 }, 0)]);
    names_event("odd-munmap", vec![call(Call::Munmap { addr: AT + 5, len: PAGE }, 0)]);
    let over = |new_addr| Call::Mremap { addr: AT, old_len: 4 * PAGE, new_len: 4 * PAGE, flags: 3, new_addr };
    let onto = AT + 2 * PAGE;
    names_event("mremap-onto-itself", vec![mmap(AT, 4 * PAGE, PRIVATE), call(over(onto), onto as i64)]);
    let grown = Call::Mremap { addr: AT, old_len: PAGE, new_len: 1 << 62, flags: 1, new_addr: 0 };
    names_event("huge-mremap", vec![mmap(AT, PAGE, PRIVATE), call(grown, AT as i64)]);
    names_event("brk-elsewhere", vec![call(Call::Brk { addr: 0x60_1000 }, i64::MAX)]);
    names_event("brk-negative", vec![call(Call::Brk { addr: 0 }, -1)]);
    names_event("nowhere-mprotect", vec![call(Call::Mprotect { addr: AT, len: PAGE, prot: 1 }, 0)]);
    let odd = Call::Mmap { addr: AT, len: PAGE, prot: 3, flags: FIXED | 2, file: Some(FileId(0)), offset: 5 };
    names_event("odd-offset", vec![call(odd, AT as i64)]);
}

#[test]
fn answers_that_mean_nothing() {
    let strange = [-1, -4095, -4096, i64::MIN, i64::MAX, 1];
    for (number, ret) in strange.into_iter().enumerate() {
        let harmless = vec![
            call(Call::Madvise { addr: AT, len: PAGE, advice: ALL_ONES }, ret),
            call(Call::Mlockall { flags: ALL_ONES }, ret),
            call(Call::Mincore { addr: ALL_ONES, len: ALL_ONES }, ret),
            call(Call::Setrlimit { resource: 3, soft: 0, hard: 0 }, ret),
            call(Call::Setrlimit { resource: ALL_ONES, soft: ALL_ONES, hard: ALL_ONES }, ret),
            call(Call::Fsync { file: FileId(0) }, ret),
            call(Call::Ftruncate { file: FileId(0), len: 1 << 63 }, ret),
        ];
        check(&format!("answers-{number}"), &doing(harmless), End::Good);
    }
}

#[test]
fn arguments_of_all_ones() {
    let x = ALL_ONES;
    let calls = [
        Call::Mmap { addr: x, len: x, prot: x, flags: x, file: Some(FileId(0)), offset: x },
        Call::Munmap { addr: x, len: x },
        Call::Mprotect { addr: x, len: x, prot: x },
        Call::Mremap { addr: x, old_len: x, new_len: x, flags: x, new_addr: x },
        Call::Madvise { addr: x, len: x, advice: x },
        Call::Mlock { addr: x, len: x },
        Call::Mlock2 { addr: x, len: x, flags: x },
        Call::Munlock { addr: x, len: x },
        Call::Mlockall { flags: x },
        Call::Msync { addr: x, len: x, flags: x },
        Call::Mincore { addr: x, len: x },
        Call::Setrlimit { resource: x, soft: x, hard: x },
        Call::Ftruncate { file: FileId(0), len: x },
    ];
    check("ones-failed", &doing(calls.iter().map(|&c| call(c, -22)).collect()), End::Good);
    for (number, &c) in calls.iter().enumerate() {
        check(&format!("ones-{number}"), &doing(vec![call(c, 0)]), End::Any);
    }
    check("ones-brk", &doing(vec![call(Call::Brk { addr: x }, 0x60_0000)]), End::Good);
}

#[test]
fn everything_is_unmapped() {
    let all = Call::Munmap { addr: 0, len: (1 << 47) - PAGE };
    let after = vec![
        mmap(AT, 4 * PAGE, PRIVATE),
        touch(AT / PAGE, 4),
        call(all, 0),
        touch(AT / PAGE, 4),
        fault(0x40_0000, Access::Execute),
        call(all, 0),
        mmap(AT, 4 * PAGE, PRIVATE),
        touch(AT / PAGE, 4),
        EventKind::Exit,
    ];
    check("nothing-left", &doing(after), End::Good);
}

#[test]
fn accesses_where_nothing_is() {
    let mut kinds = Vec::new();
    for addr in
        [0, 1, (1 << 47) - 1, 1 << 47, 1 << 48, 1 << 63, 0xffff_8000_0000_0000, ALL_ONES - 4096, ALL_ONES]
    {
        for access in [Access::Read, Access::Write, Access::Execute] {
            kinds.push(fault(addr, access));
        }
    }
    kinds.push(touch(0, 1000));
    kinds.push(touch((1 << 35) - 1000, 1000));
    for page in [0, AT / PAGE, (1 << 35) - 1] {
        kinds.push(EventKind::Content { page, class: ALL_ONES });
    }
    check("nowhere", &doing(kinds), End::Good);
}

#[test]
fn more_touches_than_anybody_waits_for() {
    let error = check("touch-all", &doing(vec![touch(0, 1 << 35)]), End::Refused);
    assert!(error.contains("event 1: ") && error.contains("pages are touched"), "{error}");
    let many = (0..1000).map(|_| touch(0, 1 << 20)).collect();
    check("touch-often", &doing(many), End::Refused);
}

#[test]
fn memory_is_asked_for_without_end() {
    let populated = call(
        Call::Mmap {
            addr: AT,
            len: 1 << 40,
            prot: 3,
            flags: PRIVATE | FIXED | 0x4000 | 0x8000,
            file: None,
            offset: 0,
        },
        AT as i64,
    );
    check("populate", &doing(vec![populated.clone(), touch(AT / PAGE, 10), EventKind::Exit]), End::Any);
    let lock = call(Call::Mlockall { flags: 3 }, 0);
    let unlimited = call(Call::Setrlimit { resource: 8, soft: ALL_ONES, hard: ALL_ONES }, 0);
    let sparse = mmap(AT, 1 << 40, PRIVATE | FIXED | 0x4000);
    check("mlockall", &doing(vec![unlimited, sparse, lock, touch(AT / PAGE, 10)]), End::Any);
    check("shared", &doing(vec![mmap(AT, 1 << 45, SHARED | FIXED), touch(AT / PAGE, 100)]), End::Any);
}

#[test]
fn endless_files() {
    for (number, size) in [ALL_ONES, 1 << 63, (1 << 63) - 1, 1 << 62, 1 << 47].into_iter().enumerate() {
        for kind in [FileKind::Regular, FileKind::SharedMemory, FileKind::Device] {
            let far = Call::Mmap {
                addr: AT,
                len: 64 * PAGE,
                prot: 3,
                flags: 1 | FIXED,
                file: Some(FileId(1)),
                offset: (1 << 44) - 64 * PAGE,
            };
            let near = Call::Mmap {
                addr: AT + (1 << 40),
                len: 1 << 40,
                prot: 3,
                flags: 1 | FIXED,
                file: Some(FileId(1)),
                offset: 0,
            };
            let mut recording = doing(vec![
                call(far, AT as i64),
                touch(AT / PAGE, 64),
                call(near, (AT + (1 << 40)) as i64),
                call(Call::Madvise { addr: AT + (1 << 40), len: 1 << 40, advice: 3 }, 0),
                touch((AT + (1 << 40)) / PAGE, 8),
                call(Call::Msync { addr: AT, len: 64 * PAGE, flags: 4 }, 0),
                call(Call::Ftruncate { file: FileId(1), len: 1 << 62 }, 0),
                call(Call::Ftruncate { file: FileId(1), len: PAGE + 1 }, 0),
                touch(AT / PAGE, 64),
                EventKind::Exit,
            ]);
            recording.files.push(FileInfo { name: "endless".into(), size, kind });
            check(&format!("endless-{number}-{kind:?}"), &recording, End::Any);
        }
    }
}

#[test]
fn programs_at_odd_places() {
    let mapping = |start, len, kind| Mapping {
        start,
        len,
        prot: Prot(7),
        sharing: Sharing::Shared,
        kind,
        backing: Some(Backing { file: FileId(0), offset: 0 }),
    };
    let top = 1 << 47;
    let shapes = [
        vec![],
        vec![mapping(0, PAGE, MappingKind::File)],
        vec![mapping(0, top, MappingKind::Anonymous)],
        vec![mapping(top - PAGE, PAGE, MappingKind::Stack)],
        vec![mapping(PAGE, PAGE, MappingKind::Stack), mapping(3 * PAGE, PAGE, MappingKind::Stack)],
        vec![mapping(0x40_0000, top / 2, MappingKind::Stack)],
        vec![mapping(0x40_0000, PAGE, MappingKind::Vvar), mapping(0x40_1000, PAGE, MappingKind::Heap)],
    ];
    for (number, shape) in shapes.into_iter().enumerate() {
        for (place, brk_start) in [0, 1, 0x40_0000, top - 1].into_iter().enumerate() {
            let exec = EventKind::Exec { mappings: shape.clone(), brk_start };
            let mut kinds = vec![exec.clone(), touch(0, 8), touch(0x400, 8), touch((top - PAGE) / PAGE, 1)];
            kinds.push(call(Call::Brk { addr: brk_start + 5 * PAGE }, (brk_start + 5 * PAGE) as i64));
            kinds.push(exec);
            check(&format!("exec-{number}-{place}"), &doing(kinds), End::Any);
        }
    }
}

#[test]
fn a_storm_of_forks() {
    const CHILDREN: u32 = 1500;
    let mut recording = doing(vec![mmap(AT, 16 * PAGE, PRIVATE), touch(AT / PAGE, 16)]);
    for child in 1..=CHILDREN {
        recording.processes.push(Process {
            pid: child,
            parent: Some(ProcessId(child / 3)),
            name: "child".into(),
        });
        recording.tasks.push(Task { tid: child, process: ProcessId(child) });
        let memory = [ForkMemory::Copied, ForkMemory::Copied, ForkMemory::Shared][child as usize % 3];
        let fork = EventKind::Fork { child_process: ProcessId(child), child_task: TaskId(child), memory };
        add(&mut recording, child / 3, vec![fork]);
        add(&mut recording, child, vec![fault(AT + u64::from(child % 16) * PAGE, Access::Write)]);
    }
    let path = written("hostile-forks.fhr", &recording);
    for memory in ["1G", "16M"] {
        let output = freehold(&["replay", &path, "--json", "--memory", memory, "--audit", "end"]);
        let error = text(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 2)), "{memory}: {error}{}", text(&output.stdout));
        assert!(error.lines().count() <= 1, "{memory}: {error}");
    }
}

#[test]
fn tasks_after_the_end_and_before_the_birth() {
    let mut late = doing(vec![EventKind::Exit]);
    late.tasks.push(Task { tid: 7, process: ProcessId(0) });
    let mut bytes = None;
    for task in [0, 1, 2] {
        let mut recording = late.clone();
        add(&mut recording, task, vec![fault(AT, Access::Read)]);
        assert!(recording.validate().is_err());
        assert!(recording.to_bytes().is_err());
        bytes.get_or_insert(recording);
    }
    // The thread goes on after exec and after the last exit that it should have seen.
    let mut lost = doing(vec![EventKind::Fork {
        child_process: ProcessId(0),
        child_task: TaskId(1),
        memory: ForkMemory::Thread,
    }]);
    lost.tasks.push(Task { tid: 7, process: ProcessId(0) });
    let exec = lost.events[0].kind.clone();
    add(&mut lost, 1, vec![mmap(AT, PAGE, PRIVATE), exec]);
    add(&mut lost, 0, vec![fault(AT, Access::Write), mmap(AT, PAGE, PRIVATE), EventKind::Exit]);
    add(&mut lost, 1, vec![fault(0x40_0000, Access::Read), EventKind::Exit]);
    check("thread-after-exec", &lost, End::Good);
}
