//! What others than programs ask of a process's page tables: a monitor for its guest, a profiler.

use crate::errno::Errno;
use crate::process::Process;
use crate::system::Linux;
use fault::{Guest, GuestError, Translated};
use frame::Id;
use machine::{Access, Cx, Machine, VirtAddr, level};
use space::Space;
use table::Sample;

impl<'m, M: Machine> Linux<'m, M> {
    /// Translates an address of a guest whose physical memory a process has mapped: the guest's tables, and
    /// the host's for each of them ([`fault::guest`]). Tables that are swapped out are brought in. Inner
    /// errors are the guest's, or say why its memory cannot be read; `ESRCH` if the process has exited.
    // LINUX: arch/x86/kvm/mmu/paging_tmpl.h walk_addr_generic().
    pub fn translate_guest(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        guest: &Guest,
        (addr, access): (VirtAddr, Access),
    ) -> Result<Result<Translated, GuestError>, Errno> {
        self.with_space_of(cx, process, |cx, space| {
            let mut found = Err(GuestError::Fault);
            let done = self.balance.with_memory(cx, self.spaces(), Some(space), self.config.shortage, |cx| {
                found = self.faults.translate_guest(cx, space, guest, (addr.page(), access));
                match found {
                    Err(GuestError::Host(error)) => Err(error),
                    _ => Ok(()),
                }
            });
            Ok(done.map_err(GuestError::Host).and(found))
        })
    }

    /// What maps an address now, for a profiler: its frame, and how large its page is. From an interrupt
    /// ([`Cx::interrupt`]) at any moment: no lock is taken and nobody waited for ([`table::sample`]).
    /// The space is in use: for an interrupt, that which its CPU has loaded.
    // LINUX: kernel/events/core.c perf_get_page_size().
    pub fn sample(
        &self,
        cx: &mut Cx<'m, M, { level::EPOCH }>,
        space: Id<Space>,
        addr: VirtAddr,
    ) -> Option<Sample> {
        self.spaces().walker(self.spaces().space(space).table()?).sample(cx, addr.page())
    }
}
