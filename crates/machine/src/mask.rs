//! Sets of CPUs.

use crate::CpuId;

/// The largest number of CPUs of a machine.
pub const CPUS_MAX: u32 = 512;
/// Words of 64 CPUs each in a set.
pub(crate) const WORDS: usize = CPUS_MAX as usize / 64;

/// A set of CPUs.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CpuSet(pub(crate) [u64; WORDS]);

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
