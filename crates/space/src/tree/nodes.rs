//! Where nodes come from, and the nodes an operation reserves before it starts.

use super::node::{INNER_ROWS, LEAF_ROWS, Node};
use super::{Tree, version};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use frame::{Frames, Id, Slab};
use machine::{Boot, Cx, Machine, Memory, Shortage, Word, level};

/// The nodes of all trees of one kind.
///
/// A node that is freed may be reused at once, by any tree, under the eyes of a reader that still looks at
/// it. So a version must never come back: a node's new life starts above the highest version any node died
/// with.
pub struct Nodes<'m, M: Machine> {
    pub(super) slab: Slab<'m, M, Node>,
    /// At least the version of every dead node; even.
    highest_dead: Word,
}

impl<'m, M: Machine> Nodes<'m, M> {
    /// No nodes yet.
    pub fn new(boot: &Boot<'m, M>) -> Result<Self, Shortage> {
        Ok(Nodes { slab: Slab::new(boot)?, highest_dead: Word::new(0) })
    }

    /// How many nodes are in use, in trees or reserved.
    pub fn in_use(&self) -> u64 {
        self.slab.in_use()
    }

    #[inline]
    pub(super) fn get(&self, raw: u32) -> &'m Node {
        #[cfg(test)]
        super::tests::count_visit();
        self.slab.get(Id::from_raw(raw))
    }

    /// A node in the making: its version is odd. Whoever links it ends the change.
    fn alloc(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        frames: &Frames<'m, M>,
    ) -> Result<u32, Shortage> {
        let raw = self.slab.alloc(cx, frames)?.raw();
        // ORDERING: Acquire pairs with the Release in `free`. (What this node itself died with is seen in any
        // case: the slab's lock passed it on.)
        let born = cx.load(&self.highest_dead, Acquire) + 1;
        let node = self.slab.get(Id::from_raw(raw));
        // RELAXED: the fence orders it.
        cx.store(&node.version, born, Relaxed);
        // ORDERING: as in `version::begin`: a reader of an earlier life who reads what is written from here
        // on sees that the version rose.
        cx.fence(Release);
        Ok(raw)
    }

    /// Gives a dead node back. Its version is odd.
    pub(super) fn free(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, raw: u32) {
        let id = Id::from_raw(raw);
        // RELAXED: the only writer reads its own store.
        let died = cx.load(&self.slab.get(id).version, Relaxed);
        debug_assert!(!died.is_multiple_of(2), "a node dies unchanged");
        self.raise(cx, died + 1);
        self.slab.free(cx, id);
    }

    fn raise<const L: u8>(&self, cx: &Cx<'_, M, L>, version: u64) {
        // RELAXED: the compare-exchange decides.
        let mut highest = cx.load(&self.highest_dead, Relaxed);
        while highest < version {
            // ORDERING: Release pairs with the Acquire in `alloc`.
            match cx.compare_exchange(&self.highest_dead, highest, version, Release) {
                Ok(_) => return,
                Err(now) => highest = now,
            }
        }
    }

    /// Reserves what `inserts` insertions into the tree may need, whatever is removed between them.
    pub fn reserve(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        frames: &Frames<'m, M>,
        tree: &Tree,
        inserts: u32,
    ) -> Result<Reserve, Shortage> {
        // An insertion adds at most a node a level, and a root. While it is going on the tree grows by a
        // level, and by a further one every time the insertions have filled a root.
        let levels = u32::from(tree.height(cx)) + 1 + (inserts | 1).ilog2() / 3;
        self.take(cx, frames, u64::from(inserts) * u64::from(levels))
    }

    /// Reserves exactly what a [`super::Builder`] needs for `ranges` ranges.
    pub fn reserve_build(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        frames: &Frames<'m, M>,
        ranges: u64,
    ) -> Result<Reserve, Shortage> {
        let mut level = ranges.div_ceil(LEAF_ROWS as u64);
        let mut nodes = level;
        while level > 1 {
            level = level.div_ceil(INNER_ROWS as u64);
            nodes += level;
        }
        self.take(cx, frames, nodes)
    }

    fn take(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        frames: &Frames<'m, M>,
        nodes: u64,
    ) -> Result<Reserve, Shortage> {
        let mut reserve = Reserve::default();
        for _ in 0..nodes {
            match self.alloc(cx, frames) {
                Ok(raw) => reserve.push(self, raw),
                Err(shortage) => {
                    self.give_back(cx, reserve);
                    return Err(shortage);
                }
            }
        }
        Ok(reserve)
    }

    /// Gives back what an operation did not use.
    pub fn give_back(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, mut reserve: Reserve) {
        while let Some(raw) = reserve.pop(self) {
            // Nobody saw its version: no need to raise the highest.
            self.slab.free(cx, Id::from_raw(raw));
        }
    }

    /// Ends the change of a node.
    pub(super) fn end<const L: u8>(&self, cx: &Cx<'_, M, L>, raw: u32) {
        version::end(cx, &self.get(raw).version);
    }
}

/// Nodes set aside, chained through the nodes themselves. What is left must be given back
/// ([`Nodes::give_back`]).
#[derive(Debug, Default)]
#[must_use = "reserved nodes are lost unless they are given back"]
pub struct Reserve {
    first: u32,
    len: u64,
}

impl Reserve {
    /// How many nodes are left.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no node is left.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn push<M: Machine>(&mut self, nodes: &Nodes<'_, M>, raw: u32) {
        nodes.get(raw).link().set(u64::from(self.first));
        self.first = raw;
        self.len += 1;
    }

    pub(super) fn pop<M: Machine>(&mut self, nodes: &Nodes<'_, M>) -> Option<u32> {
        self.len = self.len.checked_sub(1)?;
        let raw = self.first;
        self.first = nodes.get(raw).link().get() as u32;
        Some(raw)
    }
}
