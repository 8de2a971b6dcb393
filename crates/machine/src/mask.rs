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

    /// The CPUs with the numbers below `cpus`.
    pub fn first(cpus: u32) -> CpuSet {
        let bits = |word: u32| match cpus.saturating_sub(word * 64) {
            n @ 0..64 => (1 << n) - 1,
            _ => u64::MAX,
        };
        CpuSet(core::array::from_fn(|word| bits(word as u32)))
    }

    /// Those of its CPUs that are not in the other set.
    pub fn without(&self, other: &CpuSet) -> CpuSet {
        CpuSet(core::array::from_fn(|word| self.0[word] & !other.0[word]))
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cpus_are_those_below() {
        for cpus in [0, 1, 63, 64, 65, 511, CPUS_MAX] {
            let set = CpuSet::first(cpus);
            assert_eq!(set.len(), cpus);
            assert!(set.iter().eq((0..cpus).map(CpuId)));
        }
    }

    #[test]
    fn what_is_taken_out_is_not_in() {
        let rest = CpuSet::first(130).without(&CpuSet::first(65));
        assert!(rest.iter().eq((65..130).map(CpuId)));
    }
}
