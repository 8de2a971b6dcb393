//! Fork of an entry of 2 MiB: parent and child share all of it (Linux: `copy_huge_pmd`).

use crate::error::Error;
use crate::layout::Layout;
use machine::entry::{Attrs, Kind};
use machine::trace::Shared;
use machine::{Counter, Entry, EntryFormat, Event, Level, Machine, Pfn, Plant, Vpn, VpnRange};
use object::Objects;
use table::{Pair, Rss, Soft, Spare, TableBatch, Walker};

/// Whether the child has the entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Copied {
    /// It has, or there is nothing to copy any more.
    Yes,
    /// The folio is pinned, or mapped too often, or not an entry of 2 MiB any more: its pages are copied or
    /// shared one by one (CR23).
    No,
}

impl<'m, M: Machine> Layout<'_, 'm, M> {
    /// Copies the entry of 2 MiB over `part` for a child.
    pub(crate) fn copy_huge(
        &mut self,
        (from, into): (&Walker<'_, 'm, M>, &Walker<'_, 'm, M>),
        part: VpnRange,
        batch: &mut TableBatch<'_, 'm, M>,
    ) -> Result<Copied, Error> {
        let objects = self.spaces.objects();
        let spare = into.new_spare(self.at())?;
        let copied = match from.lock_pair(self.at(), part.start, (into, part.start)) {
            Ok(Some(mut pair)) => match pair.levels() {
                [Level::HUGE, Level::HUGE] => copy_entry(objects, &mut pair, (part.start, spare), batch),
                _ => Err(spare),
            }
            .map_err(|spare| (spare, Ok(Copied::No))),
            Ok(None) => Err((spare, Ok(Copied::Yes))),
            Err(shortage) => Err((spare, Err(Error::Shortage(shortage)))),
        };
        match copied {
            Ok(()) => Ok(Copied::Yes),
            Err((spare, outcome)) => {
                into.free_spare(self.at(), spare);
                outcome
            }
        }
    }
}

/// Shares what a locked entry maps. Refused, the spare comes back and nothing has changed.
fn copy_entry<'m, M: Machine>(
    objects: &Objects<'m, M>,
    pair: &mut Pair<'_, 'm, M>,
    (page, spare): (Vpn, Spare),
    batch: &mut TableBatch<'_, 'm, M>,
) -> Result<(), Spare> {
    let entry = pair.from().entry(page);
    if let Some(soft) = Soft::of::<M>(entry, Level::HUGE) {
        let shared = soft.shared().entry::<M>();
        pair.from().exchange_absent(page, (Some(Rss::Anon), Some(Rss::Anon)), shared);
        pair.to().install_huge(page, soft.for_child().entry::<M>(), Some(Rss::Anon), spare);
        return Ok(());
    }
    let Kind::Leaf(head) = M::Entry::kind(entry, Level::HUGE) else { return Err(spare) };
    if objects.share_huge_for_fork(pair.cx(), head).is_err() {
        tell_refused(objects, pair, (page, head));
        return Err(spare);
    }
    tell_shared(pair, (page, head));
    pair.cx().count(Counter::ForkShared);
    let attrs = M::Entry::attrs(entry);
    if attrs.perms.write && !pair.cx().planted(Plant::ForkLeavesWritable) {
        let (_, token) = pair.from().change(page, |entry| read_only_entry::<M>(entry, Level::HUGE));
        batch.push(pair.cx(), token);
    }
    let perms = attrs.perms.read_only();
    let copy = Attrs { perms, accessed: false, locked: false, ..attrs };
    pair.to().install_huge(page, M::Entry::leaf(head, copy, Level::HUGE), Some(Rss::Anon), spare);
    Ok(())
}

fn tell_shared<M: Machine>(pair: &mut Pair<'_, '_, M>, (page, frame): (Vpn, Pfn)) {
    let parent = pair.from().table().domain().asid();
    let child = pair.to().table().domain().asid();
    let what = Shared::Anonymous;
    pair.cx().trace(|| Event::ForkShared { page, frame, parent, child, what });
}

fn tell_refused<'m, M: Machine>(
    objects: &Objects<'m, M>,
    pair: &mut Pair<'_, 'm, M>,
    (page, frame): (Vpn, Pfn),
) {
    let held = objects.folio(pair.cx(), frame).page;
    pair.cx().trace(|| Event::ForkRefused { page, frame, held: held.held() });
}

/// The entry without the right to store.
pub(crate) fn read_only_entry<M: Machine>(entry: Entry, level: Level) -> Entry {
    let attrs = M::Entry::attrs(entry);
    M::Entry::with_attrs(entry, Attrs { perms: attrs.perms.read_only(), ..attrs }, level)
}
