//! Rings with fixed buffers: pages that are pinned once, for many operations (Linux: `io_uring`'s
//! `IORING_REGISTER_BUFFERS`).

use frame::Id;
use machine::lock::Spin;
use machine::{Field, level};
use object::Held;

/// Buffers a ring has at most. (Linux: 16,384, in memory that grows with them.)
pub const RING_BUFFERS: usize = 16;
/// Pages that one object of a buffer's list has.
pub(crate) const CHUNK_PAGES: usize = 62;

machine::cells! {
    /// A ring, in a slab.
    pub struct Ring {
        /// Covers who registers and unregisters; a buffer does not change while it is registered.
        pub(crate) lock: Spin<{ level::REGISTRY }>,
        /// (ring) How many buffers there are; [`REGISTERING`] while somebody is at it.
        pub(crate) buffers: Field<u64>,
        /// (ring) Pages pinned for them all.
        pub(crate) pages: Field<u64>,
        /// (ring) Where each starts in its first page, and, 16 bits higher, how many bytes it has.
        pub(crate) bytes: [Field<u64>; RING_BUFFERS],
        /// (ring) The pages of each.
        pub(crate) first: [Field<Option<Id<Chunk>>>; RING_BUFFERS],
    }
}

machine::cells! {
    /// Some of the pages of a buffer, in a slab.
    pub struct Chunk {
        /// (ring) The pages that follow.
        pub(crate) next: Field<Option<Id<Chunk>>>,
        /// (ring) The pages.
        pub(crate) held: [Field<Held>; CHUNK_PAGES],
    }
}

/// Somebody registers or unregisters buffers.
pub(crate) const REGISTERING: u64 = u64::MAX;
