//! Bytes that need no storage: functions of where they are.

/// A bijective mixing of 64 bits (the finalizer of SplitMix64).
#[inline]
pub const fn mix(value: u64) -> u64 {
    let v = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let v = (v ^ (v >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let v = (v ^ (v >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    v ^ (v >> 31)
}

/// A word of a file page that nobody ever wrote.
#[inline]
pub const fn file_word(file: u64, page: u64, version: u32, index: u64) -> u64 {
    mix(mix(mix(file ^ (version as u64) << 40) ^ page) ^ index)
}

/// A word of a page of a content class. Class 0 is the page of zero bytes; of each eight words of the others
/// the last four are the first four again, so that such pages become about half when they are compressed, as
/// pages of programs do (lz4 on text: 55 of 100).
#[inline]
pub const fn class_word(class: u64, index: u64) -> u64 {
    if class == 0 { 0 } else { mix(mix(class ^ 0x5851_f42d_4c95_7f2d) ^ index & !4) }
}
