//! Faults and touches: loads and stores of the program, through the machine's TLBs and the manager's faults.

use freehold::linux;
use freehold::machine::{PAGE_SIZE, VirtAddr};
use freehold::space::VmaFlags;
use record::{Access, PageRun, ProcessId};
use sim::shadow::Source;
use sim::{Kernel, Outcome, PageFault, Signal, TaskCtx};

use super::engine::{Engine, Live};
use super::tally::note;
use crate::watch;

impl Engine<'_> {
    /// One access. What the program loaded or stored is not in the recording: stores store a value that no
    /// other store has, into one word of the page, and loads load that word.
    pub(crate) fn access(&self, ctx: TaskCtx<'_>, process: ProcessId, addr: u64, access: Access) {
        let addr = word_of_page(addr);
        match access {
            Access::Read => self.load(ctx, process, addr),
            Access::Write => self.store(ctx, process, addr),
            Access::Execute => {
                if let Err(signal) = ctx.execute(self, addr) {
                    self.signal(process, signal);
                }
            }
        }
    }

    /// All reads of an epoch, then all writes.
    pub(crate) fn touch(&self, ctx: TaskCtx<'_>, process: ProcessId, read: &[PageRun], written: &[PageRun]) {
        for (runs, access) in [(read, Access::Read), (written, Access::Write)] {
            for page in runs.iter().flat_map(|run| run.first_page..run.first_page + run.count) {
                self.access(ctx, process, page * PAGE_SIZE, access);
                self.upkeep.count_access(self.manager, &mut self.cx(ctx));
                self.breathe(ctx);
                if self.live_process(process).is_none_or(|live| live.killed) {
                    return;
                }
            }
        }
    }

    /// A page was seen to hold bytes of a class: if it holds others and the program may store there, they
    /// are stored. A page that holds them already is left alone: a store would be one that the program did
    /// not make, and might copy what it shares.
    pub(crate) fn content(&self, ctx: TaskCtx<'_>, process: ProcessId, page: u64, class: u64) {
        let Some(live) = self.live_process(process) else { return };
        let addr = VirtAddr(page * PAGE_SIZE);
        if self.shadow.borrow_mut().has_class(live.shadow, addr, class)
            || !self.is_writable(ctx, live.id, addr)
        {
            return;
        }
        match ctx.store_class(self, addr, class) {
            Ok(()) => {
                let agreed = self.shadow.borrow_mut().store_class(live.shadow, addr, class);
                self.judge(agreed);
            }
            Err(signal) => self.signal(process, signal),
        }
    }

    fn load(&self, ctx: TaskCtx<'_>, process: ProcessId, addr: VirtAddr) {
        match ctx.load(self, addr) {
            Ok(value) => {
                let Some(live) = self.live_process(process) else { return };
                let agreed = self.shadow.borrow_mut().load(live.shadow, addr, value);
                self.judge(agreed);
            }
            Err(signal) => self.signal(process, signal),
        }
    }

    fn store(&self, ctx: TaskCtx<'_>, process: ProcessId, addr: VirtAddr) {
        let value = self.fresh_value();
        match ctx.store(self, addr, value) {
            Ok(()) => {
                let Some(live) = self.live_process(process) else { return };
                let agreed = self.shadow.borrow_mut().store(live.shadow, addr, value);
                self.judge(agreed);
            }
            Err(signal) => self.signal(process, signal),
        }
    }

    fn judge(&self, agreed: Result<(), sim::shadow::Mismatch>) {
        if let Err(mismatch) = agreed {
            let tally = &mut *self.tally.borrow_mut();
            note(&mut tally.mismatches, &mut tally.mismatch_count, || mismatch.to_string());
        }
    }

    /// The access failed for the program: by the recording's own doing (it handles the signal),
    /// or because it was killed.
    fn signal(&self, process: ProcessId, signal: Signal) {
        if signal == Signal::Kill {
            self.note_killed(process);
        } else {
            self.tally.borrow_mut().signals += 1;
        }
    }

    /// A process was chosen by the OOM killer: its events are skipped from here on.
    pub(crate) fn note_killed(&self, process: ProcessId) {
        if let Some(live) = &mut self.processes.borrow_mut()[process.0 as usize]
            && !live.killed
        {
            live.killed = true;
            self.tally.borrow_mut().killed += 1;
        }
    }

    fn is_writable(
        &self,
        ctx: TaskCtx<'_>,
        process: freehold::frame::Id<linux::Process>,
        addr: VirtAddr,
    ) -> bool {
        let linux = self.manager.linux();
        let Some(space) = linux.process(process).space() else { return false };
        let vma = linux.spaces().vma_at(self.cx(ctx).at(), space, addr.page());
        vma.is_some_and(|vma| vma.range.contains(addr.page()) && vma.flags.contains(VmaFlags::WRITE))
    }

    /// Tells the shadow if a fault extended a stack down to this address.
    fn note_growth(&self, ctx: TaskCtx<'_>, live: Live, addr: VirtAddr) {
        let known = || self.shadow.borrow().next_mapped(live.shadow, addr.page());
        let grown = watch::grown_stack(self.manager, &mut self.cx(ctx), live.id, addr, &known);
        if let Some(grown) = grown {
            self.shadow.borrow_mut().map(live.shadow, grown, Source::Anonymous);
        }
    }
}

/// The word of a page that stands for its bytes: another one on each page, so
/// that exchanged pages are noticed.
fn word_of_page(addr: u64) -> VirtAddr {
    let page = addr / PAGE_SIZE;
    VirtAddr(page * PAGE_SIZE + page.wrapping_mul(0x9e37_79b9) % (PAGE_SIZE / 8) * 8)
}

impl Kernel for Engine<'_> {
    fn page_fault(&self, ctx: TaskCtx<'_>, fault: PageFault) -> Outcome {
        let linux = self.manager.linux();
        let Some(process) = linux.process_of(ctx.task()) else { return Outcome::Signal(Signal::Kill) };
        let answer = linux.user_fault(&mut self.cx(ctx), process, fault.addr, fault.access);
        // A stack grows before it is asked whether it allows the access.
        if let Some(live) = self.process_of(ctx).and_then(|process| self.live_process(process)) {
            self.note_growth(ctx, live, fault.addr);
        }
        match answer {
            Ok(()) => Outcome::Resolved,
            Err(linux::Signal::Segv { .. }) => Outcome::Signal(Signal::Segv),
            Err(linux::Signal::Bus { .. }) => Outcome::Signal(Signal::Bus),
            Err(linux::Signal::Kill) => Outcome::Signal(Signal::Kill),
        }
    }

    fn switch_in(&self, ctx: TaskCtx<'_>, _before: Option<freehold::machine::TaskId>) {
        if let Some(process) = self.process_of(ctx) {
            self.switch_to(ctx, process);
        }
    }
}

impl Engine<'_> {
    /// Which process of the recording a task of the machine runs.
    fn process_of(&self, ctx: TaskCtx<'_>) -> Option<ProcessId> {
        self.runs[ctx.task().0 as usize].get()
    }

    /// Loads a process's space on this CPU, if another one is loaded.
    pub(crate) fn switch_to(&self, ctx: TaskCtx<'_>, process: ProcessId) {
        if let Some(live) = self.live_process(process) {
            self.manager.linux().enter(&mut self.cx(ctx), live.id);
        }
    }
}
