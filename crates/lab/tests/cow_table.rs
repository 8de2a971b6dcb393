//! Each row of the copy-on-write table, with each kind of page, ends in the state that the row names; and the
//! documented table is made from the same rows.

use std::path::Path;

use freehold_lab::cow_table::{markdown, rows, scenario};
use freehold_lab::explore::run::{Failure, Runner};
use freehold_lab::explore::{Options, hunt, script};
use sim::explore::{Bounds, Ordered, Strategy};

#[test]
fn every_row_ends_in_its_state() {
    let (mut tried, mut wrong) = (0, Vec::new());
    for row in rows() {
        let before = tried;
        for (case, kind) in row.cases.iter().flat_map(|case| case.tried().map(move |kind| (case, kind))) {
            let text = scenario(row, case, kind);
            tried += 1;
            if let Some(failure) = failure_of(&text) {
                wrong.push(format!("row {}, {}: {failure}\n{text}", row.number, kind.name()));
            }
        }
        assert!(tried > before || !row.left_out.is_empty(), "row {} is not tried", row.number);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{tried} cases of {} rows", rows().count());
}

fn failure_of(text: &str) -> Option<Failure> {
    let parsed = script::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let strategy = Strategy::Exhaustive { preemptions: 1 };
    let bounds = Bounds { schedules: 200, ..Bounds::default() };
    let options = Options { strategy, ordered: Ordered::Sequential, bounds };
    hunt(&mut Runner::new(&parsed), &options, &mut |_| {}).failing.map(|failing| failing.failure)
}

#[test]
fn the_27_rows_are_there_in_order() {
    assert!(rows().map(|row| row.number).eq(1..=27));
}

#[test]
fn the_documented_table_is_made_from_the_rows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cow-table.md");
    if std::env::var_os("FREEHOLD_BLESS").is_some() {
        std::fs::write(&path, markdown()).expect("docs/cow-table.md can be written");
    }
    let text = std::fs::read_to_string(&path).expect("docs/cow-table.md");
    assert!(text == markdown(), "docs/cow-table.md is old: run this test with FREEHOLD_BLESS=1");
}
