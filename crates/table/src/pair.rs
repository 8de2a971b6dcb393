//! Two leaves locked at once: for fork (parent and child) and mremap (from and to).

use crate::Counted;
use crate::leaf::{Leaf, Slots, Unlock};
use crate::node::{self, Node};
use crate::walker::Walker;
use machine::{Cx, Level, Machine, Shortage, Vpn, level};

/// Two locked leaves; the same one if both pages belong to it.
#[must_use = "the locks are released at once"]
pub struct Pair<'c, 'm, M: Machine> {
    cx: &'c mut Cx<'m, M, { level::TABLE1 }>,
    from: Slots<'m>,
    to: Slots<'m>,
}

impl<'m, M: Machine> Pair<'_, 'm, M> {
    /// The first leaf.
    pub fn from(&mut self) -> Leaf<'_, 'm, M> {
        Leaf::new(self.cx, self.from, Unlock::ByOwner)
    }

    /// The second leaf.
    pub fn to(&mut self) -> Leaf<'_, 'm, M> {
        Leaf::new(self.cx, self.to, Unlock::ByOwner)
    }

    pub(crate) fn nodes(&self) -> (Node<'m>, Node<'m>) {
        (self.from.node, self.to.node)
    }

    pub(crate) fn to_table(&self) -> Counted<'m> {
        self.to.table
    }

    /// The levels of both.
    pub fn levels(&self) -> [Level; 2] {
        [self.from.node.level, self.to.node.level]
    }

    /// The context under both locks: what is flushed here is void before either lock is dropped (L-12).
    pub fn cx(&mut self) -> &mut Cx<'m, M, { level::TABLE1 }> {
        self.cx
    }
}

impl<M: Machine> Drop for Pair<'_, '_, M> {
    fn drop(&mut self) {
        let (first, second) = in_order(&self.from, &self.to);
        if let Some(second) = second {
            node::unlock(self.cx, second.descriptor);
        }
        node::unlock(self.cx, first.descriptor);
    }
}

impl<'m, M: Machine> Walker<'_, 'm, M> {
    /// Locks the leaf of `page` here, and that of `other_page` there, whose missing tables are made first.
    /// `None` if there is no leaf here.
    ///
    /// For an entry of 2 MiB here that is the entry there, empty or not; if a table of small pages stands
    /// there, that table's entries: then what is here must be split first.
    pub fn lock_pair<'c>(
        &self,
        cx: &'c mut Cx<'m, M, { level::SLEEP_MAX }>,
        page: Vpn,
        (other, other_page): (&Walker<'_, 'm, M>, Vpn),
    ) -> Result<Option<Pair<'c, 'm, M>>, Shortage> {
        loop {
            let Some(Slots { node, .. }) = self.find(cx.at(), page) else { return Ok(None) };
            other.grow(cx, other_page, node.level)?;
            if let Some((from, to)) = self.lock_both(cx.at(), (page, node.level), (other, other_page)) {
                return Ok(Some(Pair { cx: cx.at(), from, to }));
            }
        }
    }

    fn find(&self, cx: &mut Cx<'m, M, { level::EPOCH }>, page: Vpn) -> Option<Slots<'m>> {
        let cx = cx.enter_epoch_fenced();
        self.place(&cx, page)
    }

    /// Locks both leaves; `None` if one of them was not, or no longer, in its tree.
    fn lock_both(
        &self,
        cx: &mut Cx<'m, M, { level::EPOCH }>,
        (page, level): (Vpn, Level),
        (other, other_page): (&Walker<'_, 'm, M>, Vpn),
    ) -> Option<(Slots<'m>, Slots<'m>)> {
        let cx = cx.enter_epoch_fenced();
        let from = self.place(&cx, page).filter(|from| from.node.level == level)?;
        let to = other.place_for(&cx, other_page, level)?;
        let (first, second) = in_order(&from, &to);
        node::lock(&*cx, first.descriptor);
        if let Some(second) = second {
            node::lock(&*cx, second.descriptor);
        }
        if self.is_valid(&cx, &from) && other.is_target(&cx, &to) {
            return Some((from, to));
        }
        if let Some(second) = second {
            node::unlock(&*cx, second.descriptor);
        }
        node::unlock(&*cx, first.descriptor);
        None
    }
}

/// The order in which two leaves are locked: the higher level first, then by frame. One lock is taken once.
fn in_order<'x, 'm>(a: &'x Slots<'m>, b: &'x Slots<'m>) -> (&'x Slots<'m>, Option<&'x Slots<'m>>) {
    let key = |slots: &Slots<'m>| (core::cmp::Reverse(slots.node.level), slots.node.frame);
    match key(a).cmp(&key(b)) {
        core::cmp::Ordering::Less => (a, Some(b)),
        core::cmp::Ordering::Equal => (a, None),
        core::cmp::Ordering::Greater => (b, Some(a)),
    }
}
