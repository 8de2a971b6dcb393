//! `mmap`.

use crate::args::{is_page_aligned, page_align, user_end};
use crate::config::MMAP_MIN_ADDR;
use crate::errno::{Call, Errno, of_file};
use crate::file::{FileRights, MapFile};
use crate::flags::{MapFlags, MapType, Prot};
use crate::process::Process;
use crate::system::Linux;
use frame::Id;
use machine::{Cx, Machine, PAGE_SHIFT, PAGE_SIZE, Perms, VirtAddr, Vpn, VpnRange};
use object::File;
use space::{Mapping, Overcommit, Place, Sharing, VmaFlags};

/// The largest file (Linux: `MAX_LFS_FILESIZE`).
const FILE_SIZE_MAX: u64 = i64::MAX as u64;

/// The arguments of `mmap` as the program passes them, without the descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mmap {
    /// Address, or a hint.
    pub addr: u64,
    /// Length in bytes.
    pub len: u64,
    /// `PROT_*`.
    pub prot: u64,
    /// `MAP_*`.
    pub flags: u64,
    /// First byte of the file.
    pub offset: u64,
}

/// What has been made of them before the file is looked at.
struct Request {
    place: Place,
    pages: u64,
    perms: Perms,
    flags: MapFlags,
    raw_flags: u64,
    first_page: u64,
}

/// What is mapped, how, and what `mprotect` may make of it.
struct Kind {
    sharing: Sharing,
    max_perms: Perms,
}

const ALL: Perms = Perms { read: true, write: true, execute: true };

impl<'m, M: Machine> Linux<'m, M> {
    /// `mmap`: answers the address. `file` is what the descriptor names; `None` is a bad descriptor, which
    /// matters only without `MAP_ANONYMOUS`.
    pub fn mmap(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        args: &Mmap,
        file: Option<&MapFile>,
    ) -> Result<u64, Errno> {
        let file = source(args, file)?;
        let request = parse::<M>(args)?;
        self.check_state(cx, process, &request)?;
        let kind = match file {
            Some(file) => file_kind(&request, args.len, file)?,
            None => anonymous_kind(&request)?,
        };
        let range = match (file, kind.sharing) {
            (None, Sharing::Shared) => self.map_shared_memory(cx, process, &request, &kind)?,
            (None, Sharing::Private) => self.map_object(cx, process, &request, &kind, None)?,
            (Some(file), _) => {
                self.map_object(cx, process, &request, &kind, Some((file.file, request.first_page)))?
            }
        };
        let now = request.flags & (MapFlags::POPULATE | MapFlags::NONBLOCK) == MapFlags::POPULATE;
        self.populate_vmas(cx, process, range, |flags| now || flags.contains(VmaFlags::LOCKED))?;
        Ok(range.start.addr().0)
    }

    /// LINUX: what do_mmap() asks of the address space before it looks at the file. The floor below asks
    /// again, under its lock; here it is only for the order of answers.
    fn check_state(&self, cx: &mut Cx<'m, M>, process: Id<Process>, request: &Request) -> Result<(), Errno> {
        let space = self.space_of(process)?;
        if self.is_killed(cx, space) {
            return Err(Errno::EINTR);
        }
        if let Place::FixedNoReplace(start) = request.place {
            let next = self.spaces().vma_at(cx.at(), space, start);
            let wanted = VpnRange::sized(start, request.pages);
            if next.is_some_and(|vma| vma.range.overlaps(&wanted)) {
                return Err(Errno::EEXIST);
            }
        }
        let asks = request.flags.contains(MapFlags::LOCKED);
        if asks || self.spaces().space(space).locks_new_memory() {
            let memlock = self.process(process).limits().memlock;
            if asks && memlock == 0 {
                return Err(Errno::EPERM);
            }
            let locked = self.spaces().stats(space).locked;
            if locked.saturating_add(request.pages) > memlock >> PAGE_SHIFT {
                return Err(Errno::EAGAIN);
            }
        }
        Ok(())
    }

    fn map_object(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        request: &Request,
        kind: &Kind,
        object: Option<(Id<File>, u64)>,
    ) -> Result<VpnRange, Errno> {
        let mut flags = VmaFlags::empty();
        flags.set(VmaFlags::GROWS_DOWN, request.flags.contains(MapFlags::GROWSDOWN));
        flags.set(VmaFlags::LOCKED, request.flags.contains(MapFlags::LOCKED));
        flags.set(VmaFlags::NO_RESERVE, self.is_unreserved(request.flags));
        // LINUX: calc_vm_flag_bits(), since 6.7.
        flags.set(VmaFlags::NO_HUGE_PAGE, request.flags.contains(MapFlags::STACK));
        let mapping = Mapping {
            place: request.place,
            pages: request.pages,
            perms: request.perms,
            max_perms: kind.max_perms,
            sharing: kind.sharing,
            object,
            flags,
        };
        let is_low = request.flags.contains(MapFlags::LOW_2G);
        match request.place {
            Place::Hint(hint) if is_low => self.map_low(cx, process, Some(hint), mapping),
            Place::Anywhere if is_low => self.map_low(cx, process, None, mapping),
            _ => self.run(cx, process, Call::Mmap, |cx, space| self.spaces().map(cx, space, &mapping)),
        }
    }

    /// Finds a low place, and another one if somebody else was faster.
    fn map_low(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        hint: Option<Vpn>,
        mut mapping: Mapping,
    ) -> Result<VpnRange, Errno> {
        loop {
            mapping.place = self.low_place(cx, process, hint, mapping.pages)?;
            let mapped =
                self.run(cx, process, Call::Mmap, |cx, space| self.spaces().map(cx, space, &mapping));
            if mapped != Err(Errno::EEXIST) {
                return mapped;
            }
        }
    }

    /// LINUX: MAP_NORESERVE is honoured unless commitment is strict.
    fn is_unreserved(&self, flags: MapFlags) -> bool {
        let strict = matches!(self.spaces().overcommit(), Overcommit::Never { .. });
        flags.contains(MapFlags::NORESERVE) && !strict
    }

    /// Anonymous shared memory is a file of its own without a name, as long as something maps it.
    fn map_shared_memory(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        request: &Request,
        kind: &Kind,
    ) -> Result<VpnRange, Errno> {
        let size = request.pages * PAGE_SIZE;
        let file = self.run(cx, process, Call::Mmap, |cx, _| {
            self.objects().create_memory(cx.at(), size).map_err(of_file)
        })?;
        let mapped = self.map_object(cx, process, request, kind, Some((file, 0)));
        // From here on the mapping keeps the file; without one it goes at once. There is nothing to write.
        let _ = self.objects().close(cx.at(), file);
        mapped
    }
}

/// LINUX: the x86-64 entry of mmap, then ksys_mmap_pgoff().
fn source<'f>(args: &Mmap, file: Option<&'f MapFile>) -> Result<Option<&'f MapFile>, Errno> {
    if !is_page_aligned(args.offset) {
        return Err(Errno::EINVAL);
    }
    let flags = MapFlags::from_bits_truncate(args.flags);
    let file = match file {
        _ if flags.contains(MapFlags::ANONYMOUS) => None,
        Some(file) => Some(file),
        None => return Err(Errno::EBADF),
    };
    // There is no pool of huge pages, so no size of one is known.
    if flags.contains(MapFlags::HUGETLB) { Err(Errno::EINVAL) } else { Ok(file) }
}

/// LINUX: do_mmap() up to and with __get_unmapped_area(), in its order.
fn parse<M: Machine>(args: &Mmap) -> Result<Request, Errno> {
    if args.len == 0 {
        return Err(Errno::EINVAL);
    }
    let len = page_align(args.len).ok_or(Errno::ENOMEM)?;
    let end = user_end::<M>();
    if len > end {
        return Err(Errno::ENOMEM);
    }
    let flags = MapFlags::from_bits_truncate(args.flags);
    let perms = Prot::from_bits_truncate(args.prot).perms();
    let place = if flags.intersects(MapFlags::FIXED | MapFlags::FIXED_NOREPLACE) {
        fixed_place(args.addr, len, end, flags)?
    } else {
        hinted_place(args.addr, len, end)
    };
    let first_page = args.offset >> PAGE_SHIFT;
    Ok(Request { place, pages: len >> PAGE_SHIFT, perms, flags, raw_flags: args.flags, first_page })
}

fn fixed_place(addr: u64, len: u64, end: u64, flags: MapFlags) -> Result<Place, Errno> {
    if addr > end - len {
        return Err(Errno::ENOMEM);
    }
    if !is_page_aligned(addr) {
        return Err(Errno::EINVAL);
    }
    if addr < MMAP_MIN_ADDR {
        return Err(Errno::EPERM);
    }
    let page = VirtAddr(addr).page();
    let careful = flags.contains(MapFlags::FIXED_NOREPLACE);
    Ok(if careful { Place::FixedNoReplace(page) } else { Place::Fixed(page) })
}

/// LINUX: round_hint_to_min() and mmap_address_hint_valid(): a hint is never an error.
fn hinted_place(addr: u64, len: u64, end: u64) -> Place {
    let hint = addr & !(PAGE_SIZE - 1);
    match hint {
        0 => Place::Anywhere,
        _ if hint > end - len => Place::Anywhere,
        _ => Place::Hint(VirtAddr(hint.max(MMAP_MIN_ADDR)).page()),
    }
}

/// LINUX: the branch of do_mmap() for files.
fn file_kind(request: &Request, len: u64, file: &MapFile) -> Result<Kind, Errno> {
    let len = page_align(len).ok_or(Errno::ENOMEM)?;
    let room = FILE_SIZE_MAX.checked_sub(len).ok_or(Errno::EOVERFLOW)?;
    if request.first_page > room >> PAGE_SHIFT {
        return Err(Errno::EOVERFLOW);
    }
    let sharing = match MapType::parse(request.raw_flags) {
        Some(MapType::SharedValidate) if request.raw_flags & !MapFlags::VALIDATED != 0 => {
            return Err(Errno::EOPNOTSUPP);
        }
        Some(MapType::Shared | MapType::SharedValidate) => Sharing::Shared,
        Some(MapType::Private) => Sharing::Private,
        Some(MapType::Droppable) | None => return Err(Errno::EINVAL),
    };
    let rights = file.rights;
    let mut max_perms = ALL;
    if sharing == Sharing::Shared {
        let writable = rights.contains(FileRights::WRITE);
        if request.perms.write && !writable {
            return Err(Errno::EACCES);
        }
        if rights.contains(FileRights::APPEND_ONLY) && writable {
            return Err(Errno::EACCES);
        }
        max_perms.write = writable;
    }
    if !rights.contains(FileRights::READ) {
        return Err(Errno::EACCES);
    }
    if rights.contains(FileRights::NO_EXEC) {
        if request.perms.execute {
            return Err(Errno::EPERM);
        }
        max_perms.execute = false;
    }
    if request.flags.contains(MapFlags::GROWSDOWN) {
        return Err(Errno::EINVAL);
    }
    // LINUX: check_write_seal(); a shared mapping of a file not opened for writing is not a shared one to it.
    if sharing == Sharing::Shared && max_perms.write && rights.contains(FileRights::SEAL_WRITE) {
        if request.perms.write {
            return Err(Errno::EPERM);
        }
        max_perms.write = false;
    }
    Ok(Kind { sharing, max_perms })
}

/// LINUX: the branch of do_mmap() for anonymous memory.
fn anonymous_kind(request: &Request) -> Result<Kind, Errno> {
    let sharing = match MapType::parse(request.raw_flags) {
        Some(MapType::Shared) if request.flags.contains(MapFlags::GROWSDOWN) => return Err(Errno::EINVAL),
        Some(MapType::Shared) => Sharing::Shared,
        Some(MapType::Private) => Sharing::Private,
        // Memory that may be dropped under pressure: as a Linux built without it.
        Some(MapType::Droppable) => return Err(Errno::EOPNOTSUPP),
        Some(MapType::SharedValidate) | None => return Err(Errno::EINVAL),
    };
    Ok(Kind { sharing, max_perms: ALL })
}
