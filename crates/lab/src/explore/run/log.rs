//! What happened in a run, for its story.

use super::super::script::Place;

/// One line of a story.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// How many points, at which CPUs can meet, came before; 0 before and after the CPUs run together.
    pub step: u64,
    /// The CPU.
    pub cpu: u32,
    /// Its process, by name; none for the machine's own events.
    pub process: Option<String>,
    /// What it is.
    pub what: What,
}

/// What a line of a story tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// A step begins: its place in the file, and its words.
    Begins(Place, String),
    /// The CPU's step is over, and what it came to.
    Ends(Place, String),
    /// Something the machine told.
    Event(String),
}

/// Everything that was told, in the order in which it happened.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Log {
    /// The lines.
    pub entries: Vec<Entry>,
}
