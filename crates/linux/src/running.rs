//! Which space each CPU translates through.
//!
//! A CPU holds a use of the space it has loaded (Linux: `active_mm`), so that a process may end while an
//! idle CPU still has its tables loaded.

use crate::process::Process;
use crate::system::Linux;
use frame::Id;
use machine::{Cx, EntryFormat, Machine, VirtAddr, Vpn, VpnRange};
use space::Space;

impl<'m, M: Machine> Linux<'m, M> {
    /// This CPU runs a task of the process from here on: it translates through the process's space. Called
    /// whenever a task goes on in user mode on a CPU that ran something else; costs nothing if the space is
    /// loaded already.
    pub fn enter(&self, cx: &mut Cx<'m, M>, process: Id<Process>) {
        let Some(space) = self.process(process).space() else { return self.idle(cx) };
        let slot = &self.cpus[cx.cpu().0 as usize].space;
        let old = slot.get();
        if old == Some(space) {
            return;
        }
        self.spaces().retain(cx.at(), space);
        if let Some(old) = old {
            self.spaces().deactivate(cx.at(), old);
        }
        self.spaces().activate(cx.at(), space);
        slot.set(Some(space));
        if let Some(old) = old {
            self.spaces().release(cx.at(), old);
        }
    }

    /// This CPU runs no task of the process any more: it translates through no space, if that was the
    /// process's.
    pub fn leave(&self, cx: &mut Cx<'m, M>, process: Id<Process>) {
        if self.process(process).space().is_some_and(|space| self.is_loaded_here(cx, space)) {
            self.idle(cx);
        }
    }

    /// This CPU translates through no space from here on.
    pub fn idle(&self, cx: &mut Cx<'m, M>) {
        let slot = &self.cpus[cx.cpu().0 as usize].space;
        if let Some(old) = slot.replace(None) {
            self.spaces().deactivate(cx.at(), old);
            self.spaces().release(cx.at(), old);
        }
    }

    /// Whether this CPU translates through the space.
    pub(crate) fn is_loaded_here(&self, cx: &Cx<'m, M>, space: Id<Space>) -> bool {
        self.cpus[cx.cpu().0 as usize].space.get() == Some(space)
    }

    /// A process no longer uses the space. If only CPUs are left, this one leaves; while idle ones are
    /// left, their tables stay but the memory goes now (Linux: `mmput` and `mmdrop`).
    pub(crate) fn let_go(&self, cx: &mut Cx<'m, M>, space: Id<Space>) {
        let is_last = self.spaces().space(space).users() == self.loaded_on(space) + 1;
        if is_last && self.is_loaded_here(cx, space) {
            self.idle(cx);
        }
        if is_last && self.loaded_on(space) > 0 {
            let end = VirtAddr(<M::Entry as EntryFormat>::USER_END).page();
            // Should it fail, the last CPU to leave does the same.
            let _ = self.spaces().unmap(cx.at(), space, VpnRange::new(Vpn(0), end));
        }
        self.spaces().release(cx.at(), space);
    }

    /// How many CPUs translate through the space.
    fn loaded_on(&self, space: Id<Space>) -> u64 {
        self.cpus.iter().filter(|slot| slot.space.get() == Some(space)).count() as u64
    }
}
