//! A locked table whose entries map pages: the only way to change entries.

use crate::node::{self, Node};
use crate::tally::Tally;
use crate::{Counted, Payload, Rss, Spare};
use core::ops::{Deref, DerefMut};
use frame::Descriptor;
use machine::entry::{Attrs, Kind};
use machine::{Cx, Entry, EntryFormat, Event, Level, Machine, Perms, Pfn, Plant, Vpn, VpnRange, level};
use revoke::{Batch, Revoked, What};

/// The entries a [`Leaf`] covers.
#[derive(Clone, Copy)]
pub(crate) struct Slots<'m> {
    pub(crate) table: Counted<'m>,
    pub(crate) node: Node<'m>,
    pub(crate) descriptor: &'m Descriptor,
    /// 2 MiB: all entries of a table of level 1, or one entry of a table of level 2.
    pub(crate) span: VpnRange,
}

/// Whether dropping a leaf gives its lock back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unlock {
    AtDrop,
    ByOwner,
}

/// The entries over one aligned 2 MiB of pages, locked: 512 of level 1, or (see [`Leaf::level`]) the one
/// entry of level 2 that stands in their place. Derefs to the context at the leaf tables' level.
///
/// While a leaf lives, only hardware changes these entries, and of them only the accessed and dirty bits.
#[must_use = "the lock is released at once"]
pub struct Leaf<'a, 'm, M: Machine> {
    cx: &'a mut Cx<'m, M, { level::TABLE1 }>,
    slots: Slots<'m>,
    unlock: Unlock,
    tally: Tally,
}

impl<'a, 'm, M: Machine> Leaf<'a, 'm, M> {
    /// A leaf whose lock was just taken.
    pub(crate) fn new(cx: &'a mut Cx<'m, M, { level::TABLE1 }>, slots: Slots<'m>, unlock: Unlock) -> Self {
        Leaf { cx, slots, unlock, tally: Tally::default() }
    }

    /// The address space's translations.
    pub fn table(&self) -> Counted<'m> {
        self.slots.table
    }

    /// The 2 MiB of pages.
    pub fn span(&self) -> VpnRange {
        self.slots.span
    }

    /// Level of the entries: [`Level::LEAF`], or [`Level::HUGE`] for the single entry of a 2 MiB leaf,
    /// which every operation then acts on whichever page of the span it names.
    #[inline]
    pub fn level(&self) -> Level {
        self.slots.node.level
    }

    pub(crate) fn node(&self) -> Node<'m> {
        self.slots.node
    }

    /// How many entries of the locked table are not empty.
    pub fn used(&self) -> u64 {
        self.tally.used_with(node::header(self.slots.descriptor).get().used)
    }

    /// The entry of a page. Hardware may set its accessed and dirty bits the next moment.
    #[inline]
    pub fn entry(&self, page: Vpn) -> Entry {
        self.check(page);
        self.slots.node.read(self.cx, page)
    }

    /// The first entry that is not empty, for a page in `from..end`, and the first page it maps.
    #[inline]
    pub fn next_used(&self, from: Vpn, end: Vpn) -> Option<(Vpn, Entry)> {
        let mut page = from.max(self.slots.span.start);
        let end = end.min(self.slots.span.end);
        while page < end {
            let pages = self.pages(page);
            let entry = self.slots.node.read(self.cx, page);
            if entry != Entry::EMPTY {
                return Some((pages.start, entry));
            }
            page = pages.end;
        }
        None
    }

    /// From an entry of 2 MiB on to the next one in the same table, before `end`: the lock covers it too.
    /// What is empty is skipped. `None` if there is none, or a table stands first: the leaf stays where it
    /// is.
    pub(crate) fn move_on(&mut self, end: Vpn) -> Option<Entry> {
        let node = self.slots.node;
        let end = end.min(node.span(self.slots.span.start).end);
        let mut page = self.slots.span.end;
        while page < end {
            let pages = self.pages(page);
            let entry = node.read(self.cx, page);
            match M::Entry::kind(entry, node.level) {
                Kind::Empty => page = pages.end,
                Kind::Table(_) => return None,
                Kind::Leaf(_) | Kind::Absent(_) => {
                    self.slots.span = pages;
                    return Some(entry);
                }
            }
        }
        None
    }

    /// The frame that a later entry of the same table maps: a hint, not read through the machine.
    pub(crate) fn frame_ahead(&self, entries: u64) -> Option<Pfn> {
        let page = self.ahead(entries)?;
        let entry = self.slots.node.quiet_entry(page);
        match M::Entry::kind(entry, self.slots.node.level) {
            Kind::Leaf(frame) if !M::Entry::attrs(entry).special => Some(frame),
            _ => None,
        }
    }

    /// Has the line of a later entry of the same table fetched, once a line.
    pub(crate) fn fetch_entries(&self, entries: u64) {
        if let Some(page) = self.ahead(entries) {
            self.slots.node.fetch(self.cx, page);
        }
    }

    fn ahead(&self, entries: u64) -> Option<Vpn> {
        let start = self.slots.span.start;
        let page = start + entries * self.slots.span.pages();
        (page < self.slots.node.span(start).end).then_some(page)
    }

    /// Puts a leaf that lets nothing pass into an empty entry of 2 MiB. Whoever looks for what is mapped from
    /// now on finds something, and waits for this lock: they skip what is empty. So a fault claims its entry,
    /// and then asks whether it may still install (see [`crate::Cursor::next`]; between the two is a full
    /// fence).
    pub fn claim(&mut self, page: Vpn) {
        self.check(page);
        debug_assert!(self.level() == Level::HUGE && self.entry(page) == Entry::EMPTY, "an empty entry");
        self.slots.node.write(self.cx, page, self.closed());
        self.tally.entry_came();
    }

    /// A leaf that lets nothing pass and is no page.
    fn closed(&self) -> Entry {
        let attrs = Attrs { perms: Perms::NONE, special: true, ..Attrs::default() };
        M::Entry::leaf(self.slots.node.frame.0, attrs, Level::HUGE)
    }

    /// Takes a claim back.
    pub fn unclaim(&mut self, page: Vpn) {
        self.slots.node.clear(self.cx, page);
        self.tally.entry_went();
    }

    /// [`Leaf::install`] for an entry of 2 MiB, claimed or empty, with the table it may become one day.
    pub fn install_huge(&mut self, page: Vpn, entry: Entry, rss: Option<Rss>, spare: Spare) {
        debug_assert!(self.level() == Level::HUGE, "a spare is for an entry of 2 MiB");
        let table = self.table();
        table.deposit(self, spare);
        if self.entry(page) == Entry::EMPTY {
            self.tally.entry_came();
        }
        self.slots.node.exchange(self.cx, page, entry);
        self.note_lock(Entry::EMPTY, entry);
        self.cx.trace(|| self.changed(page, Entry::EMPTY, entry));
        self.came(rss);
    }

    /// Takes the spares of so many entries of 2 MiB that were taken: they are freed once the change is
    /// settled. The batch has room for them.
    pub(crate) fn push_spares(&mut self, entries: usize, batch: &mut Batch<'_, 'm, M, Payload>) {
        let (table, pages) = (self.table(), self.slots.span);
        let mut left = entries;
        while left > 0 {
            let spares = table.withdraw_some(self, left);
            for table_frame in spares.into_iter().flatten() {
                let payload = Some(Payload::Table(table_frame));
                batch.push(self.cx, Revoked::unseen(table.domain(), pages, payload));
            }
            left = left.saturating_sub(spares.len());
        }
    }

    /// Fills an empty entry. `rss` says how the page counts; `None` for frames that are not counted and for
    /// software's own entries. Needs no flush: hardware does not remember that there was nothing.
    pub fn install(&mut self, page: Vpn, entry: Entry, rss: Option<Rss>) {
        self.check(page);
        debug_assert!(entry != Entry::EMPTY, "an empty entry is made by `take`");
        debug_assert!(self.entry(page) == Entry::EMPTY, "the entry is in use");
        self.slots.node.write(self.cx, page, entry);
        self.note_lock(Entry::EMPTY, entry);
        self.cx.trace(|| self.changed(page, Entry::EMPTY, entry));
        self.tally.entry_came();
        self.came(rss);
    }

    /// Changes an entry that stays in use and keeps its frame. `f` may run again if hardware set a bit in
    /// between, so no accessed or dirty bit is lost. Answers the entry before.
    pub fn change(&mut self, page: Vpn, f: impl FnMut(Entry) -> Entry) -> (Entry, Revoked<Payload>) {
        let (old, _) = self.update(page, f);
        let pages = self.pages(page);
        let domain = self.table().domain();
        let token = match self.reachable(old) {
            true => Revoked::change(domain, pages),
            false => Revoked::unseen(domain, pages, None),
        };
        (old, token)
    }

    /// As [`Leaf::change`] where old translations may stay: rights are only added (a CPU that still holds
    /// the old translation faults and finds the entry good), the accessed bit may be cleared (a hint; as
    /// Linux on x86), software's own marks may change, and nothing else. No flush.
    pub fn relax(&mut self, page: Vpn, f: impl FnMut(Entry) -> Entry) -> Entry {
        let (old, new) = self.update(page, f);
        debug_assert!(self.widens(old, new), "a change that takes rights away must be settled");
        old
    }

    /// Empties an entry; the payload is what it held. `rss` is how it was counted.
    ///
    /// After a 2 MiB leaf was taken the batch is flushed before the lock is dropped ([`Batch::flush_now`]):
    /// small pages may take its place as soon as it is (LR8). Not so where that is excluded
    /// ([`crate::Refill`]).
    pub fn take(&mut self, page: Vpn, rss: Option<Rss>) -> (Entry, Revoked<Payload>) {
        let old = self.empty(page, rss);
        self.tally.entry_went();
        (old, self.token(page, old, Keep::Payload(rss)))
    }

    /// [`Leaf::take`] without a token: what was there, and what it held.
    #[inline]
    pub(crate) fn take_held(&mut self, page: Vpn, rss: Option<Rss>) -> (Entry, Option<Payload>) {
        let old = self.empty(page, rss);
        self.tally.entry_went();
        (old, self.payload(old, rss))
    }

    /// Empties an entry whose frame goes on being used by the caller (who installs it elsewhere, say): the
    /// token has no payload.
    pub fn lift(&mut self, page: Vpn, rss: Option<Rss>) -> (Entry, Revoked<Payload>) {
        let old = self.empty(page, rss);
        self.tally.entry_went();
        (old, self.token(page, old, Keep::Nothing))
    }

    /// As [`Leaf::lift`], for who puts something back before the lock is dropped ([`Leaf::put_back`]). An
    /// entry of 2 MiB leaves a leaf that lets nothing pass meanwhile: whoever looks for something without the
    /// lock skips what is empty, and would miss what comes back.
    pub fn lift_for_now(&mut self, page: Vpn, rss: Option<Rss>) -> (Entry, Revoked<Payload>) {
        if self.level() == Level::LEAF || self.cx.planted(Plant::LiftedToNothing) {
            return self.lift(page, rss);
        }
        self.check(page);
        let old = self.slots.node.exchange(self.cx, page, self.closed());
        self.note_walked_changed();
        self.note_lock(old, Entry::EMPTY);
        self.cx.trace(|| self.changed(page, old, Entry::EMPTY));
        self.went(rss);
        (old, self.token(page, old, Keep::Nothing))
    }

    /// Fills an entry that [`Leaf::lift_for_now`] was called for, or that was claimed.
    pub fn put_back(&mut self, page: Vpn, entry: Entry, rss: Option<Rss>) {
        if self.entry(page) == Entry::EMPTY {
            return self.install(page, entry, rss);
        }
        self.slots.node.exchange(self.cx, page, entry);
        self.note_lock(Entry::EMPTY, entry);
        self.cx.trace(|| self.changed(page, Entry::EMPTY, entry));
        self.came(rss);
    }

    /// Puts another entry in the place of one in use (copy-on-write): the old one is cleared and flushed
    /// before the new one is set, so that no moment lets one CPU write the old frame while another reads
    /// the new one. The old entry's payload goes into the batch, which was asked [`Batch::is_full`].
    /// Answers the entry before.
    // LINUX: mm/memory.c wp_page_copy(): ptep_clear_flush(), then set_pte_at().
    pub fn replace(
        &mut self,
        batch: &mut Batch<'_, 'm, M, Payload>,
        page: Vpn,
        (old_rss, new_rss): (Option<Rss>, Option<Rss>),
        new: Entry,
    ) -> Entry {
        debug_assert!(new != Entry::EMPTY, "an empty entry is made by `take`");
        let old = self.empty(page, old_rss);
        let token = self.token(page, old, Keep::Payload(old_rss));
        let cached = token.what() != What::Unseen && !self.cx.planted(Plant::CopyBeforeFlush);
        batch.push(self.cx, token);
        if cached {
            batch.flush_now(self.cx);
        }
        self.slots.node.write(self.cx, page, new);
        self.note_lock(Entry::EMPTY, new);
        self.cx.trace(|| self.changed(page, Entry::EMPTY, new));
        self.came(new_rss);
        old
    }

    /// Puts another entry in the place of one that hardware could not use (software's own): nothing is to be
    /// flushed, and at no moment is nothing there. Accounts as said.
    pub fn exchange_absent(&mut self, page: Vpn, (old_rss, new_rss): (Option<Rss>, Option<Rss>), new: Entry) {
        debug_assert!(new != Entry::EMPTY, "an empty entry is made by `take`");
        self.check(page);
        let old = self.slots.node.exchange(self.cx, page, new);
        debug_assert!(
            old != Entry::EMPTY && !self.reachable(old),
            "what may be cached is replaced and flushed"
        );
        self.note_lock(old, new);
        self.cx.trace(|| self.changed(page, old, new));
        self.went(old_rss);
        self.came(new_rss);
    }

    /// Empties an entry that hardware could not use and that holds nothing (software's own): nothing is to be
    /// flushed or given back.
    pub fn drop_absent(&mut self, page: Vpn, rss: Option<Rss>) {
        let old = self.empty(page, rss);
        debug_assert!(!self.reachable(old), "what hardware may have cached is taken and flushed");
        self.tally.entry_went();
    }

    /// The pages the entry of a page maps.
    #[inline]
    pub fn pages(&self, page: Vpn) -> VpnRange {
        node::span(page, self.level())
    }

    fn update(&mut self, page: Vpn, mut f: impl FnMut(Entry) -> Entry) -> (Entry, Entry) {
        self.check(page);
        let level = self.level();
        let (old, new) = self.slots.node.update(self.cx, page, |old| {
            let new = f(old);
            debug_assert!(old != Entry::EMPTY && new != Entry::EMPTY, "`install` and `take` do that");
            debug_assert!(
                match (M::Entry::kind(old, level), M::Entry::kind(new, level)) {
                    (Kind::Leaf(old), Kind::Leaf(new)) => old == new,
                    (Kind::Absent(_), Kind::Absent(_)) => true,
                    _ => false,
                },
                "the entry keeps its frame"
            );
            new
        });
        self.note_lock(old, new);
        self.cx.trace(|| self.changed(page, old, new));
        (old, new)
    }

    #[inline]
    fn empty(&mut self, page: Vpn, rss: Option<Rss>) -> Entry {
        self.check(page);
        let old = self.slots.node.clear(self.cx, page);
        self.note_walked_changed();
        self.note_lock(old, Entry::EMPTY);
        self.cx.trace(|| self.changed(page, old, Entry::EMPTY));
        debug_assert!(old != Entry::EMPTY, "nothing is there to take");
        self.went(rss);
        old
    }

    /// Counts the pages of an entry as resident.
    #[inline]
    fn came(&mut self, rss: Option<Rss>) {
        self.tally.pages_came((self.slots.table, self.cx.cpu()), rss, self.weight());
    }

    /// Counts so many entries of 4 KiB that were written.
    pub(crate) fn came_by_run(&mut self, rss: Rss, entries: u16) {
        self.tally.entries_came(entries);
        self.tally.pages_came((self.slots.table, self.cx.cpu()), Some(rss), u64::from(entries));
    }

    /// Counts the pages of an entry as resident no more.
    #[inline]
    fn went(&mut self, rss: Option<Rss>) {
        self.tally.pages_came((self.slots.table, self.cx.cpu()), rss, self.weight().wrapping_neg());
    }

    /// Does what the rule of walks wants where an entry of 2 MiB was taken or changed its kind.
    #[inline]
    pub(crate) fn note_walked_changed(&self) {
        if self.level() > Level::LEAF {
            self.cx.note_walked_changed(self.table().domain().walked());
        }
    }

    /// Counts pages that a locked entry maps from now on, or no more.
    #[inline]
    pub(crate) fn note_lock(&self, old: Entry, new: Entry) {
        let pages = |entry| if is_locked::<M>(entry, self.level()) { self.weight() } else { 0 };
        self.table().change_locked(self.cx, (pages(old), pages(new)));
    }

    /// What those who watch are told.
    pub(crate) fn changed(&self, page: Vpn, before: Entry, after: Entry) -> Event {
        let (asid, pages) = (self.table().domain().asid(), self.pages(page));
        Event::EntryChanged { asid, page: pages.start, level: self.level(), before, after }
    }

    fn token(&self, page: Vpn, old: Entry, keep: Keep) -> Revoked<Payload> {
        let (domain, pages) = (self.table().domain(), self.pages(page));
        let payload = match keep {
            Keep::Payload(rss) => self.payload(old, rss),
            Keep::Nothing => None,
        };
        match (self.reachable(old), payload) {
            (false, payload) => Revoked::unseen(domain, pages, payload),
            (true, Some(payload)) => Revoked::page(domain, pages, payload),
            (true, None) => Revoked::change(domain, pages),
        }
    }

    #[inline]
    fn payload(&self, old: Entry, rss: Option<Rss>) -> Option<Payload> {
        let level = self.level();
        match (M::Entry::kind(old, level), rss) {
            (Kind::Leaf(frame), Some(rss)) => Some(Payload::Page { frame, level, rss }),
            (Kind::Leaf(frame), None) => {
                debug_assert!(M::Entry::attrs(old).special, "a counted page is taken as not counted");
                Some(Payload::Special(frame))
            }
            (Kind::Absent(value), _) => Some(Payload::Absent(value)),
            _ => None,
        }
    }

    /// Whether hardware could use the entry, and so may have cached it.
    #[inline]
    pub(crate) fn reachable(&self, entry: Entry) -> bool {
        let perms = M::Entry::attrs(entry).perms;
        let any = perms.read || perms.write || perms.execute;
        any && matches!(M::Entry::kind(entry, self.level()), Kind::Leaf(_))
    }

    fn widens(&self, old: Entry, new: Entry) -> bool {
        if matches!(M::Entry::kind(old, self.level()), Kind::Absent(_)) {
            return true;
        }
        let (old, new) = (M::Entry::attrs(old), M::Entry::attrs(new));
        let keeps = |old: Perms, new: Perms| {
            (!old.read || new.read) && (!old.write || new.write) && (!old.execute || new.execute)
        };
        keeps(old.perms, new.perms) && (!old.dirty || new.dirty)
    }

    /// Base pages an entry maps.
    #[inline]
    fn weight(&self) -> u64 {
        1 << self.level().span_shift()
    }

    fn check(&self, page: Vpn) {
        debug_assert!(self.slots.span.contains(page), "the page belongs to another leaf");
    }
}

/// Whether an entry maps a counted page of locked memory.
pub fn is_locked<M: Machine>(entry: Entry, level: Level) -> bool {
    let attrs = M::Entry::attrs(entry);
    attrs.locked && !attrs.special && matches!(M::Entry::kind(entry, level), Kind::Leaf(_))
}

/// What a token gives back once settled.
enum Keep {
    Payload(Option<Rss>),
    Nothing,
}

impl<'m, M: Machine> Deref for Leaf<'_, 'm, M> {
    type Target = Cx<'m, M, { level::TABLE1 }>;
    fn deref(&self) -> &Self::Target {
        self.cx
    }
}

impl<M: Machine> DerefMut for Leaf<'_, '_, M> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.cx
    }
}

impl<M: Machine> Drop for Leaf<'_, '_, M> {
    fn drop(&mut self) {
        self.tally.note((self.slots.table, self.cx.cpu()), self.slots.descriptor);
        if self.unlock == Unlock::AtDrop {
            node::unlock(self.cx, self.slots.descriptor);
        }
    }
}
