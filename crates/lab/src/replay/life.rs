//! Processes begin, change their program, and end.

use freehold::linux::{CloneFlags, Cloned, ExecImage, Exit, Segment};
use freehold::machine::{PAGE_SIZE, Perms, VirtAddr, VpnRange};
use record::{ForkMemory, Mapping, MappingKind, ProcessId, Prot, Sharing};
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
            Err(errno) => return Err(self.refused(&format!("fork of {parent}"), errno)),
        };
        let shadow = if copies { child.0 } else { live.shadow };
        if let Some(ticket) = ticket {
            self.shadow.borrow_mut().fork_end(ticket, child.0);
            let stacks = self.stacks.borrow()[live.shadow as usize].clone();
            self.stacks.borrow_mut()[child.0 as usize] = stacks;
        }
        self.processes.borrow_mut()[child.0 as usize] = Some(Live { id, shadow, killed: false });
        Ok(())
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
        let segments: Vec<Segment> =
            mappings.iter().filter(|m| m.kind != MappingKind::Stack).map(|m| self.segment(m)).collect();
        let stack = mappings.iter().find(|m| m.kind == MappingKind::Stack);
        let code = mappings.iter().find(|m| m.prot.contains(Prot::EXEC));
        let code = code.map_or((VirtAddr(0), VirtAddr(0)), |m| (VirtAddr(m.start), VirtAddr(m.end())));
        let image = ExecImage { segments: &segments, stack: stack.map(range_of), break_start: brk_start, code };
        // The new space is loaded here whoever's was before: exec replaces the caller's own.
        let made = self.manager.linux().exec(&mut self.cx(ctx), live.id, Some(ctx.task()), &image);
        made.map_err(|errno| self.refused(&format!("exec of {process}"), errno))?;
        self.forget_memory(process, live);
        let shadow = &mut *self.shadow.borrow_mut();
        shadow.process(process.0);
        for mapping in mappings {
            let shared = mapping.sharing == Sharing::Shared;
            let (file, offset) = mapping.backing.map_or((None, 0), |b| (Some(b.file), b.offset));
            let source = self.files.source(file, offset, shared && file.is_some()).unwrap_or(Source::Anonymous);
            shadow.map(process.0, range_of(mapping), source);
        }
        self.stacks.borrow_mut()[process.0 as usize] =
            stack.map(|m| (m.start / PAGE_SIZE, m.end() / PAGE_SIZE)).into_iter().collect();
        self.processes.borrow_mut()[process.0 as usize] = Some(Live { shadow: process.0, ..live });
        Ok(())
    }

    /// The shadow of what the process had before exec goes, unless it was borrowed.
    fn forget_memory(&self, process: ProcessId, live: Live) {
        if live.shadow == process.0 {
            self.shadow.borrow_mut().exit(process.0);
        }
    }

    fn segment(&self, mapping: &Mapping) -> Segment {
        let object = mapping.backing.map(|b| (self.files.get(b.file).map.file, b.offset / PAGE_SIZE));
        Segment { range: range_of(mapping), perms: perms_of(mapping.prot), object }
    }

    /// A task ends, and with the last one its process.
    pub(crate) fn exit(&self, ctx: TaskCtx<'_>, process: ProcessId, live: Live) {
        ctx.syscall();
        let cpu = ctx.cpu().0 as usize;
        let left_here = {
            let placed = &mut self.placed.borrow_mut()[cpu][process.0 as usize];
            *placed -= 1;
            *placed
        };
        if left_here == 0 && self.loaded[cpu].get() == Some(process) {
            self.unload(ctx);
        }
        let exit = if live.killed { Exit::Signal(9) } else { Exit::Code(0) };
        if self.manager.linux().exit_task(&mut self.cx(ctx), ctx.task(), exit) {
            self.processes.borrow_mut()[process.0 as usize] = None;
            if live.shadow == process.0 {
                self.shadow.borrow_mut().exit(process.0);
            }
        }
    }
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
