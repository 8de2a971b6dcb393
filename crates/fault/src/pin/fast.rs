//! Holding without a lock (Linux: `gup_fast`; CR9).

use crate::faults::Faults;
use crate::pin::How;
use crate::pin::judge::{Judged, Mapping, is_plain, judge, must_move};
use frame::{Id, Meta};
use machine::{Cx, EntryFormat, Machine, PAGE_SHIFT, Plant, Vpn, VpnRange, level};
use object::Held;
use space::Space;
use table::Seen;

impl<'m, M: Machine> Faults<'m, M> {
    /// Holds the pages from `first` on that one leaf maps, and that may be held as they are, into the first
    /// places; answers how many. For the next one the slow way finds out what it lacks.
    ///
    /// The walk keeps the tables on the way from being freed (LR1, LR2). What else may happen between the
    /// two looks at an entry, and why the second one finds it, is told in [`object::pin`] and
    /// [`table::look`].
    pub(super) fn hold_run(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        (first, how): (Vpn, How),
        into: &mut [Held],
    ) -> usize {
        // Beyond user space a walk would come out at other pages: it looks at some bits of the number only.
        let user_end = Vpn(M::Entry::USER_END >> PAGE_SHIFT);
        let (spaces, objects) = (self.spaces(), self.spaces().objects());
        let Some(table) = spaces.space(space).table().filter(|_| first < user_end) else { return 0 };
        let pages = VpnRange::new(first, user_end.min(first + into.len() as u64));
        let mut places = into.iter_mut();
        let walker = spaces.walker(table);
        let mut walk = walker.walk(cx.at());
        let looked = walk.look_twice(pages, |cx, page, seen| {
            let held = self.hold_seen(cx, (page, seen), how);
            match (held, places.next()) {
                (Some(held), Some(place)) => {
                    *place = held;
                    true
                }
                _ => false,
            }
        });
        let unasked = walk.planted(Plant::PinWithoutRecheck) || walk.planted(Plant::CollapseUnwaited);
        // The last reference may be one of these: what follows may wait for locks.
        drop(walk);
        let sure = if unasked { looked.held } else { looked.sure } as usize;
        for held in &mut into[sure..looked.held as usize] {
            objects.let_go(cx.at(), core::mem::take(held));
        }
        sure
    }

    /// Holds what an entry maps at a page, if it may be held as it is. Inside an epoch.
    #[inline]
    fn hold_seen(
        &self,
        cx: &mut Cx<'m, M, { level::EPOCH }>,
        (page, Seen { entry, level }): (Vpn, Seen),
        how: How,
    ) -> Option<Held> {
        // LINUX: gup_fast_pte_range() leaves the page of zeros (`pte_special`) to the slow way, which looks
        // at the VMA's rights.
        let Judged::Count(pfn) = judge::<M>((page, entry, level), how, Mapping::Unknown) else { return None };
        let fits = |meta: Meta| !must_move(how, meta.zone()) && is_plain(how, meta.state());
        self.spaces().objects().hold_found(cx.at(), (pfn, how.hold), fits)
    }
}
