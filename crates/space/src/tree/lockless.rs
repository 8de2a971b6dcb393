//! Looking a page up without a lock.

use super::node::{row_child, row_range};
use super::{Nodes, Tree, unpack_root, version};
use core::sync::atomic::Ordering::{Acquire, Relaxed};
use machine::epoch::Guard;
use machine::{Machine, Memory, Vpn, VpnRange};

/// How often a reader starts over before it gives up.
const TRIES: usize = 8;

/// The tree changed under the reader again and again: take the layout lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Busy;

impl core::fmt::Display for Busy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the tree is being changed")
    }
}

impl core::error::Error for Busy {}

/// The tree changed under the reader.
struct Changed;

impl Tree {
    /// The first range that ends behind the page, and its value, without the layout lock (Linux:
    /// `lock_vma_under_rcu`).
    ///
    /// The answer was in the tree, range and value together, at some moment of the call. That it is the
    /// *first*, or that there is none, need not have been so at one moment: ranges may have moved between
    /// nodes already left. So a caller may use a range that contains the page (and then check what the value
    /// names), but must take the layout lock before it concludes that the page is not covered.
    ///
    /// # Errors
    /// [`Busy`] if the tree changed under the reader too often.
    pub fn find_lockless<M: Machine>(
        &self,
        nodes: &Nodes<'_, M>,
        epoch: &Guard<'_, '_, M>,
        page: Vpn,
    ) -> Result<Option<(VpnRange, u32)>, Busy> {
        (0..TRIES).find_map(|_| self.try_find(nodes, epoch, page).ok()).ok_or(Busy)
    }

    fn try_find<M: Machine>(
        &self,
        nodes: &Nodes<'_, M>,
        cx: &Guard<'_, '_, M>,
        page: Vpn,
    ) -> Result<Option<(VpnRange, u32)>, Changed> {
        // ORDERING: Acquire pairs with the Release in `set_root`.
        let word = cx.load(&self.root, Acquire);
        let Some((height, root)) = unpack_root(word) else { return Ok(None) };
        let mut node = nodes.get(root);
        let mut seen = look(cx, &node.version)?;
        // RELAXED: the look was an Acquire. If the version it saw is of a later life or shape of the node,
        // the new root was stored before that, and is seen here.
        if cx.load(&self.root, Relaxed) != word {
            return Err(Changed);
        }
        for _ in 1..height {
            let row = node.first_behind(page.0);
            // Before the number of the child is used: it may be none.
            check(cx, &node.version, seen)?;
            let Some(row) = row else { return Ok(None) };
            let child = nodes.get(row_child(&row));
            let child_seen = look(cx, &child.version)?;
            // After the child's version is known: it still was the child then.
            check(cx, &node.version, seen)?;
            (node, seen) = (child, child_seen);
        }
        let row = node.first_behind(page.0);
        check(cx, &node.version, seen)?;
        Ok(row.as_ref().map(row_range))
    }
}

fn look<M: Machine>(cx: &Guard<'_, '_, M>, version: &machine::Word) -> Result<u64, Changed> {
    // No waiting for the version: the node may be dead, and then nobody changes it any more.
    version::look(&**cx, version).ok_or(Changed)
}

fn check<M: Machine>(cx: &Guard<'_, '_, M>, version: &machine::Word, seen: u64) -> Result<(), Changed> {
    if version::is_unchanged(&**cx, version, seen) { Ok(()) } else { Err(Changed) }
}
