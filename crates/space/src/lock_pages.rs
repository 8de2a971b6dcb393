//! `mlock` and its family: pages that stay resident. Making them resident is the
//! caller's next step (floor 6).

use crate::error::Error;
use crate::layout::Layout;
use crate::map::VMAS_MAX;
use crate::space::{Space, limit_pages};
use crate::spaces::Spaces;
use crate::vma::{Vma, VmaFlags};
use frame::Id;
use machine::entry::Attrs;
use machine::{Cx, Entry, EntryFormat, Level, Machine, Plant, Vpn, VpnRange, level};
use table::{Cursor, Soft};

/// When locked pages become resident.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockMode {
    /// At once.
    Now,
    /// When first touched (`MLOCK_ONFAULT`).
    OnFault,
}

impl LockMode {
    fn flags(self) -> VmaFlags {
        match self {
            LockMode::Now => VmaFlags::LOCKED,
            LockMode::OnFault => VmaFlags::LOCKED | VmaFlags::LOCK_ON_FAULT,
        }
    }
}

const LOCK_FLAGS: VmaFlags = VmaFlags::LOCKED.union(VmaFlags::LOCK_ON_FAULT);

impl<'m, M: Machine> Spaces<'m, M> {
    /// Locks a range (Linux: `do_mlock`). What lies before a hole is locked all the same.
    ///
    /// Errors: `LockLimit`, `NoMemory` for a hole or too many VMAs, `Killed`, `Shortage`.
    pub fn lock(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        range: VpnRange,
        mode: LockMode,
    ) -> Result<(), Error> {
        let mut layout = self.write_layout(cx, space)?;
        let locked = layout.locked_in(range);
        let total = layout.space.locked.get() - locked + range.pages();
        if total > limit_pages(layout.space.limits().memlock) {
            return Err(Error::LockLimit);
        }
        layout.set_lock_flags(range, mode.flags())
    }

    /// Unlocks a range (Linux: `munlock`). Errors as `lock`.
    pub fn unlock(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        range: VpnRange,
    ) -> Result<(), Error> {
        let mut layout = self.write_layout(cx, space)?;
        layout.set_lock_flags(range, VmaFlags::empty())
    }

    /// Locks all that is mapped, or all that will be (Linux: `mlockall`). Errors as `lock`.
    pub fn lock_all(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        current: Option<LockMode>,
        future: Option<LockMode>,
    ) -> Result<(), Error> {
        let mut layout = self.write_layout(cx, space)?;
        let limit = limit_pages(layout.space.limits().memlock);
        if current.is_some() && layout.space.total.get() > limit {
            return Err(Error::LockLimit);
        }
        layout.space.future.set(future.map_or(VmaFlags::empty(), LockMode::flags));
        match current {
            Some(mode) => layout.set_lock_flags_everywhere(mode.flags()),
            None => Ok(()),
        }
    }

    /// Unlocks everything, now and for the future (Linux: `munlockall`). Errors as `lock`.
    pub fn unlock_all(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, space: Id<Space>) -> Result<(), Error> {
        let mut layout = self.write_layout(cx, space)?;
        layout.space.future.set(VmaFlags::empty());
        layout.set_lock_flags_everywhere(VmaFlags::empty())
    }
}

impl<M: Machine> Layout<'_, '_, M> {
    fn locked_in(&mut self, range: VpnRange) -> u64 {
        let mut pages = 0;
        let counted = self.for_each_in(range, |layout, id, part| {
            if layout.vma(id).flags().contains(VmaFlags::LOCKED) {
                pages += part.pages();
            }
            Ok(())
        });
        debug_assert!(counted.is_ok());
        pages
    }

    /// Linux (`apply_vma_lock_flags`): VMA by VMA; a hole ends it with an error, after what came before.
    fn set_lock_flags(&mut self, range: VpnRange, lock: VmaFlags) -> Result<(), Error> {
        let mut at = range.start;
        while at < range.end {
            let id = self.covering(at).ok_or(Error::NoMemory)?;
            let part = self.vma(id).range().intersect(&VpnRange::new(at, range.end));
            let flags = self.vma(id).flags();
            self.set_lock_of_part(part, flags.difference(LOCK_FLAGS) | lock)?;
            at = part.end;
        }
        Ok(())
    }

    fn set_lock_flags_everywhere(&mut self, lock: VmaFlags) -> Result<(), Error> {
        let mut at = Vpn(0);
        while let Some(id) = self.find(at) {
            let part = self.vma(id).range();
            let flags = self.vma(id).flags();
            self.set_lock_of_part(part, flags.difference(LOCK_FLAGS) | lock)?;
            at = part.end;
        }
        Ok(())
    }

    /// The flags, and then the marks of what is mapped (Linux: `mlock_vma_pages_range`). Faults with the
    /// flags of before were over before their leaf was visited, or find the stamp odd.
    fn set_lock_of_part(&mut self, part: VpnRange, flags: VmaFlags) -> Result<(), Error> {
        let before = self.covering(part.start).map(|id| self.vma(id).flags());
        match before {
            None => Ok(()),
            Some(before) if before.is_locked() == flags.is_locked() => self.set_flags_of_part(part, flags),
            Some(_) => self.change_part(part, |layout, id| {
                layout.set_flags(id, flags);
                layout.mark_entries(part, flags.is_locked());
            }),
        }
    }

    /// Makes every entry of a range say whether its page is locked. Nothing is flushed: hardware does not
    /// look at the mark.
    fn mark_entries(&mut self, part: VpnRange, locked: bool) {
        if self.planted(Plant::MlockMarksNothing) {
            return;
        }
        let (spaces, space) = (self.spaces, self.space);
        let Some(table) = space.table.get() else { return };
        let walker = spaces.walker(table);
        let mut cursor = Cursor::new(part);
        while let Some((mut leaf, part)) = cursor.next(&walker, self.at()) {
            let mut next = part.start;
            while let Some((page, _)) = leaf.next_used(next, part.end) {
                next = leaf.pages(page).end;
                let level = leaf.level();
                leaf.relax(page, |entry| mark::<M>(entry, level, locked));
            }
        }
    }

    /// Gives the part of one VMA other flags that change no translation; splits and merges as needed.
    pub(crate) fn set_flags_of_part(&mut self, part: VpnRange, flags: VmaFlags) -> Result<(), Error> {
        let unchanged = self.covering(part.start).is_none_or(|id| self.vma(id).flags() == flags);
        if unchanged { Ok(()) } else { self.change_part(part, |layout, id| layout.set_flags(id, flags)) }
    }

    /// Changes what a part of one VMA says of itself, where that changes no translation; splits and merges as
    /// needed.
    pub(crate) fn change_part(
        &mut self,
        part: VpnRange,
        change: impl FnOnce(&mut Self, Id<Vma>),
    ) -> Result<(), Error> {
        let splits = self.splits_needed(part);
        if splits > 0 && self.count() + splits > VMAS_MAX {
            return Err(Error::NoMemory);
        }
        let mut prepared = self.prepare(self.cuts(part))?;
        self.split_at_ends(&mut prepared, part);
        self.give_back(prepared);
        if let Some(id) = self.covering(part.start) {
            self.begin_change(id);
            change(self, id);
            self.end_change(id);
        }
        self.merge_around(part);
        Ok(())
    }
}

/// The entry with the mark as said; one of a page on its way comes back with it.
fn mark<M: Machine>(entry: Entry, level: Level, locked: bool) -> Entry {
    match Soft::of::<M>(entry, level) {
        Some(Soft::Migration { frame, kind, attrs }) => {
            Soft::Migration { frame, kind, attrs: Attrs { locked, ..attrs } }.entry::<M>()
        }
        _ => M::Entry::with_attrs(entry, Attrs { locked, ..M::Entry::attrs(entry) }, level),
    }
}
