//! Changing many entries of a locked leaf: what is the same for all of them is done once.

use crate::leaf::Leaf;
use crate::pair::Pair;
use crate::{Payload, Rss, TableBatch};
use core::sync::atomic::Ordering::AcqRel;
use machine::entry::{Attrs, Kind};
use machine::{Cx, Entry, EntryFormat, Event, Level, Machine, Memory, Perms, Vpn, VpnRange, level};
use revoke::Revoked;

/// What a child gets of an entry, and whether the parent keeps the right to store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handed {
    /// The child's entry.
    pub child: Entry,
    /// What becomes of the parent's.
    pub parent: Keeps,
}

/// What becomes of an entry that another leaf gets, too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keeps {
    /// It is as it was.
    All,
    /// It lets no store pass any more.
    Reads,
}

/// Changed entries of a locked leaf whose translations may be cached: pushed before its lock is dropped.
#[derive(Clone, Copy, Default)]
#[must_use]
pub(crate) struct Changed(Option<VpnRange>);

impl Changed {
    #[inline]
    fn add(&mut self, pages: VpnRange) {
        self.0 = Some(match self.0 {
            None => pages,
            Some(before) => VpnRange::new(before.start, pages.end),
        });
    }
}

impl<'m, M: Machine> Leaf<'_, 'm, M> {
    /// Changes every entry in use of a part of the leaf to what `decide` makes of it. An entry stays in use
    /// and keeps its frame; accessed and dirty bits that hardware sets meanwhile are kept. What must be
    /// flushed goes into the batch, as one change.
    pub fn change_each(
        &mut self,
        batch: &mut TableBatch<'_, 'm, M>,
        part: VpnRange,
        mut decide: impl FnMut(&Self, Entry) -> Entry,
    ) {
        let mut changed = Changed::default();
        let mut next = part.start;
        while let Some((page, old)) = self.next_used(next, part.end) {
            let pages = self.pages(page);
            next = pages.end;
            let new = decide(self, old);
            if new == old {
                continue;
            }
            let before = self.exchange_kept(page, (old, new));
            if self.reachable(before) && !widens::<M>(old, new) {
                changed.add(pages);
            }
        }
        self.push_changed(batch, changed);
    }

    /// One token for all changed entries.
    pub(crate) fn push_changed(&mut self, batch: &mut TableBatch<'_, 'm, M>, changed: Changed) {
        if let Some(pages) = changed.0 {
            let token: Revoked<Payload> = Revoked::change(self.table().domain(), pages);
            batch.push(self, token);
        }
    }

    /// [`Leaf::take`] for one of many entries of 4 KiB: what it held goes into the batch, its page to those
    /// that changed.
    #[inline]
    pub(crate) fn take_part(
        &mut self,
        batch: &mut TableBatch<'_, 'm, M>,
        changed: &mut Changed,
        page: Vpn,
        rss: Option<Rss>,
    ) -> Entry {
        let (old, payload) = self.take_held(page, rss);
        if self.reachable(old) {
            changed.add(VpnRange::sized(page, 1));
        }
        if let Some(payload) = payload {
            batch.push_part(self, payload);
        }
        old
    }

    /// Changes an entry from `old` to `new`, with the bits that hardware set since `old` was read. Answers
    /// the entry before.
    fn exchange_kept(&mut self, page: Vpn, (old, new): (Entry, Entry)) -> Entry {
        let (level, word) = (self.level(), self.node().word(page));
        let (mut seen, mut wanted) = (old, new);
        // ORDERING: AcqRel, as in `Node::clear`.
        while let Err(now) = self.compare_exchange(word, seen.0, wanted.0, AcqRel) {
            seen = Entry(now);
            wanted = keep_hardware_bits::<M>(seen, (old, new), level);
        }
        self.note_lock(seen, wanted);
        self.trace(|| self.changed(page, seen, wanted));
        seen
    }
}

impl<'m, M: Machine> Pair<'_, 'm, M> {
    /// Hands entries of 4 KiB on to the other leaf, where nothing is mapped: from `pages.start` on, as long
    /// as `share` says what the other leaf gets. They count as pages of `rss` there. Answers the page it
    /// stopped at.
    pub fn hand_on(
        &mut self,
        batch: &mut TableBatch<'_, 'm, M>,
        (pages, rss): (VpnRange, Rss),
        mut share: impl FnMut(&mut Cx<'m, M, { level::TABLE1 }>, Vpn, Entry) -> Option<Handed>,
    ) -> Vpn {
        let (mut changed, mut handed) = (Changed::default(), 0);
        let (here, there) = self.nodes();
        let parent = self.from().table().domain().asid();
        let mut page = pages.start;
        while page < pages.end {
            let entry = here.read(self.cx(), page);
            if entry != Entry::EMPTY {
                let Some(Handed { child, parent: keeps }) = share(self.cx(), page, entry) else { break };
                if keeps == Keeps::Reads {
                    let (old, new) = here.update(self.cx(), page, read_only::<M>);
                    let (level, before, after) = (Level::LEAF, old, new);
                    self.cx().trace(|| Event::EntryChanged { asid: parent, page, level, before, after });
                    changed.add(VpnRange::sized(page, 1));
                }
                debug_assert!(there.read(self.cx(), page) == Entry::EMPTY, "the child has nothing there");
                there.write(self.cx(), page, child);
                self.tell_came(page, child);
                handed += 1;
            }
            page = page + 1;
        }
        if let Some(pages) = changed.0 {
            let token: Revoked<Payload> = Revoked::change(self.from().table().domain(), pages);
            batch.push(self.cx(), token);
        }
        self.to().came_by_run(rss, handed);
        page
    }

    fn tell_came(&mut self, page: Vpn, after: Entry) {
        let to = self.to_table();
        self.cx().trace(|| {
            let (asid, level, before) = (to.domain().asid(), Level::LEAF, Entry::EMPTY);
            Event::EntryChanged { asid, page, level, before, after }
        });
    }
}

/// The entry without the right to store.
#[inline]
fn read_only<M: Machine>(entry: Entry) -> Entry {
    let attrs = M::Entry::attrs(entry);
    M::Entry::with_attrs(entry, Attrs { perms: attrs.perms.read_only(), ..attrs }, Level::LEAF)
}

/// `new` with the accessed and dirty bits that hardware set since `old` was read.
#[cold]
fn keep_hardware_bits<M: Machine>(now: Entry, (old, new): (Entry, Entry), level: Level) -> Entry {
    let Kind::Leaf(_) = M::Entry::kind(new, level) else { return new };
    let (now, old, wanted) = (M::Entry::attrs(now), M::Entry::attrs(old), M::Entry::attrs(new));
    let accessed = wanted.accessed || (now.accessed && !old.accessed);
    let dirty = wanted.dirty || (now.dirty && !old.dirty);
    M::Entry::with_attrs(new, Attrs { accessed, dirty, ..wanted }, level)
}

/// Whether a change only adds rights, so that nothing has to be flushed.
#[inline]
fn widens<M: Machine>(old: Entry, new: Entry) -> bool {
    let (old, new) = (M::Entry::attrs(old), M::Entry::attrs(new));
    let keeps =
        |a: Perms, b: Perms| (!a.read || b.read) && (!a.write || b.write) && (!a.execute || b.execute);
    keeps(old.perms, new.perms) && (!old.dirty || new.dirty) && (!old.accessed || new.accessed)
}
