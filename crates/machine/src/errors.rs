//! What can go wrong on the lowest floor.

use crate::{NodeId, NodeSet, Order};

/// Memory could not be had. An ordinary error: the operation that meets it has changed nothing visible, and
/// whoever catches it (floor 7, `balance`) holds no lock, reclaims, and starts the operation again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Shortage {
    /// Order of the block that was wanted.
    pub order: Order,
    /// Node it was wanted from first.
    pub node: NodeId,
    /// Nodes it might have come from.
    pub nodes: NodeSet,
}

impl core::fmt::Display for Shortage {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "no free block of order {} (node {})", self.order.0, self.node.0)
    }
}

impl core::error::Error for Shortage {}

/// A [`crate::Backing`] could not read or write a page (Linux's `EIO`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IoError;

impl core::fmt::Display for IoError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("input/output error")
    }
}

impl core::error::Error for IoError {}

/// Compressed bytes are not what was stored (see [`crate::Machine::decompress`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Corrupt;

impl core::fmt::Display for Corrupt {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("compressed bytes are damaged")
    }
}

impl core::error::Error for Corrupt {}
