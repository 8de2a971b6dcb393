//! Why a scenario file was refused.

use std::fmt;

/// What is wrong, and where: lines and columns count from 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScriptError {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
    /// What is wrong, in one line.
    pub message: String,
}

impl ScriptError {
    pub(super) fn new(line: u32, column: u32, message: impl Into<String>) -> Self {
        ScriptError { line, column, message: message.into() }
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ScriptError {}
