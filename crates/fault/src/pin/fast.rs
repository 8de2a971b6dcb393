//! Holding without a lock (Linux: `gup_fast`; CR9).

use crate::faults::Faults;
use crate::pin::How;
use crate::pin::judge::{Judged, Mapping, is_plain, judge, must_move};
use frame::Id;
use machine::{Cx, EntryFormat, Machine, PAGE_SHIFT, Plant, Vpn, level};
use object::Held;
use space::Space;

impl<'m, M: Machine> Faults<'m, M> {
    /// Holds the page if it is mapped, and may be held as it is. `None`: the slow way finds out.
    ///
    /// The walk keeps the tables on the way from being freed (LR1, LR2). What else may happen between the
    /// two looks, and why the second one finds it, is told in [`object::pin`].
    pub(super) fn hold_fast(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        page: Vpn,
        how: How,
    ) -> Option<Held> {
        // Beyond user space a walk would come out at other pages: it looks at some bits of the number only.
        if page.0 >= M::Entry::USER_END >> PAGE_SHIFT {
            return None;
        }
        let (spaces, objects) = (self.spaces(), self.spaces().objects());
        let walker = spaces.walker(spaces.space(space).table()?);
        let mut walk = walker.walk(cx.at());
        let seen = walk.see(page);
        let judged = judge::<M>((page, seen.entry, seen.level), how, Mapping::Unknown);
        // LINUX: gup_fast_pte_range() leaves the page of zeros (`pte_special`) to the slow way, which looks
        // at the VMA's rights.
        let Judged::Count(pfn) = judged else { return None };
        let head = spaces.frames().memmap().head(&walk, pfn)?.0;
        let meta = spaces.frames().descriptor(head).meta(&walk);
        if must_move(how, meta.zone()) || !is_plain(how, meta.state()) {
            return None;
        }
        let held = objects.hold_mapped(walk.at(), pfn, how.hold).ok()?;
        // From the root again: the table may have gone, too (CR9 B4, C-25).
        let unasked = walk.planted(Plant::PinWithoutRecheck) || walk.planted(Plant::CollapseUnwaited);
        if unasked || walk.see(page) == seen {
            return Some(held);
        }
        // The last reference may be this one: what follows may wait for locks.
        drop(walk);
        objects.let_go(cx.at(), held);
        None
    }
}
