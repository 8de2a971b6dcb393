//! The rows.

mod leave;
mod merge;
mod touch;

use super::row::Row;

/// The table, by number.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    [touch::ROWS, leave::ROWS, merge::ROWS].into_iter().flatten()
}
