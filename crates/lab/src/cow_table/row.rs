//! What a row is.

use super::kinds::Kind;
use super::start::Start;

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    /// Its number: those of the facts the project started from.
    pub number: u32,
    /// The entry before.
    pub entry: &'static str,
    /// Whether its page is exclusive: `yes`, `no`, `S` for "others may have it".
    pub exclusive: &'static str,
    /// What happens.
    pub event: &'static str,
    /// What comes of it.
    pub result: &'static str,
    /// How that is tried.
    pub cases: &'static [Case],
}

/// One way to try a row.
#[derive(Debug)]
pub struct Case {
    /// Which page of what.
    pub kinds: &'static [Kind],
    /// How the page stands before.
    pub start: Start,
    /// The event, and what must be so afterwards: steps of a scenario, indented alike. `@` is the page, `%`
    /// the size of its entry while nothing has split it.
    pub steps: &'static str,
}
