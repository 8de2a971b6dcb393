//! What can be wrong with a foreign record.

use std::io;

use thiserror::Error;

use crate::Invalid;

/// Why a foreign record could not be imported. The messages are one line each.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is not a `perf.data` file, or a damaged one.
    #[error("perf.data: {0}")]
    Perf(String),
    /// It was made on a machine whose calls have other numbers.
    #[error("perf.data: made on {0}, only x86_64 is supported")]
    Architecture(String),
    /// A tracepoint's layout is not in it.
    #[error("perf.data: the layout of {event} has no field `{field}`")]
    Layout {
        /// The tracepoint.
        event: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A line of text cannot be understood.
    #[error("line {line}: {what}")]
    Line {
        /// The line's number, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The program never started.
    #[error("it holds no exec of the program")]
    NoExec,
    /// What was imported does not make sense.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}
