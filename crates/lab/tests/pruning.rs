//! The search leaves schedules out because equivalent ones are run. Here nothing is left out: whatever a
//! scenario's steps can come to under one preemption, the pruned search meets too.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use freehold_lab::explore::run::{Log, Runner, What};
use freehold_lab::explore::script::{self, Scenario};
use sim::explore::{Bounds, Ordered, Search, Strategy};

/// Scenarios of every kind whose schedules with one preemption are few enough to run all of them.
const SCENARIOS: &[&str] = &[
    "cow/c-01-child-unmaps-parent-writes",
    "cow/two-writers-of-a-shared-page",
    "file/two-faults-read-one-page",
    "file/truncate-against-private-copy",
    "frame/drain-against-allocation",
    "process/exit-of-a-thread-against-faults",
    "space/two-faults-on-one-page",
    "wait/w-18-lost-wake-up",
    "walk/l-02-table-freed-while-walked",
];

fn read(name: &str) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../scenarios/{name}.fhs"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    script::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What each CPU's steps came to (line, column, result), in the CPU's own order.
type Outcome = Vec<Vec<(u32, u32, String)>>;

fn outcome(log: &Log) -> Outcome {
    let mut steps = Vec::new();
    for entry in &log.entries {
        if let What::Ends(place, came_to) = &entry.what {
            let cpu = entry.cpu as usize;
            steps.resize(steps.len().max(cpu + 1), Vec::new());
            steps[cpu].push((place.line, place.column, came_to.clone()));
        }
    }
    steps
}

/// Everything that a search meets, and how many schedules that took.
fn outcomes(scenario: &Scenario, strategy: Strategy) -> (BTreeSet<Outcome>, u64) {
    let mut runner = Runner::new(scenario);
    let mut search = Search::new(strategy, Ordered::Sequential, Bounds::default());
    let mut met = BTreeSet::new();
    while let Some(plan) = search.next_plan() {
        let log = RefCell::default();
        let ran = runner.run(plan, Some(&log));
        assert_eq!(ran.failure, None);
        search.take(&ran.run).expect("repeatable");
        met.insert(outcome(&log.into_inner()));
    }
    (met, search.summary().schedules)
}

#[test]
fn pruning_loses_no_outcome_of_a_scenario() {
    for name in SCENARIOS {
        let scenario = read(name);
        let (all, unpruned) = outcomes(&scenario, Strategy::Unpruned { preemptions: 1 });
        let (met, pruned) = outcomes(&scenario, Strategy::Exhaustive { preemptions: 1 });
        assert!(pruned <= unpruned, "{name}: {pruned} schedules instead of {unpruned}");
        let lost: Vec<_> = all.difference(&met).collect();
        assert!(lost.is_empty(), "{name}: of {} outcomes in {unpruned} schedules, {lost:#?}", all.len());
    }
}
