//! Fork of pages that follow each other in a large folio: counted in one step (Linux: `copy_present_ptes`
//! with `folio_pte_batch`).

use crate::spaces::Spaces;
use machine::entry::Kind;
use machine::{Entry, EntryFormat, Level, Machine, Pfn, Vpn};
use table::{Pair, Rss, TableBatch};

impl<'m, M: Machine> Spaces<'m, M> {
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
