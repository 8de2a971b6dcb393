//! The table of costs is made, and tells what it should.
#![forbid(unsafe_code)]

#[path = "../examples/costs/bench.rs"]
mod bench;
#[path = "../examples/costs/copies.rs"]
mod copies;
#[path = "../examples/costs/forks.rs"]
mod forks;
#[path = "../examples/costs/large.rs"]
mod large;
#[path = "../examples/costs/merging.rs"]
mod merging;
#[path = "../examples/costs/moving.rs"]
mod moving;
#[path = "../examples/costs/pins.rs"]
mod pins;
#[path = "../examples/costs/rows.rs"]
mod rows;
#[path = "../examples/costs/tables.rs"]
mod tables;

use rows::{Row, Sizes, Table};

const SMALL: Sizes = Sizes { pages: 32, fork_mib: 8 };

fn made(sizes: &Sizes) -> Vec<Table> {
    tables::all(sizes).expect("tables")
}

fn row<'a>(table: &'a Table, what: &str) -> &'a Row {
    table.rows.iter().find(|row| row.what == what).unwrap_or_else(|| panic!("no row {what}"))
}

/// Time of the processor of one, in ns.
fn time(row: &Row) -> u64 {
    row.cost.cpu() / row.times.max(1)
}

fn each(table: &Table, what: &str) -> u64 {
    time(row(table, what))
}

#[test]
fn equal_runs_cost_the_same_and_every_row_costs_something() {
    let [one, two] = [made(&SMALL), made(&SMALL)];
    assert_eq!(one, two);
    assert!(one.iter().all(|table| table.rows.iter().all(|row| time(row) > 0)));
    rows::print(&one).expect("printed");
}

#[test]
fn what_is_copied_costs_more_than_what_is_not() {
    let copies = copies::table(&SMALL).expect("a table");
    let in_place = each(&copies, "exclusive, entry read-only: written in place");
    let copied = each(&copies, "shared with a child: copied");
    assert!(in_place * 3 / 2 < copied, "{in_place}, {copied}");
    // All but the way into the kernel and back.
    assert!((in_place - 250) * 3 < copied - 250, "{in_place}, {copied}");
    let pins = pins::table(&SMALL).expect("a table");
    let fast = each(&pins, "pin to write, exclusive page, without a lock");
    assert!(fast < each(&pins, "pin to write, exclusive page, under its table's lock"));
    assert!(each(&pins, "pin to read, page shared with a child: copied first") > 5 * fast);
}

#[test]
fn fork_touches_what_it_must_change_and_no_more() {
    let small = forks::table(&SMALL).expect("a table");
    let large = forks::table(&Sizes { fork_mib: 16, ..SMALL }).expect("a table");
    let words = |table: &Table, what| row(table, what).cost.words;
    for nothing in [
        "text of a file, all of it mapped: fork",
        "shared memory, all of it mapped: fork",
        "private memory, MADV_DONTFORK: fork",
    ] {
        assert_eq!(words(&small, nothing), words(&large, nothing), "{nothing}");
        assert!(words(&large, nothing) < 100, "{nothing}");
    }
    let (by_page, by_2_mib) = (each(&large, "4 KiB pages: fork"), each(&large, "2 MiB pages: fork"));
    assert!(by_2_mib * 10 < by_page, "{by_2_mib}, {by_page}");
    // One step on a folio's counts for many entries.
    let by_run = each(&large, "2 MiB folios, mapped by 4 KiB entries: fork");
    assert!(by_run * 3 / 2 < by_page, "{by_run}, {by_page}");
}
