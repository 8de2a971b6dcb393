//! Planted bugs, each noticed by the scenario that is about it: a scenario that cannot fail judges nothing.

use std::path::Path;

use freehold::machine::Plant;
use freehold_lab::explore::run::Runner;
use freehold_lab::explore::{Options, hunt, script};
use sim::SimMachine;
use sim::explore::{Bounds, Ordered, Strategy};

/// The bug, and the scenario that notices it within [`SCHEDULES`].
const ROWS: &[(&str, &str)] = &[
    ("flush-forgotten", "cow/fork-against-write"),
    ("freed-before-flush", "walk/unmap-against-first-fault"),
    ("table-without-grace", "walk/unmap-against-first-fault"),
    ("nested-ignored", "walk/l-10-dontneed-against-truncate"),
    ("generation-ignored", "walk/l-15-lazy-cpu"),
    ("stamp-unchecked", "walk/protect-against-first-fault"),
    ("entry-unchecked", "space/two-faults-on-one-page"),
    ("empty-leaf-skipped", "walk/protect-against-first-fault"),
    ("hole-believed", "space/splits-and-merges-under-faults"),
    ("fork-leaves-writable", "cow/c-01-child-unmaps-parent-writes"),
    ("fork-leaves-exclusive", "cow/fork-of-fork"),
    ("reuse-by-mapcount", "cow/c-01-reader-of-an-unmapped-page"),
    ("copy-before-flush", "cow/copy-against-writer-and-reader"),
    ("split-forgets-private", "space/first-private-page-against-split"),
    ("dirty-cleared-late", "walk/l-19-store-through-a-stale-translation"),
    ("disowned-late", "file/truncate-against-private-copy"),
    ("uptodate-early", "file/two-faults-read-one-page"),
    ("waiter-flag-late", "wait/w-18-truncation-waits-for-a-reader"),
    ("drain-forgotten", "cow/fork-of-fork"),
    ("guard-gap-forgotten", "space/stack-keeps-its-distance"),
];

/// How many schedules a search may take.
const SCHEDULES: u64 = 6000;

/// What a search for a failing schedule of a scenario finds, with a bug planted.
fn found(scenario: &str, plant: Plant) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../scenarios/{scenario}.fhs"));
    let text = std::fs::read_to_string(path).expect("a scenario");
    let scenario = script::parse(&text).expect("well-formed");
    let prepare = |machine: &SimMachine| machine.plant(Some(plant));
    let mut runner = Runner::new(&scenario).preparing(&prepare);
    let options = Options {
        strategy: Strategy::Exhaustive { preemptions: 2 },
        ordered: Ordered::Sequential,
        bounds: Bounds { schedules: SCHEDULES, ..Bounds::default() },
    };
    hunt(&mut runner, &options, &mut |_| {}).failing.map(|failing| failing.failure.to_string())
}

#[test]
fn every_planted_bug_is_noticed_by_its_scenario() {
    // What a planted bug makes panic is noticed by that.
    std::panic::set_hook(Box::new(|_| {}));
    let survives = |(name, scenario): &&(&str, &str)| {
        let plant = name.parse().expect("a planted bug");
        found(scenario, plant).is_none()
    };
    let survivors: Vec<_> = ROWS.iter().filter(survives).collect();
    let _ = std::panic::take_hook();
    assert!(survivors.is_empty(), "not noticed: {survivors:?}");
}
