//! Fork of many entries at once: small anonymous pages one after the other, and pages that follow each other
//! in a large folio, which are counted in one step (Linux: `copy_present_ptes` with `folio_pte_batch`).

use crate::fork::without_rights;
use crate::spaces::Spaces;
use machine::entry::Kind;
use machine::trace::Shared;
use machine::{Counter, Entry, EntryFormat, Event, Level, Machine, Pfn, Plant, Vpn, VpnRange};
use table::{Handed, Keeps, Pair, Rss, TableBatch};

impl<'m, M: Machine> Spaces<'m, M> {
    /// Shares the small anonymous pages from a page on, as long as each can be shared in one step; answers
    /// the page it stopped at.
    pub(crate) fn share_small_run(
        &self,
        pair: &mut Pair<'_, 'm, M>,
        pages: VpnRange,
        batch: &mut TableBatch<'_, 'm, M>,
    ) -> Vpn {
        if !self.objects().forks_in_one_step(pair.cx()) {
            return pages.start;
        }
        let parent = pair.from().table().domain().asid();
        let child = pair.to().table().domain().asid();
        let keeps_all = pair.cx().planted(Plant::ForkLeavesWritable);
        let mut shared = 0;
        let end = pair.hand_on(batch, (pages, Rss::Anon), |cx, page, entry| {
            let pfn = counted::<M>(entry)?;
            if !self.objects().share_small_for_fork(cx, pfn) {
                return None;
            }
            let what = Shared::Anonymous;
            cx.trace(|| Event::ForkShared { page, frame: pfn, parent, child, what });
            shared += 1;
            let attrs = M::Entry::attrs(entry);
            let reads = attrs.perms.write && !keeps_all;
            let parent = if reads { Keeps::Reads } else { Keeps::All };
            Some(Handed { child: M::Entry::leaf(pfn, without_rights(attrs), Level::LEAF), parent })
        });
        pair.cx().count_n(Counter::ForkShared, shared);
        end
    }

    /// Copies the entry of 4 KiB of a page, and those behind it that map what follows in its folio; answers
    /// how many. 0, and nothing has changed, if the folio is not a large one, or does not let all of them be
    /// shared: then each is shared or copied by itself (CR6).
    pub(crate) fn copy_run(
        &self,
        pair: &mut Pair<'_, 'm, M>,
        (page, end): (Vpn, Vpn),
        entry: Entry,
        batch: &mut TableBatch<'_, 'm, M>,
    ) -> u64 {
        let Some((first, rest)) = self.large_part(pair, entry) else { return 0 };
        let most = rest.min(end - page);
        let follows = |&at: &u64| counted::<M>(pair.from().entry(page + at)) == Some(first.plus(at));
        let pages = 1 + (1..most).take_while(follows).count() as u64;
        if self.objects().share_run_for_fork(pair.cx(), (first, pages)).is_err() {
            return 0;
        }
        for at in 0..pages {
            let entry = pair.from().entry(page + at);
            self.hand_on(pair, (page + at, entry), (first.plus(at), Some(Rss::Anon)), batch);
        }
        pages
    }

    /// The frame an entry maps, and how much of its folio starts there, if it is a large one.
    fn large_part(&self, pair: &mut Pair<'_, 'm, M>, entry: Entry) -> Option<(Pfn, u64)> {
        let pfn = counted::<M>(entry)?;
        Some((pfn, self.objects().rest_of_folio(pair.cx(), pfn)?))
    }
}

/// The frame of an entry that maps one that is counted.
fn counted<M: Machine>(entry: Entry) -> Option<Pfn> {
    match M::Entry::kind(entry, Level::LEAF) {
        Kind::Leaf(pfn) if !M::Entry::attrs(entry).special => Some(pfn),
        _ => None,
    }
}
