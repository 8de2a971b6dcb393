//! Processes begin, change their program, and end.

use freehold::frame::Id;
use freehold::linux::{CloneFlags, Cloned, Errno, ExecImage, Exit, Process, Segment};
use freehold::machine::{CpuId, PAGE_SIZE, Perms, VirtAddr, VpnRange};
use freehold::space::VmaFlags;
use record::{ForkMemory, Mapping, MappingKind, ProcessId, Prot};
use sim::TaskCtx;
use sim::shadow::{Change, Source};

use super::engine::{Engine, Live};
use crate::exit::Error;

impl Engine<'_> {
    /// A process or thread is made.
    pub(crate) fn fork(
        &self,
        ctx: TaskCtx<'_>,
        (parent, live): (ProcessId, Live),
        child: ProcessId,
        memory: ForkMemory,
    ) -> Result<(), Error> {
        ctx.syscall();
        let flags = match memory {
            ForkMemory::Copied => CloneFlags::empty(),
            ForkMemory::BorrowedUntilExec => CloneFlags::VM | CloneFlags::VFORK,
            ForkMemory::Shared => CloneFlags::VM,
            ForkMemory::Thread => CloneFlags::VM | CloneFlags::SIGHAND | CloneFlags::THREAD,
        };
        let copies = memory == ForkMemory::Copied;
        let ticket = copies.then(|| self.shadow.borrow_mut().begin(live.shadow, Change::Fork));
        let cloned = self.manager.linux().clone(&mut self.cx(ctx), live.id, flags.bits());
        let id = match cloned {
            Ok(Cloned::Thread) => return Ok(()),
            Ok(Cloned::Child(id)) => id,
            Err(Errno::EINTR) => {
                self.note_killed(parent);
                if let Some(ticket) = ticket {
                    self.shadow.borrow_mut().cancel(ticket);
                }
                return Ok(());
            }
            Err(errno) => return Err(refused(&format!("fork of {parent}"), errno)),
        };
        let shadow = match ticket {
            Some(ticket) => {
                let memory = self.memories.borrow_mut().fresh();
                self.shadow.borrow_mut().fork_end(ticket, memory);
                self.wipe_on_fork(ctx, id, memory);
                memory
            }
            None => {
                self.memories.borrow_mut().share(live.shadow);
                live.shadow
            }
        };
        self.processes.borrow_mut()[child.0 as usize] = Some(Live { id, shadow, killed: false });
        self.tell_space(&self.cx(ctx), child, id);
        Ok(())
    }

    /// What the child did not get (`MADV_WIPEONFORK`).
    fn wipe_on_fork(&self, ctx: TaskCtx<'_>, child: Id<Process>, memory: u32) {
        let linux = self.manager.linux();
        let Some(space) = linux.process(child).space() else { return };
        linux.spaces().for_each_vma(self.cx(ctx).at(), space, |vma| {
            if vma.flags.contains(VmaFlags::WIPE_ON_FORK) {
                self.shadow.borrow_mut().dontneed(memory, vma.range);
            }
        });
    }

    /// A process gets a new address space.
    pub(crate) fn exec(
        &self,
        ctx: TaskCtx<'_>,
        process: ProcessId,
        mappings: &[Mapping],
        brk_start: u64,
    ) -> Result<(), Error> {
        ctx.syscall();
        let Some(live) = self.live_process(process) else { return Ok(()) };
        let stack = mappings.iter().find(|m| m.kind == MappingKind::Stack);
        let others = mappings.iter().filter(|&m| Some(m) != stack);
        let segments: Vec<Segment> = others.map(|m| self.segment(m)).collect();
        let code = mappings.iter().find(|m| m.prot.contains(Prot::EXEC));
        let code = code.map_or((VirtAddr(0), VirtAddr(0)), |m| (VirtAddr(m.start), VirtAddr(m.end())));
        let image =
            ExecImage { segments: &segments, stack: stack.map(range_of), break_start: brk_start, code };
        self.sweep(live);
        // The new space is loaded here whoever's was before: exec replaces the caller's own.
        let made = self.manager.linux().exec(&mut self.cx(ctx), live.id, Some(ctx.task()), &image);
        match made {
            Ok(()) => {}
            Err(Errno::EINTR) => {
                self.note_killed(process);
                return Ok(());
            }
            Err(errno) => return Err(refused(&format!("exec of {process}"), errno)),
        }
        self.forget_memory(live);
        let memory = self.memories.borrow_mut().fresh();
        let shadow = &mut *self.shadow.borrow_mut();
        shadow.process(memory);
        for mapping in mappings {
            // What exec maps is private, and a stack has no file.
            let backing = mapping.backing.filter(|_| Some(mapping) != stack);
            let source = backing.and_then(|b| self.files.source(Some(b.file), b.offset, false));
            shadow.map(memory, range_of(mapping), source.unwrap_or(Source::Anonymous));
        }
        self.processes.borrow_mut()[process.0 as usize] = Some(Live { shadow: memory, ..live });
        self.tell_space(&self.cx(ctx), process, live.id);
        Ok(())
    }

    /// A process uses its memory no longer: with the last one its shadow goes.
    fn forget_memory(&self, live: Live) {
        if self.memories.borrow_mut().leave(live.shadow) {
            self.shadow.borrow_mut().exit(live.shadow);
        }
    }

    fn segment(&self, mapping: &Mapping) -> Segment {
        let object = mapping.backing.map(|b| (self.files.get(b.file).map.file, b.offset / PAGE_SIZE));
        Segment { range: range_of(mapping), perms: perms_of(mapping.prot), object }
    }

    /// A task ends, and with the last one its process.
    pub(crate) fn exit(&self, ctx: TaskCtx<'_>, process: ProcessId, live: Live) {
        ctx.syscall();
        if self.manager.linux().process(live.id).threads() == 1 {
            self.sweep(live);
        }
        if self.was_last_here(ctx.cpu(), process) {
            self.manager.linux().leave(&mut self.cx(ctx), live.id);
        }
        let exit = if live.killed { Exit::Signal(9) } else { Exit::Code(0) };
        if self.manager.linux().exit_task(&mut self.cx(ctx), ctx.task(), exit) {
            self.processes.borrow_mut()[process.0 as usize] = None;
            self.forget_memory(live);
        }
    }

    /// One task of a process less on a CPU; answers whether that was the last.
    fn was_last_here(&self, cpu: CpuId, process: ProcessId) -> bool {
        let placed = &mut *self.placed.borrow_mut();
        let left = placed.remove(&(cpu, process)).unwrap_or(1) - 1;
        if left > 0 {
            placed.insert((cpu, process), left);
        }
        left == 0
    }
}

/// An operation that Linux did and that cannot be done here.
fn refused(what: &str, errno: Errno) -> Error {
    Error::new(&format!("{what} answered {errno}"))
}

fn range_of(mapping: &Mapping) -> VpnRange {
    VpnRange::new(VirtAddr(mapping.start).page(), VirtAddr(mapping.end()).page())
}

fn perms_of(prot: Prot) -> Perms {
    Perms {
        read: prot.contains(Prot::READ),
        write: prot.contains(Prot::WRITE),
        execute: prot.contains(Prot::EXEC),
    }
}
