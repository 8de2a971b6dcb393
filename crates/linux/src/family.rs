//! Who is whose child. Everything here runs under the registry lock.

use crate::process::{ALIVE, Process, ZOMBIE};
use crate::system::Linux;
use frame::Id;
use machine::Machine;

impl<M: Machine> Linux<'_, M> {
    /// Puts a new process among the children of its parent.
    pub(crate) fn adopt(&self, parent: Id<Process>, child: Id<Process>) {
        let (mother, object) = (self.process(parent), self.process(child));
        let older = mother.child.replace(Some(child));
        object.parent.set(Some(parent));
        object.older.set(older);
        object.younger.set(None);
        match older {
            Some(older) => self.process(older).younger.set(Some(child)),
            None => mother.eldest.set(Some(child)),
        }
    }

    /// Takes a process out of the children of its parent.
    pub(crate) fn disown(&self, child: Id<Process>) {
        let object = self.process(child);
        let Some(parent) = object.parent.replace(None) else { return };
        let (older, younger) = (object.older.replace(None), object.younger.replace(None));
        match younger {
            Some(younger) => self.process(younger).older.set(older),
            None => self.process(parent).child.set(older),
        }
        match older {
            Some(older) => self.process(older).younger.set(younger),
            None => self.process(parent).eldest.set(younger),
        }
    }

    /// The oldest child for which `wanted` holds. LINUX: do_wait_thread() goes through children in the order
    /// of their birth, and programs that wait for any child see it.
    pub(crate) fn find_child(
        &self,
        parent: Id<Process>,
        wanted: impl Fn(Id<Process>, &Process) -> bool,
    ) -> Option<Id<Process>> {
        let mut next = self.process(parent).eldest.get();
        while let Some(child) = next {
            let object = self.process(child);
            if wanted(child, object) {
                return Some(child);
            }
            next = object.younger.get();
        }
        None
    }

    /// Whether the process has ended and nobody has asked how.
    pub(crate) fn is_zombie(object: &Process) -> bool {
        object.state.get() == ZOMBIE
    }

    /// Whether the process lives.
    pub(crate) fn is_alive(object: &Process) -> bool {
        object.state.get() == ALIVE
    }
}
