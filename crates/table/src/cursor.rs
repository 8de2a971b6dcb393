//! Going over the leaves of a range.

use crate::TableBatch;
use crate::leaf::{Leaf, Slots, Unlock};
use crate::walker::{Walker, Want};
use machine::{Cx, Entry, Level, Machine, Vpn, VpnRange, level};

/// A place in a range of pages. Holds no lock and no context: between two leaves the caller may sleep,
/// settle, or start again.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    next: Vpn,
    end: Vpn,
}

impl Cursor {
    /// At the start of the range.
    pub fn new(range: VpnRange) -> Self {
        Cursor { next: range.start, end: range.end }
    }

    /// What is left of the range.
    pub fn rest(&self) -> VpnRange {
        VpnRange::new(self.next, self.end)
    }

    /// Goes back (or on) to a page: the next leaf is the one it belongs to.
    pub fn resume_at(&mut self, page: Vpn) {
        self.next = page;
    }

    /// Goes back to a part of the range that was given out.
    pub(crate) fn back_to(&mut self, part: VpnRange) -> &mut Self {
        self.next = part.start;
        self
    }

    /// Locks the next leaf, with the pages of the range that lie in it. What no table leads to is skipped in
    /// one step for each absent upper entry.
    ///
    /// Empty tables are not skipped: a fault may hold the lock of one, have found its VMA unchanged, and
    /// install its entry next. Where there is no table there is no such fault: it would have linked the table
    /// before it looked at the VMA, with a fence in between, as there is one between the change of the VMA
    /// and the look here.
    pub fn next<'c, 'm, M: Machine>(
        &mut self,
        walker: &Walker<'_, 'm, M>,
        cx: &'c mut Cx<'m, M, { level::SLEEP_MAX }>,
    ) -> Option<(Leaf<'c, 'm, M>, VpnRange)> {
        let slots = self.lock_next(walker, cx.at())?;
        let part = self.rest().intersect(&slots.span);
        self.next = slots.span.end;
        Some((Leaf::new(cx.at(), slots, Unlock::AtDrop), part))
    }

    /// The same, but an entry of 2 MiB that lies in the range only partly is split first (LR6). `splits` sees
    /// it under its lock: counts grow there. What the batch has so far is flushed then.
    pub fn next_whole<'c, 'm, M: Machine>(
        &mut self,
        walker: &Walker<'_, 'm, M>,
        cx: &'c mut Cx<'m, M, { level::SLEEP_MAX }>,
        batch: &mut TableBatch<'_, 'm, M>,
        mut splits: impl FnMut(&mut Cx<'m, M, { level::TABLE1 }>, Entry),
    ) -> Option<(Leaf<'c, 'm, M>, VpnRange)> {
        loop {
            let slots = self.lock_next(walker, cx.at())?;
            let part = self.rest().intersect(&slots.span);
            if slots.node.level == Level::LEAF || part == slots.span {
                self.next = slots.span.end;
                return Some((Leaf::new(cx.at(), slots, Unlock::AtDrop), part));
            }
            let mut leaf = Leaf::new(cx.at(), slots, Unlock::AtDrop);
            let entry = leaf.entry(part.start);
            splits(&mut leaf, entry);
            leaf.split(walker, batch);
        }
    }

    fn lock_next<'m, M: Machine>(
        &mut self,
        walker: &Walker<'_, 'm, M>,
        cx: &mut Cx<'m, M, { level::EPOCH }>,
    ) -> Option<Slots<'m>> {
        loop {
            self.next = self.scan(walker, cx)?;
            // `None`: it was unlinked just now, and the next scan skips it.
            if let Some(slots) = walker.lock_slots(cx, self.next) {
                return Some(slots);
            }
        }
    }

    fn scan<'m, M: Machine>(
        &self,
        walker: &Walker<'_, 'm, M>,
        cx: &mut Cx<'m, M, { level::EPOCH }>,
    ) -> Option<Vpn> {
        let cx = cx.enter_epoch_fenced();
        walker.scan(&cx, self.next, self.end, Level::LEAF, Want::Any)
    }
}
