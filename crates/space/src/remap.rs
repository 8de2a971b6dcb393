//! `mremap`: a mapping grows, shrinks or moves, and its pages with it.

use crate::error::Error;
use crate::layout::Layout;
use crate::map::{Replaced, VMAS_MAX};
use crate::move_pages::{Move, Walks};
use crate::place::{LOWEST, Place, user_end};
use crate::prepare::Prepared;
use crate::space::{Sign, Space};
use crate::spaces::Spaces;
use crate::vma::{Content, Vma, VmaFlags};
use frame::Id;
use machine::{Cx, Machine, Vpn, VpnRange, level};

/// Where a mapping may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RemapPlace {
    /// It stays where it is, or the call fails.
    Stay,
    /// It moves if it has to (`MREMAP_MAYMOVE`).
    MayMove,
    /// It moves, there if that is free (`MREMAP_DONTUNMAP` with an address).
    Hint(Vpn),
    /// It moves there; what is mapped there goes away (`MREMAP_FIXED`).
    Fixed(Vpn),
}

/// What becomes of the old range of a mapping that moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// It is unmapped.
    Unmap,
    /// It stays mapped, empty (`MREMAP_DONTUNMAP`).
    Keep,
}

/// A mapping to be changed in size or place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remap {
    /// Where it is. Empty: a shared mapping is mapped a second time.
    pub old: VpnRange,
    /// How long it is to be.
    pub new_pages: u64,
    /// Where it may go.
    pub place: RemapPlace,
    /// What is left behind.
    pub source: Source,
}

impl<'m, M: Machine> Spaces<'m, M> {
    /// Changes a mapping; answers where it is then (Linux: `sys_mremap`).
    ///
    /// Errors: `Fault` if the old range is not within one VMA, `Invalid` for overlaps and impossible wishes,
    /// `NoMemory` for want of room, limits or too many VMAs, `LockLimit`, `Access` for a place that is too
    /// low, `Killed`, `Shortage`.
    pub fn remap(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        remap: &Remap,
    ) -> Result<VpnRange, Error> {
        let mut layout = self.write_layout(cx, space)?;
        layout.remap(remap)
    }
}

impl<'m, M: Machine> Layout<'_, 'm, M> {
    fn remap(&mut self, remap: &Remap) -> Result<VpnRange, Error> {
        let Remap { old, new_pages, place, source } = *remap;
        if new_pages == 0 {
            return Err(Error::Invalid);
        }
        if source == Source::Keep && (old.pages() != new_pages || place == RemapPlace::Stay) {
            return Err(Error::Invalid);
        }
        if let RemapPlace::Fixed(to) = place {
            return self.remap_fixed(remap, to);
        }
        if source == Source::Unmap && !old.is_empty() && new_pages <= old.pages() {
            return self.shrink(old, new_pages);
        }
        let id = self.source_vma(old)?;
        self.check_remap(id, old, new_pages, source)?;
        let wanted = VpnRange::sized(old.start, new_pages);
        if source == Source::Unmap && !old.is_empty() && self.can_extend(id, old, wanted) {
            self.extend(id, old, wanted)?;
            return Ok(wanted);
        }
        if place == RemapPlace::Stay {
            return Err(Error::NoMemory);
        }
        let wish = if let RemapPlace::Hint(page) = place { Place::Hint(page) } else { Place::Anywhere };
        let target = self.place(wish, new_pages)?;
        self.relocate(id, old, target, source)?;
        Ok(target)
    }

    fn remap_fixed(&mut self, remap: &Remap, to: Vpn) -> Result<VpnRange, Error> {
        let Remap { mut old, new_pages, source, .. } = *remap;
        let end = user_end::<M>();
        if new_pages > end.0 || to.0 > end.0 - new_pages {
            return Err(Error::Invalid);
        }
        let target = VpnRange::sized(to, new_pages);
        if target.overlaps(&VpnRange::new(old.start, Vpn(old.end.0.max(old.start.0 + 1)))) && !old.is_empty()
        {
            return Err(Error::Invalid);
        }
        // Linux's own bound: the worst case splits both ranges and adds one.
        if self.count() + 2 >= VMAS_MAX - 3 {
            return Err(Error::NoMemory);
        }
        self.unmap(target)?;
        if source == Source::Unmap && old.pages() > new_pages {
            self.unmap(VpnRange::new(old.start + new_pages, old.end))?;
            old = VpnRange::sized(old.start, new_pages);
        }
        let id = self.source_vma(old)?;
        self.check_remap(id, old, new_pages, source)?;
        if to < LOWEST {
            return Err(Error::Access);
        }
        self.relocate(id, old, target, source)?;
        Ok(target)
    }

    fn shrink(&mut self, old: VpnRange, new_pages: u64) -> Result<VpnRange, Error> {
        let kept = VpnRange::sized(old.start, new_pages);
        if self.covering(old.start).is_none() {
            return Err(Error::Fault);
        }
        if new_pages < old.pages() {
            self.unmap(VpnRange::new(kept.end, old.end))?;
        }
        Ok(kept)
    }

    fn source_vma(&self, old: VpnRange) -> Result<Id<Vma>, Error> {
        self.covering(old.start).ok_or(Error::Fault)
    }

    /// Linux: `vma_to_resize`.
    fn check_remap(&self, id: Id<Vma>, old: VpnRange, new_pages: u64, source: Source) -> Result<(), Error> {
        let vma = self.vma(id);
        let flags = vma.flags();
        if old.is_empty() && flags.is_private() {
            return Err(Error::Invalid);
        }
        if old.end > vma.range().end {
            return Err(Error::Fault);
        }
        let more = match source {
            Source::Keep => new_pages,
            Source::Unmap => new_pages.saturating_sub(old.pages()),
        };
        let grown = new_pages.saturating_sub(old.pages());
        if grown > 0 {
            if vma.file_index(old.start).checked_add(new_pages).is_none() {
                return Err(Error::Invalid);
            }
            // Who is above the limit already may still move what does not grow.
            self.check_lock_limit(flags, grown)?;
        }
        self.check_size(flags, more, &Replaced::NOTHING)
    }

    /// Whether the VMA ends with the old range and nothing is mapped in what follows. LINUX: vma_expandable()
    /// does not mind the guard below a stack.
    fn can_extend(&self, id: Id<Vma>, old: VpnRange, wanted: VpnRange) -> bool {
        let fits = wanted.end <= user_end::<M>();
        let last = self.vma(id).range().end == old.end;
        fits && last && self.first_in(VpnRange::new(old.end, wanted.end)).is_none()
    }

    fn extend(&mut self, id: Id<Vma>, old: VpnRange, wanted: VpnRange) -> Result<(), Error> {
        let flags = self.vma(id).flags();
        let more = wanted.end - old.end;
        let commit = if flags.contains(VmaFlags::ACCOUNTED) { more } else { 0 };
        self.commit(commit)?;
        self.begin_change(id);
        let start = self.vma(id).range().start;
        self.resize(id, VpnRange::new(start, wanted.end));
        self.account(flags, more, Sign::Plus);
        self.end_change(id);
        // LINUX: vma_merge_extend() looks at what follows alone.
        self.merge_around(VpnRange::new(wanted.end, wanted.end));
        Ok(())
    }

    /// Maps the target, moves the pages there, and deals with what is left behind (Linux: `move_vma`).
    fn relocate(
        &mut self,
        id: Id<Vma>,
        old: VpnRange,
        target: VpnRange,
        source: Source,
    ) -> Result<(), Error> {
        if self.count() + 3 >= VMAS_MAX {
            return Err(Error::NoMemory);
        }
        let most = self.vma(id).content().moved(old.start, target.start);
        let commit = if most.flags.contains(VmaFlags::ACCOUNTED) { target.pages() } else { 0 };
        self.commit(commit)?;
        let prepared = self.prepare(self.cuts(old).and(&most));
        let mut prepared = prepared.inspect_err(|_| self.uncommit(commit))?;
        let made = self.relocate_prepared(&mut prepared, id, old, target, source);
        self.give_back(prepared);
        made.inspect_err(|_| self.uncommit(commit))
    }

    /// The same with everything at hand but page tables. No fault of the old range gets through from the
    /// moment the tables are made to the end: a leaf that it linked would have no place to go.
    fn relocate_prepared(
        &mut self,
        prepared: &mut Prepared<'m, M>,
        id: Id<Vma>,
        old: VpnRange,
        target: VpnRange,
        source: Source,
    ) -> Result<(), Error> {
        if old.is_empty() {
            // A second mapping of shared memory has no private pages, and so no index to keep.
            let content = self.moved_content(id, old.start, target.start);
            self.add(prepared, target, &content);
            return Ok(());
        }
        let whole = self.vma(id).range();
        self.split_at_ends(prepared, old);
        let from = self.source_vma(old)?;
        self.begin_change(from);
        let reserved = match self.prepare_tables(old, target) {
            Ok(reserved) => reserved,
            Err(shortage) => {
                self.end_change(from);
                self.merge_around(old);
                return Err(Error::Shortage(shortage));
            }
        };
        let content = self.moved_content(from, old.start, target.start);
        let moved = self.insert(prepared, target, &content, Some(from));
        self.account(content.flags, target.pages(), Sign::Plus);
        if self.vma(from).has_anon(self) {
            self.vma(moved).note_anon(self);
        }
        let file = self.vma(from).mapped_file();
        let goes_back = self.vma(from).is_moved() && !self.vma(moved).is_moved();
        let walks = if goes_back { Walks::KeepOut } else { Walks::InOrder };
        self.move_pages(Move { old, to: target.start, file, reserved }, walks);
        self.leave_behind(from, (whole, old), source);
        self.end_change(moved);
        self.merge_around(target);
        Ok(())
    }

    fn moved_content(&self, id: Id<Vma>, from: Vpn, to: Vpn) -> Content {
        let vma = self.vma(id);
        let content = vma.content().moved(from, to);
        // Memory that was never touched has no index to keep, and merges like new (Linux: `copy_vma`).
        if vma.has_anon(self) { content } else { Content { anon_bias: 0, ..content } }
    }

    /// `whole` is what the VMA was before it was split.
    fn leave_behind(&mut self, from: Id<Vma>, (whole, old): (VpnRange, VpnRange), source: Source) {
        match source {
            Source::Keep => {
                let lock = VmaFlags::LOCKED | VmaFlags::LOCK_ON_FAULT;
                let before = self.vma(from).flags();
                self.set_flags(from, before.difference(lock));
                // LINUX: dontunmap_complete(): what is left whole is as if it had never been touched.
                if whole == old {
                    self.vma(from).forget_anon(self);
                }
                self.end_change(from);
                if before.intersects(lock) {
                    return self.merge_around(old);
                }
                // LINUX: what stays was never split, and neighbours that were two stay two.
                if whole.start < old.start {
                    self.merge_around(VpnRange::new(old.start, old.start));
                }
                if old.end < whole.end {
                    self.merge_around(VpnRange::new(old.end, old.end));
                }
            }
            Source::Unmap => {
                self.zap(old, crate::zap::Tables::FreeEmpty);
                self.remove_vmas(old);
            }
        }
    }
}
