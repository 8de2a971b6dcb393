//! `freehold replay` as a user meets it: options, exit statuses, one line for an
//! error, the same result twice.

#[allow(dead_code, reason = "each test uses what it needs of it")]
mod common;

use std::process::Stdio;

use common::{command, freehold, real, refused, replayed, text};
use serde_json::Value;

fn redis() -> String {
    real("redis-bgsave.fhr")
}

/// The object without what the host decides.
fn without_wall(mut value: Value) -> Value {
    let wall = value.as_object_mut().and_then(|object| object.remove("wall_ms"));
    assert!(wall.is_some_and(|wall| wall.is_number()));
    value
}

#[test]
fn the_same_twice_is_the_same_to_the_bit() {
    for options in [&["--seed", "7"][..], &["--cpus", "8", "--nodes", "2", "--audit", "every=5000"]] {
        let [first, second] = [(); 2].map(|()| without_wall(replayed(0, &redis(), options)));
        assert_eq!(first, second, "{options:?}");
    }
}

#[test]
fn a_seed_varies_the_schedule_and_not_the_program() {
    let [zero, one] = ["0", "1"].map(|seed| replayed(0, &redis(), &["--seed", seed, "--audit", "end"]));
    assert_ne!(zero["sim_ns"], one["sim_ns"], "the seed does nothing");
    for key in ["events", "processes", "tasks", "calls", "rss"] {
        assert_eq!(zero[key], one[key], "{key}");
    }
    assert_eq!(zero["shadow"]["loads"], one["shadow"]["loads"]);
}

#[test]
fn wrong_options_are_one_line_and_status_2() {
    let cases: [(&[&str], &str); 49] = [
        (&[], "<RECORDING>"),
        (&["x.fhr", "y.fhr"], "y.fhr"),
        (&["x.fhr", "--no-such"], "--no-such"),
        (&["x.fhr", "--cpu", "3"], "--cpus"),
        (&["x.fhr", "--cpus"], "--cpus"),
        (&["x.fhr", "--cpus", "0"], "1..=512"),
        (&["x.fhr", "--cpus", "513"], "1..=512"),
        (&["x.fhr", "--cpus", "-1"], "-1"),
        (&["x.fhr", "--cpus", "four"], "four"),
        (&["x.fhr", "--cpus", "99999999999999999999"], "--cpus"),
        (&["x.fhr", "--cpus", "1", "--cpus", "2"], "--cpus"),
        (&["x.fhr", "--nodes", "0"], "1..=64"),
        (&["x.fhr", "--nodes", "65"], "1..=64"),
        (&["x.fhr", "--memory", ""], "--memory"),
        (&["x.fhr", "--memory", "0"], "--memory"),
        (&["x.fhr", "--memory", "12Q"], "K, M, G, T"),
        (&["x.fhr", "--memory", "G"], "a number is missing"),
        (&["x.fhr", "--memory", "16777216T"], "--memory"),
        (&["x.fhr", "--memory", "99999999999999999999G"], "--memory"),
        (&["x.fhr", "--audit", "sometimes"], "every=N"),
        (&["x.fhr", "--audit", "every=0"], "every=N"),
        (&["x.fhr", "--audit", "every=-3"], "every=N"),
        (&["x.fhr", "--seed", "x"], "--seed"),
        (&["x.fhr", "--seed", "18446744073709551616"], "--seed"),
        (&["x.fhr", "--json=yes"], "--json"),
        (&["x.fhr", "--thp", "sometimes"], "`always`, `madvise` or `never`"),
        (&["x.fhr", "--thp", ""], "--thp"),
        (&["x.fhr", "--thp"], "--thp"),
        (&["x.fhr", "--thp", "never", "--thp", "always"], "--thp"),
        (&["x.fhr", "--swap", ""], "a number is missing"),
        (&["x.fhr", "--swap", "0"], "no such size"),
        (&["x.fhr", "--swap", "1000"], "whole pages of 4K"),
        (&["x.fhr", "--swap", "257G"], "up to 256G"),
        (&["x.fhr", "--swap", "lz4:"], "a number is missing"),
        (&["x.fhr", "--swap", "zstd:1G"], "file, lz4"),
        (&["x.fhr", "--swap", ":1G"], "file, lz4"),
        (&["x.fhr", "--swap", "file:lz4:1G"], "--swap"),
        (&["x.fhr", "--ksm", "yes"], "on,pages=N"),
        (&["x.fhr", "--ksm", "off,pages=1"], "on,pages=N"),
        (&["x.fhr", "--ksm", "on,pages=0"], "on,pages=N"),
        (&["x.fhr", "--ksm", "on,pages=4294967296"], "on,pages=N"),
        (&["x.fhr", "--ksm", "on,"], "on,pages=N"),
        (&["x.fhr", "--ksm", "ALL"], "off, on, all"),
        (&["x.fhr", "--ksm", "all,pages=1,pages=2"], "on,pages=N"),
        (&["x.fhr", "--ksm", "all,zero-pages,zero-pages"], "zero-pages"),
        (&["x.fhr", "--ksm", "zero-pages"], "zero-pages"),
        (&["x.fhr", "--ksm", "all,pages=-1"], "on,pages=N"),
        (&["x.fhr", "--ksm", "on", "--ksm", "all"], "--ksm"),
        (&["x.fhr", "--swap", "1M", "--swap", "2M"], "--swap"),
    ];
    for (args, part) in cases {
        let error = refused(&[&["replay"], args].concat());
        assert!(error.contains(part), "{args:?}: {error}");
    }
    assert!(refused(&["no-such-verb"]).contains("no-such-verb"));
    assert!(refused(&["replay", "no-such.fhr"]).starts_with("freehold: no-such.fhr: "));
    assert!(refused(&["replay", "."]).starts_with("freehold: .: "));
}

#[test]
fn machines_that_cannot_be_built_are_refused() {
    let cases: [(&[&str], &str); 6] = [
        (&["--nodes", "5"], "at most one a CPU"),
        (&["--memory", "1"], "from 4 MiB a node"),
        (&["--memory", "1K"], "from 4 MiB a node"),
        (&["--cpus", "64", "--nodes", "64", "--memory", "255M"], "from 4 MiB a node"),
        (&["--memory", "16T"], "under 16 TiB"),
        (&["--memory", "16777215T"], "under 16 TiB"),
    ];
    for (options, part) in cases {
        let error = refused(&[&["replay", &redis()], options].concat());
        assert!(error.contains(part), "{options:?}: {error}");
    }
}

#[test]
fn sizes_may_be_written_in_many_ways() {
    let example = common::written("sizes.fhr", &record::example());
    for size in ["67108864", "65536K", "64M", "64m", "64MB", "64MiB", "1G", "1T"] {
        let report = replayed(0, &example, &["--memory", size]);
        assert_eq!(report["audit"]["violations"], 0, "{size}");
    }
}

#[test]
fn help_is_as_long_as_it_is() {
    for args in [&["--help"][..], &["replay", "--help"], &["--version"]] {
        let output = freehold(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(output.stderr.is_empty());
        assert!(!output.stdout.is_empty());
    }
    let help = text(&freehold(&["replay", "--help"]).stdout);
    let options = [
        "--cpus", "--nodes", "--memory", "--audit", "--seed", "--json", "--policy", "--thp", "--swap",
        "--ksm",
    ];
    for option in options {
        assert!(help.contains(option), "{option} in {help}");
    }
    let nothing = freehold(&[]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(text(&nothing.stderr).contains("Usage:"));
}

#[test]
fn a_recording_that_lacks_what_an_option_needs_says_so_in_a_line() {
    let options = ["--ksm", "on", "--swap", "lz4:64M", "--audit", "end"];
    let output = freehold(&[&["replay", &redis(), "--json"], &options[..]].concat());
    assert_eq!(output.status.code(), Some(0));
    let (said, report) = (text(&output.stderr), text(&output.stdout));
    // It has touches, and no contents.
    let [contents, marks] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
    assert!(contents.contains("no contents") && contents.contains("--ksm"), "{said}");
    assert!(marks.contains("no MADV_MERGEABLE") && marks.contains("--ksm all"), "{said}");
    let report: Value = serde_json::from_str(&report).expect("one object");
    assert_eq!(report["lacks"], serde_json::json!(["contents", "mergeable"]));
    assert_eq!((report["swap"].as_str(), report["ksm"].as_str()), (Some("lz4:65536K"), Some("on,pages=100")));
    let plain = replayed(0, &redis(), &["--audit", "end"]);
    assert_eq!(plain["lacks"], serde_json::json!([]));
    assert_eq!((plain["swap"].as_str(), plain["ksm"].as_str()), (None, Some("off")));
}

fn counted(report: &Value, place: &str) -> u64 {
    report.pointer(place).and_then(Value::as_u64).unwrap_or_else(|| panic!("{place} in {report:#}"))
}

#[test]
fn with_swap_a_small_machine_keeps_what_a_large_one_does() {
    for device in ["file:64M", "lz4:64M"] {
        let report = replayed(0, &redis(), &["--swap", device, "--memory", "24M"]);
        assert_eq!((counted(&report, "/killed"), counted(&report, "/calls/different")), (0, 0), "{device}");
        assert!(counted(&report, "/vmstat/pswpout") > 1000, "{report:#}");
        assert!(counted(&report, "/vmstat/pswpin") > 1000, "{report:#}");
        assert!(counted(&report, "/peaks/SwapUsed") > 16 << 10, "{report:#}");
        assert!(counted(&report, "/peaks/SwapCached") > 0, "{report:#}");
        assert!(counted(&report, "/memory/peak_kib") <= 24 << 10, "{report:#}");
    }
    let plenty = replayed(0, &redis(), &["--swap", "64M", "--audit", "end"]);
    assert_eq!(counted(&plenty, "/vmstat/pswpout"), 0);
    let little = replayed(0, &redis(), &["--swap", "8K", "--memory", "24M", "--audit", "end"]);
    assert!(counted(&little, "/killed") > 0, "two pages of swap save nobody");
    assert_eq!(counted(&little, "/peaks/SwapUsed"), 8);
}

#[test]
fn a_call_that_promises_more_than_there_is_says_so() {
    let error = refused(&["replay", &redis(), "--memory", "8M"]);
    assert!(error.contains("mprotect") && error.contains("promises 8192 KiB at once"), "{error}");
    // Swap counts as well (Linux: `__vm_enough_memory`).
    let report = replayed(0, &redis(), &["--memory", "8M", "--swap", "lz4:256M", "--audit", "end"]);
    assert_eq!(counted(&report, "/calls/different"), 0);
}

#[test]
fn equal_pages_are_merged_where_contents_were_recorded() {
    for name in ["postgres-pgbench.fhr", "node-gc.fhr"] {
        let options = ["--audit", "end", "--ksm", "all,zero-pages"];
        let report = replayed(0, &common::real(name), &options);
        assert_eq!(report["lacks"], serde_json::json!([]), "{name}");
        assert!(counted(&report, "/peaks/pages_shared") > 50, "{name}: {:#}", report["peaks"]);
        assert!(counted(&report, "/peaks/pages_sharing") > 100, "{name}: {:#}", report["peaks"]);
        assert!(counted(&report, "/peaks/ksm_saved") > 400, "{name}: {:#}", report["peaks"]);
        assert!(counted(&report, "/vmstat/cow_ksm") > 0, "{name}: merged pages are stored to");
        // Nobody marked anything.
        let marked = freehold(&["replay", &common::real(name), "--audit", "end", "--ksm", "on", "--json"]);
        assert_eq!(text(&marked.stderr).lines().count(), 1, "{}", text(&marked.stderr));
        let marked: Value = serde_json::from_slice(&marked.stdout).expect("one object");
        assert_eq!(counted(&marked, "/peaks/pages_shared"), 0, "{name}");
        assert_eq!(marked["lacks"], serde_json::json!(["mergeable"]), "{name}");
    }
}

#[test]
fn large_pages_are_made_in_the_background_too() {
    let report = replayed(0, &redis(), &["--audit", "end", "--thp", "always"]);
    assert!(counted(&report, "/vmstat/thp_fault_alloc") > 0, "{report:#}");
    assert!(counted(&report, "/vmstat/thp_collapse_alloc") > 0, "{report:#}");
    assert!(counted(&report, "/peaks/AnonHugePages") >= 2 << 10, "{report:#}");
}

#[test]
fn the_report_is_silent_but_for_itself() {
    let output = freehold(&["replay", &redis(), "--audit", "end"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    let report = text(&output.stdout);
    for part in ["2 processes", "faults", "copied", "reused", "peak RSS", "rules checked", "0 violations"] {
        assert!(report.contains(part), "{part} in {report}");
    }
    assert!(!report.contains('\x1b'), "colours are for terminals");
}

#[test]
fn a_closed_pipe_is_no_error() {
    for args in
        [&["replay", &redis(), "--audit", "off"][..], &["replay", &redis(), "--json"], &["info", &redis()]]
    {
        let mut child =
            command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", text(&output.stderr));
        assert!(output.stderr.is_empty(), "{args:?}: {}", text(&output.stderr));
    }
}

#[test]
fn damaged_recordings_are_refused() {
    let good = record::example().to_bytes().expect("the example is valid");
    let mut flipped = good.clone();
    flipped[70] ^= 1;
    let cases: [(&str, &[u8], &str); 4] = [
        ("replay-empty.fhr", b"", "the file is empty"),
        ("replay-short.fhr", &good[..good.len() - 1], "truncated"),
        ("replay-flipped.fhr", &flipped, "checksum"),
        ("replay-other.fhr", b"#!/bin/sh\n", "not a Freehold recording"),
    ];
    for (name, bytes, why) in cases {
        let path = common::own_file(name);
        std::fs::write(&path, bytes).expect("a writable directory");
        let error = refused(&["replay", path.to_str().expect("a plain path")]);
        assert!(error.contains(name) && error.contains(why), "{error}");
    }
}
