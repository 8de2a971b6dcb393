//! A `perf.data` file made by hand, byte by byte.

use super::*;
use crate::{Access, Call, Event, EventKind, FileId, ForkMemory, MappingKind, Origin, ProcessId, TaskId};

const TID_TIME_RAW_IDENTIFIER: u64 = 1 << 1 | 1 << 2 | 1 << 10 | 1 << 16;
const SAMPLE_ID_ALL: u64 = 1 << 18;
const NAMES: [&str; 5] = [
    "exceptions:page_fault_user",
    "exceptions:page_fault_kernel",
    "task:task_newtask",
    "raw_syscalls:sys_enter",
    "raw_syscalls:sys_exit",
];

/// The formats as the kernel prints them, with one field moved to show that it is looked up.
const FORMATS: &str = "\
name: page_fault_user
\tfield:unsigned long ip;\toffset:8;\tsize:8;\tsigned:0;
\tfield:unsigned long address;\toffset:16;\tsize:8;\tsigned:0;
\tfield:unsigned long error_code;\toffset:24;\tsize:8;\tsigned:0;
print fmt: \"\"
name: page_fault_kernel
\tfield:unsigned long address;\toffset:8;\tsize:8;\tsigned:0;
\tfield:unsigned long error_code;\toffset:24;\tsize:8;\tsigned:0;
print fmt: \"\"
name: task_newtask
\tfield:pid_t pid;\toffset:8;\tsize:4;\tsigned:1;
\tfield:u64 clone_flags;\toffset:32;\tsize:8;\tsigned:0;
print fmt: \"\"
name: sys_enter
\tfield:long id;\toffset:8;\tsize:8;\tsigned:1;
\tfield:unsigned long args[6];\toffset:16;\tsize:48;\tsigned:0;
print fmt: \"\"
name: sys_exit
\tfield:long id;\toffset:8;\tsize:8;\tsigned:1;
\tfield:long ret;\toffset:16;\tsize:8;\tsigned:1;
print fmt: \"\"
";

/// The bytes of a file's records.
#[derive(Default)]
struct Data(Vec<u8>);

impl Data {
    fn record(&mut self, kind: u32, misc: u16, body: &[u8]) {
        self.0.extend_from_slice(&kind.to_le_bytes());
        self.0.extend_from_slice(&misc.to_le_bytes());
        self.0.extend_from_slice(&(body.len() as u16 + 8).to_le_bytes());
        self.0.extend_from_slice(body);
    }

    /// A record that ends with who and when.
    fn side(&mut self, kind: u32, misc: u16, tid: u32, at: u64, mut body: Vec<u8>) {
        body.resize(body.len().next_multiple_of(8), 0);
        body.extend([tid, tid].iter().flat_map(|id| id.to_le_bytes()));
        body.extend([at, 1].iter().flat_map(|word| word.to_le_bytes()));
        self.record(kind, misc, &body);
    }

    fn exec(&mut self, tid: u32, at: u64, name: &str) {
        let mut body: Vec<u8> = [tid, tid].iter().flat_map(|id| id.to_le_bytes()).collect();
        body.extend_from_slice(name.as_bytes());
        body.push(0);
        self.side(3, 1 << 13, tid, at, body);
    }

    fn fork_or_exit(&mut self, kind: u32, ids: [u32; 4], at: u64) {
        let mut body: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        body.extend_from_slice(&at.to_le_bytes());
        self.side(kind, 0, ids[2], at, body);
    }

    fn mmap2(&mut self, tid: u32, at: u64, (addr, len, offset): (u64, u64, u64), path: &str) {
        let mut body: Vec<u8> = [tid, tid].iter().flat_map(|id| id.to_le_bytes()).collect();
        body.extend([addr, len, offset, 0, 77, 0].iter().flat_map(|word| word.to_le_bytes()));
        body.extend([5u32, 2].iter().flat_map(|word| word.to_le_bytes()));
        body.extend_from_slice(path.as_bytes());
        body.push(0);
        self.side(10, 0, tid, at, body);
    }

    /// A sample of the tracepoint `NAMES[event]`; its raw words start at byte 8.
    fn sample(&mut self, event: usize, tid: u32, at: u64, words: &[u64]) {
        let mut body = (event as u64 + 1).to_le_bytes().to_vec();
        body.extend([tid, tid].iter().flat_map(|id| id.to_le_bytes()));
        body.extend_from_slice(&at.to_le_bytes());
        body.extend_from_slice(&(8 * words.len() as u32 + 12).to_le_bytes());
        body.extend([0; 8]);
        body.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        body.extend([0; 4]);
        self.record(9, 0, &body);
    }

    fn call(&mut self, tid: u32, at: u64, number: u64, args: [u64; 6], ret: u64) {
        let mut words = vec![number];
        words.extend(args);
        self.sample(3, tid, at, &words);
        self.sample(4, tid, at + 10, &[number, ret]);
    }

    /// The whole file.
    fn finish(&self) -> Vec<u8> {
        let attribute = |event: usize| {
            let mut words = [0u64; 16];
            (words[0], words[1]) = (2 | 128 << 32, event as u64);
            (words[3], words[5]) = (TID_TIME_RAW_IDENTIFIER, SAMPLE_ID_ALL);
            words.map(u64::to_le_bytes).concat()
        };
        let mut description = [NAMES.len() as u32, 128].map(u32::to_le_bytes).concat();
        for (event, name) in NAMES.iter().enumerate() {
            description.extend(attribute(event));
            description.extend([1, name.len() as u32 + 1].iter().flat_map(|n| n.to_le_bytes()));
            description.extend_from_slice(name.as_bytes());
            description.push(0);
            description.extend_from_slice(&(event as u64 + 1).to_le_bytes());
        }
        let attributes_at = 104u64;
        let data_at = attributes_at + 144 * NAMES.len() as u64;
        let sections_at = data_at + self.0.len() as u64;
        let formats_at = sections_at + 2 * 16;
        let description_at = formats_at + FORMATS.len() as u64;

        let mut file = b"PERFILE2".to_vec();
        let head = [104, 144, attributes_at, 144 * NAMES.len() as u64, data_at, self.0.len() as u64];
        let features = 1 << 1 | 1 << 12;
        for word in head.iter().chain(&[0, 0, features, 0, 0, 0]) {
            file.extend_from_slice(&word.to_le_bytes());
        }
        for event in 0..NAMES.len() {
            file.extend(attribute(event));
            file.extend([0; 16]);
        }
        file.extend_from_slice(&self.0);
        let lengths = [formats_at, FORMATS.len() as u64, description_at, description.len() as u64];
        file.extend(lengths.iter().flat_map(|word| word.to_le_bytes()));
        file.extend_from_slice(FORMATS.as_bytes());
        file.extend_from_slice(&description);
        file
    }
}

fn run_of_a_program() -> Data {
    let mut data = Data::default();
    data.exec(9, 50, "other");
    data.exec(10, 100, "demo");
    data.mmap2(10, 101, (0x1000_0000, 0x9000, 0), "/bin/demo");
    data.mmap2(10, 102, (0x1000_2000, 0x3000, 0x2000), "/bin/demo");
    data.mmap2(10, 103, (0x7fff_0000, 0x2_1000, 0x7fff_0000), "[stack]");
    data.sample(1, 10, 104, &[0x7fff_8000, 0, 2]);
    data.sample(4, 10, 105, &[59, 0]);
    data.sample(0, 10, 110, &[0xdead, 0x1000_2010, 0x14]);
    data.call(10, 120, 12, [0; 6], 0x2000_0000);
    data.sample(3, 10, 140, &[9, 0, 5000, 1, 2, 3, 0x1000]);
    data.mmap2(10, 145, (0x3000_0000, 0x2000, 0x1000), "/lib/libdemo.so");
    data.sample(4, 10, 150, &[9, 0x3000_0000]);
    data.fork_or_exit(7, [11, 10, 11, 10], 160);
    data.sample(2, 10, 161, &[11, 0, 0, 0x0120_0011]);
    data.fork_or_exit(7, [10, 10, 12, 10], 170);
    data.sample(0, 11, 180, &[0, 0x3000_0008, 6]);
    data.sample(1, 12, 185, &[0xffff_8000_0000_0000, 0, 2]);
    data.fork_or_exit(4, [11, 10, 11, 10], 190);
    data
}

fn import_bytes(bytes: &[u8], options: Options) -> Result<Recording, ImportError> {
    let name = format!("freehold-perf-test-{}-{:?}", std::process::id(), std::thread::current().id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, bytes)?;
    let imported = import(&path, options);
    std::fs::remove_file(&path)?;
    imported
}

fn imported() -> Recording {
    let options = Options { root: Some(10), ..Options::default() };
    import_bytes(&run_of_a_program().finish(), options).unwrap()
}

#[test]
fn the_exec_of_the_root_comes_first() {
    let recording = imported();
    let Event { task: TaskId(0), kind: EventKind::Exec { mappings, brk_start }, time_ns: 0, .. } =
        &recording.events[0]
    else {
        panic!("{:?}", recording.events[0])
    };
    assert_eq!(*brk_start, 0x2000_0000);
    let found: Vec<_> = mappings.iter().map(|m| (m.start, m.len, m.kind)).collect();
    let expected = [
        (0x1000_0000, 0x2000, MappingKind::File),
        (0x1000_2000, 0x3000, MappingKind::File),
        (0x7fff_0000, 0x2_1000, MappingKind::Stack),
    ];
    assert_eq!(found, expected);
    assert_eq!(recording.processes[0].name, "demo");
}

#[test]
fn faults_calls_and_forks_follow_in_order() {
    let recording = imported();
    let kinds: Vec<_> = recording.events[1..].iter().map(|e| (e.task.0, e.kind.clone())).collect();
    let fault = |addr, access, origin| EventKind::Fault { addr, access, origin };
    let fork = |process, task, memory| EventKind::Fork {
        child_process: ProcessId(process),
        child_task: TaskId(task),
        memory,
    };
    let file = Some(FileId(1));
    let mmap = Call::Mmap { addr: 0, len: 5000, prot: 1, flags: 2, file, offset: 0x1000 };
    let expected = [
        (0, fault(0x7fff_8000, Access::Write, Origin::Kernel)),
        (0, fault(0x1000_2010, Access::Execute, Origin::User)),
        (0, EventKind::Call { call: Call::Brk { addr: 0 }, ret: 0x2000_0000 }),
        (0, EventKind::Call { call: mmap, ret: 0x3000_0000 }),
        (0, fork(1, 1, ForkMemory::Copied)),
        (0, fork(0, 2, ForkMemory::Thread)),
        (1, fault(0x3000_0008, Access::Write, Origin::User)),
        (1, EventKind::Exit),
    ];
    assert_eq!(kinds, expected);
    assert_eq!((recording.files[1].name.as_str(), recording.files[1].size), ("libdemo.so", 9096));
}

#[test]
fn damaged_files_are_errors() {
    let whole = run_of_a_program().finish();
    assert!(import_bytes(b"", Options::default()).is_err());
    assert!(import_bytes(b"PERFILE2", Options::default()).is_err());
    let unknown = Options { root: Some(77), ..Options::default() };
    assert!(matches!(import_bytes(&whole, unknown), Err(ImportError::NoExec)));
    for at in (0..whole.len()).step_by(7) {
        let _ = import_bytes(&whole[..at], Options::default());
    }
}
