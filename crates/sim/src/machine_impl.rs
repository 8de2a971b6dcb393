//! The simulated machine as a [`Machine`].

use crate::SimMachine;
use crate::config::Checks;
use crate::contents::Content;
use crate::cpu::TaskState;
use crate::explore::{Thing, Touch};
use crate::report::{Cause, Counts};
use crate::violation::Rule;
use machine::{
    Asid, Corrupt, CpuId, CpuSet, Event, FlushScope, KernelFrame, Machine, MemoryRange, NodeId, PAGE_SIZE,
    PageOp, Plant, ReaderOrder, TaskId, UserFrame, Word, x86_64::X86_64,
};
use std::cmp;
use std::sync::atomic::Ordering::{self, Relaxed};

/// Distance of a node to itself, and to another socket's, as firmware tells them.
const DISTANCE: (u32, u32) = (10, 21);

impl Machine for SimMachine {
    type Entry = X86_64;
    type Files = SimMachine;

    fn cpus(&self) -> u32 {
        self.cpus.len() as u32
    }
    fn nodes(&self) -> u32 {
        self.nodes
    }
    fn node_of(&self, cpu: CpuId) -> NodeId {
        NodeId(self.node_of[cpu.0 as usize])
    }
    fn distance(&self, from: NodeId, to: NodeId) -> u32 {
        if from == to { DISTANCE.0 } else { DISTANCE.1 }
    }
    fn memory(&self, index: usize) -> Option<MemoryRange> {
        self.ranges.get(index).copied()
    }
    fn tasks_max(&self) -> u32 {
        self.tasks_max
    }
    fn files(&self) -> &SimMachine {
        self
    }

    fn memmap(&self) -> &[Word] {
        self.memory().memmap()
    }
    fn kernel_area(&self, first: KernelFrame, frames: u64) -> &[Word] {
        self.memory().area(u64::from(first.0.0), frames)
    }
    fn zero_kernel(&self, _cpu: CpuId, first: KernelFrame, frames: u64) {
        let cost =
            if frames == 1 { self.costs.table_alloc } else { self.costs.zero_hot.saturating_mul(frames) };
        self.tick(Cause::TableAlloc, cost);
        Counts::add(&self.counts.kernel_frames_zeroed, frames);
        for frame in 0..frames {
            self.touch(Thing::kernel_frame(first.0.plus(frame).0), Touch::Write);
        }
        for word in self.kernel_area(first, frames) {
            word.raw().store(0, Relaxed);
        }
    }
    fn page_op(&self, cpu: CpuId, op: PageOp) {
        match op {
            PageOp::Zero { to, order } => {
                self.touch_frames(cpu, to.0, order);
                self.zero_frames(to.0, order);
            }
            PageOp::Copy { to, from, order } => {
                self.touch_frames(cpu, from.0, order);
                self.touch_frames(cpu, to.0, order);
                self.copy_frames(to.0, from.0, order);
            }
            PageOp::Discard { frame, order } => {
                self.touch_frames(cpu, frame, order);
                self.discard_frames(frame, order);
            }
        }
    }
    fn read_frame(&self, cpu: CpuId, frame: UserFrame, offset: u64, into: &mut [u8]) {
        self.touch_frame(cpu, frame.0);
        self.charge_bytes(into.len());
        self.read_bytes("the kernel", frame.0, offset, into);
    }
    fn write_frame(&self, cpu: CpuId, frame: UserFrame, offset: u64, bytes: &[u8]) {
        self.touch_frame(cpu, frame.0);
        self.charge_bytes(bytes.len());
        self.change_frame("the kernel", frame.0, |content| content.write(offset as usize, bytes));
    }
    fn same_bytes(&self, cpu: CpuId, a: UserFrame, b: UserFrame) -> bool {
        self.compare_frames(cpu, a.0, b.0).is_eq()
    }
    fn hash_bytes(&self, cpu: CpuId, frame: UserFrame) -> u64 {
        self.touch_frame(cpu, frame.0);
        self.charge_looked(self.costs.hash_hot, PAGE_SIZE as usize);
        self.with_content(frame.0, Content::hash)
    }
    fn compare_bytes(&self, cpu: CpuId, a: UserFrame, b: UserFrame) -> cmp::Ordering {
        self.compare_frames(cpu, a.0, b.0)
    }
    fn is_zero(&self, cpu: CpuId, frame: UserFrame) -> bool {
        self.touch_frame(cpu, frame.0);
        let (zero, looked) = self.with_content(frame.0, Content::zero);
        self.charge_looked(self.costs.scan_hot, looked);
        zero
    }
    fn compress(&self, cpu: CpuId, from: UserFrame, into: &mut [u8]) -> Option<usize> {
        self.touch_frame(cpu, from.0);
        self.compress_frame(from.0, into)
    }
    fn decompress(&self, cpu: CpuId, from: &[u8], to: UserFrame) -> Result<(), Corrupt> {
        self.touch_frame(cpu, to.0);
        self.decompress_frame(from, to.0)
    }

    // One host thread runs all CPUs, one step at a time: plain loads and stores are atomic here, and in the
    // order the scheduler chose. Orderings matter to store buffers only.

    #[inline]
    fn load(&self, cpu: CpuId, word: &Word, _order: Ordering) -> u64 {
        if self.point(cpu) {
            return self.explored_load(cpu, word);
        }
        self.charge_read(word);
        word.raw().load(Relaxed)
    }
    #[inline]
    fn store(&self, cpu: CpuId, word: &Word, value: u64, order: Ordering) {
        if self.point(cpu) {
            return self.explored_store(cpu, word, value, order);
        }
        self.charge_write(word);
        self.write(word, value);
    }
    #[inline]
    fn swap(&self, cpu: CpuId, word: &Word, value: u64, _order: Ordering) -> u64 {
        self.read_modify_write(cpu, word, |_| value)
    }
    #[inline]
    fn compare_exchange(
        &self,
        cpu: CpuId,
        word: &Word,
        current: u64,
        new: u64,
        _order: Ordering,
    ) -> Result<u64, u64> {
        if self.point(cpu) {
            self.settle(cpu.0);
            let fails = word.raw().load(Relaxed) != current;
            self.touch_word(word, if fails { Touch::Read } else { Touch::Write });
        }
        self.charge_rmw(word);
        let old = word.raw().load(Relaxed);
        if old != current {
            return Err(old);
        }
        self.write(word, new);
        Ok(old)
    }
    #[inline]
    fn fetch_add(&self, cpu: CpuId, word: &Word, value: u64, _order: Ordering) -> u64 {
        self.read_modify_write(cpu, word, |old| old.wrapping_add(value))
    }
    #[inline]
    fn fetch_or(&self, cpu: CpuId, word: &Word, bits: u64, _order: Ordering) -> u64 {
        self.read_modify_write(cpu, word, |old| old | bits)
    }
    #[inline]
    fn fetch_and(&self, cpu: CpuId, word: &Word, bits: u64, _order: Ordering) -> u64 {
        self.read_modify_write(cpu, word, |old| old & bits)
    }
    fn fence(&self, cpu: CpuId, order: Ordering) {
        let explored = self.point(cpu);
        if order == Ordering::SeqCst {
            if explored {
                self.settle(cpu.0);
            }
            self.tick(Cause::Atomics, self.costs.fence);
        }
    }
    fn store_fenced(&self, cpu: CpuId, word: &Word, value: u64) {
        // Two steps here, as on machines whose stores are buffered.
        self.store(cpu, word, value, Ordering::Release);
        self.fence(cpu, Ordering::SeqCst);
    }
    fn relax(&self, _cpu: CpuId, word: &Word) {
        self.spin(word);
    }

    fn reader_order(&self) -> ReaderOrder {
        self.reader_order
    }
    fn heavy_barrier(&self, cpu: CpuId, targets: &CpuSet) {
        self.point(cpu);
        self.settle(cpu.0);
        self.fence_others(cpu, targets);
    }
    fn flush_fences(&self) -> bool {
        true
    }
    fn prefetch(&self, _cpu: CpuId, word: &Word) {
        self.prefetch_line(word);
    }

    fn irq_save(&self, cpu: CpuId) -> bool {
        self.cpus[cpu.0 as usize].irq_on.replace(false)
    }
    fn irq_restore(&self, cpu: CpuId, were_enabled: bool) {
        let state = &self.cpus[cpu.0 as usize];
        if !were_enabled || state.irq_on.replace(true) {
            return;
        }
        let due = state.interrupt_at();
        if due != u64::MAX {
            self.limit.set(self.limit.get().min(due));
            self.point(cpu);
        }
    }

    fn flush(&self, cpu: CpuId, targets: &CpuSet, scope: &FlushScope) {
        self.point(cpu);
        self.settle(cpu.0);
        Counts::add(&self.counts.flushes, 1);
        self.flush_number.set(self.flush_number.get() + 1);
        let started = self.flush_number.get();
        if targets.contains(cpu) {
            let cost = self.flush_here(&self.cpus[cpu.0 as usize], scope);
            self.tick(Cause::FlushLocal, cost);
        }
        self.flush_others(cpu, targets, (scope, started));
        if self.checks == Checks::Heavy {
            self.check_flushed(targets, scope, started);
        }
    }
    fn load_space(&self, cpu: CpuId, root: Option<(KernelFrame, Asid)>, stale: bool) {
        self.point(cpu);
        self.settle(cpu.0);
        Counts::add(&self.counts.space_loads, 1);
        self.tick(Cause::LoadSpace, self.costs.load_space);
        let state = &self.cpus[cpu.0 as usize];
        state.root.set(root);
        self.tell(|| Event::SpaceLoaded { asid: root.map(|(_, asid)| asid), stale });
        let Some((_, asid)) = root else { return };
        if stale {
            let cost = self.flush_here(state, &FlushScope { asid, pages: None, tables: true });
            self.tick(Cause::FlushLocal, cost);
        } else if self.checks == Checks::Heavy {
            self.check_kept(state, asid);
        }
    }

    fn park(&self, cpu: CpuId, task: TaskId) -> CpuId {
        self.point(cpu);
        self.settle(cpu.0);
        self.touch(Thing::task(task.0), Touch::Write);
        self.tick(Cause::Park, self.costs.park);
        if self.cannot_block() {
            assert!(!self.in_no_run(), "Machine::park outside of a run: nobody could wake the caller");
            return cpu;
        }
        if self.here().task.get() != Some(task) {
            self.violate(Rule::WrongTask, format!("park in the name of {task:?}, which is not running"));
            return cpu;
        }
        if !self.here().irq_on.get() {
            self.violate(Rule::InterruptsOff, "a task parks with interrupts off".into());
        }
        let token = std::mem::take(&mut self.tasks.borrow_mut()[task.0 as usize].park_token);
        if !token {
            Counts::add(&self.counts.parks, 1);
            self.block_in(task, TaskState::Parked, "parked in the kernel");
        }
        CpuId(self.current.get())
    }
    fn unpark(&self, cpu: CpuId, task: TaskId) {
        self.point(cpu);
        self.settle(cpu.0);
        self.touch(Thing::task(task.0), Touch::Write);
        self.tick(Cause::Park, self.costs.unpark);
        let state = self.tasks.borrow().get(task.0 as usize).map(|t| t.state);
        match state {
            Some(TaskState::Parked) => self.wake(task),
            Some(TaskState::Free) | None => {}
            Some(_) => self.tasks.borrow_mut()[task.0 as usize].park_token = true,
        }
    }
    fn now(&self, cpu: CpuId) -> u64 {
        if cpu.0 == self.current.get() { self.now.get() } else { self.cpus[cpu.0 as usize].clock.get() }
    }

    #[inline]
    fn trace(&self, cpu: CpuId, task: TaskId, event: impl FnOnce() -> Event) {
        if self.exploring.get() || self.watch.is_on() {
            self.traced(cpu, task, event());
        }
    }

    fn planted(&self, plant: Plant) -> bool {
        self.plant.get() == Some(plant)
    }
}

impl SimMachine {
    #[inline]
    fn read_modify_write(&self, cpu: CpuId, word: &Word, change: impl FnOnce(u64) -> u64) -> u64 {
        if self.point(cpu) {
            self.explored_atomic(cpu, word);
        }
        self.charge_rmw(word);
        let old = word.raw().load(Relaxed);
        self.write(word, change(old));
        old
    }

    #[inline]
    pub(crate) fn write(&self, word: &Word, value: u64) {
        word.raw().store(value, Relaxed);
        if self.spinners.get() != 0 {
            self.written(word);
        }
    }

    fn in_no_run(&self) -> bool {
        !self.running.get()
    }

    /// Makes a blocked task ready, now or as soon as an idle CPU can be reached.
    pub(crate) fn wake(&self, task: TaskId) {
        Counts::add(&self.counts.unparks, 1);
        let home = self.tasks.borrow()[task.0 as usize].cpu;
        let idle = self.cpus[home as usize].task.get().is_none();
        let latency = if idle { self.costs.wake_latency } else { 0 };
        self.make_ready(task, self.now.get() + latency, TaskState::Runnable);
    }
}
