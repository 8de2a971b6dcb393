//! Calls that make, change and end processes.

use freehold::frame::Id;
use freehold::linux::{CloneFlags, Cloned, Errno, ExecImage, Exit, Process, Waiting};
use freehold::machine::{VirtAddr, VpnRange};
use freehold::space::VmaFlags;
use sim::shadow::{Change, Source};

use super::super::script::{Call, Image, Place, ProcessName, RegionName, Sign, Value};
use super::call::sign_of;
use super::shared::Shared;
use super::world::{Actor, Live, World};

impl World<'_> {
    /// A call that is about processes; answers what it came to.
    pub(super) fn process_call(&self, who: Actor<'_>, at: Place, call: &Call) -> Value {
        let live = self.live(who, at);
        match call {
            Call::Fork(child) => sign_of(self.fork(who, at, live, *child)),
            Call::Clone(child) => sign_of(self.borrow_memory(who, at, live, *child).map(drop)),
            Call::Vfork(child) => {
                let born = self.borrow_memory(who, at, live, *child);
                sign_of(born.map(|id| self.manager.linux().wait_vfork(&mut self.cx(who.ctx), id)))
            }
            Call::Exec(image) => sign_of(self.exec(who, at, live, image)),
            Call::Exit(code) => {
                self.exit(who, live, *code);
                Value::Sign(Sign::Ok)
            }
            Call::Wait(child) => self.wait(who, live, *child),
            // The others are about memory.
            _ => Value::Sign(Sign::Ok),
        }
    }

    fn born(&self, who: Actor<'_>, at: Place, name: ProcessName, live: Live) {
        self.settle(who.ctx);
        let before = self.processes.borrow_mut()[name.0].replace(live);
        if before.is_some_and(|before| before.is_alive) {
            self.misused(who.ctx, at, format!("there is a {} already", self.name_of(name)));
        }
        self.wake(who.ctx, Shared::Birth(name));
    }

    fn fork(&self, who: Actor<'_>, at: Place, live: Live, child: ProcessName) -> Result<(), Errno> {
        Shared::Memory(live.memory).change(who.ctx);
        self.hear_device(who);
        let begun = self.judge.borrow_mut().begin(live.memory, Change::Fork);
        let forked = self.manager.linux().fork(&mut self.cx(who.ctx), live.id);
        self.hear_device(who);
        Shared::Memory(live.memory).change(who.ctx);
        let id = match forked {
            Ok(id) => id,
            Err(errno) => {
                self.judge.borrow_mut().cancel(begun);
                return Err(errno);
            }
        };
        let memory = self.judge.borrow_mut().forked(begun);
        self.wipe_on_fork(who, id, memory);
        self.born(who, at, child, Live { id, memory, is_alive: true });
        Ok(())
    }

    /// What the child got without its bytes (`MADV_WIPEONFORK`).
    fn wipe_on_fork(&self, who: Actor<'_>, child: Id<Process>, memory: u32) {
        let linux = self.manager.linux();
        let Some(space) = linux.process(child).space() else { return };
        linux.spaces().for_each_vma(self.cx(who.ctx).at(), space, |vma| {
            if vma.flags.contains(VmaFlags::WIPE_ON_FORK) {
                self.judge.borrow_mut().shadow().dontneed(memory, vma.range);
            }
        });
    }

    /// A child in the same address space.
    fn borrow_memory(
        &self,
        who: Actor<'_>,
        at: Place,
        live: Live,
        child: ProcessName,
    ) -> Result<Id<Process>, Errno> {
        let flags = CloneFlags::VM | CloneFlags::VFORK;
        let cloned = self.manager.linux().clone(&mut self.cx(who.ctx), live.id, flags.bits())?;
        let Cloned::Child(id) = cloned else { return Err(Errno::EINVAL) };
        self.judge.borrow_mut().share(live.memory);
        self.born(who, at, child, Live { id, is_alive: true, ..live });
        Ok(id)
    }

    /// The process goes on with an empty address space.
    fn exec(&self, who: Actor<'_>, at: Place, live: Live, image: &Image) -> Result<(), Errno> {
        let linux = self.manager.linux();
        if linux.process(live.id).threads() != 1 {
            self.misused(who.ctx, at, "exec comes after all other threads have stopped".into());
        }
        let region = |name: RegionName| &self.scenario.regions[name.0];
        let stack = image.stack.map(|name| VpnRange::sized(region(name).start + (region(name).pages - 1), 1));
        let heap = image.heap.map_or(0, |name| region(name).start.addr().0);
        let image = ExecImage { segments: &[], stack, break_start: heap, code: (VirtAddr(0), VirtAddr(0)) };
        linux.exec(&mut self.cx(who.ctx), live.id, Some(who.ctx.task()), &image)?;
        self.hear_device(who);
        let mut judge = self.judge.borrow_mut();
        judge.leave(live.memory);
        let memory = judge.fresh_memory();
        if let Some(stack) = stack {
            judge.shadow().map(memory, stack, Source::Anonymous);
        }
        self.processes.borrow_mut()[who.process.0] = Some(Live { memory, ..live });
        Ok(())
    }

    /// The task ends, and with the last one its process.
    fn exit(&self, who: Actor<'_>, live: Live, code: u8) {
        let linux = self.manager.linux();
        let ended = Some(Live { is_alive: false, ..live });
        if linux.process(live.id).threads() == 1 {
            self.processes.borrow_mut()[who.process.0] = ended;
        }
        if linux.exit_task(&mut self.cx(who.ctx), who.ctx.task(), Exit::Code(code)) {
            // Its other threads may have left only just now.
            self.processes.borrow_mut()[who.process.0] = ended;
            self.hear_device(who);
            self.judge.borrow_mut().leave(live.memory);
            self.wake(who.ctx, Shared::Birth(who.process));
        }
    }

    /// Waits for a child; answers its code, or 128 and the signal that ended it, as a shell does.
    fn wait(&self, who: Actor<'_>, live: Live, child: ProcessName) -> Value {
        self.wait_for_birth(who.ctx, child);
        let id = self.known(child).map(|child| child.id);
        match self.manager.linux().wait(&mut self.cx(who.ctx), live.id, id, Waiting::Block) {
            Ok(Some((_, Exit::Code(code)))) => Value::Word(u64::from(code)),
            Ok(Some((_, Exit::Signal(signal)))) => Value::Word(128 + u64::from(signal)),
            Ok(None) => Value::Sign(Sign::Errno(Errno::ECHILD)),
            Err(errno) => Value::Sign(Sign::Errno(errno)),
        }
    }
}
