//! Merging equal pages, as programs ask for it: `madvise(MADV_UNMERGEABLE)`, `prctl(PR_SET_MEMORY_MERGE)`.
//! And `/proc/PID/clear_refs`.

use crate::errno::{Call, Errno, of_fault};
use crate::process::Process;
use crate::system::Linux;
use frame::Id;
use machine::{Cx, Machine, VirtAddr, Vpn, VpnRange};
use space::{Advice, MergeAny};

impl<'m, M: Machine> Linux<'m, M> {
    /// Pages of the range are not merged any more, and those that are get copies of their own. If there is
    /// no memory for that, some stay merged until they are stored to.
    // LINUX: mm/ksm.c ksm_madvise() takes the mark away last; here it goes first, so that nothing is merged
    // behind the walk, which holds no lock.
    pub(crate) fn advise_unmergeable(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        range: VpnRange,
    ) -> Result<(), Errno> {
        let advised = self.advise_kept(cx, process, range, Advice::Unmergeable);
        self.unmerge(cx, process, range, Call::AdviseKept)?;
        advised
    }

    fn unmerge(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        range: VpnRange,
        call: Call,
    ) -> Result<(), Errno> {
        self.run(cx, process, call, |cx, space| self.faults.unmerge(cx, space, range).map_err(of_fault))
    }

    /// `prctl(PR_SET_MEMORY_MERGE, on, arg3, arg4, arg5)`.
    pub fn set_memory_merge(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        on: u64,
        rest: [u64; 3],
    ) -> Result<(), Errno> {
        if rest != [0; 3] {
            return Err(Errno::EINVAL);
        }
        let any = if on == 0 { MergeAny::Off } else { MergeAny::On };
        self.run(cx, process, Call::AdviseNow, |cx, space| self.spaces().merge_any(cx, space, any))?;
        match any {
            MergeAny::On => Ok(()),
            MergeAny::Off => {
                let everything = VpnRange::new(Vpn(0), VirtAddr(crate::args::user_end::<M>()).page());
                self.unmerge(cx, process, everything, Call::AdviseNow)
            }
        }
    }

    /// `prctl(PR_GET_MEMORY_MERGE, arg2, arg3, arg4, arg5)`.
    pub fn memory_merge(&self, process: Id<Process>, rest: [u64; 4]) -> Result<bool, Errno> {
        if rest != [0; 4] {
            return Err(Errno::EINVAL);
        }
        Ok(self.spaces().space(self.space_of(process)?).merges_any())
    }

    /// Writes 4 to `/proc/PID/clear_refs`: anonymous pages become clean and read-only, so that the next store
    /// to each is noticed. `EINVAL` for other numbers, which this manager has no use for.
    pub fn clear_refs(&self, cx: &mut Cx<'m, M>, process: Id<Process>, what: u64) -> Result<(), Errno> {
        if what != 4 {
            return Err(Errno::EINVAL);
        }
        self.run(cx, process, Call::AdviseNow, |cx, space| self.spaces().clear_refs(cx, space))
    }
}
