//! Steps of NUMA balancing.

use crate::args::Span;
use crate::errno::{Call, Errno};
use crate::process::Process;
use crate::system::Linux;
use frame::Id;
use machine::{Cx, Machine};

impl<'m, M: Machine> Linux<'m, M> {
    /// Makes the next uses of pages in `addr..addr + len` (whole pages) tell from which node they come;
    /// answers how many pages. Linux does so for a task that runs, range after range (`task_numa_work`); who
    /// calls this decides when and where.
    ///
    /// Errors: `ESRCH`, `ENOMEM` for a range outside of user space, `EINTR` for a process that dies.
    pub fn hint_numa(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        addr: u64,
        len: u64,
    ) -> Result<u64, Errno> {
        let Some(span) = Span::parse::<M>(addr, len, Errno::EINVAL)? else { return Ok(0) };
        self.run(cx, process, Call::AdviseNow, |cx, space| self.spaces().hint_numa(cx, space, span.user))
    }
}
