//! A kernel of a few lines: one space with hand-made page tables.
#![allow(dead_code)]

use machine::entry::Attrs;
use machine::x86_64::X86_64;
use machine::{
    Asid, CpuId, CpuSet, EntryFormat, FlushScope, KernelFrame, Level, Machine, PageOp, Perms, Pfn, TaskId,
    UserFrame, VirtAddr, Vpn, VpnRange,
};
use sim::{Kernel, Outcome, PageFault, Signal, SimMachine, TaskCtx};
use std::sync::atomic::Ordering::Relaxed;

/// Tables at fixed kernel frames: root 16, then levels 3, 2 and 1.
pub(crate) const ROOT: KernelFrame = KernelFrame(Pfn(16));
pub(crate) const SPACE: Asid = Asid(7);

pub(crate) struct Tiny<'m> {
    pub(crate) sim: &'m SimMachine,
    /// Frames for faults to hand out; a fault on a page without one gets a signal.
    pub(crate) next_frame: std::cell::Cell<u32>,
    pub(crate) faults: std::cell::Cell<u32>,
}

pub(crate) const READ_WRITE: Perms = Perms { read: true, write: true, execute: false };

impl<'m> Tiny<'m> {
    pub(crate) fn new(sim: &'m SimMachine) -> Self {
        let cpu = CpuId(0);
        sim.zero_kernel(cpu, ROOT, 4);
        for level in 0..3 {
            let table = sim.kernel_area(KernelFrame(Pfn(16 + level)), 1);
            table[0].raw().store(X86_64::table(KernelFrame(Pfn(17 + level))).0, Relaxed);
        }
        Tiny { sim, next_frame: std::cell::Cell::new(1000), faults: std::cell::Cell::new(0) }
    }

    /// The leaf entry of one of the first 512 pages.
    pub(crate) fn entry(&self, page: u64) -> &'m machine::Word {
        &self.sim.kernel_area(KernelFrame(Pfn(19)), 1)[page as usize]
    }

    pub(crate) fn map(&self, page: u64, frame: u32, perms: Perms) {
        let leaf = X86_64::leaf(Pfn(frame), Attrs { perms, ..Attrs::default() }, Level::LEAF);
        self.sim.store(self.sim.running_cpu(), self.entry(page), leaf.0, Relaxed);
    }

    pub(crate) fn unmap(&self, page: u64) {
        self.sim.store(self.sim.running_cpu(), self.entry(page), 0, Relaxed);
    }

    pub(crate) fn zero(&self, cpu: CpuId, frame: u32) {
        self.sim.page_op(cpu, PageOp::Zero { to: UserFrame(Pfn(frame)), order: machine::Order(0) });
    }

    pub(crate) fn discard(&self, cpu: CpuId, frame: u32) {
        self.sim.page_op(cpu, PageOp::Discard { frame: Pfn(frame), order: machine::Order(0) });
    }

    pub(crate) fn enter(&self, cpu: CpuId) {
        self.sim.load_space(cpu, Some((ROOT, SPACE)), false);
    }
}

pub(crate) fn one_page(page: u64) -> FlushScope {
    FlushScope { asid: SPACE, pages: Some(VpnRange::sized(Vpn(page), 1)), tables: false }
}

pub(crate) fn cpus(list: &[u32]) -> CpuSet {
    let mut set = CpuSet::EMPTY;
    list.iter().for_each(|&cpu| set.insert(CpuId(cpu)));
    set
}

pub(crate) fn addr(page: u64, offset: u64) -> VirtAddr {
    VirtAddr(page * 4096 + offset)
}

impl Kernel for Tiny<'_> {
    fn page_fault(&self, cx: TaskCtx<'_>, fault: PageFault) -> Outcome {
        self.faults.set(self.faults.get() + 1);
        let page = fault.addr.page().0;
        if page >= 512 || fault.present {
            return Outcome::Signal(Signal::Segv);
        }
        let frame = self.next_frame.replace(self.next_frame.get() + 1);
        self.zero(cx.cpu(), frame);
        let leaf = X86_64::leaf(Pfn(frame), Attrs { perms: READ_WRITE, ..Attrs::default() }, Level::LEAF);
        let entry = self.entry(page);
        let _ = self.sim.compare_exchange(cx.cpu(), entry, 0, leaf.0, Relaxed);
        Outcome::Resolved
    }

    fn switch_in(&self, cx: TaskCtx<'_>, _before: Option<TaskId>) {
        self.enter(cx.cpu());
    }
}
