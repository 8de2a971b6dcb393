//! Sets of CPUs that several CPUs change at a time.

use crate::mask::WORDS;
use crate::{CpuId, CpuSet, Cx, Machine, Memory, Word};
use core::sync::atomic::Ordering;

crate::cells! {
    /// A set of CPUs that several CPUs change.
    pub struct SharedCpuSet {
        words: [Word; WORDS],
    }
}

impl SharedCpuSet {
    /// Puts a CPU in. A full fence follows: what other CPUs published before is seen by what comes next.
    pub fn insert<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, cpu: CpuId) {
        // ORDERING: SeqCst pairs with the fence before `snapshot` in a flush (L-16): either the flusher sees
        // this CPU, or this CPU sees the entries and generation the flusher wrote.
        cx.fetch_or(&self.words[cpu.0 as usize / 64], 1 << (cpu.0 % 64), Ordering::SeqCst);
    }

    /// Takes a CPU out.
    pub fn remove<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, cpu: CpuId) {
        cx.fetch_and(&self.words[cpu.0 as usize / 64], !(1 << (cpu.0 % 64)), Ordering::SeqCst);
    }

    /// What the set holds now, word by word.
    pub fn snapshot<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> CpuSet {
        let used = (cx.machine().cpus() as usize).div_ceil(64);
        let mut set = CpuSet::EMPTY;
        for (word, shared) in set.0.iter_mut().zip(&self.words).take(used) {
            *word = cx.load(shared, Ordering::SeqCst);
        }
        set
    }

    /// What the set holds, on a quiet machine.
    pub fn quiet(&self) -> CpuSet {
        // RELAXED: nobody changes it.
        CpuSet(core::array::from_fn(|i| self.words[i].raw().load(Ordering::Relaxed)))
    }
}
