//! Timelines: what the Perfetto viewer relies on, and what the replay counted.

#[allow(dead_code, reason = "each test uses what it needs of it")]
mod common;

use std::collections::HashMap;

use common::{freehold, own_file, real, replayed, text};
use serde_json::Value;

/// What was found in a timeline.
#[derive(Default)]
struct Found {
    slices: HashMap<String, u64>,
    starts: HashMap<u64, f64>,
    arrows: u64,
    answers: u64,
    counters: HashMap<String, f64>,
}

/// Checks a timeline as a whole.
fn check(events: &[Value]) -> Found {
    let mut found = Found::default();
    let mut open: HashMap<u64, Vec<String>> = HashMap::new();
    let mut last: HashMap<(u64, String), f64> = HashMap::new();
    for event in events {
        let phase = event["ph"].as_str().expect("a phase");
        if phase == "M" {
            continue;
        }
        let track = event["tid"].as_u64().unwrap_or(0);
        let at = event["ts"].as_f64().expect("a moment");
        let name = event["name"].as_str().unwrap_or_default().to_owned();
        let clock = last.entry((track, if phase == "C" { name.clone() } else { String::new() })).or_default();
        assert!(at >= *clock, "time goes back: {event}");
        *clock = at;
        let stack = open.entry(track).or_default();
        match phase {
            "B" => {
                *found.slices.entry(event["cat"].as_str().expect("a category").into()).or_default() += 1;
                stack.push(name);
            }
            "E" => {
                assert!(stack.pop().is_some(), "nothing to end: {event}");
                found.answers += u64::from(event["args"]["returns"].is_string());
            }
            "s" => {
                assert!(stack.last().is_some_and(|slice| slice.starts_with("flush ")), "{event}: {stack:?}");
                let id = event["id"].as_u64().expect("an arrow's number");
                assert!(found.starts.insert(id, at).is_none(), "used twice: {event}");
            }
            "f" => {
                assert!(stack.last().is_some_and(|slice| slice.starts_with("flushes for CPU ")), "{stack:?}");
                let started = found.starts.remove(&event["id"].as_u64().expect("an arrow's number"));
                assert!(started.is_some_and(|started| started <= at), "{event} began at {started:?}");
                assert_eq!(event["bp"], "e");
                found.arrows += 1;
            }
            "C" => drop(found.counters.insert(name, event["args"]["value"].as_f64().expect("a number"))),
            other => panic!("an unknown phase {other}"),
        }
    }
    assert!(open.values().all(Vec::is_empty), "slices without an end: {open:?}");
    assert!(found.starts.is_empty(), "arrows without an end: {:?}", found.starts);
    found
}

fn read(path: &std::path::Path) -> Vec<Value> {
    let bytes = std::fs::read(path).expect("it was written");
    let whole: Value = serde_json::from_slice(&bytes).expect("one object");
    whole["traceEvents"].as_array().expect("events").clone()
}

#[test]
fn the_redis_timeline_is_whole() {
    for cpus in ["1", "4", "16"] {
        let path = own_file(&format!("redis-{cpus}.json"));
        let name = path.to_str().expect("a plain path");
        let options = ["--cpus", cpus, "--audit", "off", "--perfetto", name];
        let report = replayed(0, &real("redis-bgsave.fhr"), &options);
        let events = read(&path);
        let found = check(&events);
        assert_eq!(Some(found.arrows), report["tlb"]["ipis"].as_u64());
        assert_eq!(found.counters["faults"] as u64, report["faults"]["total"].as_u64().expect("a number"));
        assert_eq!(
            found.counters["pages copied"] as u64,
            report["cow"]["copied"].as_u64().expect("a number")
        );
        assert_eq!(Some(found.answers), report["calls"]["total"].as_u64(), "each call returns once");
        let faults = found.slices["fault"];
        assert!(faults >= report["faults"]["total"].as_u64().expect("a number"), "{faults}");
        let tracks = events.iter().filter(|event| event["name"] == "thread_name").count();
        assert!(tracks <= cpus.parse().expect("a number") && tracks > 0, "{tracks} tracks");
    }
}

#[test]
fn a_task_that_waits_for_a_file_goes_on_where_it_stopped() {
    let path = own_file("cold.json");
    let name = path.to_str().expect("a plain path");
    let options = ["--cold", "--cpus", "2", "--audit", "off", "--perfetto", name];
    replayed(0, &real("redis-bgsave.fhr"), &options);
    check(&read(&path));
}

#[test]
fn a_trace_gives_the_same_timeline() {
    let [direct, later, trace] = ["direct.json", "later.json", "timeline.fht"].map(own_file);
    let [direct, later, trace] = [&direct, &later, &trace].map(|path| path.to_str().expect("a plain path"));
    let options = ["--audit", "off", "--perfetto", direct, "--trace", trace];
    replayed(0, &real("redis-bgsave.fhr"), &options);
    let output = freehold(&["explain", trace, "--perfetto", later]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let [direct, later] = [direct, later].map(|path| std::fs::read(path).expect("it was written"));
    assert!(direct == later, "the timelines differ");
}
