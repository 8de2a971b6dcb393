//! Sets of CPUs that several CPUs change at a time.

use crate::mask::WORDS;
use crate::{CpuId, CpuSet, Cx, Machine, Memory, Word};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};

/// Puts CPUs into one word of a set. A full fence follows: what other CPUs published before is seen by what
/// comes next.
pub fn insert<A: Memory>(memory: &A, word: &A::Word, bits: u64) {
    // ORDERING: SeqCst pairs with the SeqCst load in `read` (L-16): either the flusher sees this CPU, or this
    // CPU sees the entries and the generation the flusher wrote, if it too reads them with SeqCst.
    memory.fetch_or(word, bits, SeqCst);
}

/// Takes CPUs out of one word of a set.
pub fn remove<A: Memory>(memory: &A, word: &A::Word, bits: u64) {
    // ORDERING: SeqCst as `insert`; as a Release it is behind the CPU's last look at the space.
    memory.fetch_and(word, !bits, SeqCst);
}

/// One word of a set.
pub fn read<A: Memory>(memory: &A, word: &A::Word) -> u64 {
    // ORDERING: SeqCst pairs with `insert`.
    memory.load(word, SeqCst)
}

crate::cells! {
    /// A set of CPUs that several CPUs change.
    pub struct SharedCpuSet {
        words: [Word; WORDS],
    }
}

impl SharedCpuSet {
    /// Puts a CPU in: see [`insert`].
    pub fn insert<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, cpu: CpuId) {
        insert(cx, &self.words[cpu.0 as usize / 64], 1 << (cpu.0 % 64));
    }

    /// Takes a CPU out: see [`remove`].
    pub fn remove<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, cpu: CpuId) {
        remove(cx, &self.words[cpu.0 as usize / 64], 1 << (cpu.0 % 64));
    }

    /// What the set holds now, word by word.
    pub fn snapshot<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> CpuSet {
        let used = (cx.machine().cpus() as usize).div_ceil(64);
        let mut set = CpuSet::EMPTY;
        for (word, shared) in set.0.iter_mut().zip(&self.words).take(used) {
            *word = read(cx, shared);
        }
        set
    }

    /// What the set holds, on a quiet machine.
    pub fn quiet(&self) -> CpuSet {
        // RELAXED: nobody changes it.
        CpuSet(core::array::from_fn(|i| self.words[i].raw().load(Relaxed)))
    }
}
