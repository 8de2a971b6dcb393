//! What entries allow, after the VMA's rights changed (Linux: `change_protection`).

use crate::layout::Layout;
use crate::spaces::Spaces;
use crate::vma::{Snapshot, Vma};
use frame::{Id, State};
use machine::entry::{Attrs, Kind};
use machine::trace::Work;
use machine::{Entry, EntryFormat, Event, Level, Machine, Perms, Pfn, Plant, VpnRange};
use table::{Cursor, Leaf, MigrationKind, Soft};

impl<M: Machine> Layout<'_, '_, M> {
    /// Makes the entries of a part of one VMA allow what the VMA allows now: rights that went
    /// are gone on every CPU when it returns. Pages stay write-protected unless nobody else can
    /// see a store to them (CR13).
    pub(crate) fn change_access(&mut self, id: Id<Vma>, part: VpnRange) {
        let seen = self.snapshot(id);
        self.for_each_entry(part, Work::Protect, |spaces, leaf, entry| {
            let level = leaf.level();
            let Kind::Leaf(pfn) = M::Entry::kind(entry, level) else {
                return narrow_soft::<M>(entry, level, seen.flags.perms());
            };
            let attrs = M::Entry::attrs(entry);
            let mut perms = seen.flags.perms();
            perms.write = perms.write && spaces.may_write_at_once(leaf, &seen, pfn, attrs);
            M::Entry::with_attrs(entry, Attrs { perms, ..attrs }, level)
        });
    }

    /// Takes the dirty and accessed bits of private pages away that nobody else has, so that reclaim may drop
    /// them, and drops those that are swapped out (`MADV_FREE`).
    pub(crate) fn forget_use(&mut self, part: VpnRange) {
        self.drop_swapped(part);
        self.for_each_entry(part, Work::Forget, |spaces, leaf, entry| {
            let Kind::Leaf(pfn) = M::Entry::kind(entry, leaf.level()) else { return entry };
            if M::Entry::attrs(entry).special || !spaces.objects().note_useless(leaf, pfn) {
                return entry;
            }
            let unused = Attrs { dirty: false, accessed: false, ..M::Entry::attrs(entry) };
            M::Entry::with_attrs(entry, unused, leaf.level())
        });
    }

    /// Changes every entry of a range that is in use; what `change` takes away is settled at
    /// the end, in one round.
    pub(crate) fn for_each_entry(
        &mut self,
        part: VpnRange,
        work: Work,
        change: impl Fn(&Spaces<'_, M>, &Leaf<'_, '_, M>, Entry) -> Entry,
    ) {
        let (spaces, space) = (self.spaces, self.space);
        let Some(table) = space.table.get() else { return };
        let walker = spaces.walker(table);
        let asid = walker.table().domain().asid();
        self.trace(|| Event::WorkBegun { asid, pages: part, work });
        let mut batch = spaces.batch(table);
        // Whoever emptied or narrowed entries here before may not have flushed yet (LR10).
        batch.answer_for(part);
        let mut cursor = Cursor::new(part);
        loop {
            let splits = |cx: &mut _, entry| spaces.objects().splits(cx, entry);
            let next = cursor.next_whole(&walker, self.at(), &mut batch, splits);
            let Some((mut leaf, part)) = next else { break };
            leaf.change_each(&mut batch, part, |leaf, old| change(spaces, leaf, old));
        }
        spaces.settle(self, table, &mut batch);
    }
}

/// A page on its way comes back with the VMA's rights; what may be written then is decided by its fault.
fn narrow_soft<M: Machine>(entry: Entry, level: Level, perms: Perms) -> Entry {
    let Some(soft) = Soft::of::<M>(entry, level) else { return entry };
    let soft = if perms.write { soft } else { soft.read_only() };
    let Soft::Migration { frame, kind, attrs } = soft else { return entry };
    let perms = Perms { write: kind == MigrationKind::Writable, ..perms };
    Soft::Migration { frame, kind, attrs: Attrs { perms, ..attrs } }.entry::<M>()
}

impl<'m, M: Machine> Spaces<'m, M> {
    /// Whether an entry may become writable without a fault (Linux: `can_change_pte_writable`): a private
    /// page that is anonymous and exclusive, or a shared one that is known to be dirty.
    pub fn may_write_at_once(&self, leaf: &Leaf<'_, '_, M>, seen: &Snapshot, pfn: Pfn, attrs: Attrs) -> bool {
        if attrs.special {
            return false;
        }
        if !seen.flags.is_private() {
            return attrs.dirty && attrs.perms.write;
        }
        let objects = self.objects();
        objects.folio_state(leaf, pfn) == State::Anon
            && objects.cow().upgrades()
            && (objects.is_exclusive(leaf, pfn) || leaf.planted(Plant::UpgradeWithoutExclusive))
    }
}
