//! `fork`, `vfork`, `clone`, and the first process.

use crate::errno::{Call, Errno};
use crate::limits::{Resource, Rlimit};
use crate::process::{ALIVE, Process};
use crate::system::Linux;
use core::sync::atomic::Ordering::{Acquire, Relaxed};
use frame::Id;
use machine::lock::key;
use machine::{Cx, Machine, Memory};
use space::Space;

bitflags::bitflags! {
    /// `CLONE_*`, as far as memory is concerned. Other bits are for the kernel around.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct CloneFlags: u64 {
        /// The address space is shared.
        const VM = 0x100;
        /// Signal handlers are shared.
        const SIGHAND = 0x800;
        /// The parent waits until the child has its own space or is gone.
        const VFORK = 0x4000;
        /// Another thread of the same process.
        const THREAD = 0x1_0000;
    }
}

/// What `clone` made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cloned {
    /// Another thread: attach a task to the same process.
    Thread,
    /// A child: attach a task to it.
    Child(Id<Process>),
}

impl<'m, M: Machine> Linux<'m, M> {
    /// The first process: no parent, an empty space, Linux's initial limits. It goes on with [`Linux::exec`].
    pub fn first_process(&self, cx: &mut Cx<'m, M>) -> Result<Id<Process>, Errno> {
        self.first_process_with(cx, &Resource::ALL.map(|resource| (resource, Rlimit::initial(resource))))
    }

    /// The same with limits of its own; those not named are Linux's initial ones.
    pub fn first_process_with(
        &self,
        cx: &mut Cx<'m, M>,
        limits: &[(Resource, Rlimit)],
    ) -> Result<Id<Process>, Errno> {
        let process = self.new_process(cx)?;
        let object = self.process(process);
        for resource in Resource::ALL {
            object.set_limit(resource, Rlimit::initial(resource));
        }
        for &(resource, limit) in limits {
            object.set_limit(resource, limit);
        }
        let limits = object.limits();
        let space = self.with_memory(cx, None, Call::Fork, |cx| self.spaces().create(cx, &limits));
        let space = space.inspect_err(|_| self.free_process(cx, process))?;
        self.publish(cx, process, None, space);
        Ok(process)
    }

    /// `fork`: a child with a copy of the space.
    pub fn fork(&self, cx: &mut Cx<'m, M>, parent: Id<Process>) -> Result<Id<Process>, Errno> {
        let child = self.new_process(cx)?;
        self.process(child).inherit(self.process(parent));
        let space = self.run(cx, parent, Call::Fork, |cx, space| self.spaces().fork(cx, space));
        let space = space.inspect_err(|_| self.free_process(cx, child))?;
        self.publish(cx, child, Some(parent), space);
        Ok(child)
    }

    /// `vfork`: a child in the parent's own space. The parent's task goes on with [`Linux::wait_vfork`].
    pub fn vfork(&self, cx: &mut Cx<'m, M>, parent: Id<Process>) -> Result<Id<Process>, Errno> {
        let child = self.share(cx, parent)?;
        // RELAXED: the child does not run yet; starting it orders this.
        cx.store(&self.process(child).borrowed, 1, Relaxed);
        Ok(child)
    }

    /// `clone`: a thread, a child that shares the space, or a child with a copy.
    pub fn clone(&self, cx: &mut Cx<'m, M>, parent: Id<Process>, flags: u64) -> Result<Cloned, Errno> {
        let flags = CloneFlags::from_bits_truncate(flags);
        // LINUX: copy_process(): threads share handlers, and who shares handlers shares memory.
        let thread_alone = flags.contains(CloneFlags::THREAD) && !flags.contains(CloneFlags::SIGHAND);
        let handlers_alone = flags.contains(CloneFlags::SIGHAND) && !flags.contains(CloneFlags::VM);
        if thread_alone || handlers_alone {
            return Err(Errno::EINVAL);
        }
        if flags.contains(CloneFlags::THREAD) {
            return self.space_of(parent).map(|_| Cloned::Thread);
        }
        let child =
            if flags.contains(CloneFlags::VM) { self.share(cx, parent)? } else { self.fork(cx, parent)? };
        if flags.contains(CloneFlags::VFORK) {
            // RELAXED: as in `vfork`.
            cx.store(&self.process(child).borrowed, 1, Relaxed);
        }
        Ok(Cloned::Child(child))
    }

    /// Sleeps until a `vfork` child has called exec or exited.
    pub fn wait_vfork(&self, cx: &mut Cx<'m, M>, child: Id<Process>) {
        let borrowed = &self.process(child).borrowed;
        let parking = cx.core().parking;
        // ORDERING: Acquire pairs with the Release in `give_space_back`.
        while cx.load(borrowed, Acquire) != 0 {
            parking.park_unless(cx, key(borrowed), |cx| cx.load(borrowed, Acquire) == 0);
        }
    }

    /// Whether the parent of a `vfork` child must still wait.
    pub fn is_borrowing(&self, cx: &Cx<'m, M>, child: Id<Process>) -> bool {
        // ORDERING: as in `wait_vfork`.
        cx.load(&self.process(child).borrowed, Acquire) != 0
    }

    /// A child in the parent's own space.
    fn share(&self, cx: &mut Cx<'m, M>, parent: Id<Process>) -> Result<Id<Process>, Errno> {
        let space = self.space_of(parent)?;
        if self.is_killed(cx, space) {
            return Err(Errno::EINTR);
        }
        let child = self.new_process(cx)?;
        self.process(child).inherit(self.process(parent));
        self.spaces().retain(cx.at(), space);
        self.publish(cx, child, Some(parent), space);
        Ok(child)
    }

    /// A process nobody knows yet.
    fn new_process(&self, cx: &mut Cx<'m, M>) -> Result<Id<Process>, Errno> {
        self.with_memory(cx, None, Call::Fork, |cx| Ok(self.processes.alloc(cx.at(), self.frames())?))
    }

    /// The process exists from here on.
    fn publish(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        parent: Option<Id<Process>>,
        space: Id<Space>,
    ) {
        let object = self.process(process);
        let _held = self.shared.registry.lock(cx);
        object.space.set(Some(space));
        object.state.set(ALIVE);
        self.shared.processes.add(1);
        if let Some(parent) = parent.filter(|&parent| Self::is_alive(self.process(parent))) {
            self.adopt(parent, process);
        }
    }

    /// Gives an unpublished process back.
    fn free_process(&self, cx: &mut Cx<'m, M>, process: Id<Process>) {
        self.processes.free(cx.at(), process);
    }
}
