//! `mremap`.

use crate::args::{is_page_aligned, page_align, pages, user_end};
use crate::calls::unmap::unmap_range;
use crate::errno::{Call, Errno};
use crate::flags::RemapFlags;
use crate::process::Process;
use crate::system::Linux;
use frame::Id;
use machine::{Cx, Machine, PAGE_SHIFT, VirtAddr, Vpn, VpnRange};
use space::{Remap, RemapPlace, Source, VmaFlags};

/// The arguments of `mremap` as the program passes them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mremap {
    /// Where the mapping is.
    pub addr: u64,
    /// Its length in bytes.
    pub old_len: u64,
    /// The length it is to have.
    pub new_len: u64,
    /// `MREMAP_*`.
    pub flags: u64,
    /// Where it is to go.
    pub new_addr: u64,
}

/// Lengths in whole pages; rounding up past 64 bits gives 0, as on Linux.
struct Request {
    addr: u64,
    old_len: u64,
    new_len: u64,
    flags: RemapFlags,
}

/// LINUX: the checks of mremap() before it takes the lock; every one answers EINVAL.
fn parse(args: &Mremap) -> Option<Request> {
    let flags = RemapFlags::from_bits(args.flags)?;
    let moves = flags.contains(RemapFlags::MAYMOVE);
    let must_move = flags.intersects(RemapFlags::FIXED | RemapFlags::DONTUNMAP);
    let resizes = args.old_len != args.new_len;
    if must_move && !moves || flags.contains(RemapFlags::DONTUNMAP) && resizes || !is_page_aligned(args.addr)
    {
        return None;
    }
    let old_len = page_align(args.old_len).unwrap_or(0);
    let new_len = page_align(args.new_len).unwrap_or(0);
    (new_len > 0).then_some(Request { addr: args.addr, old_len, new_len, flags })
}

/// LINUX: the checks of mremap_to() on the new range.
fn target<M: Machine>(request: &Request, new_addr: u64) -> Result<Vpn, Errno> {
    let end = user_end::<M>();
    if !is_page_aligned(new_addr) || request.new_len > end || new_addr > end - request.new_len {
        return Err(Errno::EINVAL);
    }
    // The sum wraps on Linux too.
    let old_end = request.addr.wrapping_add(request.old_len);
    if old_end > new_addr && new_addr + request.new_len > request.addr {
        return Err(Errno::EINVAL);
    }
    Ok(VirtAddr(new_addr).page())
}

impl<'m, M: Machine> Linux<'m, M> {
    /// `mremap`: answers the new address.
    pub fn mremap(&self, cx: &mut Cx<'m, M>, process: Id<Process>, args: &Mremap) -> Result<u64, Errno> {
        let request = parse(args).ok_or(Errno::EINVAL)?;
        let page = VirtAddr(request.addr).page();
        let space = self.space_of(process)?;
        let source = self.spaces().vma_at(cx.at(), space, page).filter(|vma| vma.range.contains(page));
        source.ok_or(Errno::EFAULT)?;
        let moves = request.flags.intersects(RemapFlags::FIXED | RemapFlags::DONTUNMAP);
        if !moves && request.old_len >= request.new_len {
            return self.shrink(cx, process, &request);
        }
        let place = self.remap_place::<M>(&request, args.new_addr)?;
        // Past the source's own VMA the old range is refused below, where what is at a fixed new place has
        // gone by then (LINUX: mremap_to()); here it must only be a range.
        let old_len = self.tail_unmapped(cx, process, &request, place)?.min(user_end::<M>());
        let keep = request.flags.contains(RemapFlags::DONTUNMAP);
        let remap = Remap {
            old: pages(request.addr, old_len),
            new_pages: request.new_len >> PAGE_SHIFT,
            place,
            source: if keep { Source::Keep } else { Source::Unmap },
        };
        let moved =
            self.run(cx, process, Call::Mremap, |cx, space| self.spaces().remap(cx, space, &remap))?;
        if request.new_len > old_len {
            let grown = VpnRange::new(moved.start + (old_len >> PAGE_SHIFT), moved.end);
            self.populate_vmas(cx, process, grown, |flags| flags.contains(VmaFlags::LOCKED))?;
        }
        Ok(moved.start.addr().0)
    }

    /// A mapping that does not grow and need not move: its tail goes, whatever is mapped there.
    fn shrink(&self, cx: &mut Cx<'m, M>, process: Id<Process>, request: &Request) -> Result<u64, Errno> {
        if request.old_len > request.new_len {
            self.unmap_tail(cx, process, request)?;
        }
        Ok(request.addr)
    }

    fn unmap_tail(&self, cx: &mut Cx<'m, M>, process: Id<Process>, request: &Request) -> Result<(), Errno> {
        let start = request.addr.checked_add(request.new_len).ok_or(Errno::EINVAL)?;
        let tail = unmap_range::<M>(start, request.old_len - request.new_len)?;
        self.run(cx, process, Call::Mremap, |cx, space| self.spaces().unmap(cx, space, tail))
    }

    fn remap_place<N: Machine>(&self, request: &Request, new_addr: u64) -> Result<RemapPlace, Errno> {
        let fixed = request.flags.contains(RemapFlags::FIXED);
        if !fixed && !request.flags.contains(RemapFlags::DONTUNMAP) {
            let moves = request.flags.contains(RemapFlags::MAYMOVE);
            return Ok(if moves { RemapPlace::MayMove } else { RemapPlace::Stay });
        }
        let to = target::<N>(request, new_addr)?;
        if !fixed {
            return Ok(if to == Vpn(0) { RemapPlace::MayMove } else { RemapPlace::Hint(to) });
        }
        Ok(RemapPlace::Fixed(to))
    }

    /// A mapping that moves and shrinks loses its tail first; answers the length that is left. Before that
    /// its new place is emptied, also if the tail is no range (LINUX: mremap_to()).
    fn tail_unmapped(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        request: &Request,
        place: RemapPlace,
    ) -> Result<u64, Errno> {
        if request.old_len <= request.new_len {
            return Ok(request.old_len);
        }
        if let RemapPlace::Fixed(to) = place {
            let target = VpnRange::sized(to, request.new_len >> PAGE_SHIFT);
            self.run(cx, process, Call::Mremap, |cx, space| self.spaces().unmap(cx, space, target))?;
        }
        self.unmap_tail(cx, process, request)?;
        Ok(request.new_len)
    }
}
