//! Finding nodes by the hash of their bytes: a digital search tree.
//!
//! Every node of the tree has a hash; on the way down, bit `d` of the hash wanted says at depth `d` whether
//! to go left or right. The first bits choose among many roots: where there are many nodes the upper part of
//! a tree is full, and each of its levels would be a cold line. Nodes of one hash hang together in a chain.
//!
//! A red-black tree ordered by the bytes themselves, as on Linux, compares pages on the way down: log n pages
//! for each lookup. A hash costs one page, and is had anyway: it says whether the page has changed. The way
//! is never longer than the hash has bits, whatever a program writes to its pages, and there is nothing to
//! balance. Equal hashes prove nothing: who finds a node compares the bytes.

use crate::ksm_model::{Ksm, Node, ROOT_BITS, Tree};
use frame::Id;
use machine::{Field, Machine};

/// The longest way: the bits of a hash.
pub const DEPTH_MAX: u32 = u64::BITS;

/// Where a way down ended.
struct Found<'m> {
    /// The link that leads to the node, or to where it would be.
    link: &'m Field<Option<Id<Node>>>,
    /// The node of this hash.
    node: Option<Id<Node>>,
}

fn root_of(hash: u64) -> usize {
    (hash >> (DEPTH_MAX - ROOT_BITS)) as usize
}

fn side(hash: u64, depth: u32) -> usize {
    (hash >> (DEPTH_MAX - 1 - depth.min(DEPTH_MAX - 1)) & 1) as usize
}

impl<'m, M: Machine> Ksm<'m, M> {
    fn descend(&self, tree: &'m Tree, hash: u64) -> Found<'m> {
        let mut link = &tree.roots[root_of(hash)];
        let mut depth = ROOT_BITS;
        while let Some(id) = link.get() {
            let node = self.node(id);
            if node.hash.get() == hash {
                return Found { link, node: Some(id) };
            }
            link = &node.below[side(hash, depth)];
            depth += 1;
        }
        Found { link, node: None }
    }

    /// The first node of a hash. (scan)
    pub(crate) fn find(&self, tree: &'m Tree, hash: u64) -> Option<Id<Node>> {
        self.descend(tree, hash).node
    }

    /// Adds a node that is in no tree. (scan)
    pub(crate) fn insert(&self, tree: &'m Tree, id: Id<Node>) {
        let node = self.node(id);
        let found = self.descend(tree, node.hash.get());
        match found.node {
            None => {
                found.link.set(Some(id));
                let root = root_of(node.hash.get()) as u64;
                tree.first.set(tree.first.get().min(root));
            }
            Some(first) => node.same.set(self.node(first).same.replace(Some(id))),
        }
        tree.count.add(1);
    }

    /// Takes a node out of the tree it is in. (scan)
    pub(crate) fn remove(&self, tree: &'m Tree, id: Id<Node>) {
        let node = self.node(id);
        let Found { link, node: first } = self.descend(tree, node.hash.get());
        let Some(first) = first else {
            debug_assert!(false, "a node is removed from a tree it is not in");
            return;
        };
        if first == id {
            self.remove_first(link, id);
        } else {
            self.unchain(first, id);
        }
        node.same.set(None);
        node.below.iter().for_each(|below| below.set(None));
        tree.count.sub(1);
    }

    /// Another takes the place of a node in the tree: the next of its chain, or a leaf below it. Any node
    /// below may stand here: its hash agrees as far as the way down to here goes.
    fn remove_first(&self, link: &'m Field<Option<Id<Node>>>, id: Id<Node>) {
        let node = self.node(id);
        let heir = node.same.get().or_else(|| self.take_leaf_below(node));
        if let Some(heir) = heir {
            let heir = self.node(heir);
            for (to, from) in heir.below.iter().zip(&node.below) {
                to.set(from.get());
            }
        }
        link.set(heir);
    }

    /// Unlinks some leaf below a node, if there is one.
    fn take_leaf_below(&self, node: &'m Node) -> Option<Id<Node>> {
        let lower = |node: &'m Node| node.below.iter().find(|below| below.get().is_some());
        let mut link = lower(node)?;
        while let Some(next) = link.get().and_then(|id| lower(self.node(id))) {
            link = next;
        }
        link.replace(None)
    }

    fn unchain(&self, first: Id<Node>, id: Id<Node>) {
        let mut at = self.node(first);
        while let Some(next) = at.same.get() {
            let node = self.node(next);
            if next == id {
                at.same.set(node.same.get());
                return;
            }
            at = node;
        }
        debug_assert!(false, "a node is in the chain of its hash");
    }

    /// Some node at the end of a way, if the tree has any: taking the last ones first empties it in one go.
    /// (scan)
    pub(crate) fn pop(&self, tree: &'m Tree) -> Option<Id<Node>> {
        // The part is turned to the right until its root has nothing on the left.
        loop {
            let first = tree.first.get() as usize;
            let root = first + tree.roots[first..].iter().position(|root| root.get().is_some())?;
            tree.first.set(root as u64);
            let root = &tree.roots[root];
            let id = root.get()?;
            let node = self.node(id);
            if let Some(next) = node.same.get() {
                node.same.set(self.node(next).same.replace(None));
                tree.count.sub(1);
                return Some(next);
            }
            let Some(left) = node.below[0].get() else {
                root.set(node.below[1].replace(None));
                tree.count.sub(1);
                return Some(id);
            };
            node.below[0].set(self.node(left).below[1].replace(Some(id)));
            root.set(Some(left));
        }
    }
}
