//! Scenarios and the documented table, from the rows.

use std::fmt::Write;

use super::kinds::Kind;
use super::row::{Case, Row};
use super::rows::ROWS;
use super::start::Start;

/// The scenario that tries a row with a kind of page; `None` where the kind cannot stand so.
pub fn scenario(row: &Row, case: &Case, kind: Kind) -> Option<String> {
    if !kind.can_be(case.start) {
        return None;
    }
    let words = kind.words();
    let (entry, event) = (row.entry, row.event);
    let mut text = format!(
        "title:  row {}, {}: {entry}, {event}\n\
         why:    {}\n\
         rules:  CR1, CR2\n\
         source: row {} of the copy-on-write table\n\
         breaks: {}\n{}\n",
        row.number,
        kind.name(),
        row.result,
        row.number,
        "what the row says",
        words.head,
    );
    let steps =
        [words.map, &start(case.start, words.written), "set first = frame @\nset before = copies"].join("\n");
    text += "setup:\n";
    let steps = steps + "\n" + &dedented(case.steps);
    let steps = steps.replace('@', words.page).replace("% ", words.size);
    for line in steps.lines().filter(|line| !line.trim().is_empty()) {
        let _ = writeln!(text, "    {line}");
    }
    text += "\ncpu 0:\n    set done = 1\n";
    Some(text)
}

/// Without the indentation that the first line has.
fn dedented(steps: &str) -> String {
    let first = steps.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let indent = first.len() - first.trim_start().len();
    steps.lines().map(|line| line.get(indent..).unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// How the page comes to stand so. `written` is done after its first store.
fn start(start: Start, written: &str) -> String {
    let gone = |child: &str| format!("fork {child}\nas {child}:\n    exit\nwait {child}");
    match start {
        Start::Untouched => String::new(),
        Start::Zero => "read @ = 0".into(),
        Start::Written => format!("write @ = 1\n{written}"),
        Start::Shared => format!("write @ = 1\n{written}\nfork C\nentry @ is % r shared"),
        Start::Last => format!("write @ = 1\n{written}\n{}\nentry @ is % r shared", gone("C")),
        Start::ReadOnly => {
            let pinned = "pin @ read as u\nunpin u\nentry @ is % r exclusive";
            format!("write @ = 1\n{written}\n{}\n{pinned}", gone("C1"))
        }
    }
}

/// `docs/cow-table.md`.
pub fn markdown() -> String {
    let mut text = String::from(HEAD);
    for row in ROWS {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            row.number,
            row.entry,
            row.exclusive,
            row.event,
            row.result,
            kinds_of(row)
        );
    }
    text
}

fn kinds_of(row: &Row) -> String {
    let mut names: Vec<_> = Vec::new();
    for kind in row.cases.iter().flat_map(|case| case.kinds) {
        if !names.contains(&kind.name()) {
            names.push(kind.name());
        }
    }
    names.join(", ")
}

const HEAD: &str = "\
# The copy-on-write table

What happens to an entry of private memory and to its page, event by event. EX says that the (sub)page, or
the swap or migration entry, is exclusive: its one mapping may write it without asking. S is \"others may have
it\". The table and its tests are made from `crates/lab/src/cow_table/rows.rs`: every row is tried with every
kind of page in the last column, by a generated scenario (`cargo test -p freehold-lab --test cow_table`; with
`FREEHOLD_BLESS=1` the test writes this file).

| row | entry | EX | event | result | tried with |
|---|---|---|---|---|---|
";
