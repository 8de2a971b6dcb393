//! `wait`: how children ended.

use crate::errno::Errno;
use crate::process::{Exit, Process};
use crate::system::Linux;
use core::sync::atomic::Ordering::Acquire;
use frame::Id;
use machine::lock::key;
use machine::{Cx, Machine, Memory};

/// Whether `wait` waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waiting {
    /// Until a child has ended.
    Block,
    /// Not at all (`WNOHANG`).
    Poll,
}

impl<'m, M: Machine> Linux<'m, M> {
    /// `waitpid`: a child that has ended (this one, or any) and how; it is forgotten. `None` only when
    /// polling. `ECHILD` if there is no such child.
    pub fn wait(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        which: Option<Id<Process>>,
        waiting: Waiting,
    ) -> Result<Option<(Id<Process>, Exit)>, Errno> {
        let ended = &self.process(process).ended;
        loop {
            // ORDERING: Acquire pairs with the AcqRel in `tell_of_end`: an end counted here is found below.
            let seen = cx.load(ended, Acquire);
            let found = self.reap_child(cx, process, which)?;
            if found.is_some() || waiting == Waiting::Poll {
                return Ok(found);
            }
            let parking = cx.core().parking;
            parking.park_unless(cx, key(ended), |cx| cx.load(ended, Acquire) != seen);
        }
    }

    fn reap_child(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        which: Option<Id<Process>>,
    ) -> Result<Option<(Id<Process>, Exit)>, Errno> {
        let named = |id: Id<Process>| which.is_none_or(|which| which == id);
        let held = self.shared.registry.lock(cx);
        if self.find_child(process, |id, _| named(id)).is_none() {
            return Err(Errno::ECHILD);
        }
        let zombie = self.find_child(process, |id, object| named(id) && Self::is_zombie(object));
        let Some(child) = zombie else { return Ok(None) };
        let object = self.process(child);
        let exit = Exit::from_status(object.status.get());
        self.disown(child);
        object.state.set(0);
        self.shared.processes.sub(1);
        drop(held);
        self.processes.free(cx.at(), child);
        Ok(Some((child, exit)))
    }
}
