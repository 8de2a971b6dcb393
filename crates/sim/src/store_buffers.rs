//! Store buffers: what a CPU stored waits there before others see it (x86-TSO; Sewell and others, "x86-TSO: a
//! rigorous and usable programmer's model for x86 multiprocessors", CACM 2010).
//!
//! A CPU sees its own stores at once, others see them in the order in which they were made. Atomic
//! read-modify-writes, sequentially consistent stores and full fences empty the buffer; so do, here, all
//! crossings into and out of the kernel, flushes and interrupts. Only the kernel's words are buffered: a
//! program's own stores and the bytes of frames reach memory at once.

use crate::SimMachine;
use crate::cpu::Store;
use crate::explore::{Agent, Thing, Touch};
use machine::{CpuId, Word};
use std::sync::atomic::Ordering::{self, Relaxed};

/// How many stores a CPU's buffer holds.
const STORES: usize = 8;

impl SimMachine {
    /// A load of a word, past its point.
    pub(crate) fn explored_load(&self, cpu: CpuId, word: &Word) -> u64 {
        self.charge_read(word);
        self.touch_word(word, Touch::Read);
        // RELAXED: one host thread, here and below.
        self.forwarded(cpu.0, word).unwrap_or_else(|| word.raw().load(Relaxed))
    }

    /// A store to a word, past its point.
    pub(crate) fn explored_store(&self, cpu: CpuId, word: &Word, value: u64, order: Ordering) {
        self.charge_write(word);
        if order != Ordering::SeqCst && self.buffer_store(cpu.0, word, value) {
            return;
        }
        self.explored_atomic(cpu, word);
        self.write(word, value);
    }

    /// What comes before an atomic change of a word, past its point.
    pub(crate) fn explored_atomic(&self, cpu: CpuId, word: &Word) {
        self.settle(cpu.0);
        self.touch_word(word, Touch::Write);
    }

    /// Puts a store into the running CPU's buffer; answers whether it could.
    pub(crate) fn buffer_store(&self, cpu: u32, word: &Word, value: u64) -> bool {
        let number = self.number(word);
        if !self.buffered.get() || self.memory().views().0.get(number as usize).is_none() {
            return false;
        }
        if self.cpus[cpu as usize].stores.borrow().len() >= STORES {
            self.empty(cpu);
        }
        let event = self.event();
        self.cpus[cpu as usize].stores.borrow_mut().push_back(Store { number, value, event });
        true
    }

    /// What the CPU stored last to a word, if that is still in its buffer.
    pub(crate) fn forwarded(&self, cpu: u32, word: &Word) -> Option<u64> {
        if !self.buffered.get() {
            return None;
        }
        let number = self.number(word);
        let stores = self.cpus[cpu as usize].stores.borrow();
        stores.iter().rev().find(|store| store.number == number).map(|store| store.value)
    }

    /// Lets a CPU's oldest store reach memory.
    pub(crate) fn drain_one(&self, cpu: u32) {
        let oldest = self.cpus[cpu as usize].stores.borrow_mut().pop_front();
        let Some(Store { number, value, event }) = oldest else { return };
        self.order_here(event);
        self.touch(Thing::word(number), Touch::Write);
        let Some(word) = self.memory().views().0.get(number as usize) else { return };
        word.raw().store(value, Relaxed);
        if self.spinners.get() != 0 {
            self.written(word);
        }
    }

    /// Empties a CPU's buffer, as a fence does: what runs now goes on after the buffer's steps.
    #[inline]
    pub(crate) fn settle(&self, cpu: u32) {
        if self.buffered.get() {
            self.empty(cpu);
        }
    }

    #[cold]
    fn empty(&self, cpu: u32) {
        while !self.cpus[cpu as usize].stores.borrow().is_empty() {
            let running = self.run_as(Agent::Buffer(cpu));
            self.drain_one(cpu);
            let drained = self.event();
            self.run_as(running);
            self.order_here(drained);
        }
    }
}
