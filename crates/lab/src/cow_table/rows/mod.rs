//! The rows.

mod leave;
mod merge;
mod touch;

use super::kinds::Kind::{self, ByPages, FileCopy, Huge, Many, Moved, Plain, Returned};
use super::row::Row;

/// Every kind that has base pages of its own.
const SMALL: &[Kind] = &[Plain, Moved, FileCopy, Returned];
/// Pages of 2 MiB.
const LARGE: &[Kind] = &[Huge, ByPages];
/// Every kind that is about one page.
const ALL: &[Kind] = &[Plain, Moved, FileCopy, Returned, Huge, ByPages];
/// What can be merged.
const MERGED: &[Kind] = &[Plain, Moved, FileCopy, Returned];
/// A table full of entries.
const PAGES: &[Kind] = &[Many, ByPages];

/// The table, by number.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    [touch::ROWS, leave::ROWS, merge::ROWS].into_iter().flatten()
}
