//! Pages of programs that calls hold: how they are taken, and what a refusal means to the caller.

use crate::args::user_end;
use crate::errno::Errno;
use crate::process::Process;
use crate::system::Linux;
use fault::{FaultError, HoldError, How};
use frame::Id;
use machine::{Cx, Machine, PAGE_SIZE, VirtAddr, Vpn};
use object::Held;
use space::Space;

/// Bytes of a program (`struct iovec`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Iovec {
    /// Where they start.
    pub base: u64,
    /// How many there are.
    pub len: u64,
}

/// How many [`Iovec`] a call takes (Linux: `UIO_MAXIOV`).
pub const IOV_MAX: usize = 1024;

/// The most bytes that a call moves (Linux: `MAX_RW_COUNT`).
pub(crate) const RW_MAX: u64 = i32::MAX as u64 & !(PAGE_SIZE - 1);

/// The caller's own ranges, as every call looks at them first: how many there are, how long, and where.
/// Answers how many bytes they have, up to [`RW_MAX`].
// LINUX: lib/iov_iter.c import_iovec(): of a single range only what is moved has to be in user space.
pub(crate) fn import<M: Machine>(ranges: &[Iovec]) -> Result<u64, Errno> {
    check_lengths(ranges)?;
    let is_in_reach = match ranges {
        [one] => Iovec { len: one.len.min(RW_MAX), ..*one }.is_in_user_space::<M>(),
        _ => ranges.iter().all(|range| range.is_in_user_space::<M>()),
    };
    if !is_in_reach {
        return Err(Errno::EFAULT);
    }
    Ok(ranges.iter().fold(0, |sum: u64, range| sum.saturating_add(range.len)).min(RW_MAX))
}

/// No more than [`IOV_MAX`] ranges, and no length that is negative as a number with a sign.
// LINUX: lib/iov_iter.c iovec_from_user(), copy_iovec_from_user().
pub(crate) fn check_lengths(ranges: &[Iovec]) -> Result<(), Errno> {
    let is_long = |range: &Iovec| range.len > i64::MAX as u64;
    if ranges.len() > IOV_MAX || ranges.iter().any(is_long) { Err(Errno::EINVAL) } else { Ok(()) }
}

/// The part of some bytes that lies in one page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Piece {
    /// The page.
    pub(crate) page: Vpn,
    /// Where in the page.
    pub(crate) offset: u64,
    /// How many bytes.
    pub(crate) len: u64,
}

impl Iovec {
    /// Cuts bytes at the ends of pages. What wraps around ends there.
    pub(crate) fn pieces(self) -> impl Iterator<Item = Piece> {
        let mut left = self;
        core::iter::from_fn(move || {
            let at = VirtAddr(left.base);
            let len = (PAGE_SIZE - at.offset()).min(left.len);
            if len == 0 {
                return None;
            }
            left = match left.base.checked_add(len) {
                Some(base) => Iovec { base, len: left.len - len },
                None => Iovec { base: 0, len: 0 },
            };
            Some(Piece { page: at.page(), offset: at.offset(), len })
        })
    }

    /// LINUX: access_ok(): it does not wrap, and ends in user space.
    pub(crate) fn is_in_user_space<M: Machine>(self) -> bool {
        self.base.checked_add(self.len).is_some_and(|end| end <= user_end::<M>())
    }
}

/// What a call answers when a page cannot be held.
pub(crate) fn errno_of_hold(error: HoldError) -> Errno {
    match error {
        HoldError::Fault(FaultError::Segv(_) | FaultError::Bus) => Errno::EFAULT,
        HoldError::Fault(FaultError::Killed) => Errno::EINTR,
        HoldError::Fault(FaultError::Shortage(_)) => Errno::ENOMEM,
        // LINUX: check_and_migrate_movable_folios(), try_grab_folio().
        HoldError::Immovable | HoldError::TooMany => Errno::ENOMEM,
    }
}

impl<'m, M: Machine> Linux<'m, M> {
    /// Holds pages of a process from `first` on, for a driver (`pin_user_pages`): one for each place of
    /// `into`; answers how many are held now. An error only if none is. Each goes back once, whatever becomes
    /// of the process: with [`Linux::release_page`], or [`Linux::release_dirty`] if something was stored
    /// through it.
    pub fn hold_pages(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        (first, how): (Vpn, How),
        into: &mut [Held],
    ) -> Result<usize, Errno> {
        let space = self.space_of(process)?;
        self.bring_limits(cx, process, space);
        let done = self.balance.with_memory(cx, self.spaces(), Some(space), self.config.shortage, |cx| {
            self.faults.hold(cx, space, (first, how), into)
        });
        done.map_err(errno_of_hold)
    }

    /// Holds one page of a space that is in use; `current` is the space of the caller.
    pub(crate) fn hold_page(
        &self,
        cx: &mut Cx<'m, M>,
        (current, space): (Id<Space>, Id<Space>),
        (page, how): (Vpn, How),
    ) -> Result<Held, Errno> {
        let mut held = [Held::Nothing];
        let done = self.balance.with_memory(cx, self.spaces(), Some(current), self.config.shortage, |cx| {
            self.faults.hold(cx, space, (page, how), &mut held)
        });
        done.map_err(errno_of_hold)?;
        Ok(held[0])
    }

    /// Gives a hold back.
    pub fn release_page(&self, cx: &mut Cx<'m, M>, held: Held) {
        self.faults.let_go(cx.at(), held);
    }

    /// Gives a hold back through which bytes were stored.
    pub fn release_dirty(&self, cx: &mut Cx<'m, M>, held: Held) {
        self.faults.let_go_dirty(cx.at(), held);
    }

    /// Does something with the space of a process, which may exit meanwhile. `ESRCH` if it has.
    // LINUX: get_task_mm().
    pub(crate) fn with_space_of<T>(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        op: impl FnOnce(&mut Cx<'m, M>, Id<Space>) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let space = self.use_space_of(cx, process)?;
        let result = op(cx, space);
        self.spaces().release(cx.at(), space);
        result
    }

    /// One use of the space of a process, for the caller to give back.
    fn use_space_of(&self, cx: &mut Cx<'m, M>, process: Id<Process>) -> Result<Id<Space>, Errno> {
        loop {
            let space = self.space_of(process)?;
            if !self.spaces().try_retain(cx.at(), space) {
                return Err(Errno::ESRCH);
            }
            // The number may have come to name another space meanwhile.
            if self.process(process).space() == Some(space) {
                return Ok(space);
            }
            self.spaces().release(cx.at(), space);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn bytes_are_cut_at_the_ends_of_pages() {
        let pieces =
            |base, len| Iovec { base, len }.pieces().map(|p| (p.page.0, p.offset, p.len)).collect::<Vec<_>>();
        assert_eq!(pieces(0x1ff8, 0), []);
        assert_eq!(pieces(0x1ff8, 8), [(1, 0xff8, 8)]);
        assert_eq!(pieces(0x1ff8, 16), [(1, 0xff8, 8), (2, 0, 8)]);
        assert_eq!(pieces(0x1000, 0x2001), [(1, 0, 0x1000), (2, 0, 0x1000), (3, 0, 1)]);
        assert_eq!(pieces(u64::MAX - 7, 16).len(), 1, "nothing lies behind the last byte");
    }
}
