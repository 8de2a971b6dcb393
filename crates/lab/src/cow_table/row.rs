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
    /// What is not tried, and why.
    pub left_out: &'static str,
}

/// One way to try a row.
#[derive(Debug)]
pub struct Case {
    /// Which page of what.
    pub kinds: &'static [Kind],
    /// How the page stands before.
    pub start: Start,
    /// What another CPU does while the page's mappings are migration entries; nothing if it is not about
    /// these. Steps of a scenario, indented alike. `@` is the page, `%` the size of its entry while nothing
    /// has split it, `$` makes a twin of its region.
    pub during: &'static str,
    /// The event, if there is no `during`, and what must be so afterwards.
    pub steps: &'static str,
}

impl Row {
    /// Nothing, to be filled in.
    pub(super) const NONE: Row =
        Row { number: 0, entry: "", exclusive: "", event: "", result: "", cases: &[], left_out: "" };
}

impl Case {
    /// These steps, with each of these kinds that can stand so.
    pub(super) const fn new(kinds: &'static [Kind], start: Start, steps: &'static str) -> Case {
        Case { kinds, start, during: "", steps }
    }

    /// The page's mappings become migration entries; another CPU does its part; they come back.
    pub(super) const fn moving(
        kinds: &'static [Kind],
        start: Start,
        during: &'static str,
        steps: &'static str,
    ) -> Case {
        Case { kinds, start, during, steps }
    }

    /// The kinds it is tried with.
    pub fn tried(&self) -> impl Iterator<Item = Kind> + '_ {
        self.kinds.iter().copied().filter(|kind| kind.can_be(self.start))
    }
}
