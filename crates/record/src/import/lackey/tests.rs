//! Followers of made-up processes.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::rc::Rc;

use super::{Follower, More, Page, Source};
use crate::{Call, EventKind, FileKind, Lack, PageRun, Recording};

/// Processes whose output comes in pieces, with pages that all contain the same byte.
#[derive(Default)]
struct MadeUp {
    output: HashMap<u32, VecDeque<&'static str>>,
    pages: HashMap<(u32, u64), u8>,
    page: Option<Page>,
    rests: Rc<Cell<u32>>,
}

impl MadeUp {
    /// Processes that print these pieces; an empty piece is a moment in which nothing is printed.
    fn new(output: &[(u32, &[&'static str])]) -> Self {
        let pieces = |pieces: &[&'static str]| pieces.iter().copied().collect();
        Self { output: output.iter().map(|&(pid, text)| (pid, pieces(text))).collect(), ..Self::default() }
    }
}

impl Source for MadeUp {
    fn root_maps(&mut self) -> io::Result<String> {
        Ok("00001000-00009000 rw-p 00000000 00:00 0 \n".to_owned())
    }

    fn more(&mut self, pid: u32, text: &mut Vec<u8>) -> io::Result<More> {
        Ok(match self.output.get_mut(&pid).and_then(VecDeque::pop_front) {
            Some("") => More::Nothing,
            Some(piece) => {
                text.extend_from_slice(piece.as_bytes());
                More::Some
            }
            None => More::Ended,
        })
    }

    fn page(&mut self, pid: u32, page: u64) -> Option<&Page> {
        let byte = *self.pages.get(&(pid, page))?;
        Some(self.page.insert([byte; 4096]))
    }

    fn rest(&mut self) {
        self.rests.set(self.rests.get() + 1);
    }
}

/// The root's first lines: a store to its stack, and a call.
const START: &str = "I  2000,4\n S 1008,8\nSYSCALL[7,1](12) sys_brk ( 0x0 ) --> Success(0x9000) \n";

fn recorded(source: MadeUp) -> Recording {
    Follower::new(7, "made-up", source).follow().unwrap()
}

/// The times of what each process touched.
fn touches(recording: &Recording) -> Vec<(u32, u64)> {
    let touch = |event: &&crate::Event| matches!(event.kind, EventKind::Touch { .. });
    let pid = |event: &crate::Event| {
        let process = recording.tasks[event.task.0 as usize].process;
        recording.processes[process.0 as usize].pid
    };
    recording.events.iter().filter(touch).map(|event| (pid(event), event.time_ns)).collect()
}

const FORK: &str = "SYSCALL[7,1](56) sys_clone ( 1200011, 0x0 )   clone(fork): process 7 created child 8\n";
const WAIT: &str = "SYSCALL[7,1](61) sys_wait4 ( 4294967295, 0x0, 0 ) --> Success(0x8) \n";

#[test]
fn a_parent_that_waited_goes_on_after_its_child() {
    // The parent's output is all there long before the child's.
    let parent = [START, FORK, WAIT, "I  2000,4\n S 3000,8\n"];
    let child = ["I  2000,4\n", "I  2004,4\n", "I  2008", ",4\n S 1008,8\n"];
    let recording = recorded(MadeUp::new(&[(7, &parent), (8, &child)]));
    assert_eq!(touches(&recording), [(7, 1), (8, 4), (7, 5)]);
}

#[test]
fn the_follower_rests_when_all_were_asked() {
    let source = MadeUp::new(&[(7, &[START, FORK, "", "I  2000,4\n"]), (8, &["I  2000,4\n"])]);
    let rests = source.rests.clone();
    assert_eq!(touches(&recorded(source)), [(7, 1), (8, 2), (7, 2)]);
    assert_eq!(rests.get(), 5, "the root was asked five times, the child meanwhile");
}

#[test]
fn a_child_that_only_stopped_is_not_waited_for() {
    // The child goes on when the parent tells it to, long after its silence.
    let parent = [START, FORK, WAIT, "I  2000,4\n", "", "", ""];
    let child = ["I  2000,4\n", "", "", "", "I  2000,4\n"];
    let recording = recorded(MadeUp::new(&[(7, &parent), (8, &child)]));
    assert_eq!(touches(&recording), [(7, 1), (7, 2), (8, 3)]);
}

#[test]
fn processes_are_followed_side_by_side() {
    // Neither has more to say before the other has said what it had.
    let parent = [START, FORK, "I  2000,4\n", "", "I  2000,4\n"];
    let child = ["", "I  2000,4\n", "", "I  2000,4\n"];
    let recording = recorded(MadeUp::new(&[(7, &parent), (8, &child)]));
    assert_eq!(touches(&recording).len(), 3);
    assert_eq!(recording.processes.len(), 2);
}

#[test]
fn written_pages_are_looked_at() {
    let child = "I  2000,4\n S 1008,8\n S 3000,8\n S 4000,8\n S 5000,8\n L 6000,8\n";
    let mut source = MadeUp::new(&[(7, &[START, FORK, WAIT]), (8, &[child])]);
    // Page 4 is like no other, page 5 is gone, and page 6 was only read.
    source.pages = HashMap::from([((7, 1), 5), ((8, 1), 5), ((8, 3), 0), ((8, 4), 9), ((8, 6), 5)]);
    let recording = recorded(source);
    assert!(!recording.provenance.lacks.contains(&Lack::Contents));
    let contents: Vec<_> = recording
        .events
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Content { page, class } => Some((event.task.0, page, class)),
            _ => None,
        })
        .collect();
    assert_eq!(contents, [(0, 1, 1), (1, 1, 1), (1, 3, 0)]);
}

#[test]
fn a_load_and_store_in_one_is_a_store() {
    let recording = recorded(MadeUp::new(&[(7, &[START, "I  2000,4\n M 3000,8\n"])]));
    let last = recording.events.iter().rfind(|event| matches!(event.kind, EventKind::Touch { .. }));
    let run = |first_page| vec![PageRun { first_page, count: 1 }];
    let touch = EventKind::Touch { epoch: 1, read: run(2), written: run(3) };
    assert_eq!(last.map(|event| &event.kind), Some(&touch));
}

#[test]
fn where_nothing_can_be_looked_at_contents_lack() {
    let recording = recorded(MadeUp::new(&[(7, &[START])]));
    assert!(recording.provenance.lacks.contains(&Lack::Contents));
}

#[test]
fn shared_memory_is_attached_as_a_mapping() {
    let calls = "SYSCALL[7,1](29) sys_shmget ( 10, 56, 896 ) --> Success(0x3) \n\
                 SYSCALL[7,1](30) sys_shmat ( 3, 0x0, 0 ) --> Success(0x5000) \n";
    let child = "SYSCALL[8,1](67) sys_shmdt ( 0x5000 ) --> Success(0x0) \n";
    let recording = recorded(MadeUp::new(&[(7, &[START, calls, FORK]), (8, &[child])]));
    let file = &recording.files[0];
    assert_eq!((file.name.as_str(), file.kind), ("SYSV0000000a", FileKind::SharedMemory));
    let calls: Vec<_> = recording
        .events
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Call { call, ret } => Some((event.task.0, call, ret)),
            _ => None,
        })
        .collect();
    let file = Some(crate::FileId(0));
    let attach = Call::Mmap { addr: 0, len: 56, prot: 3, flags: 1, file, offset: 0 };
    let expected = [
        (0, Call::Brk { addr: 0 }, 0x9000),
        (0, attach, 0x5000),
        (1, Call::Munmap { addr: 0x5000, len: 56 }, 0),
    ];
    assert_eq!(calls, expected);
}
