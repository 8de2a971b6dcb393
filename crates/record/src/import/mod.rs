//! Other tools' records of a program's run, made into recordings.
//!
//! | source | gives | lacks |
//! |---|---|---|
//! | [`perf`] | calls with their times, every fault with its address, what exec built | touches |
//! | [`strace`] | calls with their times, limits, file calls; needs no privileges | faults, what exec built |
//!
//! An importer fills in what its source knows. The counts of Linux and the provenance beyond the
//! recorder's name come from whoever ran the tool: see [`recorder`](crate::recorder).

mod builder;
mod error;
mod lackey;
mod numbers;
pub mod perf;
pub mod strace;

pub(crate) use builder::{Builder, FileKey};
pub use error::ImportError;
pub(crate) use lackey::{Follower, More, Page, Source};
pub(crate) use numbers::decode_call;

/// How a foreign record is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The pid whose first exec starts the recording; by default the first exec of all does.
    pub root: Option<u32>,
    /// Where the sizes of mapped files come from.
    pub sizes: Sizes,
}

/// Where the sizes of mapped files come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sizes {
    /// From how much of them was mapped: right for records made on another machine.
    #[default]
    Mapped,
    /// From this machine's files, where they still exist.
    ThisMachine,
}
