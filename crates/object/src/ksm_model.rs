//! What merging remembers.

use crate::exclusive::AnonCtx;
use crate::model::Lineage;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use frame::{Id, Slab};
use machine::{Boot, Cx, Field, FieldValue, Machine, Memory, Pfn, Shortage, Vpn, Word};

machine::cells! {
    /// A page that others may be merged with. In one of the trees, or in no tree while it is made.
    pub struct Node {
        /// (scan) The hash of its bytes.
        pub(crate) hash: Field<u64>,
        /// (scan) Nodes below: those whose hash has the bit of this depth clear, and set.
        pub(crate) below: [Field<Option<Id<Node>>>; 2],
        /// (scan) The next node of the same hash: other contents, or a merged page that has enough mappings.
        pub(crate) same: Field<Option<Id<Node>>>,
        /// Stable nodes: the merged page, by its frame. Who scans says which it is; who moves it, under its
        /// lock, says where it is then. Whether it still is one is for the page to say.
        frame: Word,
        /// (page) Stable nodes: where the page is mapped. Candidates: unused.
        pub(crate) items: Field<Option<Id<Item>>>,
        /// (page) How many items there are.
        pub(crate) count: Field<u64>,
        /// (scan) Candidates: the address space, by a number of the caller's, and the page.
        place: Field<u64>,
    }
}

const _: () = assert!(size_of::<Node>() == 64, "a node fits a line");

/// Bits of a page number in user space.
const PAGE_BITS: u32 = 36;

impl Node {
    /// Stable nodes: the merged page.
    pub(crate) fn frame<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> Option<Pfn> {
        // ORDERING: Acquire pairs with the Release in `set_frame`.
        FieldValue::from_bits(cx.load(&self.frame, Acquire))
    }

    /// Stable nodes: says which frame the merged page is in.
    pub(crate) fn set_frame<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, pfn: Pfn) {
        // ORDERING: Release pairs with the Acquire in `frame`: who finds the frame finds what names the node.
        cx.store(&self.frame, Some(pfn).to_bits(), Release);
    }

    /// The merged page, on a quiet machine.
    pub(crate) fn quiet_frame(&self) -> Option<Pfn> {
        FieldValue::from_bits(self.frame.raw().load(Relaxed))
    }

    /// Candidates: where the page is.
    pub(crate) fn place(&self) -> (u64, Vpn) {
        let place = self.place.get();
        (place >> PAGE_BITS, Vpn(place & ((1 << PAGE_BITS) - 1)))
    }

    /// Candidates: says where the page is.
    pub(crate) fn set_place(&self, (space, page): (u64, Vpn)) {
        debug_assert!(
            space >> (u64::BITS - PAGE_BITS) == 0 && page.0 >> PAGE_BITS == 0,
            "the place is too large"
        );
        self.place.set(space << PAGE_BITS | page.0);
    }
}

machine::cells! {
    /// A place that a merged page stands for. All fields: (page).
    pub struct Item {
        pub(crate) lineage: Field<Option<Id<Lineage>>>,
        pub(crate) index: Field<u64>,
        pub(crate) next: Field<Option<Id<Item>>>,
    }
}

impl Item {
    /// The place.
    pub fn place(&self) -> Option<AnonCtx> {
        self.lineage.get().map(|lineage| AnonCtx { lineage, index: self.index.get() })
    }
}

/// How many bits of a hash say where a way down begins.
pub(crate) const ROOT_BITS: u32 = 9;
/// How many ways down there are: a frame of them.
const ROOTS: usize = 1 << ROOT_BITS;

machine::cells! {
    /// The nodes of a tree. Zeroed memory is an empty one.
    pub struct Tree {
        /// (scan) Where the ways down begin, by the highest bits of the hash.
        pub(crate) roots: [Field<Option<Id<Node>>>; ROOTS],
        /// (scan) Below this one there is nothing.
        pub(crate) first: Field<u64>,
        /// (scan) How many nodes there are, those in chains among them.
        pub(crate) count: Field<u64>,
    }
}

machine::cells! {
    /// What all CPUs share.
    pub(crate) struct Shared {
        /// (scan) Merged pages.
        pub(crate) stable: Tree,
        /// (scan) Candidates of this pass.
        pub(crate) unstable: Tree,
        /// (statistic) Entries of zeros that took the place of pages of zeros.
        pub(crate) zero_pages: Field<u64>,
    }
}

/// What merging needs of boot memory.
pub struct KsmSlabs<'m, M: Machine> {
    nodes: Slab<'m, M, Node>,
    items: Slab<'m, M, Item>,
    shared: &'m Shared,
}

impl<'m, M: Machine> KsmSlabs<'m, M> {
    /// Nothing merged.
    pub fn new(boot: &Boot<'m, M>) -> Result<Self, Shortage> {
        Ok(KsmSlabs {
            nodes: Slab::new(boot)?,
            items: Slab::new(boot)?,
            shared: &boot.array::<Shared>(1)?[0],
        })
    }
}

/// The merged pages of a machine, and those that may become some.
pub struct Ksm<'m, M: Machine> {
    pub(crate) nodes: Slab<'m, M, Node>,
    pub(crate) items: Slab<'m, M, Item>,
    pub(crate) shared: &'m Shared,
}

impl<'m, M: Machine> Ksm<'m, M> {
    pub(crate) fn new(slabs: KsmSlabs<'m, M>) -> Self {
        let KsmSlabs { nodes, items, shared } = slabs;
        Ksm { nodes, items, shared }
    }

    /// A node.
    pub(crate) fn node(&self, id: Id<Node>) -> &'m Node {
        self.nodes.get(id)
    }
}

/// How a page looks that may be merged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Sight {
    /// It has not changed since the last pass; the hash of its bytes.
    Settled(u64),
    /// It has, or was not seen before: another time.
    Changed,
    /// It is a merged page.
    Merged,
    /// It cannot be merged now: it is large, swapped, locked by somebody, or was looked at in this pass.
    Unfit,
}

/// How much is merged, at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Totals {
    /// Merged pages (Linux: `pages_shared`).
    pub shared: u64,
    /// Mappings of them beyond the first (Linux: `pages_sharing`): frames saved.
    pub sharing: u64,
    /// Candidates: looked at, and nothing equal found (Linux: `pages_unshared`).
    pub unshared: u64,
    /// Mappings of the page of zeros in the place of merged ones (Linux: `ksm_zero_pages`).
    pub zero_pages: u64,
    /// Contents that have several merged pages, for one has enough mappings (Linux: `stable_node_chains`).
    pub chains: u64,
    /// The merged pages of such contents (Linux: `stable_node_dups`).
    pub dups: u64,
}
