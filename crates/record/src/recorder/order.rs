//! What the recorder is asked for.

use std::path::PathBuf;

/// Which tool is to watch the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tool {
    /// `perf` if it works here, else `strace`.
    #[default]
    Auto,
    /// `perf`, or nothing.
    Perf,
    /// `strace`, or nothing.
    Strace,
}

/// What is to be recorded, and how.
#[derive(Clone, Debug)]
pub struct Order {
    /// The program and its arguments.
    pub program: Vec<String>,
    /// Which tool is to watch it.
    pub tool: Tool,
    /// How to start the helper: a command to which the helper's arguments are added.
    pub helper: Vec<PathBuf>,
}
