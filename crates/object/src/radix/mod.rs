//! The index of one file's cached pages: a 64-way radix tree with marks, like Linux's xarray.
//!
//! Writers hold the file's cache lock. Readers hold nothing: nodes are type-stable (a freed node stays a
//! node), every slot says by its tag what it holds, and a page found is only a candidate until a reference
//! was taken and the slot and the page's owner were looked at again. A reader that stepped on a node freed
//! under it may miss a page: **a lockless miss is a hint**, and whoever acts on it looks again under the lock
//! (as inserting does).
//!
//! ```text
//! root ─ height 2 ─┬─ slot 0 ─ node: pages 0..64
//!                  └─ slot 3 ─ node: pages 192..256   bits: present | dirty | writeback, one bit a slot
//! ```

mod change;
mod find;
mod survey;

pub use change::{InsertError, Locked};
pub use survey::Visit;

use core::sync::atomic::Ordering::{Acquire, Release};
use frame::{Id, Slab};
use machine::{Cx, Field, Machine, Memory, Pfn, Word};

/// log2 of the slots of a node.
const SHIFT: u32 = 6;
const SLOTS: usize = 1 << SHIFT;
/// The most levels a tree has: 36 bits of index, what a descriptor can hold.
const HEIGHT_MAX: u32 = 6;
/// One past the largest index.
pub const INDEX_END: u64 = 1 << (SHIFT * HEIGHT_MAX);

/// What a node remembers of each slot. On upper levels: whether some page below has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    /// There is a page.
    Present = 0,
    /// The page has bytes its file has not.
    Dirty = 1,
    /// The page is being written to its file.
    Writeback = 2,
}

/// The marks that are taken away with a page.
const MARKS: [Mark; 3] = [Mark::Present, Mark::Dirty, Mark::Writeback];

machine::cells! {
    /// One node: 64 slots.
    pub struct Node {
        /// (cache lock for writing) Nothing, a page (lowest level) or a node; see [`Slot`].
        slots: [Word; SLOTS],
        /// (cache lock) One bit a slot, indexed by [`Mark`].
        marks: [Field<u64>; 3],
    }
}

machine::cells! {
    /// A tree. Zeroed memory is an empty one.
    pub struct Tree {
        /// (cache lock for writing) The root's number << 8, and the height; 0 without a root. One word, so
        /// that a lockless reader never pairs one root with another's height.
        root: Word,
    }
}

/// What a slot holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Slot {
    Empty,
    Page(Pfn),
    Node(Id<Node>),
}

impl Slot {
    fn encode(self) -> u64 {
        match self {
            Slot::Empty => 0,
            Slot::Page(pfn) => u64::from(pfn.0) << 2 | 1,
            Slot::Node(id) => u64::from(id.raw()) << 2 | 2,
        }
    }

    fn decode(bits: u64) -> Slot {
        match bits & 3 {
            1 => Slot::Page(Pfn((bits >> 2) as u32)),
            2 => Slot::Node(Id::from_raw((bits >> 2) as u32)),
            _ => Slot::Empty,
        }
    }
}

/// A root and the tree's height above the pages, at least 1.
#[derive(Clone, Copy)]
struct Root {
    node: Id<Node>,
    height: u32,
}

impl Root {
    /// One past the largest index a tree of this height can hold.
    fn end(self) -> u64 {
        1 << (SHIFT * self.height)
    }
}

impl Tree {
    fn root<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> Option<Root> {
        // ORDERING: Acquire pairs with the Release in `set_root`: the node's slots are seen as they were
        // linked.
        let bits = cx.load(&self.root, Acquire);
        (bits != 0).then(|| Root { node: Id::from_raw((bits >> 8) as u32), height: bits as u32 & 0xff })
    }

    fn set_root<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, root: Option<Root>) {
        let bits = root.map_or(0, |root| u64::from(root.node.raw()) << 8 | u64::from(root.height));
        // ORDERING: Release pairs with the Acquire in `root`.
        cx.store(&self.root, bits, Release);
    }
}

impl Node {
    fn slot<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, digit: usize) -> Slot {
        // ORDERING: Acquire pairs with the Release in `set`.
        Slot::decode(cx.load(&self.slots[digit], Acquire))
    }

    /// (cache lock) Fills or empties a slot.
    fn set<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, digit: usize, slot: Slot) {
        // ORDERING: Release pairs with the Acquire in `slot`: what the slot leads to is complete.
        cx.store(&self.slots[digit], slot.encode(), Release);
        let present = &self.marks[Mark::Present as usize];
        match slot {
            Slot::Empty => present.set(present.get() & !(1 << digit)),
            _ => present.set(present.get() | 1 << digit),
        }
    }

    fn marks(&self, mark: Mark) -> u64 {
        self.marks[mark as usize].get()
    }
}

/// Which slot of the node at `level` (1 is the lowest) leads to the index.
fn digit(index: u64, level: u32) -> usize {
    (index >> (SHIFT * (level - 1))) as usize & (SLOTS - 1)
}

/// The slab all trees take their nodes from.
pub type Nodes<'m, M> = Slab<'m, M, Node>;
