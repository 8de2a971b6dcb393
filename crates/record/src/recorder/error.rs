//! Why a program could not be recorded.

use std::io;

use thiserror::Error;

use crate::import::ImportError;

/// Why a program could not be recorded. The messages are one line each.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// No program was named.
    #[error("no program to record")]
    NoProgram,
    /// A tool cannot be used.
    #[error("{tool} cannot be used: {why}")]
    Tool {
        /// The tool.
        tool: &'static str,
        /// What is missing.
        why: String,
    },
    /// The program or a tool could not be run.
    #[error("cannot run {program}: {error}")]
    Run {
        /// What should have run.
        program: String,
        /// What went wrong.
        error: io::Error,
    },
    /// A file of the recorder's own cannot be written or read.
    #[error("scratch files: {0}")]
    Scratch(#[from] io::Error),
    /// The program did not run to its end under the tool.
    #[error("{tool} ended without running the program")]
    NotRun {
        /// The tool.
        tool: &'static str,
    },
    /// What the tool wrote cannot be read.
    #[error("{tool}'s output: {error}")]
    Output {
        /// The tool.
        tool: &'static str,
        /// What is wrong with it.
        error: ImportError,
    },
}
