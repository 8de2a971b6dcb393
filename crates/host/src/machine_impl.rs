//! The machine made of this process as a [`Machine`].

use crate::barrier::Barrier;
use crate::host_machine::{DESCRIPTOR_WORDS, FRAME_WORDS, HostMachine};
use machine::x86_64::X86_64;
use machine::{
    Asid, Corrupt, CpuId, CpuSet, FlushScope, KernelFrame, Machine, MemoryRange, NodeId, PageOp, ReaderOrder,
    TaskId, UserFrame, Word,
};
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::cmp;

/// Distance of a node to itself, and to another, as firmware tells them.
const DISTANCE: (u32, u32) = (10, 20);

impl Machine for HostMachine {
    type Entry = X86_64;
    type Files = HostMachine;

    fn cpus(&self) -> u32 {
        self.cpus.len() as u32
    }
    fn nodes(&self) -> u32 {
        self.nodes
    }
    fn node_of(&self, cpu: CpuId) -> NodeId {
        NodeId((u64::from(cpu.0) * u64::from(self.nodes) / self.cpus.len() as u64) as u8)
    }
    fn distance(&self, from: NodeId, to: NodeId) -> u32 {
        if from == to { DISTANCE.0 } else { DISTANCE.1 }
    }
    fn memory(&self, index: usize) -> Option<MemoryRange> {
        self.ranges.get(index).copied()
    }
    fn tasks_max(&self) -> u32 {
        self.cpus()
    }
    fn files(&self) -> &HostMachine {
        self
    }

    fn memmap(&self) -> &[Word] {
        &self.memmap.words()[..(self.end * DESCRIPTOR_WORDS) as usize]
    }
    #[inline]
    fn kernel_area(&self, first: KernelFrame, frames: u64) -> &[Word] {
        let start = (u64::from(first.0.0) * FRAME_WORDS) as usize;
        &self.frames.words()[start..][..(frames * FRAME_WORDS) as usize]
    }
    fn zero_kernel(&self, _: CpuId, first: KernelFrame, frames: u64) {
        self.zero(first.0, frames);
    }
    fn page_op(&self, _: CpuId, op: PageOp) {
        self.operate(op);
    }
    fn read_frame(&self, _: CpuId, frame: UserFrame, offset: u64, into: &mut [u8]) {
        self.read(frame.0, offset, into);
    }
    fn write_frame(&self, _: CpuId, frame: UserFrame, offset: u64, bytes: &[u8]) {
        self.write(frame.0, offset, bytes);
    }
    fn same_bytes(&self, _: CpuId, a: UserFrame, b: UserFrame) -> bool {
        self.same(a.0, b.0)
    }
    fn hash_bytes(&self, _: CpuId, frame: UserFrame) -> u64 {
        self.hash(frame.0)
    }
    fn compare_bytes(&self, _: CpuId, a: UserFrame, b: UserFrame) -> cmp::Ordering {
        self.compare(a.0, b.0)
    }
    fn is_zero(&self, _: CpuId, frame: UserFrame) -> bool {
        self.holds_zero(frame.0)
    }
    fn compress(&self, _: CpuId, from: UserFrame, into: &mut [u8]) -> Option<usize> {
        self.pack(from.0, into)
    }
    fn decompress(&self, _: CpuId, from: &[u8], to: UserFrame) -> Result<(), Corrupt> {
        self.unpack(from, to.0)
    }

    #[inline]
    fn relax(&self, cpu: CpuId, _: &Word) {
        self.cpu(cpu).relax();
    }
    #[inline]
    fn prefetch(&self, _: CpuId, word: &Word) {
        // SAFETY: a prefetch accesses nothing: it never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(word).cast()) };
    }

    #[inline]
    fn reader_order(&self) -> ReaderOrder {
        match self.readers {
            Barrier::Membarrier => ReaderOrder::HeavyBarrier,
            Barrier::Fence => ReaderOrder::Fence,
        }
    }
    fn heavy_barrier(&self, cpu: CpuId, targets: &CpuSet) {
        self.interrupt(cpu, targets);
    }

    #[inline]
    fn irq_save(&self, cpu: CpuId) -> bool {
        self.cpu(cpu).irq_save(self.readers)
    }
    #[inline]
    fn irq_restore(&self, cpu: CpuId, were_enabled: bool) {
        if were_enabled {
            self.cpu(cpu).irq_enable();
        }
    }

    fn flush(&self, cpu: CpuId, targets: &CpuSet, scope: &FlushScope) {
        self.shoot_down(cpu, targets, scope);
    }
    fn load_space(&self, cpu: CpuId, root: Option<(KernelFrame, Asid)>, stale: bool) {
        let state = self.cpu(cpu);
        state.load_space(root);
        if stale && root.is_some() {
            state.tlb.drop_all();
        }
    }

    fn park(&self, cpu: CpuId, task: TaskId) -> CpuId {
        let parker = &self.parkers[task.0 as usize];
        if !parker.take() {
            self.cpu(cpu).while_parked(|| parker.sleep());
        }
        cpu
    }
    fn unpark(&self, _: CpuId, task: TaskId) {
        if let Some(parker) = self.parkers.get(task.0 as usize) {
            parker.wake();
        }
    }
    fn now(&self, _: CpuId) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }
}
