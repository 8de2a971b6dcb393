//! `mmap`: a new mapping.

use crate::error::Error;
use crate::granule::is_plain;
use crate::layout::Layout;
use crate::place::{Place, user_end};
use crate::prepare::Prepared;
use crate::space::{Sign, Space, is_data, limit_pages};
use crate::spaces::Spaces;
use crate::vma::{Content, VmaFlags};
use frame::Id;
use machine::{Cx, Machine, Perms, Plant, Vpn, VpnRange, level};
use object::File;

/// The most VMAs a space may have (Linux: `vm.max_map_count`).
pub const VMAS_MAX: u64 = 65_530;

/// Who sees stores to a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sharing {
    /// The space alone: copy-on-write.
    Private,
    /// Everybody who maps the object.
    Shared,
}

/// A mapping to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// Where.
    pub place: Place,
    /// How long.
    pub pages: u64,
    /// What accesses are allowed.
    pub perms: Perms,
    /// What `mprotect` may allow later.
    pub max_perms: Perms,
    /// Who sees stores.
    pub sharing: Sharing,
    /// The object and its first page; `None` is private anonymous memory.
    pub object: Option<(Id<File>, u64)>,
    /// `GROWS_DOWN`, `LOCKED`, `LOCK_ON_FAULT`, `NO_RESERVE`, `STACK`.
    pub flags: VmaFlags,
}

impl Mapping {
    fn flags(&self) -> VmaFlags {
        let mut flags = self.flags.with_perms(self.perms);
        flags.set(VmaFlags::SHARED, self.sharing == Sharing::Shared);
        flags.set(VmaFlags::MAY_READ, self.max_perms.read);
        flags.set(VmaFlags::MAY_WRITE, self.max_perms.write);
        flags.set(VmaFlags::MAY_EXEC, self.max_perms.execute);
        flags
    }

    /// Where it goes, if that is settled and its VMA may be in a granule.
    fn plain_range<M: Machine>(&self) -> Option<VpnRange> {
        let Place::Fixed(start) = self.place else { return None };
        let end = start.0.checked_add(self.pages).filter(|&end| end <= user_end::<M>().0)?;
        let plain = self.object.is_none() && is_plain(self.flags());
        plain.then_some(VpnRange::new(start, Vpn(end)))
    }

    /// What the VMA is made of once its place is known.
    fn content(&self, range: VpnRange, flags: VmaFlags) -> Content {
        let (file, file_bias) = match self.object {
            Some((file, first)) => (Some(file), first.wrapping_sub(range.start.0)),
            None => (None, 0),
        };
        Content { flags, file, file_bias, ..Content::default() }
    }
}

/// Pages that a new mapping takes the place of.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Replaced {
    total: u64,
    data: u64,
    committed: u64,
}

impl Replaced {
    /// Nothing.
    pub(crate) const NOTHING: Replaced = Replaced { total: 0, data: 0, committed: 0 };

    /// Pages that stay mapped, with other rights.
    pub(crate) const fn total(total: u64) -> Replaced {
        Replaced { total, ..Replaced::NOTHING }
    }
}

impl<'m, M: Machine> Spaces<'m, M> {
    /// Makes a mapping; answers where it is (Linux: `do_mmap`, `mmap_region`).
    ///
    /// Errors: `Invalid`, `NoMemory` (no room, limits, too many VMAs,
    /// commitment), `Exists`, `LockLimit`, `Killed`, `Shortage`.
    pub fn map(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        mapping: &Mapping,
    ) -> Result<VpnRange, Error> {
        if let Some(range) = mapping.plain_range::<M>() {
            return self.change_range(cx, space, range, |layout| layout.map(mapping));
        }
        let mut layout = self.write_layout(cx, space)?;
        layout.map(mapping)
    }
}

impl<'m, M: Machine> Layout<'_, 'm, M> {
    fn map(&mut self, mapping: &Mapping) -> Result<VpnRange, Error> {
        let range = self.place(mapping.place, mapping.pages)?;
        let mut flags = self.with_future(mapping.flags());
        if self.count() > VMAS_MAX {
            return Err(Error::NoMemory);
        }
        self.check_lock_limit(flags, range.pages())?;
        let replaced = self.in_range(range);
        self.check_size(flags, range.pages(), &replaced)?;
        let commit = if flags.is_accountable() { range.pages() } else { 0 };
        flags.set(VmaFlags::ACCOUNTED, commit > 0);
        self.commit_instead(commit, replaced.committed)?;
        let content = mapping.content(range, flags);
        let prepared = self.prepare(self.cuts(range).and(&content));
        let mut prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                if !self.planted(Plant::PromiseLeaked) {
                    self.uncommit(commit);
                }
                return Err(error);
            }
        };
        self.remove_range(&mut prepared, range);
        self.add(&mut prepared, range, &content);
        self.give_back(prepared);
        Ok(range)
    }

    /// Puts a VMA where nothing is, books it, and merges it with its neighbours.
    /// The caller committed its pages.
    pub(crate) fn add(&mut self, prepared: &mut Prepared<'m, M>, range: VpnRange, content: &Content) {
        self.account(content.flags, range.pages(), Sign::Plus);
        let id = self.insert(prepared, range, content, None);
        self.end_change(id);
        self.merge_around(range);
    }

    /// What of the range is mapped.
    fn in_range(&mut self, range: VpnRange) -> Replaced {
        let mut replaced = Replaced::default();
        let counted = self.for_each_in(range, |layout, id, part| {
            let flags = layout.vma(id).flags();
            replaced.total += part.pages();
            replaced.data += if is_data(flags) { part.pages() } else { 0 };
            replaced.committed += if flags.contains(VmaFlags::ACCOUNTED) { part.pages() } else { 0 };
            Ok(())
        });
        debug_assert!(counted.is_ok());
        replaced
    }

    /// `RLIMIT_AS` and `RLIMIT_DATA`, with some pages about to go (Linux: `may_expand_vm`).
    pub(crate) fn check_size(&self, flags: VmaFlags, pages: u64, replaced: &Replaced) -> Result<(), Error> {
        let limits = self.space.limits();
        // Who has one granule does not know how much there is, and has looked that there is no limit.
        let fits = |now: u64, less: u64, limit: u64| {
            limit == u64::MAX || (now - less).saturating_add(pages) <= limit_pages(limit)
        };
        let total = fits(self.space.total.get(), replaced.total, limits.address_space);
        let data = !is_data(flags) || fits(self.space.data.get(), replaced.data, limits.data);
        if total && data { Ok(()) } else { Err(Error::NoMemory) }
    }

    /// `RLIMIT_MEMLOCK` for more locked pages (Linux: `mlock_future_ok`).
    pub(crate) fn check_lock_limit(&self, flags: VmaFlags, pages: u64) -> Result<(), Error> {
        let within =
            self.space.locked.get().saturating_add(pages) <= limit_pages(self.space.limits().memlock);
        if flags.contains(VmaFlags::LOCKED) && !within { Err(Error::LockLimit) } else { Ok(()) }
    }
}
