//! Sets of CPUs.

use crate::{CpuId, Cx, Machine, Memory, Word};
use core::sync::atomic::Ordering;

/// The largest number of CPUs of a machine.
pub const CPUS_MAX: u32 = 512;
const WORDS: usize = CPUS_MAX as usize / 64;

/// A set of CPUs.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CpuSet([u64; WORDS]);

impl CpuSet {
    /// No CPU.
    pub const EMPTY: CpuSet = CpuSet([0; WORDS]);

    /// Puts a CPU in.
    pub fn insert(&mut self, cpu: CpuId) {
        self.0[cpu.0 as usize / 64] |= 1 << (cpu.0 % 64);
    }

    /// Takes a CPU out.
    pub fn remove(&mut self, cpu: CpuId) {
        self.0[cpu.0 as usize / 64] &= !(1 << (cpu.0 % 64));
    }

    /// Whether the CPU is in it.
    pub fn contains(&self, cpu: CpuId) -> bool {
        self.0[cpu.0 as usize / 64] & (1 << (cpu.0 % 64)) != 0
    }

    /// Whether no CPU is in it.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    /// How many CPUs are in it.
    pub fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// The CPUs, ascending.
    pub fn iter(&self) -> impl Iterator<Item = CpuId> + '_ {
        self.0.iter().enumerate().flat_map(|(i, &word)| {
            core::iter::successors((word != 0).then_some(word), |w| Some(w & (w - 1)).filter(|&w| w != 0))
                .map(move |w| CpuId(i as u32 * 64 + w.trailing_zeros()))
        })
    }
}

crate::cells! {
    /// A set of CPUs that several CPUs change.
    pub struct SharedCpuSet {
        words: [Word; WORDS],
    }
}

impl SharedCpuSet {
    /// Puts a CPU in. A full fence follows: what other CPUs published before is seen by what comes next.
    pub fn insert<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, cpu: CpuId) {
        // ORDERING: SeqCst pairs with the fence before `snapshot` in a flush (L-16): either the flusher sees this CPU,
        // or this CPU sees the entries and generation the flusher wrote.
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
}
