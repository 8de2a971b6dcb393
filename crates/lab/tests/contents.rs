//! What a recording says of the contents of pages is what they hold when it is replayed.

use freehold::machine::entry::Kind;
use freehold::machine::x86_64::X86_64;
use freehold::machine::{EntryFormat, VirtAddr};
use freehold_lab::replay::{Options, Watch, replay_watched};
use freehold_lab::trace::Ears;
use record::{
    Access, Call, Event, EventKind, ForkMemory, Origin, Process, ProcessId, Recording, Task, TaskId, example,
};
use std::cell::RefCell;

const PAGE: u64 = 4096;
const AT: u64 = 0x7000_0000_0000;

/// The example's program, doing these things, a task and a kind each.
fn doing(kinds: Vec<(u32, EventKind)>) -> Recording {
    let mut recording = example();
    recording.processes.push(Process { pid: 101, parent: Some(ProcessId(0)), name: "child".into() });
    recording.tasks =
        vec![Task { tid: 100, process: ProcessId(0) }, Task { tid: 101, process: ProcessId(1) }];
    recording.events.truncate(1);
    for (task, kind) in kinds {
        let now = recording.events.len() as u64 * 100;
        recording.events.push(Event { time_ns: now, end_ns: now, task: TaskId(task), kind });
    }
    recording
}

fn mmap(pages: u64) -> EventKind {
    let call = Call::Mmap { addr: AT, len: pages * PAGE, prot: 3, flags: 0x22, file: None, offset: 0 };
    EventKind::Call { call, ret: AT as i64 }
}

fn content(page: u64, class: u64) -> EventKind {
    EventKind::Content { page: AT / PAGE + page, class }
}

fn store(page: u64) -> EventKind {
    EventKind::Fault { addr: AT + page * PAGE, access: Access::Write, origin: Origin::User }
}

fn fork() -> EventKind {
    EventKind::Fork { child_process: ProcessId(1), child_task: TaskId(1), memory: ForkMemory::Copied }
}

/// The bytes of the first pages of each process at the end, as words; none where nothing is mapped.
fn pages_of(recording: &Recording, pages: u64) -> (serde_json::Value, Vec<Vec<Option<Vec<u64>>>>) {
    let (ears, seen) = (Ears::default(), RefCell::new(Vec::new()));
    let at_end = |manager: &freehold::Manager<'_, sim::SimMachine>| {
        let (machine, spaces) = (manager.machine(), manager.spaces());
        let read = |table, page| {
            let at = VirtAddr(AT + page * PAGE).page();
            let found = spaces.walker(table).quiet_peek(machine, at);
            let Kind::Leaf(frame) = X86_64::kind(found.entry, found.level) else { return None };
            Some((0..PAGE / 8).map(|word| machine.peek_word(frame, word * 8)).collect())
        };
        for table in spaces.ids().filter_map(|id| spaces.space(id).table()) {
            seen.borrow_mut().push((0..pages).map(|page| read(table, page)).collect());
        }
    };
    let watch = Watch { ears: &ears, at_end: &at_end };
    let report =
        replay_watched("contents", recording, &Options::default(), Some(watch)).expect("a good replay");
    assert!(report.is_good(), "{}", report.text());
    (report.json(), seen.into_inner())
}

#[test]
fn equal_classes_are_equal_bytes_and_class_0_is_zeros() {
    let kinds =
        [mmap(5), content(0, 7), content(1, 7), content(2, 8), content(3, 9), content(3, 0), content(4, 0)];
    let (_, spaces) = pages_of(&doing(kinds.map(|kind| (0, kind)).into()), 5);
    let [seven, also_seven, eight, zero, untouched] = &spaces[0][..] else { panic!("five pages") };
    assert!(seven.is_some() && seven == also_seven);
    assert!(eight.is_some() && seven != eight);
    assert_eq!(*zero, Some(vec![0; 512]));
    assert_eq!(*untouched, None, "it held zeros without being touched");
}

#[test]
fn a_store_after_a_class_changes_one_page() {
    let kinds = [mmap(2), content(0, 7), content(1, 7), store(1)];
    let (_, spaces) = pages_of(&doing(kinds.map(|kind| (0, kind)).into()), 2);
    let differ = spaces[0][0].iter().flatten().zip(spaces[0][1].iter().flatten()).filter(|(a, b)| a != b);
    assert_eq!(differ.count(), 1);
}

#[test]
fn a_page_that_holds_its_class_is_not_stored_to() {
    let kinds = vec![
        (0, mmap(2)),
        (0, content(0, 7)),
        (0, content(1, 7)),
        (0, fork()),
        (0, content(0, 7)),
        (1, content(0, 7)),
        (1, content(1, 8)),
    ];
    let (report, spaces) = pages_of(&doing(kinds), 2);
    assert_eq!(report["cow"]["copied"], 1, "only the child's second page is another one");
    assert_eq!(spaces[0][0], spaces[1][0]);
    assert_ne!(spaces[0][1], spaces[1][1]);
}
