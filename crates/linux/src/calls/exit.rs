//! `exit`: a task or a process ends.

use crate::process::{ENDING, Exit, Process, ZOMBIE};
use crate::system::Linux;
use core::sync::atomic::Ordering::{AcqRel, Relaxed, Release};
use frame::Id;
use machine::lock::key;
use machine::{Cx, Machine, Memory, TaskId};

impl<'m, M: Machine> Linux<'m, M> {
    /// `exit` of one task: the last one ends its process. Answers whether it did.
    pub fn exit_task(&self, cx: &mut Cx<'m, M>, task: TaskId, exit: Exit) -> bool {
        let Some(process) = self.leave_last(cx, task) else { return false };
        self.exit(cx, process, exit);
        true
    }

    /// The task leaves its process; answers which, if it was the last.
    fn leave_last(&self, cx: &mut Cx<'m, M>, task: TaskId) -> Option<Id<Process>> {
        let _held = self.shared.registry.lock(cx);
        let (process, left) = self.detach_locked(task)?;
        if left > 0 {
            return None;
        }
        // In the same step: a task that is attached from now on would lose its process.
        self.process(process).state.set(ENDING);
        Some(process)
    }

    /// `exit_group`: the process ends, and its use of the space. Its other tasks have stopped. Nothing here
    /// allocates.
    pub fn exit(&self, cx: &mut Cx<'m, M>, process: Id<Process>, exit: Exit) {
        let object = self.process(process);
        let Some(space) = object.space.replace(None) else { return };
        self.let_go(cx, space);
        self.give_space_back(cx, process);
        let mut orphan_zombies = self.bury(cx, process, exit);
        while let Some(orphan) = orphan_zombies {
            orphan_zombies = self.process(orphan).older.replace(None);
            self.processes.free(cx.at(), orphan);
        }
    }

    /// Makes the process a zombie, or nothing at all if nobody will ask; answers a list (by `older`) of
    /// processes that nobody will ask for any more.
    fn bury(&self, cx: &mut Cx<'m, M>, process: Id<Process>, exit: Exit) -> Option<Id<Process>> {
        let object = self.process(process);
        let parent;
        let mut forgotten = None;
        {
            let _held = self.shared.registry.lock(cx);
            self.detach_others_locked(process, None);
            // Whom nobody waits for is forgotten at once (Linux: init waits for everybody).
            while let Some(child) = object.child.get() {
                self.disown(child);
                if Self::is_zombie(self.process(child)) {
                    self.process(child).older.set(forgotten);
                    self.process(child).state.set(0);
                    self.shared.processes.sub(1);
                    forgotten = Some(child);
                }
            }
            parent = object.parent.get();
            object.status.set(exit.status());
            object.state.set(ZOMBIE);
            if parent.is_none() {
                object.state.set(0);
                object.older.set(forgotten);
                self.shared.processes.sub(1);
                forgotten = Some(process);
            }
        }
        if let Some(parent) = parent {
            self.tell_of_end(cx, parent);
        }
        forgotten
    }

    /// Wakes who waits for children of `parent`.
    fn tell_of_end(&self, cx: &mut Cx<'m, M>, parent: Id<Process>) {
        let ended = &self.process(parent).ended;
        // ORDERING: AcqRel: the child's state (registry) is visible to who sees the count.
        cx.fetch_add(ended, 1, AcqRel);
        let parking = cx.core().parking;
        parking.wake_all(cx, key(ended));
    }

    /// The parent of a `vfork` child may go on.
    pub(crate) fn give_space_back(&self, cx: &mut Cx<'m, M>, process: Id<Process>) {
        let borrowed = &self.process(process).borrowed;
        // RELAXED: set before this process ran.
        if cx.load(borrowed, Relaxed) == 0 {
            return;
        }
        // ORDERING: Release pairs with the Acquire in `wait_vfork`.
        cx.store(borrowed, 0, Release);
        let parking = cx.core().parking;
        parking.wake_all(cx, key(borrowed));
    }
}
