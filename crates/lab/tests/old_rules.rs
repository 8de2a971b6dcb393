//! The rules of copy-on-write that Linux had before lose what they are known to have lost, and the story says
//! how; with exclusive pages the same scenarios pass.

use std::path::Path;
use std::time::Duration;

use freehold_lab::explore::run::{Kind, Runner};
use freehold_lab::explore::script::{self, Scenario};
use freehold_lab::explore::{Found, Options, hunt, tell};
use sim::explore::{Bounds, Ordered, Strategy};

/// A scenario, under `scenarios/cow/` and without its suffix; the rule that loses; what is wrong then; the
/// decision that the story must tell of.
type Row = (&'static str, &'static str, &'static str, &'static str);

const LEAKED: &str = "nobody else has it (2 references, 1 mapping, 0 pins): written in place";

const ROWS: &[Row] = &[
    // CVE-2020-29374: a child reads out of its pipe what the parent stored later.
    ("c-01-vmsplice-then-parent-writes", "cow=mapcount", "C loaded 2 at a[0] (through a reference)", LEAKED),
    (
        "c-01-protected-and-unprotected-before",
        "cow=mapcount",
        "C loaded 2 at a[0] (through a reference)",
        LEAKED,
    ),
    ("c-02-reference-from-before-fork", "cow=mapcount", "P loaded 2 at a[0] (through a reference)", LEAKED),
    // O_DIRECT, 2020 to 2022: what the device stored is lost.
    (
        "c-03-store-beside-direct-io",
        "cow=refcount",
        "P loaded 0 at a[0]+8",
        "somebody else may see it (2 references, 1 mapping, 1 pin): copied",
    ),
    (
        "c-03-direct-io-by-reference",
        "cow=refcount",
        "P loaded 0 at a[0]+8",
        "somebody else may see it (2 references, 1 mapping, 0 pins): copied",
    ),
    (
        "c-26-protect-toggled-under-references",
        "cow=refcount",
        "(through a pin",
        "somebody else may see it (3 references, 1 mapping, 1 pin): copied",
    ),
];

fn search(scenario: &Scenario, policy: &str) -> Found {
    let policy = policy.parse().expect("a policy");
    let bounds = Bounds { time: Some(Duration::from_secs(60)), ..Bounds::default() };
    let options =
        Options { strategy: Strategy::Exhaustive { preemptions: 2 }, ordered: Ordered::Sequential, bounds };
    hunt(&mut Runner::new(scenario).choosing(policy), &options, &mut |_| {})
}

#[test]
fn each_old_rule_loses_what_it_lost() {
    for (name, policy, says, decides) in ROWS {
        let scenario = read(name);
        let failing =
            search(&scenario, policy).failing.unwrap_or_else(|| panic!("{name} passes under {policy}"));
        let text = failing.failure.to_string();
        assert!(failing.failure.kind == Kind::WrongByte && text.contains(says), "{name}, {policy}: {text}");
        let story = tell(&failing.log, scenario.cpus.len());
        assert!(story.contains(decides), "{name}, {policy}: no {decides:?} in\n{story}");
    }
}

#[test]
fn exclusive_pages_lose_nothing() {
    for (name, ..) in ROWS {
        let found = search(&read(name), "cow=exclusive");
        assert!(found.failing.is_none(), "{name}: {:?}", found.failing.map(|failing| failing.failure));
    }
}

fn read(name: &str) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../scenarios/cow/{name}.fhs"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    script::parse(&text).unwrap_or_else(|error| panic!("{}:{error}", path.display()))
}
