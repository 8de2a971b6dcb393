//! Columns that are not as they should be, and what is said of them.

use serde_json::{Value, json};

use super::column::{Column, End};
use super::{printed, replayed, shown, unless_all_refused, verdict};
use crate::exit::{Error, Verdict};
use crate::policy::Policy;
use crate::replay::{Options, read};

fn column(policy: &str, report: Value, findings: &[&str]) -> Column {
    let findings: Vec<String> = findings.iter().map(|&finding| finding.to_owned()).collect();
    let good = findings.is_empty();
    Column { policy: policy.into(), end: End::Reported { report, findings, good } }
}

fn stopped(policy: &str, error: Error) -> Column {
    Column { policy: policy.into(), end: End::Stopped(error) }
}

/// A report with these copies (of them needless), pages written in place, rules broken and wrong loads.
fn report(copied: u64, needless: u64, reused: u64, broken: u64, wrong: u64) -> Value {
    json!({
        "faults": { "total": 100 },
        "cow": { "copied": copied, "needless": needless, "reused": reused },
        "audit": { "violations": broken },
        "shadow": { "mismatches": wrong },
        "sim_ns": 1000 + copied,
        "memory": { "peak_kib": 64 },
        "wall_ms": copied as f64 / 3.0,
    })
}

#[test]
fn what_one_copies_and_the_other_writes_in_place() {
    let columns =
        [column("cow=a", report(10, 0, 1210, 0, 0), &[]), column("cow=b", report(1214, 1204, 6, 0, 0), &[])];
    let text = shown("rec.fhr", &Options::default(), &columns);
    assert!(text.contains("  cow=b copies 1 204 pages that cow=a writes in place.\n"), "{text}");
    assert!(text.contains("  cow=b copies 1 204 pages needlessly: nobody else could see them.\n"), "{text}");
    assert!(text.contains("  cow=b takes 1 204 ns more simulated time than cow=a (119.21 %).\n"), "{text}");
    let swapped = shown(
        "rec.fhr",
        &Options::default(),
        &[column("cow=b", report(1214, 1204, 6, 0, 0), &[]), column("cow=a", report(10, 0, 1210, 0, 0), &[])],
    );
    assert!(swapped.contains("  cow=a writes 1 204 pages in place that cow=b copies.\n"), "{swapped}");
    assert_eq!(verdict(&columns), Verdict::Good);
}

#[test]
fn copies_that_are_nobodys_reuse_are_told_by_themselves() {
    let columns =
        [column("cow=a", report(10, 0, 5, 0, 0), &[]), column("cow=b", report(11, 0, 5, 0, 0), &[])];
    let text = shown("rec.fhr", &Options::default(), &columns);
    assert!(text.contains("  cow=b copies 1 page more than cow=a (11 to 10).\n"), "{text}");
    assert!(!text.contains("needlessly"), "{text}");
}

#[test]
fn parts_that_were_used_have_rows() {
    let with = |split: u64, swapped: u64| {
        let mut report = report(1, 0, 1, 0, 0);
        report["vmstat"] =
            json!({ "thp_split_page": split, "pswpout": swapped, "pgfault": 7, "ksm_none": 0 });
        report
    };
    let columns = [
        column("cow=a", with(0, 5), &[]),
        column("cow=b", with(1234, 0), &[]),
        stopped("cow=c", Error::broken(&"a deadlock")),
    ];
    let text = shown("rec.fhr", &Options::default(), &columns);
    let cells = |title: &str| -> Vec<String> {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(title))
            .unwrap_or_else(|| panic!("{title}: {text}"));
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
    };
    assert_eq!(cells("huge pages: thp_split_page "), ["0", "1 234", "-"]);
    assert_eq!(cells("swap: pswpout "), ["5", "0", "-"]);
    assert!(!text.contains("pgfault") && !text.contains("ksm_none"), "{text}");
}

#[test]
fn a_broken_column_is_named_and_the_others_are_compared() {
    let columns = [
        column("cow=a", report(10, 0, 5, 0, 0), &[]),
        column("cow=b", report(10, 0, 5, 2, 1), &["CR2: page 7", "0x1000 of memory 1 holds 5, not 6"]),
        column("cow=c", report(12, 0, 5, 0, 0), &[]),
    ];
    assert_eq!(verdict(&columns), Verdict::Broken);
    let text = shown("rec.fhr", &Options::default(), &columns);
    let broken = "\ncow=b is broken:\n  2 times a rule was found broken\n  \
        1 times memory held something else than was stored\n  CR2: page 7\n  \
        0x1000 of memory 1 holds 5, not 6\n";
    assert!(text.ends_with(broken), "{text}");
    assert!(text.contains("cow=c copies 2 pages more"), "{text}");
    let object: Value = serde_json::from_str(&printed("rec.fhr", &columns)).expect("an object");
    assert_eq!(object["columns"][0]["status"], "good");
    assert_eq!(object["columns"][1]["status"], "broken");
    assert_eq!(object["columns"][1]["why"][0], "CR2: page 7");
}

#[test]
fn a_replay_that_stops_does_not_stop_the_others() {
    let columns = [
        stopped("cow=a", Error::broken(&"a deadlock")),
        column("cow=b", report(1, 0, 5, 0, 0), &[]),
        stopped("cow=c", Error::new(&"event 3: mmap answered ENOMEM")),
    ];
    let columns = unless_all_refused(columns.into()).expect("one came to its end");
    assert_eq!(verdict(&columns), Verdict::Broken);
    let text = shown("rec.fhr", &Options::default(), &columns);
    assert!(text.contains("cow=b cannot be compared with cow=a: a replay stopped.\n"), "{text}");
    assert!(text.contains("cow=a is broken:\n  it could not go on: a deadlock\n"), "{text}");
    let object: Value = serde_json::from_str(&printed("rec.fhr", &columns)).expect("an object");
    assert_eq!(object["columns"][2]["status"], "stopped");
    assert_eq!(object["columns"][2]["report"], Value::Null);
    assert_eq!(object["columns"][2]["why"][0], "event 3: mmap answered ENOMEM");
}

#[test]
fn input_that_no_policy_can_use_is_an_error() {
    let refused = |policy: &str| stopped(policy, Error::new(&"event 3: mmap answered ENOMEM"));
    let error = unless_all_refused(vec![refused("cow=a"), refused("cow=b")]).err().expect("an error");
    assert_eq!((error.status(), error.to_string().as_str()), (2, "event 3: mmap answered ENOMEM"));
    let one_broke = vec![refused("cow=a"), stopped("cow=b", Error::broken(&"a deadlock"))];
    assert!(unless_all_refused(one_broke).is_ok());
}

#[test]
fn a_rule_that_always_copies_is_caught() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recordings/python-fork.fhr");
    let (name, recording) = read(&path).expect("a recording");
    let policies = ["cow=exclusive", "cow=always-copies"].map(|text| text.parse::<Policy>().expect("known"));
    let columns = replayed((&name, &recording), &policies, &Options::default()).expect("a good recording");
    assert_eq!(verdict(&columns), Verdict::Good, "nothing is lost by copying");
    let [before, after] = &columns[..] else { panic!("two columns") };
    let reused = before.figure("/cow/reused").expect("a figure");
    assert!(reused > 1000, "{reused}");
    assert_eq!(before.figure("/cow/needless"), Some(0));
    let needless = after.figure("/cow/needless").expect("a figure");
    let copied = [before, after].map(|column| column.figure("/cow/copied").expect("a figure"));
    assert_eq!(after.figure("/cow/reused"), Some(0));
    assert_eq!(copied[1] - copied[0], reused);
    assert_eq!(needless, reused, "each is a page that the other rule knew to be its own");
    let text = shown(&name, &Options::default(), &columns);
    let said = " pages that cow=exclusive writes in place.\n";
    assert!(text.contains(said) && text.contains("needlessly"), "{text}");
}
