//! Takes recordings apart and puts them together again, with a proper checksum around anything.

/// The same bytes with one bit flipped.
#[allow(dead_code, reason = "each test binary uses its own share")]
pub(crate) fn flip(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

/// Header and body of a recording, decompressed.
pub(crate) fn parts(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let word = |at: usize| {
        let bytes: [u8; 8] = bytes[at..at + 8].try_into().expect("eight bytes");
        usize::try_from(u64::from_le_bytes(bytes)).expect("a small number")
    };
    let (head, body) = bytes[56..].split_at(word(16));
    let unpack = |packed: &[u8], raw| zstd::bulk::decompress(packed, raw).expect("a frame");
    (unpack(head, word(24)), unpack(&body[..word(32)], word(40)))
}

/// A file of these parts, with everything around them as it should be.
pub(crate) fn seal(head: &[u8], body: &[u8], events: u64) -> Vec<u8> {
    let pack = |part: &[u8]| zstd::bulk::compress(part, 1).expect("memory");
    let (packed_head, packed_body) = (pack(head), pack(body));
    let mut bytes = b"\x89FHR\r\n\x1a\n\x01\0\0\0\0\0\0\0".to_vec();
    let lengths = [packed_head.len(), head.len(), packed_body.len(), body.len()];
    for length in lengths.map(|length| length as u64).into_iter().chain([events]) {
        bytes.extend_from_slice(&length.to_le_bytes());
    }
    bytes.extend(packed_head);
    bytes.extend(packed_body);
    bytes.extend([0; 32]);
    rehash(&mut bytes);
    bytes
}

/// Puts the right checksum at the end.
pub(crate) fn rehash(bytes: &mut [u8]) {
    let (sealed, checksum) = bytes.split_at_mut(bytes.len() - 32);
    checksum.copy_from_slice(blake3::hash(sealed).as_bytes());
}

/// Where an event of the example starts in its body: the exec is first, and the only long one.
#[allow(dead_code, reason = "each test binary uses its own share")]
pub(crate) fn body_of(body: &[u8], event: usize) -> usize {
    assert_eq!(event, 1, "only the event behind the exec is looked for");
    // The head of a call that lasts, by the task of the event before it.
    let head = 3 | 1 << 5;
    body.iter()
        .rposition(|&byte| byte == head)
        .map_or(0, |last| body[..last].iter().position(|&byte| byte == head).unwrap_or(last))
}
