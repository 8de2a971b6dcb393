//! `mlock`, `mlock2`, `munlock`.

use crate::args::{Span, page_align, user_end};
use crate::errno::{Call, Errno, errno};
use crate::flags::LockFlags;
use crate::process::Process;
use crate::system::Linux;
use fault::Populate;
use frame::Id;
use machine::{Cx, Machine, PAGE_SHIFT, PAGE_SIZE, Vpn, VpnRange};
use space::{LockMode, VmaFlags};

/// A start and a length in whole pages that cover the bytes named. LINUX: the sum and the rounding wrap.
fn cover(addr: u64, len: u64) -> (u64, u64) {
    let offset = addr & (PAGE_SIZE - 1);
    (addr - offset, page_align(len.wrapping_add(offset)).unwrap_or(0))
}

impl<'m, M: Machine> Linux<'m, M> {
    /// `mlock(addr, len)`.
    pub fn mlock(&self, cx: &mut Cx<'m, M>, process: Id<Process>, addr: u64, len: u64) -> Result<(), Errno> {
        self.lock(cx, process, addr, len, LockMode::Now)
    }

    /// `mlock2(addr, len, flags)`.
    pub fn mlock2(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        addr: u64,
        len: u64,
        flags: u64,
    ) -> Result<(), Errno> {
        // LINUX: the flags are an int.
        let flags = LockFlags::from_bits(flags & u64::from(u32::MAX)).ok_or(Errno::EINVAL)?;
        let on_fault = flags.contains(LockFlags::ONFAULT);
        self.lock(cx, process, addr, len, if on_fault { LockMode::OnFault } else { LockMode::Now })
    }

    /// `munlock(addr, len)`.
    pub fn munlock(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        addr: u64,
        len: u64,
    ) -> Result<(), Errno> {
        let (start, len) = cover(addr, len);
        let Some(span) = Span::parse::<M>(start, len, Errno::EINVAL)? else { return Ok(()) };
        let done = self.run(cx, process, Call::Mlock, |cx, space| self.spaces().unlock(cx, space, span.user));
        span.hole_after(done)
    }

    /// LINUX: do_mlock(): the right to lock at all, the limit, the range, then the pages.
    fn lock(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        addr: u64,
        len: u64,
        mode: LockMode,
    ) -> Result<(), Errno> {
        let memlock = self.process(process).limits().memlock;
        if memlock == 0 {
            return Err(Errno::EPERM);
        }
        let (start, len) = cover(addr, len);
        self.check_lock_limit(cx, process, start, len, memlock)?;
        let Some(span) = Span::parse::<M>(start, len, Errno::EINVAL)? else { return Ok(()) };
        let done =
            self.run(cx, process, Call::Mlock, |cx, space| self.spaces().lock(cx, space, span.user, mode));
        span.hole_after(done)?;
        self.populate_locked(cx, process, span.user)
    }

    /// The limit on locked memory comes before the range is looked at, and counts all of it. What is locked
    /// already in the range counts once.
    fn check_lock_limit(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        start: u64,
        len: u64,
        memlock: u64,
    ) -> Result<(), Errno> {
        let space = self.space_of(process)?;
        let (asked, limit) = (len >> PAGE_SHIFT, memlock >> PAGE_SHIFT);
        let total = asked.saturating_add(self.spaces().stats(space).locked);
        if total <= limit {
            return Ok(());
        }
        let end = start.saturating_add(len).min(user_end::<M>());
        let range = VpnRange::new(Vpn(start >> PAGE_SHIFT), Vpn(end >> PAGE_SHIFT));
        let mut locked = 0;
        self.spaces().for_each_vma(cx.at(), space, |vma| {
            if vma.flags.contains(VmaFlags::LOCKED) {
                locked += vma.range.intersect(&range).pages();
            }
        });
        if total - locked > limit { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// LINUX: __mm_populate() for mlock: the first VMA whose pages cannot be had ends it. The VMAs stay
    /// locked.
    fn populate_locked(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        range: VpnRange,
    ) -> Result<(), Errno> {
        self.for_each_mapped(cx, process, range, |cx, part, flags| {
            if flags.contains(VmaFlags::LOCK_ON_FAULT) {
                return Ok(());
            }
            if !flags.intersects(VmaFlags::ACCESS) {
                return Err(Errno::ENOMEM);
            }
            self.populate(cx, process, part, Populate::AsAllowed)
                .map_err(|error| errno(Call::MlockPopulate, error))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_covered_by_whole_pages_and_wrap_as_on_linux() {
        assert_eq!(cover(0x1000, 1), (0x1000, 0x1000));
        assert_eq!(cover(0x1fff, 2), (0x1000, 0x2000));
        assert_eq!(cover(0x1800, 0), (0x1000, 0x1000));
        assert_eq!(cover(0x1000, 0), (0x1000, 0));
        assert_eq!(cover(0x1000, u64::MAX), (0x1000, 0));
        assert_eq!(cover(0x1fff, u64::MAX), (0x1000, 0x1000));
    }
}
