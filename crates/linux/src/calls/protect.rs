//! `mprotect`.

use crate::args::{Span, is_page_aligned, page_align};
use crate::errno::{Call, Errno};
use crate::flags::Prot;
use crate::process::Process;
use crate::system::Linux;
use frame::Id;
use machine::{Cx, Machine, Perms, VpnRange};
use space::{Grow, VmaFlags};

/// What `mprotect` is asked to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Change {
    span: Span,
    perms: Perms,
    grow: Grow,
}

/// LINUX: do_mprotect_pkey(), the checks before the lock, in its order; `None` when there is nothing to do.
fn parse<M: Machine>(addr: u64, len: u64, prot: u64) -> Result<Option<Change>, Errno> {
    let both = Prot::GROWSDOWN | Prot::GROWSUP;
    let asked = Prot::from_bits_retain(prot);
    if asked.contains(both) || !is_page_aligned(addr) {
        return Err(Errno::EINVAL);
    }
    if len == 0 {
        return Ok(None);
    }
    let len = page_align(len).filter(|len| addr.checked_add(*len).is_some_and(|end| end > addr));
    let len = len.ok_or(Errno::ENOMEM)?;
    if !Prot::ACCEPTED.contains(asked.difference(both)) {
        return Err(Errno::EINVAL);
    }
    let grow = match () {
        () if asked.contains(Prot::GROWSDOWN) => Grow::Down,
        () if asked.contains(Prot::GROWSUP) => Grow::Up,
        () => Grow::No,
    };
    Ok(Some(Change { span: Span::new::<M>(addr, len), perms: asked.perms(), grow }))
}

/// How many parts are kept apart; those behind are taken for one.
const PARTS: usize = 8;

/// Parts of a range, in order.
#[derive(Default)]
struct Parts {
    parts: [VpnRange; PARTS],
    used: usize,
}

impl Parts {
    fn push(&mut self, part: VpnRange) {
        match self.parts.get_mut(self.used) {
            Some(free) => {
                *free = part;
                self.used += 1;
            }
            None => self.parts[PARTS - 1].end = part.end,
        }
    }

    fn each(&self, visit: impl FnMut(VpnRange) -> Result<(), Errno>) -> Result<(), Errno> {
        self.parts[..self.used].iter().copied().try_for_each(visit)
    }
}

impl<'m, M: Machine> Linux<'m, M> {
    /// `mprotect(addr, len, prot)`. What lies before a hole is changed, as on Linux.
    pub fn mprotect(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        addr: u64,
        len: u64,
        prot: u64,
    ) -> Result<(), Errno> {
        let Some(Change { span, perms, grow }) = parse::<M>(addr, len, prot)? else { return Ok(()) };
        if span.user.is_empty() {
            return Err(Errno::ENOMEM);
        }
        self.check_upward(cx, process, span.user, grow)?;
        let waiting = self.locked_unwritable(cx, process, span.user, grow)?;
        let done = self.run(cx, process, Call::Mprotect, |cx, space| {
            self.spaces().protect(cx, space, span.user, perms, grow)
        });
        if perms.write {
            waiting.each(|part| self.break_cow_of_locked(cx, process, part))?;
        }
        span.hole_after(done)
    }

    /// LINUX: a hole is found before it is seen that nothing grows upwards here.
    fn check_upward(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        range: VpnRange,
        grow: Grow,
    ) -> Result<(), Errno> {
        let space = self.space_of(process)?;
        if grow != Grow::Up {
            return Ok(());
        }
        let first = self.spaces().vma_at(cx.at(), space, range.start);
        let hole = !first.is_some_and(|vma| vma.range.contains(range.start));
        if hole { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// The locked private parts of the range that may not be stored to (nor be brought in for a store) yet.
    /// LINUX: mprotect_fixup() looks at what the flags were: what was writable before is left as it is.
    fn locked_unwritable(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        range: VpnRange,
        grow: Grow,
    ) -> Result<Parts, Errno> {
        let space = self.space_of(process)?;
        let mut parts = Parts::default();
        self.spaces().for_each_vma(cx.at(), space, |vma| {
            let grows = grow == Grow::Down && vma.range.contains(range.start);
            let start = if grows { vma.range.start } else { range.start };
            let part = vma.range.intersect(&VpnRange::new(start, range.end));
            let wanted = vma.flags.contains(VmaFlags::LOCKED) && !vma.flags.contains(VmaFlags::WRITE);
            if !part.is_empty() && wanted && vma.flags.is_private() {
                parts.push(part);
            }
        });
        Ok(parts)
    }

    /// A locked private mapping that became writable gets its own pages now: a store to it never waits.
    fn break_cow_of_locked(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        range: VpnRange,
    ) -> Result<(), Errno> {
        let locked = VmaFlags::LOCKED | VmaFlags::WRITE;
        self.populate_vmas(cx, process, range, |flags| flags.contains(locked) && flags.is_private())
    }
}
