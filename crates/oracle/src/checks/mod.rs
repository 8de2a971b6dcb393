//! The checkers, one file a group.

pub(crate) mod blocks;
mod entries;
pub(crate) mod files;
pub(crate) mod locks;
pub(crate) mod merged;
pub(crate) mod slabs;
pub(crate) mod spaces;
mod sums;
pub(crate) mod swap;
mod tables;
pub(crate) mod tlbs;
mod vmas;
