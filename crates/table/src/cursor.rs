//! Going over the leaves of a range.

use crate::leaf::{Leaf, Unlock};
use crate::walker::{Walker, Want};
use machine::{Cx, Level, Machine, Vpn, VpnRange, level};

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
        let slots = loop {
            self.next = self.scan(walker, cx.at())?;
            // `None`: it was unlinked just now, and the next scan skips it.
            if let Some(slots) = walker.lock_slots(cx.at(), self.next) {
                break slots;
            }
        };
        let part = self.rest().intersect(&slots.span);
        self.next = slots.span.end;
        Some((Leaf::new(cx.at(), slots, Unlock::AtDrop), part))
    }

    fn scan<'m, M: Machine>(
        &self,
        walker: &Walker<'_, 'm, M>,
        cx: &mut Cx<'m, M, { level::EPOCH }>,
    ) -> Option<Vpn> {
        let cx = cx.enter_epoch();
        walker.scan(&cx, self.next, self.end, Level::LEAF, Want::Any)
    }
}
