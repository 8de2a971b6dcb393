//! Planted bugs: steps that a test can have left out, to see that a judge notices.
//!
//! The manager asks [`crate::Cx::planted`] where a step of a protocol could be forgotten. Ordinary machines
//! answer no at compile time, so the question costs nothing; the simulated machine answers yes to the one bug
//! that a test planted in it. `docs/judges.md` tells what catches each.

/// A bug that can be planted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Plant {}
