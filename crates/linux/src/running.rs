//! Which space each CPU translates through.
//!
//! A CPU holds the space it has loaded (Linux: `active_mm`, `mmgrab`), so that a process may end while an
//! idle CPU still has its tables loaded. Only processes use a space: its memory goes with the last of them.

use crate::process::Process;
use crate::system::Linux;
use frame::Id;
use machine::{Cx, Machine};
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
        self.spaces().hold(cx.at(), space);
        if let Some(old) = old {
            self.spaces().deactivate(cx.at(), old);
        }
        self.spaces().activate(cx.at(), space);
        slot.set(Some(space));
        if let Some(old) = old {
            self.spaces().drop_hold(cx.at(), old);
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
            self.spaces().drop_hold(cx.at(), old);
        }
    }

    /// Whether this CPU translates through the space.
    pub(crate) fn is_loaded_here(&self, cx: &Cx<'m, M>, space: Id<Space>) -> bool {
        self.cpus[cx.cpu().0 as usize].space.get() == Some(space)
    }

    /// A process no longer uses the space. If it was the last the memory goes now, though idle CPUs may keep
    /// the tables loaded (Linux: `mmput` and `mmdrop`).
    pub(crate) fn let_go(&self, cx: &mut Cx<'m, M>, space: Id<Space>) {
        let Some(deserted) = self.spaces().leave(cx.at(), space) else { return };
        // Not before: a CPU that may soon run another of its processes keeps it loaded. Now nobody can come
        // back, and if no other CPU has it loaded none need be asked to flush.
        if self.is_loaded_here(cx, space) {
            self.idle(cx);
        }
        self.spaces().take_down(cx.at(), deserted);
    }
}
