//! The verbs `record` and `info` as a user meets them: exit statuses, and one line for an error.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn freehold(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freehold"));
    command.args(args).output().expect("the command was built with this test")
}

/// A file of its own for a test.
fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, bytes).expect("a writable directory");
    path
}

fn example() -> Vec<u8> {
    record::example().to_bytes().expect("the example is valid")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn info_of_a_good_recording() {
    let path = file("good.fhr", &example());
    let output = freehold(&["info", path.to_str().expect("a plain path")]);
    assert_eq!(output.status.code(), Some(0));
    let out = text(&output.stdout);
    for part in ["four-pages", "1 mmap", "1 munmap", "lacks", "what the pages contained"] {
        assert!(out.contains(part), "{part} in {out}");
    }
}

#[test]
fn info_for_machines() {
    let path = file("json.fhr", &example());
    let output = freehold(&["info", "--json", path.to_str().expect("a plain path")]);
    assert_eq!(output.status.code(), Some(0));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(value["events"], 10);
    assert_eq!(value["calls"]["mmap"]["made"], 1);
    assert_eq!(value["linux"]["minor_faults"], 3);
    assert_eq!(value["lacks"], serde_json::json!(["contents"]));
}

#[test]
fn bad_recordings_are_one_line_and_status_2() {
    let good = example();
    let mut flipped = good.clone();
    flipped[70] ^= 1;
    let mut version = good.clone();
    version[8] = 9;
    let mut hostile = good.clone();
    hostile[16..24].copy_from_slice(&(1u64 << 63).to_le_bytes());
    let cases: [(&str, &[u8], &str); 6] = [
        ("empty.fhr", b"", "the file is empty"),
        ("short.fhr", &good[..good.len() - 1], "truncated"),
        ("flipped.fhr", &flipped, "checksum"),
        ("version.fhr", &version, "version 9"),
        ("hostile.fhr", &hostile, "more than the limit"),
        ("other.fhr", b"#!/bin/sh\necho hello\n", "not a Freehold recording"),
    ];
    for (name, bytes, why) in cases {
        let path = file(name, bytes);
        let output = freehold(&["info", path.to_str().expect("a plain path")]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {error}");
        assert_eq!(error.lines().count(), 1, "{name}: {error}");
        assert!(error.starts_with("freehold: ") && error.contains(name), "{error}");
        assert!(error.contains(why), "{error}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_missing_recording_is_named() {
    let output = freehold(&["info", "no-such.fhr"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("freehold: no-such.fhr: "));
}

#[test]
fn strace_text_is_imported() {
    let trace =
        "7 1.5 execve(\"/bin/demo\", [\"demo\"], 0x1) = 0 <0.1>\n7 1.7 munmap(0x1000, 4096) = 0 <0.1>\n";
    let (from, to) = (file("demo.strace", trace.as_bytes()), file("demo.fhr", b""));
    let (from, to) = (from.to_str().expect("plain"), to.to_str().expect("plain"));
    assert_eq!(freehold(&["record", "--import", from, "-o", to]).status.code(), Some(0));
    assert!(text(&freehold(&["info", to]).stdout).contains("1 munmap"));

    let broken = file("broken.strace", b"7 1.5 execve(\n");
    let output = freehold(&["record", "--import", broken.to_str().expect("plain")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("line 1"), "{}", text(&output.stderr));
}

/// Whether a tool can be run here at all; a machine without it skips its test.
fn works(tool: &str) -> bool {
    Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success())
}

#[test]
fn a_program_is_recorded_with_strace_and_keeps_its_status() {
    if !works("strace") {
        return;
    }
    let to = file("sh.fhr", b"");
    let to = to.to_str().expect("plain");
    let output = freehold(&["record", "--with", "strace", "-o", to, "--", "sh", "-c", "exit 3"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let recording = record::Recording::read(Path::new(to)).expect("it was just written");
    assert!(recording.linux.minor_faults.is_some_and(|faults| faults > 0));
    assert!(recording.provenance.lacks.contains(&record::Lack::Faults));
}

#[test]
fn touches_are_recorded_with_valgrind() {
    if !works("valgrind") {
        return;
    }
    let to = file("true.fhr", b"");
    let to = to.to_str().expect("plain");
    let output = freehold(&["record", "--touches", "-o", to, "--", "true"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let recording = record::Recording::read(Path::new(to)).expect("it was just written");
    assert!(recording.summary().pages_written > 10);
}

/// Two processes fill seven pages with the same bytes and clear one, tell it with a call, and stay a while.
const SAME: &str = r#"
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void fill(char *from, int pages, char with) {
    for (int i = 0; i < pages; i++) memset(from + i * 4096, with, 4096);
    mprotect(from, 4096, PROT_READ);
    usleep(300000);
}

int main(void) {
    char *area = mmap(0, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fork() == 0) {
        area[15 * 4096] = 0;
        fill(area + 8 * 4096, 4, 'f');
        return 0;
    }
    fill(area, 3, 'f');
    wait(0);
    return 0;
}
"#;

#[test]
fn pages_of_two_processes_have_the_classes_of_their_contents() {
    if !works("valgrind") || !works("cc") {
        return;
    }
    let (source, program, to) = (file("same.c", SAME.as_bytes()), file("same", b""), file("same.fhr", b""));
    let built = Command::new("cc").arg("-O1").arg(&source).arg("-o").arg(&program).status();
    assert!(built.expect("cc was there before").success());
    let (program, to) = (program.to_str().expect("plain"), to.to_str().expect("plain"));
    let output = freehold(&["record", "--touches", "-o", to, "--", program]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let recording = record::Recording::read(Path::new(to)).expect("it was just written");
    assert!(!recording.provenance.lacks.contains(&record::Lack::Contents));

    let mut pages = std::collections::BTreeMap::<u64, Vec<u32>>::new();
    let mut zero_in_child = 0;
    for event in &recording.events {
        match event.kind {
            record::EventKind::Content { class: 0, .. } => zero_in_child += event.task.0,
            record::EventKind::Content { class, .. } => pages.entry(class).or_default().push(event.task.0),
            _ => {}
        }
    }
    assert!(zero_in_child > 0, "the child cleared a page");
    let same = pages.values().find(|tasks| tasks.len() == 7).expect("seven pages of one class");
    assert_eq!(same.iter().filter(|&&task| task == 1).count(), 4);
}
