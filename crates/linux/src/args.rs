//! Addresses and lengths as programs pass them, made into ranges of pages.
//!
//! Calls differ in what they answer for the same nonsense, so each states its errors itself; here is only
//! the arithmetic that must not wrap unseen.

use crate::errno::Errno;
use machine::{EntryFormat, Machine, PAGE_SHIFT, PAGE_SIZE, VirtAddr, Vpn, VpnRange};

/// First address that user space may not use (Linux: `TASK_SIZE`).
pub(crate) fn user_end<M: Machine>() -> u64 {
    <M::Entry as EntryFormat>::USER_END
}

/// Whether the address starts a page.
pub(crate) fn is_page_aligned(addr: u64) -> bool {
    addr & (PAGE_SIZE - 1) == 0
}

/// The length in whole pages, rounded up; `None` if that exceeds 64 bits (Linux's `PAGE_ALIGN` answers 0
/// then).
pub(crate) fn page_align(len: u64) -> Option<u64> {
    Some(len.checked_add(PAGE_SIZE - 1)? & !(PAGE_SIZE - 1))
}

/// The range of pages of a page-aligned address and a length of whole pages that do not wrap.
pub(crate) fn pages(start: u64, len: u64) -> VpnRange {
    debug_assert!(is_page_aligned(start) && is_page_aligned(len));
    VpnRange::sized(VirtAddr(start).page(), len >> PAGE_SHIFT)
}

/// A range that does not wrap, but may leave user space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    /// What lies in user space.
    pub(crate) user: VpnRange,
    /// Whether some of it lies beyond: nothing is ever mapped there.
    pub(crate) beyond: bool,
}

impl Span {
    /// Splits `start..start + len` (whole pages, not wrapping) at the end of user space.
    pub(crate) fn new<M: Machine>(start: u64, len: u64) -> Span {
        let all = pages(start, len);
        let user_space = VpnRange::new(Vpn(0), VirtAddr(user_end::<M>()).page());
        let user = all.intersect(&user_space);
        let user = if user.is_empty() { VpnRange::default() } else { user };
        Span { user, beyond: all.end > user_space.end }
    }

    /// The range of a call that does nothing to an empty one (`None`): `wraps` is what it answers if the
    /// range wraps around, and `ENOMEM` if no page of it is in user space.
    pub(crate) fn parse<M: Machine>(start: u64, len: u64, wraps: Errno) -> Result<Option<Span>, Errno> {
        start.checked_add(len).ok_or(wraps)?;
        if len == 0 {
            return Ok(None);
        }
        let span = Span::new::<M>(start, len);
        if span.user.is_empty() { Err(Errno::ENOMEM) } else { Ok(Some(span)) }
    }

    /// What a call answers that did `done` to the part in user space, if it refuses holes: a hole comes last.
    pub(crate) fn hole_after(&self, done: Result<(), Errno>) -> Result<(), Errno> {
        match done {
            Ok(()) if self.beyond => Err(Errno::ENOMEM),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_round_up_and_never_wrap() {
        assert_eq!(page_align(0), Some(0));
        assert_eq!(page_align(1), Some(4096));
        assert_eq!(page_align(4096), Some(4096));
        assert_eq!(page_align(u64::MAX - 4095), Some(u64::MAX - 4095));
        assert_eq!(page_align(u64::MAX - 4094), None);
        assert_eq!(page_align(u64::MAX), None);
    }
}
