//! `madvise`: what a program expects of a range.

use crate::error::Error;
use crate::layout::Layout;
use crate::page_out::Unneeded;
use crate::space::Space;
use crate::spaces::Spaces;
use crate::vma::{Vma, VmaFlags};
use crate::zap::Tables;
use frame::Id;
use machine::{Cx, Machine, VpnRange, level};
use object::FileKind;

/// The most pages that one request reads in (Linux: `ra_pages`, 128 KiB).
const READ_AHEAD_MAX: u64 = 32;

/// Advice about a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advice {
    /// No special treatment.
    Normal,
    /// Read in order.
    Sequential,
    /// Read in no order.
    Random,
    /// Will be read soon: files are read in, and what is swapped out.
    WillNeed,
    /// Not needed: private contents are gone at once.
    DontNeed,
    /// Private contents may be dropped when memory is short.
    Free,
    /// Not needed soon: pages that nobody else maps are the next to leave memory.
    Cold,
    /// Not needed soon: pages that nobody else maps leave memory now.
    PageOut,
    /// Not inherited by fork.
    DontFork,
    /// Inherited by fork again.
    DoFork,
    /// Inherited empty by fork.
    WipeOnFork,
    /// Inherited with contents again.
    KeepOnFork,
    /// Pages of 2 MiB are wanted.
    HugePage,
    /// Pages of 2 MiB are not wanted.
    NoHugePage,
    /// Equal pages may be merged.
    Mergeable,
    /// They may not be any more. What is merged is not undone here.
    Unmergeable,
}

impl<'m, M: Machine> Spaces<'m, M> {
    /// Follows advice about a range (Linux: `do_madvise`). VMAs are treated in order; a hole is reported at
    /// the end, after everything else was done.
    ///
    /// Errors: `NoMemory` for holes or too many VMAs, `Invalid` where the advice makes no sense for
    /// the VMA, `Io`, `Killed`, `Shortage`.
    pub fn advise(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        range: VpnRange,
        advice: Advice,
    ) -> Result<(), Error> {
        let mut layout = self.write_layout(cx, space)?;
        let hole = layout.first_hole(range).is_some();
        layout.for_each_in(range, |layout, id, part| layout.advise_part(id, part, advice))?;
        if hole { Err(Error::NoMemory) } else { Ok(()) }
    }
}

impl<M: Machine> Layout<'_, '_, M> {
    fn advise_part(&mut self, id: Id<Vma>, part: VpnRange, advice: Advice) -> Result<(), Error> {
        let vma = self.vma(id);
        let flags = vma.flags();
        let anonymous = vma.file().is_none();
        let access_pattern = VmaFlags::SEQUENTIAL | VmaFlags::RANDOM;
        let new = match advice {
            Advice::Normal => flags.difference(access_pattern),
            Advice::Sequential => flags.difference(access_pattern) | VmaFlags::SEQUENTIAL,
            Advice::Random => flags.difference(access_pattern) | VmaFlags::RANDOM,
            Advice::DontFork => flags | VmaFlags::DONT_COPY,
            Advice::DoFork => flags.difference(VmaFlags::DONT_COPY),
            Advice::WipeOnFork if anonymous && flags.is_private() => flags | VmaFlags::WIPE_ON_FORK,
            Advice::WipeOnFork => return Err(Error::Invalid),
            Advice::KeepOnFork => flags.difference(VmaFlags::WIPE_ON_FORK),
            Advice::HugePage => flags.difference(VmaFlags::NO_HUGE_PAGE) | VmaFlags::HUGE_PAGE,
            Advice::NoHugePage => flags.difference(VmaFlags::HUGE_PAGE) | VmaFlags::NO_HUGE_PAGE,
            Advice::Mergeable => self.mergeable_flags(flags),
            Advice::Unmergeable => flags.difference(VmaFlags::MERGEABLE),
            Advice::WillNeed => return self.read_ahead(id, part),
            Advice::DontNeed => return self.drop_contents(id, part),
            Advice::Free => return self.free_lazily(id, part),
            Advice::Cold => return self.page_out(id, part, Unneeded::Cold),
            Advice::PageOut => return self.page_out(id, part, Unneeded::PageOut),
        };
        self.set_flags_of_part(part, new)
    }

    /// `MADV_DONTNEED`: private contents are gone, files are read again when touched.
    fn drop_contents(&mut self, id: Id<Vma>, part: VpnRange) -> Result<(), Error> {
        if self.vma(id).flags().contains(VmaFlags::LOCKED) {
            return Err(Error::Invalid);
        }
        self.zap(part, Tables::Keep);
        Ok(())
    }

    /// `MADV_FREE`: for private anonymous memory only. Reclaim may drop the contents until the next store.
    fn free_lazily(&mut self, id: Id<Vma>, part: VpnRange) -> Result<(), Error> {
        let vma = self.vma(id);
        if vma.file().is_some() || !vma.flags().is_private() || vma.flags().contains(VmaFlags::LOCKED) {
            return Err(Error::Invalid);
        }
        self.forget_use(part);
        Ok(())
    }

    /// `MADV_WILLNEED`: the file's pages are read in, as many as one request may (Linux:
    /// `force_page_cache_ra`), or what is swapped out of anonymous memory. Shared memory is here already.
    fn read_ahead(&mut self, id: Id<Vma>, part: VpnRange) -> Result<(), Error> {
        let vma = self.vma(id);
        let Some(file) = vma.file() else {
            self.read_swapped_ahead(part);
            return Ok(());
        };
        let first = vma.file_index(part.start);
        let objects = self.spaces.objects();
        if objects.file(file).kind() == FileKind::Memory {
            return Ok(());
        }
        objects.read_ahead(self.at(), file, first, part.pages().min(READ_AHEAD_MAX)).map_err(Error::from)
    }
}
