//! The rules of copy-on-write that Linux had before lose what they are known to have lost, and the story says
//! how; with exclusive pages the same scenarios pass.
//!
//! `docs/old-rules.md` tells it; with `FREEHOLD_BLESS=1` the test writes it.

mod stories;

use std::path::{Path, PathBuf};
use std::time::Duration;

use freehold_lab::explore::run::{Kind, Runner};
use freehold_lab::explore::script::{self, Scenario};
use freehold_lab::explore::{Failing, Found, Options, hunt, tell};
use sim::explore::{Bounds, Ordered, Strategy};

/// What an old rule loses.
struct Row {
    /// Under `scenarios/`, without its suffix.
    scenario: &'static str,
    /// The rule that loses.
    policy: &'static str,
    /// What it was on Linux.
    history: &'static str,
    /// What is wrong then.
    says: &'static str,
    /// The decision that the story must tell of.
    decides: &'static str,
}

const MAPCOUNT: &str = "cow=mapcount";
const REFCOUNT: &str = "cow=refcount";

const LEAKED: &str = "nobody else has it (2 references, 1 mapping, 0 pins): written in place";
const LEAKED_CACHED: &str = "nobody else has it (3 references, 1 mapping, 0 pins): written in place";

const PIPE: &str = "CVE-2020-29374 (C-1). A child put a page into a pipe and unmapped it. The parent's \
    mapping was the only one then, so its next store was done in place, and the child read a secret out \
    of the pipe that was stored after the fork.";
const DIRECT_IO: &str = "O_DIRECT reads, 2020 to 2022 (C-3). The kernel had a reference to the page that the \
    device stored to. Something made the entry read-only meanwhile, the program stored to another part of \
    the page, and one reference too many meant a copy: the program went on with the copy, and what the \
    device stored was in a page that nobody had any more.";
const SWAPPED: &str = "The same by way of swap (C-4), until swap entries remembered exclusivity (5.19). \
    Reclaim unmapped a page that a device stored to; it came back from the swap cache, whose reference, too, \
    was one too many at the next store.";

const ROWS: &[Row] = &[
    Row {
        scenario: "cow/c-01-vmsplice-then-parent-writes",
        policy: MAPCOUNT,
        history: PIPE,
        says: "C loaded 2 at a[0] (through a reference)",
        decides: LEAKED,
    },
    Row {
        scenario: "cow/c-01-protected-and-unprotected-before",
        policy: MAPCOUNT,
        history: PIPE,
        says: "C loaded 2 at a[0] (through a reference)",
        decides: LEAKED,
    },
    Row {
        scenario: "cow/c-01-huge-page-in-a-pipe",
        policy: MAPCOUNT,
        history: PIPE,
        says: "C loaded 2 at a[5] (through a reference)",
        decides: LEAKED,
    },
    Row {
        scenario: "cow/c-01-swapped-out-before",
        policy: MAPCOUNT,
        history: PIPE,
        says: "C loaded 2 at a[0] (through a reference)",
        decides: LEAKED_CACHED,
    },
    Row {
        scenario: "cow/c-02-reference-from-before-fork",
        policy: MAPCOUNT,
        history: "The other way round (C-2): the parent had the page in a pipe from before the fork and \
            unmapped it, and read out of the pipe what its child stored.",
        says: "P loaded 2 at a[0] (through a reference)",
        decides: LEAKED,
    },
    Row {
        scenario: "cow/c-03-store-beside-direct-io",
        policy: REFCOUNT,
        history: DIRECT_IO,
        says: "P loaded 0 at a[0]+8",
        decides: "somebody else may see it (2 references, 1 mapping, 1 pin): copied",
    },
    Row {
        scenario: "cow/c-03-direct-io-by-reference",
        policy: REFCOUNT,
        history: DIRECT_IO,
        says: "P loaded 0 at a[0]+8",
        decides: "somebody else may see it (2 references, 1 mapping, 0 pins): copied",
    },
    Row {
        scenario: "cow/c-03-clear-refs-under-direct-io",
        policy: REFCOUNT,
        history: DIRECT_IO,
        says: "P loaded 0 at a[0]+8",
        decides: "somebody else may see it (2 references, 1 mapping, 0 pins): copied",
    },
    Row {
        scenario: "swap/c-04-swapped-out-under-a-reference",
        policy: REFCOUNT,
        history: SWAPPED,
        says: "P loaded 0 at a[0]+56",
        decides: "somebody else may see it (3 references, 1 mapping, 0 pins): copied",
    },
    Row {
        scenario: "swap/c-04-swapoff-under-a-reference",
        policy: REFCOUNT,
        history: SWAPPED,
        says: "P loaded 0 at a[0]+56",
        decides: "somebody else may see it (2 references, 1 mapping, 0 pins): copied",
    },
    Row {
        scenario: "cow/c-26-protect-toggled-under-references",
        policy: REFCOUNT,
        history: "No sharing was ever about, and yet (C-26): a page that a device has for long is copied \
            when its program takes its own right to store away and gives it back.",
        says: "(through a pin",
        decides: "somebody else may see it (3 references, 1 mapping, 1 pin): copied",
    },
];

impl Row {
    fn file(&self) -> String {
        format!("scenarios/{}.fhs", self.scenario)
    }
}

fn search(scenario: &Scenario, policy: &str) -> Found {
    let policy = policy.parse().expect("a policy");
    let bounds = Bounds { time: Some(Duration::from_secs(60)), ..Bounds::default() };
    let options =
        Options { strategy: Strategy::Exhaustive { preemptions: 2 }, ordered: Ordered::Sequential, bounds };
    hunt(&mut Runner::new(scenario).choosing(policy), &options, &mut |_| {})
}

#[test]
fn each_old_rule_loses_what_it_lost() {
    let mut text = HEAD.to_owned();
    for row in ROWS {
        let scenario = read(row);
        let failing = lost(row, &scenario);
        let story = stories::story((&row.file(), &scenario), &failing, decision);
        text += &format!("\n## `{}` under `{}`\n\n{}\n{story}", row.scenario, row.policy, history(row));
    }
    stories::compare(&repository().join("docs/old-rules.md"), &text);
}

/// The loss that the row speaks of.
fn lost(row: &Row, scenario: &Scenario) -> Failing {
    let Row { scenario: name, policy, says, decides, .. } = row;
    let failing = search(scenario, policy).failing.unwrap_or_else(|| panic!("{name} passes under {policy}"));
    let text = failing.failure.to_string();
    assert!(failing.failure.kind == Kind::WrongByte && text.contains(says), "{name}, {policy}: {text}");
    let story = tell(&failing.log, scenario.cpus.len());
    assert!(story.contains(decides), "{name}, {policy}: no {decides:?} in\n{story}");
    failing
}

/// Of the machine's events: what was decided about a store, without the numbers of frames.
fn decision(event: &str) -> Option<String> {
    let (_, decided) = event.strip_prefix("a store to page ")?.split_once(": ")?;
    Some(format!("the store: {decided}"))
}

fn history(row: &Row) -> String {
    row.history.split(' ').fold(String::new(), |text, word| {
        let column = text.len() - text.rfind('\n').map_or(0, |at| at + 1);
        let between = match column {
            0 => "",
            _ if column + 1 + word.len() > 108 => "\n",
            _ => " ",
        };
        text + between + word
    }) + "\n"
}

#[test]
fn exclusive_pages_lose_nothing() {
    for row in ROWS {
        let found = search(&read(row), "cow=exclusive");
        let failure = found.failing.map(|failing| failing.failure);
        assert!(failure.is_none(), "{}: {failure:?}", row.scenario);
    }
}

fn read(row: &Row) -> Scenario {
    let path = repository().join(row.file());
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    script::parse(&text).unwrap_or_else(|error| panic!("{}:{error}", path.display()))
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

const HEAD: &str = "\
# What the old rules of copy-on-write lose

Linux had two other rules before exclusive pages ([compare.md](compare.md)). Here is what each of them is
known to have lost, on the simulated machine: what it was, then what `freehold explore --policy ...` tells,
with the shortest schedule that was found and a column for each CPU. Under `cow=exclusive` all of these
scenarios pass.

`FREEHOLD_BLESS=1 cargo test -p freehold-lab --test old_rules` writes this file; without it the test compares.
";
