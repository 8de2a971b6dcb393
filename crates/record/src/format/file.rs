//! The container: prelude, two compressed parts, checksum.

use std::io::{Read, Write};
use std::path::Path;
use std::{fs, io};

use super::wire::{Reader, Writer};
use super::{ReadError, WriteError, event, header};
use crate::{Recording, TaskId};

/// The version written, and the only one read.
pub const VERSION: u32 = 1;
/// The largest file that is read, in bytes.
pub const MAX_FILE: u64 = 256 << 20;
/// The largest header when decompressed, in bytes.
pub const MAX_HEADER: u64 = 8 << 20;
/// The largest body when decompressed, in bytes.
pub const MAX_BODY: u64 = 256 << 20;
/// The most events.
pub const MAX_EVENTS: u64 = 1 << 24;
/// The most bytes that one compressed byte may stand for, beyond the first 64 KiB.
pub const MAX_RATIO: u64 = 1024;

const MAGIC: [u8; 8] = *b"\x89FHR\r\n\x1a\n";
const PRELUDE: u64 = 56;
const CHECKSUM: u64 = 32;
const LEVEL: i32 = 19;
/// The window of that level, and so the most memory a frame may ask for besides its content.
const WINDOW_LOG: u32 = 23;

/// The lengths that the prelude promises.
struct Lengths {
    header: u64,
    header_raw: u64,
    body: u64,
    body_raw: u64,
    events: u64,
}

impl Recording {
    /// Reads a recording from a file.
    ///
    /// # Errors
    ///
    /// What is wrong with it and where; see [`ReadError`].
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        read_file(path)
    }

    /// Reads a recording from the bytes of a file.
    ///
    /// # Errors
    ///
    /// What is wrong with it and where; see [`ReadError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReadError> {
        decode(bytes)
    }

    /// Writes the recording to a file, which appears only once it is whole.
    ///
    /// # Errors
    ///
    /// When the recording breaks a rule of [`Recording::validate`], is too large for the
    /// format, or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), WriteError> {
        write_file(self, path)
    }

    /// The bytes of its file.
    ///
    /// # Errors
    ///
    /// When the recording breaks a rule of [`Recording::validate`] or is too large for the
    /// format.
    pub fn to_bytes(&self) -> Result<Vec<u8>, WriteError> {
        encode(self)
    }
}

fn encode(recording: &Recording) -> Result<Vec<u8>, WriteError> {
    recording.validate()?;
    let (mut head, mut body) = (Writer::default(), Writer::default());
    header::put(recording, &mut head);
    let mut previous = TaskId(0);
    for event in &recording.events {
        event::put(event, previous, &mut body);
        previous = event.task;
    }
    let limits = [
        ("header", head.bytes.len() as u64, MAX_HEADER),
        ("body", body.bytes.len() as u64, MAX_BODY),
        ("number of events", recording.events.len() as u64, MAX_EVENTS),
    ];
    for (what, size, limit) in limits {
        if size > limit {
            return Err(WriteError::TooLarge { what, size, limit });
        }
    }
    seal(&head.bytes, &body.bytes, recording.events.len() as u64)
}

/// Compresses the parts and puts prelude and checksum around them.
fn seal(head: &[u8], body: &[u8], events: u64) -> Result<Vec<u8>, WriteError> {
    let packed_head = zstd::bulk::compress(head, LEVEL)?;
    let packed_body = zstd::bulk::compress(body, LEVEL)?;
    let mut out = Vec::with_capacity(packed_head.len() + packed_body.len() + 88);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&0u32.to_le_bytes());
    let lengths = [packed_head.len(), head.len(), packed_body.len(), body.len()];
    for length in lengths.map(|length| length as u64).into_iter().chain([events]) {
        out.extend_from_slice(&length.to_le_bytes());
    }
    out.extend_from_slice(&packed_head);
    out.extend_from_slice(&packed_body);
    let checksum = blake3::hash(&out);
    out.extend_from_slice(checksum.as_bytes());
    Ok(out)
}

fn write_file(recording: &Recording, path: &Path) -> Result<(), WriteError> {
    let bytes = encode(recording)?;
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".part");
    let written = fs::File::create(&unfinished)
        .and_then(|mut file| file.write_all(&bytes))
        .and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        // The error that matters is the one being returned.
        let _ = fs::remove_file(&unfinished);
    }
    Ok(written?)
}

fn read_file(path: &Path) -> Result<Recording, ReadError> {
    let file = fs::File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory).into());
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    decode(&bytes)
}

fn decode(bytes: &[u8]) -> Result<Recording, ReadError> {
    let lengths = check_container(bytes)?;
    let body_at = PRELUDE + lengths.header;
    let body_end = body_at + lengths.body;
    let head = unpack(bytes, "header", PRELUDE..body_at, lengths.header_raw)?;
    let body = unpack(bytes, "body", body_at..body_end, lengths.body_raw)?;

    let mut reader = Reader::new("header", &head);
    let mut recording = header::take(&mut reader)?;
    reader.finish()?;

    let mut reader = Reader::new("body", &body);
    let mut previous = TaskId(0);
    for number in 0..lengths.events {
        reader.event = Some(number);
        let event = event::take(previous, &mut reader)?;
        previous = event.task;
        recording.events.push(event);
    }
    reader.finish()?;
    recording.validate()?;
    Ok(recording)
}

/// Checks everything around the parts, the checksum last.
fn check_container(bytes: &[u8]) -> Result<Lengths, ReadError> {
    let have = bytes.len() as u64;
    if have == 0 {
        return Err(ReadError::Empty);
    }
    if have > MAX_FILE {
        return Err(ReadError::TooLarge { at: 0, what: "file", size: have, limit: MAX_FILE });
    }
    if !MAGIC.starts_with(&bytes[..bytes.len().min(MAGIC.len())]) {
        return Err(ReadError::Magic);
    }
    if have < PRELUDE + CHECKSUM {
        return Err(ReadError::Truncated { have, need: PRELUDE + CHECKSUM });
    }
    let found = read_u32(bytes, 8);
    if found != VERSION {
        return Err(ReadError::Version { found, supported: VERSION });
    }
    let found = read_u32(bytes, 12);
    if found != 0 {
        return Err(ReadError::Reserved { found });
    }
    let lengths = check_lengths(bytes)?;
    let need = PRELUDE + lengths.header + lengths.body + CHECKSUM;
    if have < need {
        return Err(ReadError::Truncated { have, need });
    }
    if have > need {
        return Err(ReadError::Trailing { end: need, extra: have - need });
    }
    let (sealed, checksum) = bytes.split_at((need - CHECKSUM) as usize);
    if blake3::hash(sealed).as_bytes().as_slice() != checksum {
        return Err(ReadError::Checksum);
    }
    Ok(lengths)
}

fn check_lengths(bytes: &[u8]) -> Result<Lengths, ReadError> {
    let within = |at: usize, what, limit| match read_u64(bytes, at) {
        size if size > limit => Err(ReadError::TooLarge { at: at as u64, what, size, limit }),
        size => Ok(size),
    };
    let expanded = |packed: u64| packed * MAX_RATIO + (64 << 10);
    let header = within(16, "stored header", MAX_FILE)?;
    let header_raw = within(24, "header", MAX_HEADER.min(expanded(header)))?;
    let body = within(32, "stored body", MAX_FILE)?;
    let body_raw = within(40, "body", MAX_BODY.min(expanded(body)))?;
    let events = within(48, "number of events", MAX_EVENTS.min(body_raw / event::LEAST))?;
    Ok(Lengths { header, header_raw, body, body_raw, events })
}

/// Decompresses a part, never to more than it promised.
fn unpack(
    bytes: &[u8],
    part: &'static str,
    range: std::ops::Range<u64>,
    raw: u64,
) -> Result<Vec<u8>, ReadError> {
    let at = range.start;
    let packed = &bytes[at as usize..range.end as usize];
    let failed = |why: String| ReadError::Compression { part, at, why };
    let decoder =
        zstd::stream::read::Decoder::with_buffer(packed).map_err(|error| failed(error.to_string()))?;
    let mut unpacked = Vec::new();
    let mut decoder = decoder.single_frame();
    decoder.window_log_max(WINDOW_LOG).map_err(|error| failed(error.to_string()))?;
    decoder.by_ref().take(raw + 1).read_to_end(&mut unpacked).map_err(|error| failed(error.to_string()))?;
    if unpacked.len() as u64 != raw {
        return Err(failed(format!("it does not give the {raw} bytes it promises")));
    }
    let rest = decoder.finish();
    if !rest.is_empty() {
        return Err(failed(format!("{} bytes follow its frame", rest.len())));
    }
    Ok(unpacked)
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn read_u64(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
