//! Parts of a space's layout that are changed without its lock: granules of one GiB.
//!
//! A space begins with one tree of VMAs under one lock, the layout lock. Where tasks wait for that lock
//! although they work in different granules, the space gets [`Granules`]: for each a lock, a *tree of
//! its own* and its own counts, all on one line. Then `mmap` at a fixed address and `munmap` of what was
//! mapped so take the lock of their granule only, and change its tree only. Two of them in different
//! granules meet nowhere.
//!
//! * A VMA is in the tree of a granule only if it lies in the granule and ends before the granule does,
//!   and is plain: private, writable, anonymous, not locked, no stack. All others are in the space's own
//!   tree.
//! * Whoever has the **whole** layout (its lock, then those of all open granules, in order) changes all
//!   trees. Everything but those two operations takes the whole, and first moves the VMAs of granules
//!   into the space's own tree (`Layout::gather`). So no other operation knows of granules. Those two, if
//!   they must take the whole, move the VMAs of their granule only: the others stay divided.
//! * Who has the lock of one open granule may rely on the space's own tree: only who has the whole
//!   changes it. An operation that touches a VMA of it, or one beside it, takes the whole.
//! * Granules are opened and closed by who has the whole (`Space::open`): a granule that is not open
//!   is not locked by them, so who finds it closed, with its lock held, goes away again.
//!
//! The number of locks is fixed: several GiB share one, and a tree.

use crate::stamp_block::StampBlock;
use crate::tree::Tree;
use crate::vma::VmaFlags;
use machine::lock::Sleep;
use machine::{Field, Vpn, VpnRange, level};

/// How many granules can be told apart.
pub(crate) const GRANULES: usize = 64;
/// Holders of the whole that come by before a granule that nobody uses is closed.
const PATIENCE: u64 = 1000;
/// Pages of a granule: 1 GiB.
pub(crate) const PAGES: u64 = 1 << 18;

machine::cells! {
    /// One granule: a line.
    #[repr(align(64))]
    pub(crate) struct Granule {
        /// Covers the rest.
        pub(crate) lock: Sleep<{ level::LAYOUT }>,
        /// (granule; read inside an epoch) Its VMAs.
        pub(crate) tree: Tree,
        /// (granule) Pages of its VMAs, since the whole was last held (wrapping).
        pub(crate) pages: Field<u64>,
        /// (granule) Pages committed for them since then (wrapping).
        pub(crate) committed: Field<u64>,
        /// (granule) Stamps that are its own.
        pub(crate) stamps: StampBlock,
        /// (granule) How often the whole may be held until the granule is closed.
        pub(crate) patience: Field<u64>,
        /// (granule) Ranges unmapped.
        pub(crate) unmapped: Field<u64>,
    }
}

machine::cells! {
    /// The granules of one space, in a slab.
    pub(crate) struct Granules {
        pub(crate) all: [Granule; GRANULES],
    }
}

const _: () = assert!(size_of::<Granule>() == 64);

/// The granule of a page, as a number of its GiB.
pub(crate) fn number(page: Vpn) -> u64 {
    page.0 / PAGES
}

/// The lock that a page's granule has.
pub(crate) fn slot(page: Vpn) -> usize {
    (number(page) % GRANULES as u64) as usize
}

/// Whether a range lies in one granule, and ends before it does.
pub(crate) fn is_narrow(range: VpnRange) -> bool {
    !range.is_empty() && number(range.start) == number(range.end)
}

/// Whether VMAs of these flags may be in a granule's tree.
pub(crate) fn is_plain(flags: VmaFlags) -> bool {
    let odd = [
        VmaFlags::SHARED,
        VmaFlags::EXEC,
        VmaFlags::GROWS_DOWN,
        VmaFlags::LOCKED,
        VmaFlags::LOCK_ON_FAULT,
        VmaFlags::MERGEABLE,
    ];
    flags.contains(VmaFlags::WRITE) && odd.into_iter().all(|flag| !flags.contains(flag))
}

impl Granule {
    /// The granule is used.
    pub(crate) fn note_use(&self) {
        if self.patience.get() != PATIENCE {
            self.patience.set(PATIENCE);
        }
    }
}
