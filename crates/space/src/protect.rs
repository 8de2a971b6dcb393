//! `mprotect`: other access rights.

use crate::error::Error;
use crate::layout::Layout;
use crate::map::{Replaced, VMAS_MAX};
use crate::space::Space;
use crate::spaces::Spaces;
use crate::vma::{Vma, VmaFlags};
use frame::Id;
use machine::{Cx, Machine, Perms, VpnRange, level};

/// Whether `mprotect` goes on to the end of a VMA that grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grow {
    /// The range as it is.
    No,
    /// From the start of the stack the range lies in (`PROT_GROWSDOWN`).
    Down,
    /// To the end of an upward growing VMA, which x86-64 has not (`PROT_GROWSUP`).
    Up,
}

impl<'m, M: Machine> Spaces<'m, M> {
    /// Changes what accesses a range allows (Linux: `do_mprotect_pkey`). As on Linux, what lies before a hole
    /// or a refusal is changed all the same.
    ///
    /// Errors: `NoMemory` for a hole, a limit or too many VMAs, `Access` if the VMA may never allow it,
    /// `Invalid`, `Killed`, `Shortage` (then nothing of the VMA it met has changed).
    pub fn protect(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        range: VpnRange,
        perms: Perms,
        grow: Grow,
    ) -> Result<(), Error> {
        let mut layout = self.write_layout(cx, space)?;
        layout.protect(range, perms, grow)
    }
}

impl<M: Machine> Layout<'_, '_, M> {
    fn protect(&mut self, range: VpnRange, perms: Perms, grow: Grow) -> Result<(), Error> {
        let first = self.find(range.start).ok_or(Error::NoMemory)?;
        let range = self.grown(first, range, grow)?;
        let mut at = range.start;
        while at < range.end {
            let id = self.covering(at).ok_or(Error::NoMemory)?;
            let part = self.vma(id).range().intersect(&VpnRange::new(at, range.end));
            self.protect_part(id, part, perms)?;
            at = part.end;
        }
        Ok(())
    }

    fn grown(&self, first: Id<Vma>, range: VpnRange, grow: Grow) -> Result<VpnRange, Error> {
        let here = self.vma(first).range();
        match grow {
            Grow::No => Ok(range),
            Grow::Up => Err(Error::Invalid),
            Grow::Down if here.start >= range.end => Err(Error::NoMemory),
            Grow::Down if !self.vma(first).flags().contains(VmaFlags::GROWS_DOWN) => Err(Error::Invalid),
            Grow::Down => Ok(VpnRange::new(here.start, range.end)),
        }
    }

    /// Changes the part of one VMA (Linux: `mprotect_fixup`).
    fn protect_part(&mut self, id: Id<Vma>, part: VpnRange, perms: Perms) -> Result<(), Error> {
        let old = self.vma(id).flags();
        let mut new = old.with_perms(perms);
        if new == old {
            return Ok(());
        }
        if !may(old, perms) {
            return Err(Error::Access);
        }
        let splits = self.splits_needed(part);
        if splits > 0 && self.count() + splits > VMAS_MAX {
            return Err(Error::NoMemory);
        }
        if crate::space::is_data(new) && !crate::space::is_data(old) {
            self.check_size(new, part.pages(), &Replaced::total(part.pages()))?;
        }
        let commit =
            if new.is_accountable() && !old.contains(VmaFlags::ACCOUNTED) { part.pages() } else { 0 };
        self.commit(commit)?;
        if commit > 0 {
            new |= VmaFlags::ACCOUNTED;
        }
        let mut prepared = self.prepare(self.cuts(part)).inspect_err(|_| self.uncommit(commit))?;
        self.split_at_ends(&mut prepared, part);
        self.give_back(prepared);
        if let Some(id) = self.covering(part.start) {
            self.begin_change(id);
            self.set_flags(id, new);
            self.change_access(id, part);
            self.take_promise_back(id, part);
            self.end_change(id);
        }
        self.merge_around(part);
        Ok(())
    }
}

impl<M: Machine> Layout<'_, '_, M> {
    /// Anonymous memory that nobody may store to, and that holds no page, was promised for nothing (Linux:
    /// the end of `mprotect_fixup`). Comes after the visit of the leaves: whoever installs a page says so
    /// under a leaf's lock.
    fn take_promise_back(&mut self, id: Id<Vma>, part: VpnRange) {
        let vma = self.vma(id);
        let flags = vma.flags();
        let is_promised = flags.contains(VmaFlags::ACCOUNTED) && !flags.contains(VmaFlags::WRITE);
        if is_promised && vma.file().is_none() && !vma.has_anon(self) {
            self.set_flags(id, flags.difference(VmaFlags::ACCOUNTED));
            self.uncommit(part.pages());
        }
    }
}

/// Whether a VMA may ever allow this.
fn may(flags: VmaFlags, perms: Perms) -> bool {
    let granted = |wanted: bool, flag: VmaFlags| !wanted || flags.contains(flag);
    granted(perms.read, VmaFlags::MAY_READ)
        && granted(perms.write, VmaFlags::MAY_WRITE)
        && granted(perms.execute, VmaFlags::MAY_EXEC)
}
