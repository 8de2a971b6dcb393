//! `munmap-496g`: one munmap of 253,952 entries of 2 MiB, by epochs and by the older rules of walks.

use freehold::machine::WalkRule;
use sim::profile;

use super::unmapping::{CPUS, ENTRIES, Measured, Others, Setup, measure};
use crate::bench::options::Options;
use crate::bench::registry::Bench;
use crate::bench::row::{Better, Goal, Measure, Peer, Row, Side};
use crate::bench::trouble::Trouble;

const NAME: &str = "munmap-496g";

/// What a profile's figures have to reach.
struct Wanted {
    profile: &'static str,
    /// How many times `walk=ipi` has to be slower.
    times: f64,
    /// Milliseconds: must, aim.
    ms: Option<(f64, f64)>,
}

const WANTED: [Wanted; 4] = [
    Wanted { profile: "power9-kvm", times: 7_000.0, ms: Some((39.0, 12.0)) },
    Wanted { profile: "power9-host", times: 2_000.0, ms: None },
    Wanted { profile: "x86-2020s", times: 120.0, ms: None },
    Wanted { profile: "x86-8socket", times: 120.0, ms: None },
];

/// The bench.
pub(super) const BENCH: Bench = Bench {
    name: NAME,
    side: Side::Simulated,
    about: "one munmap of 253,952 entries of 2 MiB while 127 CPUs walk, by each rule of walks",
    rows,
};

fn rows(options: &Options) -> Result<Vec<Row>, Trouble> {
    let mut rows = Vec::new();
    for wanted in &WANTED[..options.sized(WANTED.len(), 1)] {
        rows.extend(profile_rows(options, wanted)?);
    }
    Ok(rows)
}

/// A way of keeping walkers out, and what munmap costs with it.
struct Way {
    rule: WalkRule,
    ns: f64,
    measured: Measured,
    /// How many entries were really unmapped, if not all.
    part: Option<u64>,
}

fn profile_rows(options: &Options, wanted: &Wanted) -> Result<Vec<Row>, Trouble> {
    let entries = options.sized(ENTRIES, 256);
    let mut rows = Vec::new();
    for others in [Others::Walking, Others::Running] {
        let mut ways = vec![way(wanted.profile, (entries, others), WalkRule::Epoch)?];
        for &rule in WalkRule::ALL.iter().filter(|rule| matches!(rule, WalkRule::Other(_))) {
            ways.push(older(options, wanted.profile, (&ways[0], others), rule)?);
        }
        let Some((ours, old)) = ways.split_first() else { continue };
        rows.extend(old.iter().map(|old| beside(wanted, others, ours, old)));
        rows.extend(ways.iter().map(|way| alone(wanted, others, way)));
        if others == Others::Walking {
            rows.extend(details(wanted, ours));
        }
    }
    Ok(rows)
}

fn way(profile: &'static str, (entries, others): (u64, Others), rule: WalkRule) -> Result<Way, Trouble> {
    let measured = run_with(profile, (entries, others), rule)?;
    Ok(Way { rule, ns: measured.ns as f64, measured, part: None })
}

/// What munmap costs by another rule: what it costs by ours, and for each entry what the rule adds. That is
/// the same for each (an interrupt, a look at counts), and is found with few entries.
fn older(
    options: &Options,
    profile: &'static str,
    (ours, others): (&Way, Others),
    rule: WalkRule,
) -> Result<Way, Trouble> {
    let (few, more) = match others {
        Others::Walking => (2, 4),
        Others::Running => options.sized((16, 48), (2, 4)),
    };
    let each = |rule| -> Result<_, Trouble> {
        let first = run_with(profile, (few, others), rule)?;
        let second = run_with(profile, (more, others), rule)?;
        Ok(((second.ns as f64 - first.ns as f64) / (more - few) as f64, second))
    };
    let ((base, _), (slope, measured)) = (each(WalkRule::Epoch)?, each(rule)?);
    let ns = ours.ns + (slope - base) * ours.measured.entries as f64;
    Ok(Way { rule, ns, measured, part: Some(more) })
}

fn run_with(
    profile: &'static str,
    (entries, others): (u64, Others),
    rule: WalkRule,
) -> Result<Measured, Trouble> {
    let costs = profile::named(profile).ok_or_else(|| Trouble::new(&"no such profile"))?;
    let setup = Setup { profile: costs, entries, others, rule };
    measure(&setup).map_err(|error| Trouble::new(&error))
}

fn name(others: Others) -> String {
    match others {
        Others::Walking => NAME.into(),
        Others::Running => format!("{NAME}, the others run their own code"),
    }
}

/// What of the figure was not run.
fn leaves_out(way: &Way) -> String {
    match way.part {
        None => String::new(),
        Some(part) => format!("ours, and what the rule adds to each entry, found with {part} entries"),
    }
}

fn alone(wanted: &Wanted, others: Others, way: &Way) -> Row {
    let counts = match way.part {
        Some(_) => Vec::new(),
        None => vec![
            ("flush_rounds", way.measured.flush_rounds),
            ("grace_periods", way.measured.grace_periods),
            ("ipis", way.measured.ipis),
            ("cold_lines", way.measured.cold.0),
            ("cold_lines_prefetched", way.measured.cold.1),
        ],
    };
    let ours = matches!(way.rule, WalkRule::Epoch) && others == Others::Walking;
    let at_most = |(must, aim)| Goal { measure: Measure::Value, better: Better::Lower, must, aim: Some(aim) };
    Row {
        policy: Some(way.rule.name().into()),
        profile: Some(wanted.profile.into()),
        counts,
        cpus: Some(CPUS),
        goal: if ours { wanted.ms.map(at_most) } else { None },
        leaves_out: leaves_out(way),
        ..Row::new(Side::Simulated, name(others), way.ns / 1e6, "ms")
    }
}

fn beside(wanted: &Wanted, others: Others, ours: &Way, old: &Way) -> Row {
    let peer = Peer { name: format!("walk={}", old.rule.name()), value: old.ns / 1e6, min: None };
    let must = if old.rule.name() == "ipi" { 1.0 / wanted.times } else { 1.0 };
    let goal = Goal { measure: Measure::Ratio, better: Better::Lower, must, aim: None };
    Row {
        policy: Some(ours.rule.name().into()),
        profile: Some(wanted.profile.into()),
        cpus: Some(CPUS),
        goal: Some(goal),
        leaves_out: leaves_out(old),
        ..Row::new(Side::Simulated, name(others), ours.ns / 1e6, "ms").beside(peer)
    }
}

fn details(wanted: &Wanted, ours: &Way) -> Vec<Row> {
    let measured = &ours.measured;
    let row = |what: &str, value: f64, unit, must: f64| Row {
        policy: Some(ours.rule.name().into()),
        profile: Some(wanted.profile.into()),
        cpus: Some(CPUS),
        goal: Some(Goal { measure: Measure::Value, better: Better::Lower, must, aim: None }),
        ..Row::new(Side::Simulated, format!("{NAME}: {what}"), value, unit)
    };
    let of_each = |lines: u64| lines as f64 / measured.entries as f64;
    vec![
        row("flush rounds", measured.flush_rounds as f64, "rounds", 1.0),
        row("grace periods", measured.grace_periods as f64, "periods", 1.0),
        row("cold lines waited for", of_each(measured.cold.0), "lines an entry", 1.0),
        row("walks that walkers lose", measured.loss() * 100.0, "%", 1.0),
    ]
}
