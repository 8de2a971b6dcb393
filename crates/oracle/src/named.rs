//! Swap entries, counted without a count for each slot.

use table::Slot;

/// Swap entries met so far, in one number: each adds its slot's weight. Weights are such that two different
/// sets of entries have the same sum by accident only.
#[derive(Clone, Copy, Default)]
pub(crate) struct Named {
    entries: u64,
    weight: u64,
}

impl Named {
    /// Adds entries that name a slot.
    pub(crate) fn add(&mut self, slot: Slot, entries: u64) {
        self.entries += entries;
        self.weight = self.weight.wrapping_add(weight(slot).wrapping_mul(entries));
    }

    /// How many there are.
    pub(crate) fn entries(self) -> u64 {
        self.entries
    }

    /// Their weights together.
    pub(crate) fn weight(self) -> u64 {
        self.weight
    }
}

/// A number for a slot (the finaliser of MurmurHash3).
fn weight(slot: Slot) -> u64 {
    let mut bits = slot.to_bits().wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits = (bits ^ bits >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ bits >> 33
}
