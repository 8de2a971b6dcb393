use super::*;
use crate::{EventKind, ProcessId, TaskId};

const TEXT: &str = include_str!("example.txt");

fn imported() -> Recording {
    import(TEXT.as_bytes(), Options::default()).unwrap()
}

#[test]
fn processes_threads_and_names() {
    let recording = imported();
    let pids: Vec<_> = recording.processes.iter().map(|p| (p.pid, p.parent)).collect();
    assert_eq!(pids, [(100, None), (101, Some(ProcessId(0)))]);
    let tids: Vec<_> = recording.tasks.iter().map(|task| (task.tid, task.process.0)).collect();
    assert_eq!(tids, [(100, 0), (101, 1), (102, 0)]);
    assert_eq!(recording.processes[1].name, "demo");
    assert_eq!((recording.files[0].name.as_str(), recording.files[0].size), ("lib,a (1).so", 5000));
    let exits = recording.events.iter().filter(|event| event.kind == EventKind::Exit);
    assert_eq!(exits.map(|event| event.task).collect::<Vec<_>>(), [1, 2, 0].map(TaskId));
}

#[test]
fn calls_keep_their_arguments_and_results() {
    let recording = imported();
    let calls: Vec<_> = recording
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Call { call, ret } => Some((*call, *ret)),
            _ => None,
        })
        .collect();
    let file = Some(FileId(0));
    let anonymous = Call::Mmap { addr: 0, len: 8192, prot: 3, flags: 0x22, file: None, offset: 0 };
    let expected = [
        (Call::Brk { addr: 0 }, 0x5555_5556_0000),
        (anonymous, 0x7f00_0000_0000),
        (Call::Mmap { addr: 0, len: 5000, prot: 1, flags: 2, file, offset: 0 }, 0x7f00_0001_0000),
        (Call::Munmap { addr: 0x7f00_0000_0000, len: 8192 }, 0),
        (Call::Mprotect { addr: 1, len: 1, prot: 0 }, -22),
        (Call::Setrlimit { resource: 3, soft: 8 << 20, hard: u64::MAX }, 0),
    ];
    assert_eq!(calls, expected);
}

#[test]
fn what_exec_mapped_is_inferred() {
    let text = "100 1.1 execve(\"/bin/a\", [], 0x1) = 0 <0.1>
100 1.3 brk(NULL) = 0x5000 <0.1>
100 1.4 mmap(NULL, 4096, 0x3, 0x22, -1, 0) = 0x70000 <0.1>
100 1.5 mprotect(0x70000, 8192, 0x1) = 0 <0.1>
100 1.6 mprotect(0x20000, 4096, 0x1) = -1 ENOMEM (Cannot allocate memory) <0.1>
";
    let recording = import(text.as_bytes(), Options::default()).unwrap();
    let EventKind::Exec { mappings, brk_start } = &recording.events[0].kind else { panic!("no exec") };
    let ranges: Vec<_> = mappings.iter().map(|mapping| (mapping.start, mapping.len)).collect();
    assert_eq!((ranges.as_slice(), *brk_start), ([(0x71000, 4096)].as_slice(), 0x5000));
}

#[test]
fn interrupted_calls_are_joined() {
    let recording = imported();
    let munmap = recording
        .events
        .iter()
        .find(|event| matches!(event.kind, EventKind::Call { call: Call::Munmap { .. }, .. }))
        .unwrap();
    assert_eq!(munmap.end_ns - munmap.time_ns, 200_000);
}

#[test]
fn a_line_that_makes_no_sense_is_named() {
    for (text, line) in [
        ("hello", 1),
        ("100 1.5 execve(\"/a\", [], 0x1) = 0\n\n100 1.6 munmap(0x1", 3),
        ("100 1.5 execve(\"/a\", [], 0x1) = 0\n100 1.6 munmap(zero, 1) = 0", 2),
        ("100 1.5 <... munmap resumed>) = 0", 1),
        ("99999999999 1.5 munmap(0, 1) = 0", 1),
    ] {
        match import(text.as_bytes(), Options::default()) {
            Err(ImportError::Line { line: found, .. }) => assert_eq!(found, line, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    assert!(matches!(import(b"", Options::default()), Err(ImportError::NoExec)));
}
