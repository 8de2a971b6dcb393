//! `--json`: an array of objects, one a row. `docs/benchmarks.md` says what the keys mean.

use serde_json::{Map, Value, json};

use super::row::COUNTS;
use super::{Goal, Peer, Row};

/// All rows.
pub(super) fn text(rows: &[Row]) -> String {
    let rows: Vec<Value> = rows.iter().map(object).collect();
    format!("{:#}\n", Value::Array(rows))
}

fn object(row: &Row) -> Value {
    let [flush_rounds, grace_periods, ipis, cold_lines] = COUNTS.map(|name| row.count(name));
    let others = row.counts.iter().filter(|(name, _)| !COUNTS.contains(name));
    let others: Map<String, Value> = others.map(|(name, count)| ((*name).into(), json!(count))).collect();
    json!({
        "name": row.name,
        "policy": row.policy,
        "profile": row.profile,
        "side": row.side.name(),
        "cpus": row.cpus,
        "value": row.value,
        "min": row.min,
        "unit": row.unit,
        "peer": row.peer.as_ref().map(peer),
        "ratio": row.ratio,
        "floor": row.floor,
        "flush_rounds": flush_rounds,
        "grace_periods": grace_periods,
        "ipis": ipis,
        "cold_lines": cold_lines,
        "counts": others,
        "goal": row.goal.as_ref().map(goal),
        "met": row.met().map(|met| met.name()),
        "leaves_out": row.leaves_out,
    })
}

fn peer(peer: &Peer) -> Value {
    json!({ "name": peer.name, "value": peer.value, "min": peer.min })
}

fn goal(goal: &Goal) -> Value {
    json!({ "of": goal.measure.name(), "better": goal.better.name(), "must": goal.must, "aim": goal.aim })
}
