//! `freehold compare` as a user meets it: wrong options, the table and its keys, exit statuses, and columns
//! that are what a replay alone is.

#[allow(dead_code, reason = "each test uses what it needs of it")]
mod common;

use common::{freehold, real, refused, replayed, text};
use freehold::object::rules::COW;
use serde_json::Value;

/// With about a quarter of the memory that each takes.
const RECORDINGS: [(&str, &str); 6] = [
    ("redis-bgsave.fhr", "16M"),
    ("cc-compile.fhr", "64M"),
    ("python-fork.fhr", "20M"),
    ("threads-map.fhr", "8M"),
    ("postgres-pgbench.fhr", "20M"),
    ("node-gc.fhr", "32M"),
];

fn policies(policies: &[&str]) -> Vec<String> {
    policies.iter().flat_map(|policy| ["--policy".to_owned(), (*policy).to_owned()]).collect()
}

/// What it prints, if it ends with this status.
fn compared(status: i32, recording: &str, chosen: &[&str], options: &[&str]) -> String {
    let chosen = policies(chosen);
    let chosen: Vec<&str> = chosen.iter().map(String::as_str).collect();
    let args = [&["compare", recording], &chosen[..], options].concat();
    let output = freehold(&args);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{args:?}: {error}{}", text(&output.stdout));
    assert!(error.is_empty(), "{args:?}: {error}");
    text(&output.stdout)
}

fn object(recording: &str, chosen: &[&str], options: &[&str]) -> Value {
    let printed = compared(0, recording, chosen, &[&["--json"], options].concat());
    serde_json::from_str(&printed).expect("one object")
}

/// A report without what the host decides.
fn without_wall(report: &Value) -> Value {
    let mut report = report.clone();
    let wall = report.as_object_mut().and_then(|object| object.remove("wall_ms"));
    assert!(wall.is_some_and(|wall| wall.is_number()), "{report:#}");
    report
}

#[test]
fn wrong_options_are_one_line_and_status_2() {
    let (cow, known) = ("--policy", "cow=exclusive|refcount|mapcount");
    let cases: [(&[&str], &str); 16] = [
        (&[], "<REC>"),
        (&["x.fhr"], "2 to 16 times"),
        (&["x.fhr", cow, "cow=exclusive"], "2 to 16 times"),
        (&["x.fhr", cow], "--policy"),
        (&["x.fhr", cow, ""], known),
        (&["x.fhr", cow, "cow"], known),
        (&["x.fhr", cow, "cow="], known),
        (&["x.fhr", cow, "cow=refcounts"], known),
        (&["x.fhr", cow, "COW=refcount"], known),
        (&["x.fhr", cow, "cow=refcount,"], known),
        (&["x.fhr", cow, "horse=refcount"], known),
        (&["x.fhr", cow, "cow=exclusive,cow=refcount"], "chosen twice"),
        (&["x.fhr", cow, "cow=\u{1b}[31mred\n"], known),
        (&["x.fhr", "--cpus", "0"], "1..=512"),
        (&["no-such.fhr", cow, "cow=refcount", cow, "cow=mapcount"], "freehold: no-such.fhr: "),
        (&["x.fhr", "--trace", "y"], "--trace"),
    ];
    for (args, part) in cases {
        let error = refused(&[&["compare"], args].concat());
        assert!(error.contains(part), "{args:?}: {error}");
        assert!(!error.contains('\u{1b}'), "{args:?}: {error}");
    }
    let many: Vec<&str> = ["--policy", "cow=exclusive"].repeat(17);
    assert!(refused(&[&["compare", "x.fhr"], &many[..]].concat()).contains("17 times"));
}

#[test]
fn replay_takes_policies_too() {
    let redis = real("redis-bgsave.fhr");
    let report = replayed(0, &redis, &["--audit", "end", "--policy", "cow=mapcount"]);
    assert_eq!(report["policy"]["cow"], "mapcount");
    assert_eq!(report["audit"]["unclaimed"], serde_json::json!(["CR1", "CR2", "CR4"]));
    assert_eq!(replayed(0, &redis, &["--audit", "end"])["policy"]["cow"], "exclusive");
    let twice = refused(&["replay", &redis, "--policy", "cow=mapcount", "--policy", "cow=refcount"]);
    assert!(twice.contains("'cow' is chosen twice"), "{twice}");
    assert!(refused(&["replay", &redis, "--policy", "cow=none"]).contains("cow=exclusive|"));
    let shown = text(&freehold(&["replay", &redis, "--audit", "off", "--policy", "cow=mapcount"]).stdout);
    assert!(
        shown.starts_with("redis-bgsave.fhr, replayed on 4 simulated CPUs with cow=mapcount\n"),
        "{shown}"
    );
}

#[test]
fn a_column_is_what_a_replay_alone_is() {
    let redis = real("redis-bgsave.fhr");
    let options = ["--cpus", "3", "--seed", "5", "--memory", "1G", "--audit", "every=2000"];
    let both = object(&redis, &["cow=refcount", "cow=exclusive", "cow=refcount"], &options);
    for (column, policy) in ["cow=refcount", "cow=exclusive", "cow=refcount"].into_iter().enumerate() {
        let alone = replayed(0, &redis, &[&options[..], &["--policy", policy]].concat());
        assert_eq!(without_wall(&both["columns"][column]["report"]), without_wall(&alone), "{policy}");
    }
    let of_last: Vec<&Value> =
        both["differences"].as_array().expect("a list").iter().filter(|said| said["column"] == 2).collect();
    let [said] = of_last[..] else { panic!("{of_last:?}") };
    assert_eq!(said["text"], "cow=refcount does the same as cow=refcount: every figure is equal.");
}

#[test]
fn the_keys_are_those_of_the_document() {
    let both = object(&real("redis-bgsave.fhr"), &["cow=exclusive", "cow=mapcount"], &["--audit", "end"]);
    let keys =
        |value: &Value| -> Vec<String> { value.as_object().expect("an object").keys().cloned().collect() };
    assert_eq!(keys(&both), ["columns", "differences", "recording"]);
    assert_eq!(both["recording"], "redis-bgsave.fhr");
    for (column, policy) in both["columns"].as_array().expect("a list").iter().zip(["exclusive", "mapcount"])
    {
        assert_eq!(keys(column), ["policy", "report", "status", "why"]);
        assert_eq!(column["policy"], format!("cow={policy}"));
        assert_eq!(column["report"]["policy"]["cow"], policy);
        assert_eq!(column["status"], "good");
        assert_eq!(column["why"], Value::Array(Vec::new()));
    }
    for said in both["differences"].as_array().expect("a list") {
        assert_eq!(keys(said), ["column", "text"]);
        assert_eq!(said["column"], 1);
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/compare.md");
    let document = std::fs::read_to_string(path).expect("the document");
    for key in ["recording", "columns", "differences", "policy", "status", "why", "report", "column", "text"]
    {
        assert!(document.contains(&format!("`{key}`")), "{key}");
    }
}

#[test]
fn no_copy_is_needless_where_pages_are_exclusive() {
    let all: Vec<String> = COW.iter().map(|rule| format!("cow={}", rule.name())).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    for (name, thp) in RECORDINGS.into_iter().flat_map(|(name, _)| [(name, "never"), (name, "always")]) {
        let compared = object(&real(name), &all, &["--audit", "end", "--thp", thp]);
        let columns = compared["columns"].as_array().expect("a list");
        assert_eq!(columns.len(), COW.len());
        for column in columns {
            assert_eq!(column["status"], "good", "{name} {thp} {}", column["policy"]);
        }
        let exclusive = &columns[0]["report"];
        assert_eq!(exclusive["policy"]["cow"], "exclusive");
        assert_eq!(exclusive["cow"]["needless"], 0, "{name} {thp}");
        assert!(exclusive["cow"]["copied"].as_u64() > Some(0), "{name} {thp}");
        let huge = exclusive["peaks"]["AnonHugePages"].as_u64().expect("a count");
        // The processes of PostgreSQL have no 2 MiB of anonymous memory in one piece.
        let has_room = name != "postgres-pgbench.fhr";
        assert_eq!((exclusive["thp"].as_str(), huge > 0), (Some(thp), thp == "always" && has_room), "{name}");
    }
}

#[test]
fn none_is_needless_under_shortage_either_but_for_refcount() {
    // All with both are measured for the README; here is what takes seconds.
    let both = RECORDINGS.into_iter().zip([true, false, false, false, true, false]);
    for ((name, memory), with_thp) in both {
        check_shortage(name, &["--thp", "never", "--swap", "file:1G", "--memory", memory]);
        if with_thp {
            check_shortage(name, &["--thp", "always", "--swap", "lz4:1G", "--memory", memory]);
        }
    }
}

fn check_shortage(name: &str, options: &[&str]) {
    let recording = real(name);
    let figures = |policy: &str| {
        let args = ["replay", &recording, "--json", "--audit", "end", "--policy", policy];
        let output = freehold(&[&args[..], options].concat());
        assert_eq!(output.status.code(), Some(0), "{name} {options:?}: {}", text(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).expect("one object");
        let count = |place: &str| report.pointer(place).and_then(Value::as_u64).expect("a count");
        assert_eq!((count("/killed"), count("/calls/different")), (0, 0), "{name} {options:?} {policy}");
        assert!(count("/vmstat/pswpout") > 0, "{name} {options:?}: it is short of memory");
        (count("/cow/needless"), count("/vmstat/pswpin"))
    };
    assert_eq!(figures("cow=exclusive").0, 0, "{name} {options:?}");
    // The swap cache holds what came back: a rule that counts references copies it.
    let (needless, came_back) = figures("cow=refcount");
    assert_eq!(needless > 0, came_back > 0, "{name} {options:?}");
}

#[test]
fn the_table_has_a_column_for_each_policy() {
    let shown =
        compared(0, &real("redis-bgsave.fhr"), &["cow=exclusive", "cow=refcount"], &["--audit", "end"]);
    let line = |start: &str| {
        shown.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start} in {shown}"))
    };
    for row in [
        "faults ",
        "private pages copied ",
        "  that nobody else could see ",
        "private pages written in place ",
        "flush rounds ",
        "interrupts of other CPUs ",
        "simulated time, us ",
        "memory in use at its peak, KiB ",
        "rules broken ",
        "loads that read something else ",
    ] {
        assert_eq!(line(row).split("  ").filter(|cell| !cell.trim().is_empty()).count(), 3, "{row}");
    }
    let lengths: std::collections::BTreeSet<usize> =
        shown.lines().skip(2).take_while(|line| !line.is_empty()).map(str::len).collect();
    assert_eq!(lengths.len(), 1, "columns are aligned: {shown}");
    assert!(shown.starts_with("redis-bgsave.fhr, replayed on 4 simulated CPUs\n"), "{shown}");
    assert!(shown.contains("compared with cow=exclusive:\n"), "{shown}");
    assert!(!shown.contains("is broken"), "{shown}");
}

#[test]
fn input_that_is_wrong_for_every_policy_is_refused() {
    let path = common::own_file("broken.fhr");
    std::fs::write(&path, b"not a recording").expect("a writable directory");
    let path = path.to_str().expect("a plain path");
    let error = refused(&["compare", path, "--policy", "cow=exclusive", "--policy", "cow=mapcount"]);
    assert!(error.starts_with(&format!("freehold: {path}: ")), "{error}");
    let redis = real("redis-bgsave.fhr");
    let tiny = ["compare", &redis, "--policy", "cow=exclusive", "--policy", "cow=mapcount", "--memory", "1K"];
    let error = refused(&tiny);
    assert!(error.contains("from 4 MiB a node"), "{error}");
}
