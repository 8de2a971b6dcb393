//! How large scenarios may be. A scenario is small: what it is about must be seen at a glance.

/// Bytes of a file.
pub const FILE_BYTES: usize = 64 << 10;
/// CPUs.
pub(super) const CPUS: u64 = 8;
/// Nodes.
pub(super) const NODES: u64 = 4;
/// Mebibytes of memory.
pub(super) const MEMORY_MIB: u64 = 1024;
/// Characters of a name.
pub(super) const NAME: usize = 24;
/// Names of one kind.
pub(super) const NAMES: usize = 64;
/// Pages of a region or of a file.
pub(super) const PAGES: u64 = 16_384;
/// Rounds of a `repeat`.
pub(super) const ROUNDS: u64 = 10_000;
/// Blocks within blocks.
pub(super) const DEPTH: usize = 6;
/// Terms within terms of an expression.
pub(super) const TERMS: usize = 32;
