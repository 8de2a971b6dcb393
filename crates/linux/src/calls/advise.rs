//! `madvise`.

use crate::args::{Span, is_page_aligned, page_align};
use crate::errno::{Call, Errno, errno};
use crate::process::Process;
use crate::system::Linux;
use fault::Populate;
use frame::Id;
use machine::{Cx, Machine, Vpn, VpnRange};
use space::{Advice, Error};

/// What `madvise` is asked to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Behaviour {
    /// Kept in the VMA.
    Kept(Advice),
    /// Followed at once.
    Now(Advice),
    /// Small pages become large ones.
    Collapse,
    /// Kept, and what is merged is undone.
    Unmergeable,
    /// Pages are brought in.
    Populate(Populate),
}

/// LINUX: madvise_behavior_valid(). What this manager does not do yet is refused as on a Linux built without
/// it: punched out of files (9), left out of core dumps (16, 17), dropped though locked (24), poisoned (100,
/// 101).
fn parse(behaviour: u64) -> Option<Behaviour> {
    // LINUX: the argument is an int.
    Some(match behaviour & u64::from(u32::MAX) {
        0 => Behaviour::Kept(Advice::Normal),
        1 => Behaviour::Kept(Advice::Random),
        2 => Behaviour::Kept(Advice::Sequential),
        3 => Behaviour::Now(Advice::WillNeed),
        4 => Behaviour::Now(Advice::DontNeed),
        8 => Behaviour::Now(Advice::Free),
        10 => Behaviour::Kept(Advice::DontFork),
        11 => Behaviour::Kept(Advice::DoFork),
        12 => Behaviour::Kept(Advice::Mergeable),
        13 => Behaviour::Unmergeable,
        14 => Behaviour::Kept(Advice::HugePage),
        15 => Behaviour::Kept(Advice::NoHugePage),
        18 => Behaviour::Kept(Advice::WipeOnFork),
        19 => Behaviour::Kept(Advice::KeepOnFork),
        20 => Behaviour::Now(Advice::Cold),
        21 => Behaviour::Now(Advice::PageOut),
        22 => Behaviour::Populate(Populate::Read),
        23 => Behaviour::Populate(Populate::Write),
        25 => Behaviour::Collapse,
        _ => return None,
    })
}

impl<'m, M: Machine> Linux<'m, M> {
    /// `madvise(addr, len, advice)`.
    pub fn madvise(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        addr: u64,
        len: u64,
        advice: u64,
    ) -> Result<(), Errno> {
        let behaviour = parse(advice).ok_or(Errno::EINVAL)?;
        if !is_page_aligned(addr) {
            return Err(Errno::EINVAL);
        }
        let len = page_align(len).ok_or(Errno::EINVAL)?;
        addr.checked_add(len).ok_or(Errno::EINVAL)?;
        if len == 0 {
            return Ok(());
        }
        let span = Span::new::<M>(addr, len);
        if span.user.is_empty() {
            return Err(Errno::ENOMEM);
        }
        let done = match behaviour {
            Behaviour::Kept(advice) => self.advise_kept(cx, process, span.user, advice),
            Behaviour::Now(advice) => self.run(cx, process, Call::AdviseNow, |cx, space| {
                self.spaces().advise(cx, space, span.user, advice)
            }),
            Behaviour::Collapse => self.advise_collapse(cx, process, span.user),
            Behaviour::Unmergeable => self.advise_unmergeable(cx, process, span.user),
            Behaviour::Populate(how) => self.advise_populate(cx, process, span.user, how),
        };
        span.hole_after(done)
    }

    /// Advice that is kept may split VMAs. LINUX: madvise_vma_behavior() answers EAGAIN when that fails,
    /// which the floor below does not tell from a hole.
    pub(crate) fn advise_kept(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        range: VpnRange,
        advice: Advice,
    ) -> Result<(), Errno> {
        let space = self.space_of(process)?;
        let advised = self.balance.with_memory(cx, self.spaces(), Some(space), self.config.shortage, |cx| {
            self.spaces().advise(cx, space, range, advice)
        });
        match advised {
            Err(Error::NoMemory) if self.first_hole(cx, process, range)?.is_none() => Err(Errno::EAGAIN),
            other => other.map_err(|error| errno(Call::AdviseKept, error)),
        }
    }

    fn first_hole(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        range: VpnRange,
    ) -> Result<Option<Vpn>, Errno> {
        let space = self.space_of(process)?;
        let mut at = range.start;
        while at < range.end {
            match self.spaces().vma_at(cx.at(), space, at) {
                Some(vma) if vma.range.contains(at) => at = vma.range.end,
                _ => return Ok(Some(at)),
            }
        }
        Ok(None)
    }

    /// LINUX: madvise_populate() goes VMA by VMA and stops at the first hole.
    fn advise_populate(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        range: VpnRange,
        how: Populate,
    ) -> Result<(), Errno> {
        let hole = self.first_hole(cx, process, range)?;
        let mapped = VpnRange::new(range.start, hole.unwrap_or(range.end));
        if !mapped.is_empty() {
            let populated = self.populate(cx, process, mapped, how);
            populated.map_err(|error| errno(Call::AdvisePopulate, error))?;
        }
        if hole.is_some() { Err(Errno::ENOMEM) } else { Ok(()) }
    }
}
