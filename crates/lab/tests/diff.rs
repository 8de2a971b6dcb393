//! `freehold diff`: this Linux and Freehold answer alike, stored programs stay alike, and what is wrong is
//! found.

#[allow(dead_code, reason = "each test uses what it needs of it")]
mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use common::{command, freehold, own_file, refused, text};
use serde_json::Value;

/// What `diff --json` prints.
fn diff(status: i32, options: &[&str]) -> Value {
    let output = freehold(&[&["diff", "--json"], options].concat());
    assert_eq!(output.status.code(), Some(status), "{options:?}: {}", said(&output));
    serde_json::from_slice(&output.stdout).expect("one object")
}

fn said(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

fn regressions() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../regressions/diff");
    let entries = fs::read_dir(&directory).expect("regressions");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths
}

fn written(name: &str, program: &str) -> String {
    let path = own_file(name);
    fs::write(&path, program).expect("a writable directory");
    path.to_str().expect("a plain path").to_owned()
}

#[test]
fn linux_and_freehold_answer_alike() {
    let report = diff(0, &["--ops", "8000", "--seed", "3"]);
    let ops = report["operations"].as_u64().expect("a number");
    assert!(ops >= 8000, "{report}");
    assert_eq!(report["differences"], 0);
    assert!(report["forks_permille"].as_u64() >= Some(10), "{report}");
    let known = report["known_differences"].as_object().expect("by name");
    let known: u64 = known.values().filter_map(Value::as_u64).sum();
    assert!(known * 10 < ops, "too much is not compared: {report}");
}

#[test]
fn every_regression_stays_fixed() {
    let paths = regressions();
    assert!(paths.len() >= 13);
    for path in paths {
        let report = diff(0, &["--replay", path.to_str().expect("a plain path")]);
        assert_eq!(report["differences"], 0, "{}: {report}", path.display());
        assert!(report["operations"].as_u64() > Some(1), "{}: {report}", path.display());
    }
}

#[test]
fn equal_seeds_give_equal_programs() {
    let run = || diff(0, &["--ops", "1200", "--seed", "9", "--program-ops", "100"]);
    let [one, two] = [run(), run()];
    for key in ["operations", "programs", "calls", "known_differences"] {
        assert_eq!(one[key], two[key], "{key}");
    }
}

#[test]
fn a_wrong_answer_is_found_minimised_and_printed() {
    for (plant, expected) in
        [("errno", "// Linux: ENOMEM, Freehold: EINVAL"), ("byte", "load("), ("layout", "// layout: Linux: ")]
    {
        let report = diff(1, &["--ops", "20000", "--seed", "5", "--program-ops", "120", "--plant", plant]);
        assert_eq!(report["differences"], 1);
        let program = report["program"].as_str().expect("a program");
        assert!(program.contains(expected), "{plant}: {program}");
        assert!(program.lines().count() <= 6, "{plant}: not minimal: {program}");
        assert!(program.starts_with("memlock ") && program.contains("p0: "), "{program}");
        // What is printed can be run again: without the plant both sides agree.
        let path = written(&format!("planted-{plant}.txt"), program);
        assert_eq!(diff(0, &["--replay", &path])["differences"], 0);
        assert_eq!(diff(1, &["--replay", &path, "--plant", plant])["differences"], 1);
    }
}

#[test]
fn a_difference_is_kept_as_a_file() {
    let directory = own_file("diff-save");
    fs::create_dir_all(&directory).expect("a writable directory");
    let save = directory.to_str().expect("a plain path");
    let args = ["--ops", "20000", "--seed", "5", "--program-ops", "60", "--plant", "errno", "--save", save];
    let report = diff(1, &args);
    let kept =
        fs::read_dir(&directory).expect("a directory").next().expect("a file").expect("readable").path();
    assert_eq!(report["program"].as_str(), Some(&*fs::read_to_string(&kept).expect("readable")));
    fs::remove_dir_all(&directory).expect("removed");
}

#[test]
fn bad_files_are_one_line_and_status_2() {
    for (name, program, expected) in [
        ("cut.txt", "p0: mmap(A, 0x1000", ":1:19: `,` is missing"),
        ("unknown.txt", "\np0: mummap(A, 1);", ":2:5: there is no such operation"),
        ("process.txt", "p8: layout();", ":1:1: a process is missing"),
        ("beyond.txt", "p0: munmap(0x555555550000, 0x1000);", ":1:1: the operation would reach beyond"),
        ("binary.txt", "\u{1}\u{2}\u{3}", ":1:1: a process is missing"),
        ("number.txt", "p0: munmap(A+0xfffffffffffffffff, 1);", ":1:14: an offset is missing"),
    ] {
        let path = written(name, program);
        let error = refused(&["diff", "--replay", &path]);
        assert!(error.contains(expected), "{name}: {error}");
    }
    assert!(refused(&["diff", "--replay", "/no/such/file"]).contains("/no/such/file"));
    assert!(refused(&["diff", "--program-ops", "0"]).contains("1..=4000"));
    assert!(refused(&["diff", "--ops", "many"]).contains("many"));
    assert!(refused(&["diff", "--replay", "x", "--seed", "1"]).contains("--seed"));
    let long = "p0: layout();\n".repeat(4097);
    assert!(refused(&["diff", "--replay", &written("long.txt", &long)]).contains("4097:"));
}

#[test]
fn a_worker_that_is_none_is_told_in_one_line() {
    for other in ["/bin/true", "/bin/cat", "/usr/bin/yes", "/no/such/program"] {
        let output = command(&["diff", "--ops", "100"]).env("FREEHOLD_DIFF_WORKER", other).output();
        let output = output.expect("the command was built with this test");
        assert_eq!(output.status.code(), Some(2), "{other}: {}", said(&output));
        let error = text(&output.stderr);
        let own: Vec<&str> = error.lines().filter(|line| line.starts_with("freehold: ")).collect();
        assert_eq!(own.len(), 1, "{other}: {error}");
        assert!(own[0].contains("the native worker"), "{other}: {error}");
    }
}

#[test]
fn a_worker_that_reads_garbage_ends() {
    for garbage in [&[0xff; 64][..], &[0; 8][..], b"", &[0; 4096][..]] {
        let mut worker = command(&["diff-worker"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command was built with this test");
        let mut input = worker.stdin.take().expect("a pipe");
        let _ = input.write_all(garbage);
        drop(input);
        let output = worker.wait_with_output().expect("it ends");
        assert!(matches!(output.status.code(), Some(0 | 2)), "{:?}: {}", output.status, said(&output));
    }
}
