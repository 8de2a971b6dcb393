//! Real recordings on machines of many kinds: CPUs, nodes, seeds, audits after each step, too little memory.

#[allow(dead_code, reason = "each test uses what it needs of it")]
mod common;

use common::{real, replayed};
use serde_json::Value;

fn assert_clean(report: &Value, what: &str) {
    assert_eq!(report["audit"]["violations"], 0, "{what}: {report:#}");
    assert_eq!(report["shadow"]["mismatches"], 0, "{what}: {report:#}");
    assert_eq!(report["calls"]["different"], 0, "{what}");
    assert_eq!(report["signals"], 0, "{what}");
    assert_eq!(report["killed"], 0, "{what}");
}

fn on_many_cpus(name: &str) {
    for cpus in ["1", "4", "64"] {
        let report = replayed(0, &real(name), &["--cpus", cpus]);
        assert_clean(&report, &format!("{name} on {cpus} CPUs"));
        assert!(report["audit"]["audits"].as_u64() > Some(10));
        assert!(report["audit"]["rules"].as_u64() > Some(20), "{report:#}");
    }
}

#[test]
fn redis_on_many_cpus() {
    on_many_cpus("redis-bgsave.fhr");
}

#[test]
fn python_on_many_cpus() {
    on_many_cpus("python-fork.fhr");
}

#[test]
fn postgres_on_many_cpus() {
    on_many_cpus("postgres-pgbench.fhr");
}

#[test]
fn node_collects_garbage() {
    let report = replayed(0, &real("node-gc.fhr"), &["--cpus", "4", "--nodes", "2"]);
    assert_clean(&report, "node-gc.fhr");
}

#[test]
fn a_compilation_and_many_threads() {
    for name in ["cc-compile.fhr", "threads-map.fhr"] {
        let report = replayed(0, &real(name), &["--audit", "end", "--cpus", "8", "--nodes", "2"]);
        assert_clean(&report, name);
    }
}

#[test]
fn schedules_differ_and_all_are_right() {
    for seed in ["1", "2", "3"] {
        let report =
            replayed(0, &real("redis-bgsave.fhr"), &["--audit", "end", "--cpus", "3", "--seed", seed]);
        assert_clean(&report, seed);
    }
}

#[test]
fn an_audit_after_each_step() {
    let example = common::written("steps.fhr", &record::example());
    let report = replayed(0, &example, &["--audit", "step"]);
    assert_clean(&report, "the example");
    let steps = 10 + 4;
    assert!(report["audit"]["audits"].as_u64() >= Some(steps - 2), "{report:#}");

    // Of a real one, the start: more would take minutes.
    let whole = record::Recording::read(real("redis-bgsave.fhr").as_ref()).expect("a good recording");
    let events = whole.events.iter().take(60).cloned().collect();
    let start = record::Recording { events, ..whole };
    let report = replayed(0, &common::written("start.fhr", &start), &["--audit", "step"]);
    assert_clean(&report, "the start of redis");
    assert!(report["audit"]["audits"].as_u64() >= Some(60));
}

#[test]
fn too_little_memory_kills_and_the_report_is_clean() {
    for memory in ["32M", "12M"] {
        let report = replayed(0, &real("redis-bgsave.fhr"), &["--memory", memory]);
        assert!(report["killed"].as_u64() >= Some(1), "{memory}: {report:#}");
        assert!(report["vmstat"]["oom_kill"].as_u64() >= Some(1), "{memory}");
        assert_eq!(report["audit"]["violations"], 0, "{memory}: {report:#}");
        assert_eq!(report["shadow"]["mismatches"], 0, "{memory}: {report:#}");
    }
}
