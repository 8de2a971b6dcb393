//! Processes begin and end.

use freehold::linux::{CloneFlags, Cloned, Errno, Exit, Waiting};
use native::{Answer, Status, WAIT_ANY};
use sim::TaskCtx;

use super::World;
use super::calls::failed;

impl World<'_> {
    /// `fork`, or a child that shares the memory.
    pub(super) fn fork(&self, ctx: TaskCtx<'_>, me: usize, slot: usize, flags: CloneFlags) -> Answer {
        let free = self.alive.get(slot).is_some_and(|alive| !alive.get());
        let (Some(parent), Some(task)) = (self.process(me), self.tasks.get(slot).and_then(|t| t.get()))
        else {
            return Answer::SKIPPED;
        };
        if !free {
            return Answer::SKIPPED;
        }
        let linux = self.manager.linux();
        let child = match linux.clone(&mut self.cx(ctx), parent, flags.bits()) {
            Ok(Cloned::Child(child)) => child,
            Ok(Cloned::Thread) => return failed(Errno::EINVAL),
            Err(errno) => return failed(errno),
        };
        if let Err(errno) = linux.attach(&mut self.cx(ctx), child, task) {
            self.complain(&format!("a child's task could not be attached: {errno}"));
        }
        let is_copy = !flags.contains(CloneFlags::VM) || self.is_copy(me);
        self.copies.borrow_mut().push(is_copy);
        self.parents.borrow_mut().push(self.serials[me].get());
        let mut processes = self.processes.borrow_mut();
        self.serials[slot].set(processes.len());
        self.alive[slot].set(true);
        processes.push(Some(child));
        Answer { status: Status::Good, value: 0 }
    }

    /// Whether a process's memory was copied from another's.
    pub(super) fn is_copy(&self, me: usize) -> bool {
        self.copies.borrow().get(self.serials[me].get()).copied().unwrap_or(false)
    }

    /// `exit`.
    pub(super) fn exit(&self, ctx: TaskCtx<'_>, me: usize, code: u64) -> Answer {
        self.alive[me].set(false);
        self.manager.linux().exit_task(&mut self.cx(ctx), ctx.task(), Exit::Code(code as u8 & 0x3f));
        Answer { status: Status::Good, value: 0 }
    }

    /// `wait4` with `WNOHANG`; answers 0, or the child's serial number and status.
    pub(super) fn wait(&self, ctx: TaskCtx<'_>, me: usize, which: u64) -> Answer {
        let Some(process) = self.process(me) else { return Answer::SKIPPED };
        let named = match which {
            WAIT_ANY => None,
            slot => match self.named_child(me, slot as usize) {
                Some(child) => Some(child),
                None => return failed(Errno::ECHILD),
            },
        };
        match self.manager.linux().wait(&mut self.cx(ctx), process, named, Waiting::Poll) {
            Err(errno) => failed(errno),
            Ok(None) => Answer { status: Status::Good, value: 0 },
            Ok(Some((child, exit))) => {
                let mut processes = self.processes.borrow_mut();
                let serial = processes.iter().rposition(|&known| known == Some(child));
                let serial = serial.unwrap_or(usize::MAX >> 32);
                if let Some(entry) = processes.get_mut(serial) {
                    *entry = None;
                }
                Answer { status: Status::Good, value: (serial as u64 + 1) << 16 | exit.status() }
            }
        }
    }

    /// The process a slot has or had last, if it is this one's child and was not waited for.
    fn named_child(&self, me: usize, slot: usize) -> Option<freehold::frame::Id<freehold::linux::Process>> {
        let serial = self.serials.get(slot)?.get();
        // Slots that had no process name the first one, which is nobody's child. Numbers of processes that
        // nobody waits for are used again.
        let is_own = self.parents.borrow().get(serial) == Some(&self.serials[me].get());
        self.processes.borrow().get(serial).copied().flatten().filter(|_| is_own)
    }

    /// The program is over: who still lives exits.
    pub(super) fn end(&self, ctx: TaskCtx<'_>, me: usize) {
        if self.alive[me].get() {
            ctx.enter_user(self);
            self.exit(ctx, me, 0);
        }
    }
}
