//! Changing a tree. All of this happens under the file's cache lock; the held lock is the argument that shows
//! it.

use super::{HEIGHT_MAX, MARKS, Mark, Node, Nodes, Root, SHIFT, Slot, Tree, digit};
use frame::{Frames, Id};
use machine::lock::Held;
use machine::{Machine, Pfn, Shortage, level};

/// A held cache lock.
pub type Locked<'a, 'm, M> = Held<'a, 'm, M, { level::CACHE }>;

/// Why a page was not put in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InsertError {
    /// There is a page at this index already.
    Exists,
    /// No memory for the tree's nodes.
    Shortage(Shortage),
}

/// The most nodes one insertion may need: all levels but one above an old root, and a path below the new one.
const RESERVE: usize = 2 * HEIGHT_MAX as usize - 1;

/// Nodes taken before the first change, so that the change cannot fail.
struct Reserve {
    ids: [Option<Id<Node>>; RESERVE],
    left: usize,
}

impl Reserve {
    fn take<'m, M: Machine>(
        held: &mut Locked<'_, 'm, M>,
        nodes: &Nodes<'m, M>,
        frames: &Frames<'m, M>,
        count: usize,
    ) -> Result<Reserve, Shortage> {
        let mut reserve = Reserve { ids: [None; RESERVE], left: 0 };
        while reserve.left < count {
            match nodes.alloc(held.at(), frames) {
                Ok(id) => reserve.ids[reserve.left] = Some(id),
                Err(shortage) => {
                    reserve.ids.iter().flatten().for_each(|&id| nodes.free(held.at(), id));
                    return Err(shortage);
                }
            }
            reserve.left += 1;
        }
        Ok(reserve)
    }

    /// The next reserved node. The count was computed from the tree that is still locked.
    fn next(&mut self) -> Option<Id<Node>> {
        self.left = self.left.checked_sub(1)?;
        self.ids[self.left]
    }
}

impl Tree {
    /// Puts a page in. On an error nothing has changed.
    pub fn insert<'m, M: Machine>(
        &self,
        held: &mut Locked<'_, 'm, M>,
        nodes: &Nodes<'m, M>,
        frames: &Frames<'m, M>,
        (index, pfn): (u64, Pfn),
    ) -> Result<(), InsertError> {
        debug_assert!(index < super::INDEX_END, "an index has 36 bits");
        if self.find(held, nodes, index).is_some() {
            return Err(InsertError::Exists);
        }
        let missing = self.missing(held, nodes, index);
        let mut reserve = Reserve::take(held, nodes, frames, missing).map_err(InsertError::Shortage)?;
        let Some(root) = self.grow(held, nodes, index, &mut reserve) else { return Ok(()) };
        let mut node = nodes.get(root.node);
        for at in (2..=root.height).rev() {
            let digit = digit(index, at);
            let below = match node.slot(held, digit) {
                Slot::Node(id) => Some(id),
                _ => {
                    let id = reserve.next();
                    id.inspect(|&id| node.set(held, digit, Slot::Node(id)))
                }
            };
            let Some(below) = below else { return Ok(()) };
            node = nodes.get(below);
        }
        node.set(held, digit(index, 1), Slot::Page(pfn));
        debug_assert!(reserve.left == 0, "as many nodes as counted");
        Ok(())
    }

    /// How many nodes an insertion at `index` needs.
    fn missing<'m, M: Machine>(&self, held: &Locked<'_, 'm, M>, nodes: &Nodes<'m, M>, index: u64) -> usize {
        let wanted = height_for(index);
        let Some(root) = self.root(held) else { return wanted as usize };
        if wanted > root.height {
            return (wanted - root.height) as usize + wanted as usize - 1;
        }
        let mut node = nodes.get(root.node);
        for at in (2..=root.height).rev() {
            match node.slot(held, digit(index, at)) {
                Slot::Node(id) => node = nodes.get(id),
                _ => return at as usize - 1,
            }
        }
        0
    }

    /// Makes the tree high enough for `index`.
    fn grow<'m, M: Machine>(
        &self,
        held: &Locked<'_, 'm, M>,
        nodes: &Nodes<'m, M>,
        index: u64,
        reserve: &mut Reserve,
    ) -> Option<Root> {
        let wanted = height_for(index);
        let Some(mut root) = self.root(held) else {
            let root = Root { node: reserve.next()?, height: wanted };
            self.set_root(held, Some(root));
            return Some(root);
        };
        while root.height < wanted {
            let (below, above) = (nodes.get(root.node), reserve.next()?);
            let node = nodes.get(above);
            node.set(held, 0, Slot::Node(root.node));
            for mark in MARKS {
                node.marks[mark as usize].set(u64::from(below.marks(mark) != 0));
            }
            root = Root { node: above, height: root.height + 1 };
            self.set_root(held, Some(root));
        }
        Some(root)
    }

    /// Puts another page in the place of the one at an index, whose marks it gets; answers that one. A reader
    /// without the lock finds either (Linux: `xas_store` in `__folio_migrate_mapping`).
    pub fn replace<'m, M: Machine>(
        &self,
        held: &mut Locked<'_, 'm, M>,
        nodes: &Nodes<'m, M>,
        index: u64,
        pfn: Pfn,
    ) -> Option<Pfn> {
        let old = self.find(held, nodes, index)?.pfn;
        let (path, _) = self.path(held, nodes, index)?;
        nodes.get(path[0]?).set(held, digit(index, 1), Slot::Page(pfn));
        Some(old)
    }

    /// Takes the page at an index out, with its marks; nodes left empty are freed.
    pub fn remove<'m, M: Machine>(
        &self,
        held: &mut Locked<'_, 'm, M>,
        nodes: &Nodes<'m, M>,
        index: u64,
    ) -> Option<Pfn> {
        let pfn = self.find(held, nodes, index)?.pfn;
        for mark in [Mark::Dirty, Mark::Writeback] {
            self.clear(held, nodes, index, mark);
        }
        let (path, height) = self.path(held, nodes, index)?;
        let mut below = None;
        for at in 1..=height {
            let id = path[at as usize - 1]?;
            let node = nodes.get(id);
            node.set(held, digit(index, at), Slot::Empty);
            if let Some(empty) = below.take() {
                nodes.free(held.at(), empty);
            }
            if node.marks(Mark::Present) != 0 {
                self.shrink(held, nodes);
                return Some(pfn);
            }
            below = Some(id);
        }
        self.set_root(held, None);
        if let Some(empty) = below {
            nodes.free(held.at(), empty);
        }
        Some(pfn)
    }

    /// Takes roots away that lead only to their first slot.
    fn shrink<'m, M: Machine>(&self, held: &mut Locked<'_, 'm, M>, nodes: &Nodes<'m, M>) {
        while let Some(root) = self.root(held).filter(|root| root.height > 1) {
            let node = nodes.get(root.node);
            let Slot::Node(below) = node.slot(held, 0) else { return };
            if node.marks(Mark::Present) != 1 {
                return;
            }
            self.set_root(held, Some(Root { node: below, height: root.height - 1 }));
            nodes.free(held.at(), root.node);
        }
    }

    /// Marks the page at an index; answers whether it was there and not marked before.
    pub fn set<'m, M: Machine>(
        &self,
        held: &mut Locked<'_, 'm, M>,
        nodes: &Nodes<'m, M>,
        index: u64,
        mark: Mark,
    ) -> bool {
        if self.find(held, nodes, index).is_none() || self.has(held, nodes, index, mark) {
            return false;
        }
        let Some((path, height)) = self.path(held, nodes, index) else { return false };
        for at in 1..=height {
            let Some(id) = path[at as usize - 1] else { return false };
            let bits = &nodes.get(id).marks[mark as usize];
            bits.set(bits.get() | 1 << digit(index, at));
        }
        true
    }

    /// Takes a mark away; answers whether it was set.
    pub fn clear<'m, M: Machine>(
        &self,
        held: &mut Locked<'_, 'm, M>,
        nodes: &Nodes<'m, M>,
        index: u64,
        mark: Mark,
    ) -> bool {
        if !self.has(held, nodes, index, mark) {
            return false;
        }
        let Some((path, height)) = self.path(held, nodes, index) else { return false };
        for at in 1..=height {
            let Some(id) = path[at as usize - 1] else { return false };
            let bits = &nodes.get(id).marks[mark as usize];
            bits.set(bits.get() & !(1 << digit(index, at)));
            if bits.get() != 0 {
                break;
            }
        }
        true
    }

    /// The nodes from the lowest (at 0) to the root, and the height.
    fn path<'m, M: Machine>(
        &self,
        held: &Locked<'_, 'm, M>,
        nodes: &Nodes<'m, M>,
        index: u64,
    ) -> Option<([Option<Id<Node>>; HEIGHT_MAX as usize], u32)> {
        let root = self.root(held).filter(|root| index < root.end())?;
        let mut path = [None; HEIGHT_MAX as usize];
        let mut id = root.node;
        for at in (1..=root.height).rev() {
            path[at as usize - 1] = Some(id);
            if at > 1 {
                let Slot::Node(below) = nodes.get(id).slot(held, digit(index, at)) else { return None };
                id = below;
            }
        }
        Some((path, root.height))
    }
}

/// The height a tree needs to hold an index.
fn height_for(index: u64) -> u32 {
    (u64::BITS - index.leading_zeros()).div_ceil(SHIFT).max(1)
}
