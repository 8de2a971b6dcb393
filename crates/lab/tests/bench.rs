//! `freehold bench` as a user meets it: names, options, exit statuses, the keys of its JSON.

#[allow(dead_code, reason = "each test uses what it needs of it")]
mod common;

use std::collections::BTreeSet;

use common::{freehold, own_file, refused, text};
use serde_json::Value;

/// The documentation says what each key means.
const DOCUMENTATION: &str = include_str!("../../../docs/benchmarks.md");

/// Keys of a row.
const KEYS: [&str; 19] = [
    "name",
    "policy",
    "profile",
    "side",
    "cpus",
    "value",
    "min",
    "unit",
    "peer",
    "ratio",
    "floor",
    "flush_rounds",
    "grace_periods",
    "ipis",
    "cold_lines",
    "counts",
    "goal",
    "met",
    "leaves_out",
];

fn listed() -> Vec<(String, String)> {
    let output = freehold(&["bench", "--list"]);
    assert!(output.status.success());
    let line = |line: &str| {
        let mut words = line.split_whitespace().map(String::from);
        (words.next().expect("a name"), words.next().expect("a side"))
    };
    text(&output.stdout).lines().map(line).collect()
}

/// Runs benches with tiny sizes.
fn quick(name: &str) -> Vec<Value> {
    let output = freehold(&["bench", name, "--quick", "--reps", "2", "--json"]);
    assert!(output.status.success(), "{name}: {}", text(&output.stderr));
    assert!(output.stderr.is_empty(), "{name}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("an array")
}

#[test]
fn every_native_bench_runs_and_its_rows_have_the_documented_keys() {
    for (name, _) in listed().iter().filter(|(_, side)| side == "native") {
        let rows = quick(name);
        assert!(!rows.is_empty(), "{name}");
        for row in &rows {
            check(row, name);
        }
    }
}

fn check(row: &Value, bench: &str) {
    let keys: BTreeSet<&str> = row.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(KEYS), "{bench}");
    assert_eq!(row["side"], "native");
    assert!(row["value"].as_f64().is_some_and(|value| value > 0.0), "{bench}: {row}");
    assert!(row["min"].as_f64() <= row["value"].as_f64(), "{bench}: {row}");
    if let Some(peer) = row["peer"].as_object() {
        let ratio = row["value"].as_f64().expect("a value") / peer["value"].as_f64().expect("a value");
        assert!((row["ratio"].as_f64().expect("a ratio") - ratio).abs() < 1e-9 * ratio, "{bench}: {row}");
    }
    assert_eq!(row["goal"].is_null(), row["met"].is_null(), "{bench}: {row}");
}

#[test]
fn what_was_not_counted_is_null_and_what_was_is_a_number() {
    let rows = quick("munmap");
    assert!(rows[0]["flush_rounds"].is_u64() && rows[0]["grace_periods"].is_u64(), "{rows:?}");
    assert!(rows[0]["cold_lines"].is_null(), "{rows:?}");
    assert_eq!(rows[0]["counts"]["reps"], 2);
}

#[test]
fn keys_and_benches_are_documented() {
    for key in KEYS {
        assert!(DOCUMENTATION.contains(&format!("`{key}`")), "{key}");
    }
    for (name, _) in listed() {
        assert!(DOCUMENTATION.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn a_side_is_all_of_its_benches() {
    let output = freehold(&["bench", "native", "--list"]);
    let native = listed().into_iter().filter(|(_, side)| side == "native").count();
    assert_eq!(text(&output.stdout).lines().count(), native);
}

#[test]
fn tables_keep_the_sides_apart_and_progress_stays_off_pipes() {
    let output = freehold(&["bench", "guard", "--quick", "--reps", "1"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert!(table.contains("Native") && !table.contains("Simulated"), "{table}");
    assert!(table.contains("guard: enter and leave"), "{table}");
    assert!(output.stderr.is_empty());
}

#[test]
fn plots_are_written_for_what_was_measured() {
    let directory = own_file("plots");
    let into = directory.to_str().expect("a name");
    let output = freehold(&["bench", "munmap", "--quick", "--reps", "1", "--plot", into]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let plot = std::fs::read_to_string(directory.join("native-ratios.svg")).expect("a plot");
    assert!(plot.starts_with("<svg") && plot.contains("munmap of a 4 KiB page"), "{plot}");
    std::fs::remove_dir_all(&directory).expect("it was there");
}

#[test]
fn wrong_options_are_one_line_and_status_2() {
    let cases: [(&[&str], &str); 13] = [
        (&["no-such-bench"], "no-such-bench"),
        (&["munmap", "no-such-bench"], "no-such-bench"),
        (&["munmap\nx"], "munmap"),
        (&["--no-such"], "--no-such"),
        (&["--reps", "0"], "1..=1000"),
        (&["--reps", "1001"], "1..=1000"),
        (&["--reps", "x"], "--reps"),
        (&["--seconds", "0"], "--seconds"),
        (&["--seconds", "99999999999"], "--seconds"),
        (&["--clock", "sun"], "--clock"),
        (&["--list", "--json"], "--list"),
        (&["--json=yes"], "--json"),
        (&["guard", "--quick", "--reps", "1", "--plot", "/dev/null/x"], "/dev/null/x"),
    ];
    for (options, expected) in cases {
        let options: Vec<&str> = std::iter::once("bench").chain(options.iter().copied()).collect();
        let error = refused(&options);
        assert!(error.contains(expected), "{options:?}: {error}");
    }
}
