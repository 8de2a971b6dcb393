//! What is in pages, equal on both sides.

/// Bytes of a page.
pub(super) const PAGE: usize = 4096;

/// A page of dice: equal numbers give equal pages, others pages that differ in their first bytes already.
pub(super) fn random(number: u64) -> [u8; PAGE] {
    let mut page = [0; PAGE];
    fill(&mut page, number);
    page
}

/// A page whose first half is dice, and whose other half is zero.
pub(super) fn half_random(number: u64) -> [u8; PAGE] {
    let mut page = [0; PAGE];
    fill(&mut page[..PAGE / 2], number);
    page
}

/// SplitMix64.
fn fill(bytes: &mut [u8], number: u64) {
    let mut state = number.wrapping_mul(0xd134_2543_de82_ef95);
    for word in bytes.chunks_exact_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_give_equal_pages() {
        assert_eq!(random(7), random(7));
        assert_ne!(random(7)[..8], random(8)[..8]);
        assert!(half_random(7)[PAGE / 2..].iter().all(|byte| *byte == 0));
        assert_eq!(half_random(7)[..PAGE / 2], random(7)[..PAGE / 2]);
    }
}
