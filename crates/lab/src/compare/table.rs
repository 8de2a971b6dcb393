//! The figures side by side.

use super::column::Column;
use crate::replay::{SECTIONS, grouped};
use serde_json::Value;

/// A row of the table.
struct Row {
    /// Where its figure is in the report.
    place: &'static str,
    title: &'static str,
    unit: Unit,
    shown: Shown,
}

/// What is counted.
enum Unit {
    Count,
    /// Nanoseconds, shown as microseconds.
    Micros,
}

/// When a row is shown.
#[derive(PartialEq, Eq)]
enum Shown {
    Always,
    IfAny,
}

const fn always(place: &'static str, title: &'static str) -> Row {
    Row { place, title, unit: Unit::Count, shown: Shown::Always }
}

const fn if_any(place: &'static str, title: &'static str) -> Row {
    Row { place, title, unit: Unit::Count, shown: Shown::IfAny }
}

const ROWS: &[Row] = &[
    always("/faults/total", "faults"),
    if_any("/faults/anon", "  first stores to anonymous memory"),
    if_any("/faults/zero_page", "  first loads of it"),
    if_any("/faults/file_read", "  loads of file pages"),
    if_any("/faults/file_cow", "  stores to private file pages"),
    if_any("/faults/file_shared", "  stores to shared file pages"),
    if_any("/faults/write_protect", "  stores to write-protected pages"),
    if_any("/faults/spurious", "  resolved by somebody else"),
    if_any("/faults/major", "  that waited for a file"),
    if_any("/faults/segv", "  answered with SIGSEGV"),
    if_any("/faults/bus", "  answered with SIGBUS"),
    always("/cow/copied", "private pages copied"),
    always("/cow/needless", "  that nobody else could see"),
    always("/cow/reused", "private pages written in place"),
    always("/tlb/flush_rounds", "flush rounds"),
    always("/tlb/ipis", "interrupts of other CPUs"),
    Row { place: "/sim_ns", title: "simulated time, us", unit: Unit::Micros, shown: Shown::Always },
    always("/memory/peak_kib", "memory in use at its peak, KiB"),
    always("/rss/peak_kib", "resident sets at their peak, KiB"),
    always("/page_tables/peak_kib", "page tables at their peak, KiB"),
    if_any("/signals", "accesses that got a signal"),
    if_any("/killed", "processes killed"),
    if_any("/calls/different", "calls answered as Linux did not"),
    always("/audit/violations", "rules broken"),
    always("/shadow/mismatches", "loads that read something else"),
];

/// What is shown where a replay stopped.
const NOTHING: &str = "-";

impl Row {
    fn cell(&self, column: &Column) -> String {
        let Some(figure) = column.figure(self.place) else { return NOTHING.into() };
        grouped(match self.unit {
            Unit::Count => figure,
            Unit::Micros => figure / 1000,
        })
    }

    fn is_shown(&self, columns: &[Column]) -> bool {
        self.shown == Shown::Always || columns.iter().any(|column| column.figure(self.place) > Some(0))
    }
}

/// The table, a line for each row.
pub(super) fn table(columns: &[Column]) -> String {
    let mut rows: Vec<(String, Vec<String>)> = vec![(String::new(), names(columns))];
    for row in ROWS.iter().filter(|row| row.is_shown(columns)) {
        rows.push((row.title.into(), columns.iter().map(|column| row.cell(column)).collect()));
    }
    rows.extend(section_rows(columns));
    aligned(&rows)
}

/// Counters and peaks of parts that some column used, under Linux's names.
fn section_rows(columns: &[Column]) -> Vec<(String, Vec<String>)> {
    let mut rows = Vec::new();
    for section in SECTIONS {
        for (place, unit) in [("vmstat", ""), ("peaks", " at its peak")] {
            for name in names_in(columns, place).filter(|name| section.has(name)) {
                let figure = |column: &Column| column.report()?[place].get(name).and_then(Value::as_u64);
                if columns.iter().all(|column| figure(column).unwrap_or(0) == 0) {
                    continue;
                }
                let cell = |column: &Column| figure(column).map_or_else(|| NOTHING.into(), grouped);
                let title = format!("{}: {name}{unit}", section.title);
                rows.push((title, columns.iter().map(cell).collect()));
            }
        }
    }
    rows
}

/// What is counted in a part of the reports.
fn names_in<'a>(columns: &'a [Column], place: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let report = columns.iter().find_map(Column::report);
    let part = report.and_then(|report| report[place].as_object());
    part.into_iter().flat_map(|all| all.keys()).map(String::as_str)
}

fn aligned(rows: &[(String, Vec<String>)]) -> String {
    let title = rows.iter().map(|(title, _)| title.len()).max().unwrap_or(0);
    let columns = rows.first().map_or(0, |(_, cells)| cells.len());
    let width = |column: usize| rows.iter().map(|(_, cells)| cells[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (name, cells) in rows {
        text += &format!("{name:<title$}");
        for (cell, width) in cells.iter().zip(&widths) {
            text += &format!("  {cell:>width$}");
        }
        text.push('\n');
    }
    text
}

fn names(columns: &[Column]) -> Vec<String> {
    columns.iter().map(|column| column.policy.clone()).collect()
}
