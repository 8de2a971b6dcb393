//! The context: who runs, and what may still be locked.

use crate::{Core, Counter, CpuId, Event, Machine, Memory, NodeId, Plant, TaskId, Word, level};
use core::marker::PhantomData;
use core::sync::atomic::Ordering;

/// Who is running: the machine, the CPU, the task, and (as `L`) the highest lock level held.
///
/// Every operation takes `&mut Cx`; the level in its signature says what its callers may hold. A caller with
/// fewer locks passes `cx.at()`. Not `Send`: it belongs to the CPU it runs on.
#[repr(C)]
pub struct Cx<'m, M: Machine, const L: u8 = { level::NONE }> {
    machine: &'m M,
    core: Core<'m>,
    cpu: CpuId,
    task: TaskId,
    interrupt: bool,
    not_send: PhantomData<*mut ()>,
}

impl<'m, M: Machine> Cx<'m, M> {
    /// The context of a task that runs on `cpu` and holds nothing.
    pub fn new(machine: &'m M, core: Core<'m>, cpu: CpuId, task: TaskId) -> Self {
        Cx { machine, core, cpu, task, interrupt: false, not_send: PhantomData }
    }

    /// The context of an interrupt handler on `cpu`, above whatever `task` was doing: it never sleeps and
    /// takes per-CPU lists only by trying.
    pub fn interrupt(machine: &'m M, core: Core<'m>, cpu: CpuId, task: TaskId) -> Self {
        Cx { machine, core, cpu, task, interrupt: true, not_send: PhantomData }
    }
}

impl<'m, M: Machine, const L: u8> Cx<'m, M, L> {
    /// The same context where as much as level `N` may be held.
    #[inline]
    pub fn at<const N: u8>(&mut self) -> &mut Cx<'m, M, N> {
        const { assert!(L <= N, "lock order: a context never forgets a lock it holds") };
        // SAFETY: `Cx` is repr(C) and `L` occurs in no field: both types have one layout. The reference is
        // reborrowed from `self`, which stays unusable while it lives.
        unsafe { &mut *core::ptr::from_mut(self).cast::<Cx<'m, M, N>>() }
    }

    /// The machine.
    #[inline]
    pub fn machine(&self) -> &'m M {
        self.machine
    }

    /// What all CPUs share on this floor.
    #[inline]
    pub fn core(&self) -> Core<'m> {
        self.core
    }

    /// The CPU this runs on.
    #[inline]
    pub fn cpu(&self) -> CpuId {
        self.cpu
    }

    /// The node of this CPU.
    pub fn node(&self) -> NodeId {
        self.machine.node_of(self.cpu)
    }

    /// The task this runs for.
    #[inline]
    pub fn task(&self) -> TaskId {
        self.task
    }

    /// Whether this is an interrupt handler.
    #[inline]
    pub fn in_interrupt(&self) -> bool {
        self.interrupt
    }

    /// Counts an event on this CPU.
    #[inline]
    pub fn count(&self, counter: Counter) {
        self.core.count(self.cpu, counter, 1);
    }

    /// Counts `n` events on this CPU.
    #[inline]
    pub fn count_n(&self, counter: Counter, n: u64) {
        self.core.count(self.cpu, counter, n);
    }

    /// Tells those who watch, if anybody does.
    #[inline]
    pub fn trace(&self, event: impl FnOnce() -> Event) {
        self.machine.trace(self.cpu, self.task, event);
    }

    /// Whether a test planted this bug.
    #[inline]
    pub fn planted(&self, plant: Plant) -> bool {
        self.machine.planted(plant)
    }

    /// Sleeps until woken (or earlier).
    pub(crate) fn sleep(&mut self) {
        const { assert!(L <= level::SLEEP_MAX, "lock order: no sleep under a spin lock or inside an epoch") };
        self.cpu = self.machine.park(self.cpu, self.task);
    }
}

impl<M: Machine, const L: u8> Memory for Cx<'_, M, L> {
    type Word = Word;

    #[inline]
    fn load(&self, word: &Word, order: Ordering) -> u64 {
        self.machine.load(self.cpu, word, order)
    }
    #[inline]
    fn store(&self, word: &Word, value: u64, order: Ordering) {
        self.machine.store(self.cpu, word, value, order);
    }
    #[inline]
    fn store_fenced(&self, word: &Word, value: u64) {
        self.machine.store_fenced(self.cpu, word, value);
    }
    #[inline]
    fn swap(&self, word: &Word, value: u64, order: Ordering) -> u64 {
        self.machine.swap(self.cpu, word, value, order)
    }
    #[inline]
    fn compare_exchange(&self, word: &Word, current: u64, new: u64, order: Ordering) -> Result<u64, u64> {
        self.machine.compare_exchange(self.cpu, word, current, new, order)
    }
    #[inline]
    fn fetch_add(&self, word: &Word, value: u64, order: Ordering) -> u64 {
        self.machine.fetch_add(self.cpu, word, value, order)
    }
    #[inline]
    fn fetch_or(&self, word: &Word, bits: u64, order: Ordering) -> u64 {
        self.machine.fetch_or(self.cpu, word, bits, order)
    }
    #[inline]
    fn fetch_and(&self, word: &Word, bits: u64, order: Ordering) -> u64 {
        self.machine.fetch_and(self.cpu, word, bits, order)
    }
    #[inline]
    fn fence(&self, order: Ordering) {
        self.machine.fence(self.cpu, order);
    }
    #[inline]
    fn relax(&self, word: &Word) {
        self.machine.relax(self.cpu, word);
    }
}
