//! What each CPU remembers about spaces whose translations it may still hold.

use core::sync::atomic::Ordering::Relaxed;
use machine::{Boot, CpuId, Cx, Field, Machine, Memory, Shortage, Word};

/// How many spaces a CPU remembers (Linux's `TLB_NR_DYN_ASIDS`).
pub const SPACES: usize = 6;

machine::cells! {
    /// One CPU's memory of spaces, on lines of its own.
    #[repr(align(64))]
    pub struct CpuSlots {
        /// (own CPU) Which spaces, by their life; 0 is none.
        lives: [Field<u64>; SPACES],
        /// (own CPU) Up to which generation of that space this CPU has dropped all that was revoked.
        seen: [Field<u64>; SPACES],
        /// (own CPU) The slot that is reused next.
        hand: Field<u64>,
    }
}

machine::cells! {
    /// Shared by all CPUs.
    #[repr(align(64))]
    pub struct Lives {
        /// How many spaces were ever born. A number names one space for ever, unlike an [`machine::Asid`].
        born: Word,
    }
}

/// Every CPU's memory of spaces.
#[derive(Clone, Copy)]
pub struct CpuTlbs<'m> {
    cpus: &'m [CpuSlots],
    lives: &'m Lives,
}

impl<'m> CpuTlbs<'m> {
    /// An empty memory for every CPU of the machine.
    pub fn new<M: Machine>(boot: &Boot<'m, M>) -> Result<Self, Shortage> {
        Ok(CpuTlbs { cpus: boot.array(boot.machine().cpus() as usize)?, lives: &boot.array(1)?[0] })
    }

    /// A number no space had before.
    pub(crate) fn new_life<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> u64 {
        // RELAXED: only uniqueness matters.
        cx.fetch_add(&self.lives.born, 1, Relaxed) + 1
    }

    /// The generation the CPU claims to have seen of a space, if it remembers the space.
    pub(crate) fn seen(&self, cpu: CpuId, life: u64) -> Option<u64> {
        let slots = &self.cpus[cpu.0 as usize];
        Self::find(slots, life).map(|slot| slots.seen[slot].get())
    }

    /// Remembers a claim; the oldest memory goes if there is no slot.
    pub(crate) fn remember(&self, cpu: CpuId, life: u64, generation: u64) {
        let slots = &self.cpus[cpu.0 as usize];
        let slot = Self::find(slots, life).unwrap_or_else(|| {
            let slot = slots.hand.get() as usize % SPACES;
            slots.hand.set(slot as u64 + 1);
            slot
        });
        slots.lives[slot].set(life);
        slots.seen[slot].set(generation);
    }

    fn find(slots: &CpuSlots, life: u64) -> Option<usize> {
        slots.lives.iter().position(|slot| slot.get() == life)
    }
}
