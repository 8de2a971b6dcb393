//! The format: what is written is read again, and each kind of damage has its error.

mod damage;

use damage::{body_of, flip, parts, seal};
use proptest::prelude::*;
use record::format::{MAX_BODY, MAX_EVENTS, MAX_HEADER};
use record::{Invalid, ReadError, Recording, example};

fn good() -> Vec<u8> {
    example().to_bytes().expect("the example is valid")
}

fn error(bytes: &[u8]) -> ReadError {
    let error = Recording::from_bytes(bytes).expect_err("damaged");
    assert!(!error.to_string().contains('\n'), "{error}");
    error
}

fn with(at: usize, new: &[u8]) -> Vec<u8> {
    let mut bytes = good();
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

#[test]
fn an_empty_file() {
    assert!(matches!(error(b""), ReadError::Empty));
}

#[test]
fn a_file_of_something_else() {
    assert!(matches!(error(b"PERFILE2 and more"), ReadError::Magic));
    assert!(matches!(error(b"\x89"), ReadError::Truncated { have: 1, .. }));
}

#[test]
fn another_version() {
    let bytes = with(8, &2u32.to_le_bytes());
    assert!(matches!(error(&bytes), ReadError::Version { found: 2, supported: 1 }));
}

#[test]
fn a_reserved_word_in_use() {
    assert!(matches!(error(&with(12, &[1])), ReadError::Reserved { found: 1 }));
}

#[test]
fn every_truncation() {
    let bytes = good();
    for len in 1..bytes.len() {
        let error = error(&bytes[..len]);
        assert!(matches!(error, ReadError::Truncated { .. }), "{len}: {error}");
    }
}

#[test]
fn something_behind_the_end() {
    let mut bytes = good();
    bytes.push(0);
    assert!(matches!(error(&bytes), ReadError::Trailing { extra: 1, .. }));
}

#[test]
fn every_flipped_bit() {
    let bytes = good();
    for bit in 0..8 * bytes.len() {
        error(&flip(&bytes, bit));
    }
    let last = flip(&bytes, 8 * bytes.len() - 1);
    assert!(matches!(error(&last), ReadError::Checksum));
}

#[test]
fn hostile_sizes() {
    for at in [16, 24, 32, 40, 48] {
        for size in [1u64 << 63, u64::MAX, u64::MAX / 2, 1 << 40] {
            let error = error(&with(at, &size.to_le_bytes()));
            assert!(matches!(error, ReadError::TooLarge { size: s, .. } if s == size), "{error}");
        }
    }
}

#[test]
fn decompression_bombs() {
    let zeros = vec![0u8; 8 << 20];
    let (head, _) = parts(&good());
    let bomb = seal(&head, &zeros, 1);
    assert!(matches!(error(&bomb), ReadError::TooLarge { what: "body", .. }));
    // The same with a promise that is small enough to be believed.
    let mut liar = bomb;
    liar[40..48].copy_from_slice(&1000u64.to_le_bytes());
    damage::rehash(&mut liar);
    assert!(matches!(error(&liar), ReadError::Compression { part: "body", .. }));
    const { assert!(MAX_HEADER <= MAX_BODY && MAX_EVENTS <= MAX_BODY) };
}

#[test]
fn parts_that_are_not_compressed() {
    let mut bytes = good();
    let at = bytes.len() - 40;
    bytes[at] ^= 0xff;
    damage::rehash(&mut bytes);
    error(&bytes);
    bytes[56] ^= 0xff;
    damage::rehash(&mut bytes);
    assert!(matches!(error(&bytes), ReadError::Compression { part: "header", at: 56, .. }));
}

#[test]
fn parts_that_end_too_soon_or_too_late() {
    let (head, body) = parts(&good());
    let events = example().events.len() as u64;
    let error_of = |head: &[u8], body: &[u8], events| error(&seal(head, body, events));
    let short = error_of(&head, &body[..body.len() - 1], events);
    assert!(matches!(short, ReadError::Short { part: "body", event: Some(_), .. }), "{short}");
    let more = error_of(&head, &body, events + 1);
    assert!(matches!(more, ReadError::Short { part: "body", .. }), "{more}");
    let fewer = error_of(&head, &body, events - 1);
    assert!(matches!(fewer, ReadError::LeftOver { part: "body", .. }), "{fewer}");
    // Cut inside the first text, which is the program's name.
    let short = error_of(&head[..4], &body, events);
    assert!(matches!(short, ReadError::Value { part: "header", event: None, .. }), "{short}");
    let short = error_of(&[], &body, events);
    assert!(matches!(short, ReadError::Short { part: "header", event: None, .. }), "{short}");
}

#[test]
fn values_that_mean_nothing() {
    let (head, body) = parts(&good());
    let events = example().events.len() as u64;
    for wrong in [0x1f, 0x80, 14] {
        let mut body = body.clone();
        body[0] = wrong;
        let error = error(&seal(&head, &body, events));
        assert!(matches!(error, ReadError::Value { event: Some(0), .. }), "{error}");
    }
    // A list that claims more items than there are bytes.
    let mut head = head;
    head[0] = 0x7f;
    assert!(matches!(error(&seal(&head, &body, events)), ReadError::Value { part: "header", .. }));
}

#[test]
fn recordings_that_make_no_sense() {
    use record::{Broken, Event, EventKind, FileId, Mapping, PageRun, ProcessId, TaskId};
    type Edit = fn(&mut Recording);
    fn mapping(recording: &mut Recording, index: usize) -> &mut Mapping {
        match &mut recording.events[0].kind {
            EventKind::Exec { mappings, .. } => &mut mappings[index],
            other => panic!("{other:?}"),
        }
    }
    fn event(recording: &mut Recording, kind: EventKind) {
        recording.events.push(Event { time_ns: 9, end_ns: 9, task: TaskId(0), kind });
        let last = recording.events.len() - 1;
        recording.events.swap(last, last - 1);
    }
    fn run(first_page: u64, count: u64) -> EventKind {
        EventKind::Touch { epoch: 0, read: vec![PageRun { first_page, count }], written: vec![] }
    }
    let edits: [(Edit, Broken); 15] = [
        (|r| r.events.clear(), Broken::NoEvents),
        (|r| r.provenance.page_size = 8192, Broken::PageSize(8192)),
        (|r| r.processes[0].parent = Some(ProcessId(0)), Broken::Parent(ProcessId(0))),
        (|r| r.tasks[1].process = ProcessId(7), Broken::UnknownProcess(ProcessId(7))),
        (|r| r.tasks.clear(), Broken::Root),
        (|r| drop(r.events.remove(0)), Broken::NoRootExec),
        (|r| r.events[1].task = TaskId(9), Broken::UnknownTask(TaskId(9))),
        (|r| r.events[1].task = TaskId(1), Broken::NotBorn(TaskId(1))),
        (|r| r.events[8].task = TaskId(1), Broken::Dead(TaskId(1))),
        (|r| r.events[1].time_ns = 5000, Broken::EndsEarly { time_ns: 5000, end_ns: 1000 }),
        (|r| mapping(r, 0).len = 1 << 63, Broken::BadMapping { start: 0x40_0000, len: 1 << 63 }),
        (|r| mapping(r, 1).start = 0x40_1000, Broken::Overlap { start: 0x40_1000 }),
        (
            |r| mapping(r, 0).backing.as_mut().expect("a file").file = FileId(3),
            Broken::UnknownFile(FileId(3)),
        ),
        (|r| event(r, run(1 << 35, 1)), Broken::BadRun { first_page: 1 << 35, count: 1 }),
        (|r| event(r, run(5, u64::MAX)), Broken::BadRun { first_page: 5, count: u64::MAX }),
    ];
    for (edit, expected) in edits {
        let mut recording = example();
        edit(&mut recording);
        match recording.validate() {
            Err(Invalid::Tables(broken) | Invalid::Event { broken, .. }) => {
                assert_eq!(broken, expected);
            }
            other => panic!("{expected:?}: {other:?}"),
        }
        assert!(recording.to_bytes().is_err(), "what makes no sense is not written");
    }
}

#[test]
fn an_error_names_its_event() {
    // The example's events are so short that one byte in the middle of the body belongs to one.
    let (head, body) = parts(&good());
    let at = body_of(&body, 1);
    let mut body = body;
    body[at] = 0x1f;
    let error = error(&seal(&head, &body, example().events.len() as u64));
    assert!(error.to_string().contains("(event 1)"), "{error}");
}

mod arbitrary;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_written_is_read_again(recording in arbitrary::recording()) {
        let bytes = recording.to_bytes().expect("generated recordings are valid");
        prop_assert_eq!(Recording::from_bytes(&bytes).expect("it was just written"), recording);
    }
}
