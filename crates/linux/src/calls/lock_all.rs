//! `mlockall` and `munlockall`.

use crate::args::user_end;
use crate::errno::{Call, Errno};
use crate::flags::LockAllFlags;
use crate::process::Process;
use crate::system::Linux;
use frame::Id;
use machine::{Cx, Machine, VirtAddr, Vpn, VpnRange};
use space::{LockMode, VmaFlags};

impl<'m, M: Machine> Linux<'m, M> {
    /// `mlockall(flags)`.
    pub fn mlockall(&self, cx: &mut Cx<'m, M>, process: Id<Process>, flags: u64) -> Result<(), Errno> {
        // LINUX: the flags are an int.
        let flags = LockAllFlags::from_bits(flags & u64::from(u32::MAX)).ok_or(Errno::EINVAL)?;
        if flags.difference(LockAllFlags::ONFAULT).is_empty() {
            return Err(Errno::EINVAL);
        }
        if self.process(process).limits().memlock == 0 {
            return Err(Errno::EPERM);
        }
        let on_fault = flags.contains(LockAllFlags::ONFAULT);
        let mode = if on_fault { LockMode::OnFault } else { LockMode::Now };
        let current = flags.contains(LockAllFlags::CURRENT).then_some(mode);
        let future = flags.contains(LockAllFlags::FUTURE).then_some(mode);
        self.run(cx, process, Call::Mlock, |cx, space| self.spaces().lock_all(cx, space, current, future))?;
        if current.is_none() {
            return Ok(());
        }
        let everything = VpnRange::new(Vpn(0), VirtAddr(user_end::<M>()).page());
        self.populate_vmas(cx, process, everything, |flags| flags.contains(VmaFlags::LOCKED))
    }

    /// `munlockall()`.
    pub fn munlockall(&self, cx: &mut Cx<'m, M>, process: Id<Process>) -> Result<(), Errno> {
        self.run(cx, process, Call::Mlock, |cx, space| self.spaces().unlock_all(cx, space))
    }
}
