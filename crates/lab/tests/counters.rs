//! `docs/counters.md` lists exactly the keys that `replay --json` prints.

#[allow(dead_code, reason = "each test uses what it needs of it")]
mod common;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

/// The keys of an object and of those in it.
fn keys(value: &Value, prefix: &str, into: &mut BTreeSet<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let name = format!("{prefix}{key}");
        if value.is_object() {
            keys(value, &format!("{name}."), into);
        } else {
            into.insert(name);
        }
    }
}

/// The keys in the first column of the document's tables.
fn documented() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/counters.md");
    let document = std::fs::read_to_string(path).expect("the document");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    rows.map(|(key, _)| key.to_owned()).collect()
}

#[test]
fn the_document_lists_what_is_printed() {
    let printed = common::replayed(0, &common::real("redis-bgsave.fhr"), &["--audit", "end"]);
    let mut have = BTreeSet::new();
    keys(&printed, "", &mut have);
    let listed = documented();
    let unique: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), unique.len(), "a key is listed twice");
    let missing: Vec<_> = have.difference(&unique).collect();
    let stale: Vec<_> = unique.difference(&have).collect();
    assert!(missing.is_empty() && stale.is_empty(), "not documented: {missing:?}; not printed: {stale:?}");
}

#[test]
fn what_others_rely_on_is_there() {
    let printed = common::replayed(0, &common::real("redis-bgsave.fhr"), &["--audit", "end"]);
    let numbers = [
        "events",
        "processes",
        "linux.minor_faults",
        "faults.total",
        "faults.anon",
        "faults.write_protect",
        "cow.copied",
        "cow.reused",
        "tlb.flush_rounds",
        "tlb.ipis",
        "rss.peak_kib",
        "page_tables.peak_kib",
        "memmap.bytes_per_frame",
        "audit.checks",
        "shadow.loads",
        "sim_ns",
        "wall_ms",
    ];
    for key in numbers {
        let value = key.split('.').fold(&printed, |value, part| &value[part]);
        assert!(value.as_f64().is_some_and(|n| n > 0.0), "{key}: {value}");
    }
    assert_eq!(printed["recording"], "redis-bgsave.fhr");
    assert_eq!(printed["audit"]["violations"], 0);
    assert_eq!(printed["shadow"]["mismatches"], 0);
    assert_eq!(printed["tlb"]["ipis"], printed["vmstat"]["nr_tlb_remote_flush_received"]);
    assert!(printed["memmap"]["bytes_per_frame"].as_u64() <= Some(32));
}
