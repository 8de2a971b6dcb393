//! Chores of the project, one module a command, and the checks behind `cargo xtask tidy`.
//!
//! The checks are functions from a [`source::Workspace`] to a list of [`source::Problem`]s. They see the
//! sources only as text, so that a test can plant a violation in a workspace of two files that never touches
//! the disk.
#![forbid(unsafe_code)]

pub mod check;
pub mod ci;
pub mod link;
pub mod modules;
pub mod run;
pub mod setup;
pub mod soak;
pub mod source;
pub mod test;
pub mod tidy;
pub mod tokens;
