//! `freehold explore` as a user meets it: every scenario passes, what is written to fail is found and told,
//! broken files are refused in one line, and no file makes it panic.

#[path = "explore/broken.rs"]
mod broken;
#[allow(dead_code, reason = "each test uses what it needs of it")]
mod common;
#[path = "explore/fuzz.rs"]
mod fuzz;
#[allow(dead_code, reason = "each test uses what it needs of it")]
#[path = "fuzz/random.rs"]
mod random;

use std::path::{Path, PathBuf};

use common::{freehold, own_file, refused, text};
use serde_json::Value;

/// The scenarios of the repository.
fn scenarios() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    path.to_str().expect("a plain path").to_owned()
}

/// All of their files.
pub(crate) fn files() -> Vec<PathBuf> {
    let folders =
        std::fs::read_dir(scenarios()).expect("scenarios").map(|entry| entry.expect("an entry").path());
    let inside = |folder: PathBuf| std::fs::read_dir(folder).expect("a folder");
    let mut files: Vec<_> = folders.flat_map(inside).map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(files.len() >= 40, "{files:?}");
    files
}

/// A scenario in a file of its own.
pub(crate) fn file(name: &str, text: &str) -> String {
    let path = own_file(&format!("{name}.fhs"));
    std::fs::write(&path, text).expect("a writable directory");
    path.to_str().expect("a plain path").to_owned()
}

/// What `explore --json` prints, if it ends with this status.
fn explored(status: i32, args: &[&str]) -> Value {
    let output = freehold(&[&["explore", "--json"], args].concat());
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{args:?}: {error}{}", text(&output.stdout));
    assert!(error.is_empty(), "{args:?}: {error}");
    serde_json::from_slice(&output.stdout).expect("one object")
}

/// What fails of the only scenario.
fn failure(report: &Value) -> &Value {
    &report["scenarios"][0]["failure"]
}

/// Two threads add to a word, each by a load and a store: one addition may be lost.
const LOST_ADDITION: &str = "\
title:  Two threads add to a word
why:    Each loads, then stores: what the other one stored in between is lost.
rules:  none
source: nowhere
breaks: nothing: it is broken

setup:
    map a 1 page rw private anon
    write a = 0

cpu 0:
    read a -> x
    write a = x + 1

cpu 1:
    read a -> y
    write a = y + 1

end:
    read a = 2
";

#[test]
fn every_scenario_passes() {
    let bound = ["--preemptions", "1", "--schedules", "40", "--time", "5"];
    let report = explored(0, &[&[scenarios().as_str()], &bound[..]].concat());
    let all = report["scenarios"].as_array().expect("a list");
    assert_eq!(all.len(), files().len());
    for scenario in all {
        assert_eq!(scenario["passed"], true, "{scenario}");
        assert!(scenario["schedules"].as_u64() > Some(1), "nothing to explore: {scenario}");
    }
    for strategy in [&["--random", "6"][..], &["--pct", "6", "--depth", "4"], &["--tso", "--schedules", "6"]]
    {
        explored(0, &[&[scenarios().as_str(), "--seed", "7"], strategy].concat());
    }
}

#[test]
fn what_can_fail_is_found_and_told() {
    let path = file("lost-addition", LOST_ADDITION);
    let report = explored(1, &[&path]);
    assert_eq!((&report["passed"], &report["failed"]), (&0.into(), &1.into()));
    let found = failure(&report);
    assert_eq!(found["kind"], "expectation");
    assert_eq!((&found["line"], &found["preemptions"]), (&20.into(), &1.into()), "{found}");
    assert!(found["text"].as_str().is_some_and(|text| text.contains("came to 1, not to 2")), "{found}");
    let told = found["story"].as_array().expect("a list");
    let begins = |line: u64| told.iter().position(|entry| entry["what"] == "begins" && entry["line"] == line);
    let [x, wx, y, wy] = [12, 13, 16, 17].map(|line| begins(line).expect("told"));
    assert!(x.max(y) < wx.max(wy) && wx.min(wy) > x.min(y), "{told:?}");
    let shown = text(&freehold(&["explore", &path]).stdout);
    for part in ["FAILED", "read a = 2", "cpu 0", "cpu 1", "write a = x + 1", "--replay 'sc:"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn other_searches_find_it_too() {
    let path = file("lost-addition-otherwise", LOST_ADDITION);
    for search in [&["--random", "500"][..], &["--pct", "500"], &["--tso"]] {
        let report = explored(1, &[&[path.as_str()], search].concat());
        assert_eq!(failure(&report)["kind"], "expectation", "{search:?}");
    }
    let bound = ["--preemptions", "0"];
    let report = explored(0, &[&[path.as_str()], &bound[..]].concat());
    assert_eq!(report["scenarios"][0]["complete_preemptions"], 0, "no preemption, no lost addition");
}

#[test]
fn a_seed_gives_the_same_run_again() {
    let path = file("lost-addition-again", LOST_ADDITION);
    let first = explored(1, &[&path]);
    let seed = failure(&first)["seed"].as_str().expect("a seed").to_owned();
    for _ in 0..2 {
        let again = explored(1, &[&path, "--replay", &seed]);
        assert_eq!(failure(&again), failure(&first));
        assert_eq!(again["schedules"], 1);
    }
    let other = explored(0, &[&path, "--replay", "sc:"]);
    assert_eq!(other["scenarios"][0]["passed"], true, "the default schedule loses nothing");
}

#[test]
fn a_deadlock_is_told_as_who_waits() {
    let text =
        LOST_ADDITION.replace("read a -> x", "await e").replace("read a -> y", "await e\n    signal e");
    let report = explored(1, &[&file("deadlock", &text.replace("x + 1", "1").replace("y + 1", "2"))]);
    let found = failure(&report);
    assert_eq!((&found["kind"], &found["rule"]), (&"deadlock".into(), &"O4".into()));
    assert!(found["text"].as_str().is_some_and(|text| text.contains("an event")), "{found}");
}

#[test]
fn the_keys_of_json_are_those_that_are_documented() {
    let report = explored(1, &[&file("lost-addition-keys", LOST_ADDITION)]);
    let docs = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scenarios.md"));
    let docs = docs.expect("docs/scenarios.md");
    let (_, keys) = docs.split_once("## What `--json` prints").expect("its section");
    let mut missing = Vec::new();
    let mut visit = |value: &Value| {
        for key in value.as_object().expect("an object").keys() {
            if !keys.contains(&format!("`{key}`")) {
                missing.push(key.clone());
            }
        }
    };
    visit(&report);
    visit(&report["scenarios"][0]);
    visit(failure(&report));
    visit(&failure(&report)["story"][0]);
    assert!(missing.is_empty(), "not in docs/scenarios.md: {missing:?}");
}

#[test]
fn the_list_has_every_scenario() {
    let output = freehold(&["explore", "--list", &scenarios()]);
    assert_eq!(output.status.code(), Some(0));
    let shown = text(&output.stdout);
    assert_eq!(shown.lines().filter(|line| line.ends_with(".fhs")).count(), files().len());
    let report = explored(0, &["--list", &scenarios()]);
    for scenario in report["scenarios"].as_array().expect("a list") {
        for key in ["file", "title", "why", "source", "breaks"] {
            assert!(scenario[key].as_str().is_some_and(|text| text.len() > 5), "{key} of {scenario}");
        }
    }
}

#[test]
fn the_example_of_the_documentation_is_a_scenario() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scenarios.md");
    let docs = std::fs::read_to_string(docs).expect("docs/scenarios.md");
    let example =
        docs.split("```fhs\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let report = explored(0, &[&file("documented", example), "--preemptions", "1"]);
    assert!(report["schedules"].as_u64() > Some(10));
}

#[test]
fn wrong_options_and_paths_are_one_line() {
    let path = file("options", LOST_ADDITION);
    let empty = own_file("an-empty-folder");
    std::fs::create_dir_all(&empty).expect("a writable directory");
    let cases: [(&[&str], &str); 12] = [
        (&[], "PATHS"),
        (&["no-such-file.fhs"], "no-such-file.fhs"),
        (&[empty.to_str().expect("a plain path")], "no scenario"),
        (&[&path, "--preemptions", "x"], "--preemptions"),
        (&[&path, "--preemptions", "1", "--random", "5"], "--random"),
        (&[&path, "--random", "5", "--pct", "5"], "--pct"),
        (&[&path, "--pct", "5", "--depth", "0"], "1..=16"),
        (&[&path, "--replay", "41"], "sc:"),
        (&[&path, "--replay", "sc:1c9"], "1c9"),
        (&[&path, "--replay", "sc:", "--random", "2"], "--replay"),
        (&[&path, "--time", "-1"], "-1"),
        (&[&path, "--schedules", "many"], "many"),
    ];
    for (args, part) in cases {
        let error = refused(&[&["explore"], args].concat());
        assert!(error.contains(part), "{args:?}: {error}");
    }
}
