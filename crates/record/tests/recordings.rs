//! The real recordings make sense: every page that was touched, and every address that faulted,
//! was mapped at that moment by what the recording itself says.

mod spaces;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use record::{Call, EventKind, Lack, PageRun, ProcessId, Recording};
use spaces::Spaces;

/// Every recording of the repository.
fn recordings() -> Vec<(PathBuf, Recording)> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../recordings");
    let entries = std::fs::read_dir(directory).expect("the recordings are in the repository");
    entries
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "fhr"))
        .map(|path| {
            let recording = Recording::read(&path);
            let recording = recording.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path, recording)
        })
        .collect()
}

#[test]
fn each_is_small_and_says_where_it_comes_from() {
    let recordings = recordings();
    assert!(recordings.len() >= 6, "there are six kinds of program");
    for (path, recording) in recordings {
        let bytes = std::fs::metadata(&path).expect("it was just read").len();
        assert!(bytes < 2 << 20, "{}: {bytes} bytes", path.display());
        let from = &recording.provenance;
        assert!(!from.kernel.is_empty() && !from.recorder.is_empty() && !from.date.is_empty());
        assert_eq!(from.lost_events, 0, "{}", path.display());
        assert!(recording.linux.minor_faults.is_some(), "{}", path.display());
    }
}

#[test]
fn each_survives_being_written_again() {
    for (path, recording) in recordings() {
        let bytes = recording.to_bytes().expect("what was read can be written");
        let again = Recording::from_bytes(&bytes).expect("what was written can be read");
        assert!(again == recording, "{}", path.display());
    }
}

#[test]
fn whatever_was_touched_was_mapped() {
    for (path, recording) in recordings() {
        let strays = strays(&recording);
        assert!(
            strays.is_empty(),
            "{}: {} strays: {:#?}",
            path.display(),
            strays.len(),
            &strays[..strays.len().min(8)]
        );
    }
}

#[test]
fn what_perf_recorded_has_the_faults_linux_counted() {
    for (path, recording) in recordings() {
        if recording.provenance.lacks.contains(&Lack::Faults) {
            continue;
        }
        let recorded = recording.summary().by_kind["fault"];
        let linux = &recording.linux;
        let counted = linux.minor_faults.unwrap_or(0) + linux.major_faults.unwrap_or(0);
        let apart = recorded.abs_diff(counted);
        assert!(apart * 100 <= counted, "{}: {recorded} and {counted}", path.display());
    }
}

#[test]
fn where_contents_do_not_lack_each_class_was_seen_in_two_places() {
    let mut with_contents = 0;
    for (path, recording) in recordings() {
        if recording.provenance.lacks.contains(&Lack::Contents) {
            continue;
        }
        with_contents += 1;
        let mut places = BTreeMap::<u64, BTreeSet<(ProcessId, u64)>>::new();
        for event in &recording.events {
            if let EventKind::Content { page, class } = event.kind {
                let process = recording.tasks[event.task.0 as usize].process;
                places.entry(class).or_default().insert((process, page));
            }
        }
        assert!(places.len() > 10, "{}: {} classes", path.display(), places.len());
        for (class, places) in places {
            assert!(class == 0 || places.len() > 1, "{}: class {class}", path.display());
        }
    }
    assert!(with_contents >= 2);
}

/// The events that touch what is not mapped, with their numbers.
fn strays(recording: &Recording) -> Vec<(usize, u32, u64)> {
    let mut spaces = Spaces::new(recording);
    let mut strays = Vec::new();
    for (number, event) in recording.events.iter().enumerate() {
        let mut check = |spaces: &mut Spaces, page: u64| {
            if !spaces.of(event.task).holds(page << 12) {
                strays.push((number, event.task.0, page << 12));
            }
        };
        match &event.kind {
            EventKind::Fork { child_process, memory, .. } => {
                spaces.fork(event.task, *child_process, *memory);
            }
            EventKind::Exec { mappings, brk_start } => {
                spaces.exec(event.task, mappings, *brk_start);
            }
            EventKind::Call { call, ret } => apply(&mut spaces, event.task, call, *ret),
            EventKind::Fault { addr, .. } => check(&mut spaces, addr >> 12),
            EventKind::Touch { read, written, .. } => {
                for &PageRun { first_page, count } in read.iter().chain(written) {
                    for page in first_page..first_page + count {
                        check(&mut spaces, page);
                    }
                }
            }
            EventKind::Exit | EventKind::Content { .. } => {}
        }
    }
    strays
}

fn apply(spaces: &mut Spaces, task: record::TaskId, call: &Call, ret: i64) {
    let space = spaces.of(task);
    match *call {
        Call::Brk { .. } => space.brk(ret as u64),
        _ if ret < 0 => {}
        Call::Mmap { len, .. } => space.map(ret as u64, len),
        Call::Munmap { addr, len } => space.unmap(addr, len),
        Call::Mremap { addr, old_len, new_len, flags, .. } => {
            const DONTUNMAP: u64 = 4;
            if flags & DONTUNMAP == 0 {
                space.unmap(addr, old_len);
            }
            space.map(ret as u64, new_len);
        }
        _ => {}
    }
}
