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
