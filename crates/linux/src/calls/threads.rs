//! Tasks and the processes they run.

use crate::errno::Errno;
use crate::process::{ALIVE, Process};
use crate::system::Linux;
use frame::Id;
use machine::{Cx, Machine, TaskId};

impl<'m, M: Machine> Linux<'m, M> {
    /// The process a task runs.
    pub fn process_of(&self, task: TaskId) -> Option<Id<Process>> {
        self.tasks.get(task.0 as usize)?.process.get()
    }

    /// Makes a task run a process: its first one, or another thread. `EAGAIN` if there is no such task or
    /// it runs one already, `ESRCH` if the process has exited.
    pub fn attach(&self, cx: &mut Cx<'m, M>, process: Id<Process>, task: TaskId) -> Result<(), Errno> {
        let slot = self.tasks.get(task.0 as usize).ok_or(Errno::EAGAIN)?;
        let object = self.process(process);
        let _held = self.shared.registry.lock(cx);
        if object.state.get() != ALIVE {
            return Err(Errno::ESRCH);
        }
        if slot.process.get().is_some() {
            return Err(Errno::EAGAIN);
        }
        let first = object.thread.replace(Some(task));
        slot.process.set(Some(process));
        slot.prev.set(None);
        slot.next.set(first);
        if let Some(first) = first {
            self.tasks[first.0 as usize].prev.set(Some(task));
        }
        object.threads.add(1);
        Ok(())
    }

    /// The task no longer runs a process; answers which it ran and how many threads that has left.
    pub fn detach(&self, cx: &mut Cx<'m, M>, task: TaskId) -> Option<(Id<Process>, u64)> {
        let _held = self.shared.registry.lock(cx);
        self.detach_locked(task)
    }

    /// The same under the registry lock.
    pub(crate) fn detach_locked(&self, task: TaskId) -> Option<(Id<Process>, u64)> {
        let slot = self.tasks.get(task.0 as usize)?;
        let process = slot.process.replace(None)?;
        let object = self.process(process);
        let (prev, next) = (slot.prev.replace(None), slot.next.replace(None));
        match prev {
            Some(prev) => self.tasks[prev.0 as usize].next.set(next),
            None => object.thread.set(next),
        }
        if let Some(next) = next {
            self.tasks[next.0 as usize].prev.set(prev);
        }
        object.threads.sub(1);
        Some((process, object.threads.get()))
    }

    /// Detaches every thread of a process but one, under the registry lock.
    pub(crate) fn detach_others_locked(&self, process: Id<Process>, keep: Option<TaskId>) {
        let mut next = self.process(process).thread.get();
        while let Some(task) = next {
            next = self.tasks[task.0 as usize].next.get();
            if Some(task) != keep {
                self.detach_locked(task);
            }
        }
    }
}
