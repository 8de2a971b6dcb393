//! `freehold explain`: its answers are what the replay counted, and what happened.

#[allow(dead_code, reason = "each test uses what it needs of it")]
mod common;

use std::process::Output;
use std::sync::OnceLock;

use common::{freehold, own_file, real, refused, replayed, text, written};
use freehold::machine::trace::Shared;
use freehold::machine::{Event, LockId};
use freehold_lab::trace::{TraceReader, tell};
use record::{Access, Call, EventKind, ForkMemory, Origin, Process, ProcessId, Recording, Task, TaskId};
use serde_json::Value;

const AT: u64 = 0x7000_0000_0000;
const CHILD: u32 = 101;

fn trace_of(name: &str, recording: &str, options: &[&str]) -> (String, Value) {
    let path = own_file(&format!("{name}.fht"));
    let path = path.to_str().expect("a plain path").to_owned();
    let report = replayed(0, recording, &[options, &["--trace", &path]].concat());
    (path, report)
}

/// The Redis recording's trace and report.
fn redis() -> &'static (String, Value) {
    static REDIS: OnceLock<(String, Value)> = OnceLock::new();
    REDIS.get_or_init(|| trace_of("explain-redis", &real("redis-bgsave.fhr"), &["--audit", "off"]))
}

fn answered(args: &[&str]) -> Output {
    let output = freehold(&[&["explain"], args].concat());
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {error}");
    assert!(error.is_empty(), "{args:?}: {error}");
    output
}

fn asked(args: &[&str]) -> Value {
    let output = answered(&[args, &["--json"]].concat());
    serde_json::from_slice(&output.stdout).expect("one object")
}

fn said(args: &[&str]) -> String {
    text(&answered(args).stdout)
}

/// A parent that stores to two pages and loads a third, forks, and stores to the first page; then the child
/// ends, and the parent stores to the second page, which is its alone again.
fn family() -> Recording {
    let mut recording = record::example();
    recording.tasks.truncate(1);
    recording.events.truncate(1);
    recording.processes.push(Process { pid: CHILD, parent: Some(ProcessId(0)), name: "child".into() });
    recording.tasks.push(Task { tid: CHILD, process: ProcessId(1) });
    let map = Call::Mmap { addr: AT, len: 0x3000, prot: 3, flags: 0x32, file: None, offset: 0 };
    let access = |addr, access| EventKind::Fault { addr, access, origin: Origin::User };
    let fork =
        EventKind::Fork { child_process: ProcessId(1), child_task: TaskId(1), memory: ForkMemory::Copied };
    let kinds = [
        (0, EventKind::Call { call: map, ret: AT as i64 }),
        (0, access(AT, Access::Write)),
        (0, access(AT + 0x1000, Access::Write)),
        (0, access(AT + 0x2000, Access::Read)),
        (0, fork),
        (0, access(AT + 8, Access::Write)),
        (1, access(AT, Access::Read)),
        (1, EventKind::Exit),
        (0, access(AT + 0x1000, Access::Write)),
        (0, EventKind::Exit),
    ];
    for (number, (task, kind)) in (1..).zip(kinds) {
        let time_ns = number * 1_000;
        recording.events.push(record::Event { time_ns, end_ns: time_ns, task: TaskId(task), kind });
    }
    recording
}

fn family_trace() -> &'static str {
    static FAMILY: OnceLock<String> = OnceLock::new();
    FAMILY.get_or_init(|| trace_of("family", &written("family.fhr", &family()), &["--cpus", "2"]).0)
}

/// The lines of a part of an answer, without their context.
fn lines<'v>(answer: &'v Value, part: &str) -> Vec<&'v str> {
    let lines = answer[part].as_array().into_iter().flatten();
    lines.filter_map(|line| line["what"].as_str()).collect()
}

fn has(lines: &[&str], wanted: &[&str]) {
    let mut rest = lines.iter();
    for part in wanted {
        assert!(rest.any(|line| line.contains(part)), "'{part}' is not there, or not in order: {lines:#?}");
    }
}

#[test]
fn a_copy_after_a_fork_is_explained() {
    let answer = asked(&[family_trace(), "copy", "1"]);
    assert_eq!(answer["copies"], 1, "{answer:#}");
    assert_eq!(answer["addr"], AT);
    assert_eq!(answer["owner"], "four-pages[100]");
    let decision = &answer["decision"];
    assert_eq!((&decision["rule"], &decision["linux"]), (&"CR11".into(), &"wp_can_reuse_anon_folio".into()));
    assert_eq!((&answer["refs"], &answer["maps"], &answer["pins"]), (&2.into(), &2.into(), &0.into()));
    assert_eq!(answer["others"][0], format!("{AT:#x} of child[101], r--"));
    has(
        &lines(&answer, "before"),
        &[
            "allocated for user pages",
            "is chosen for 0x700000000000",
            "is mapped at 0x700000000000 of four-pages[100], rw-",
            "shared with child[101]",
            "rw- becomes r--",
            "is mapped at 0x700000000000 of child[101], r--",
            "no CPU can use the old translation",
        ],
    );
    has(
        &lines(&answer, "lines"),
        &[
            "a store to 0x700000000000 faults",
            "somebody else may see it",
            "allocated",
            "unmapped",
            "flush",
            "mapped",
            "is a copy now",
        ],
    );
    has(&lines(&answer, "original"), &["unmapped from 0x700000000000 of child[101]", "freed"]);
    has(&lines(&answer, "copied"), &["unmapped from 0x700000000000 of four-pages[100]", "freed"]);
}

#[test]
fn a_page_that_is_its_owners_alone_again_is_not_copied() {
    let answer = asked(&[family_trace(), "page", "100", "0x700000001abc"]);
    let told = lines(&answer, "lines");
    has(
        &told,
        &[
            "a store to",
            "mapped",
            "fork",
            "rw- becomes r--",
            "nobody else has it",
            "r-- becomes rw-",
            "unmapped",
        ],
    );
    assert!(!told.iter().any(|line| line.contains("copy")), "{told:#?}");
    let because = answer["lines"].as_array().into_iter().flatten().map(|line| &line["decision"]["key"]);
    assert_eq!(because.filter(|key| *key == "alone").count(), 1);
    let summary = asked(&[family_trace()]);
    assert_eq!((&summary["reused"]["alone"], &summary["copies"]), (&1.into(), &1.into()));
}

#[test]
fn the_child_has_a_story_of_its_own() {
    let answer = asked(&[family_trace(), "page", "101", &AT.to_string()]);
    has(
        &lines(&answer, "lines"),
        &["shared with child[101]", "is mapped at 0x700000000000 of child[101], r--", "unmapped"],
    );
    let zeros = asked(&[family_trace(), "page", "100", "0x700000002000"]);
    let told = lines(&zeros, "lines");
    has(&told, &["a load of", "is chosen for", "is mapped at", "resolved", "unmapped"]);
}

#[test]
fn a_frames_lives_end_as_they_began() {
    let copy = asked(&[family_trace(), "copy", "1"]);
    let frame = copy["from"].to_string();
    let answer = asked(&[family_trace(), "frame", &frame]);
    let told = lines(&answer, "lines");
    assert!(told.first().is_some_and(|line| line.contains("allocated")), "{told:#?}");
    assert!(told.last().is_some_and(|line| line.contains("freed")), "{told:#?}");
    assert_eq!(answer["mapped_at_end"].as_array().map(Vec::len), Some(0));
    let starts = told.iter().filter(|line| line.contains("allocated")).count();
    assert_eq!(answer["lives"], starts);
    let one = asked(&[family_trace(), "frame", &frame, "--life", "1"]);
    assert!(lines(&one, "lines").len() <= told.len());
}

#[test]
fn the_redis_trace_counts_what_the_replay_counted() {
    let (trace, report) = redis();
    let summary = asked(&[trace]);
    assert_eq!(summary["copies"], report["cow"]["copied"]);
    let reused = &summary["reused"];
    let sum = reused["exclusive"].as_u64().zip(reused["alone"].as_u64()).map(|(a, b)| a + b);
    assert_eq!(sum, report["cow"]["reused"].as_u64());
    let events = &summary["events"];
    assert_eq!(events["fault begun"], report["faults"]["total"]);
    assert_eq!(events["fault ended"], report["faults"]["total"]);
    assert_eq!(events["fault retried"], report["vmstat"]["fault_retry"]);
    assert_eq!(counted_shared(trace), report["vmstat"]["fork_shared"].as_u64());
    assert_eq!(events["interrupt sent"], report["tlb"]["ipis"]);
    assert_eq!(events["interrupt answered"], report["tlb"]["ipis"]);
    assert_eq!(events["grace period ended"], report["vmstat"]["grace_periods"]);
    assert_eq!(events["page read in"], report["vmstat"]["pgpgin"]);
}

/// Pages that fork shared and counts: not the page of zeros.
fn counted_shared(trace: &str) -> Option<u64> {
    let mut shared = 0;
    let reader = TraceReader::open(trace.as_ref()).expect("a good trace");
    let read = reader.for_each(|record| {
        if let Some(Event::ForkShared { what, .. }) = record.event() {
            shared += u64::from(*what != Shared::Zero);
        }
    });
    read.expect("a good trace");
    Some(shared)
}

#[test]
fn every_copy_of_redis_has_a_reason() {
    let (trace, report) = redis();
    let copies = report["cow"]["copied"].as_u64().expect("a number");
    for number in [1, 2, 280, 281, 300, 2_000, copies - 1, copies] {
        let answer = asked(&[trace, "copy", &number.to_string()]);
        let rule = answer["decision"]["rule"].as_str();
        assert!(matches!(rule, Some("CR11" | "PR7")), "copy {number}: {answer:#}");
        has(&lines(&answer, "lines"), &["faults", "allocated", "is a copy now", "resolved"]);
        assert!(
            !lines(&answer, "before").is_empty() && !lines(&answer, "copied").is_empty(),
            "copy {number}"
        );
        if rule == Some("CR11") {
            let refs = answer["refs"].as_u64();
            let others = answer["others"].as_array().map_or(0, Vec::len);
            assert!(refs > Some(1), "copy {number}: {refs:?}");
            assert!(others > 0 || refs > answer["maps"].as_u64(), "copy {number}: nobody else: {answer:#}");
        }
    }
}

#[test]
fn every_event_is_told_in_one_plain_line() {
    let (trace, _) = redis();
    let mut told = 0;
    let reader = TraceReader::open(trace.as_ref()).expect("a good trace");
    let read = reader.for_each(|record| {
        let Some(event) = record.event() else { return };
        let line = tell(event);
        assert!(!line.contains(['\n', '{', '}']) && line.len() > 5, "{event:?}: {line}");
        told += 1;
    });
    read.expect("a good trace");
    assert!(told > 100_000, "{told}");
    let lock = LockId { level: 9, key: 0x1000 };
    for event in [Event::Locked(lock), Event::Unlocked(lock), Event::Waits { key: 0x1000 }] {
        assert!(tell(&event).contains("0x1000"), "{}", tell(&event));
    }
}

#[test]
fn the_text_says_what_the_object_says() {
    let (trace, _) = redis();
    let told = said(&[trace, "copy", "2000"]);
    for part in
        ["copy 2000 of 3500", "why: ", "CR11; on Linux wp_can_reuse_anon_folio", "before: ", "afterwards: "]
    {
        assert!(told.contains(part), "'{part}' is not in {told}");
    }
    let short = said(&[trace, "copy", "2000", "--limit", "2"]);
    assert!(short.contains("more lines (--limit 0 shows all)") && short.len() < told.len());
    assert!(said(&[trace]).contains("copies: 3500"));
    assert_eq!(said(&[trace]), said(&[trace, "summary"]));
}

#[test]
fn questions_without_an_answer_are_one_line() {
    let (trace, _) = redis();
    let cases: [(&[&str], &str); 12] = [
        (&["copy", "0"], "no copy 0: the trace has 3500"),
        (&["copy", "3501"], "no copy 3501"),
        (&["copy", "x"], "invalid value 'x'"),
        (&["frame", "0xffffffff"], "the machine has 2097152 frames"),
        (&["frame", "0x1fffff"], "was never allocated"),
        (&["frame", "0x100000000"], "32 bits"),
        (&["frame", "0x100019", "--life", "99"], "no life 99"),
        (&["frame", "pfn"], "is no number"),
        (&["page", "1", "0x1000"], "no process 1: there are 28011, 8499"),
        (&["page", "8499", "0x1000"], "never had anything mapped at 0x1000"),
        (&["page", "8499"], "<ADDR>"),
        (&["why"], "why"),
    ];
    for (question, expected) in cases {
        let error = refused(&[&["explain", trace], question].concat());
        assert!(error.contains(expected), "{question:?}: {error}");
    }
}
