//! Scenarios and the documented table, from the rows.

use std::fmt::Write;

use super::kinds::Kind;
use super::row::{Case, Row};
use super::rows::rows;
use super::start::Start;

/// The scenario that tries a row with a kind of page.
pub fn scenario(row: &Row, case: &Case, kind: Kind) -> String {
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
    let stands = [words.map, &start(case.start, words.written), "set first = frame @\nset before = copies"];
    let stands = stands.join("\n");
    let sections = match case.during {
        "" => vec![("setup", stands + "\n" + &dedented(case.steps)), ("cpu 0", "set done = 1".into())],
        during => vec![
            ("setup", stands),
            ("cpu 0", "detach @ between away and back".into()),
            ("cpu 1", ["await away", &dedented(during), "signal back"].join("\n")),
            ("end", dedented(case.steps)),
        ],
    };
    let swaps = sections.iter().any(|(_, steps)| steps.contains("pageout") || steps.contains("evict"));
    for (name, steps) in sections {
        let _ = writeln!(text, "\n{name}:");
        let area = if swaps && name == "setup" { "swapon lz4 16 pages\n" } else { "" };
        let steps = format!("{area}{steps}")
            .replace('@', words.page)
            .replace("% ", words.size)
            .replace('$', words.twin);
        for line in steps.lines().filter(|line| !line.trim().is_empty()) {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
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
    let mut left_out = String::from(LEFT_OUT);
    for row in rows() {
        let Row { number, entry, exclusive, event, result, .. } = row;
        let tried = if row.cases.is_empty() { "not tried".into() } else { kinds_of(row) };
        let _ = writeln!(text, "| {number} | {entry} | {exclusive} | {event} | {result} | {tried} |");
        if !row.left_out.is_empty() {
            let _ = writeln!(left_out, "| {number} | {} |", row.left_out);
        }
    }
    text + &left_out
}

fn kinds_of(row: &Row) -> String {
    let mut names: Vec<_> = Vec::new();
    for kind in row.cases.iter().flat_map(Case::tried) {
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
it\". The table and its tests are made from `crates/lab/src/cow_table/rows/`: every row is tried with every
kind of page in the last column, by a generated scenario (`cargo test -p freehold-lab --test cow_table`; with
`FREEHOLD_BLESS=1` the test writes this file).

| row | entry | EX | event | result | tried with |
|---|---|---|---|---|---|
";

const LEFT_OUT: &str = "
## What is not tried, and why

| row | what, and why |
|---|---|
";
