//! A trace in a file: blocks with checksums, so that a damaged or cut one is noticed (docs/trace.md).

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use super::codec::Last;
use super::record::{Header, Listener, Record};
use super::wire::{Bad, Reader, Wire};

const MAGIC: [u8; 8] = *b"FHTRACE\n";
const VERSION: u32 = 1;
/// A block is written as soon as it is this long.
const BLOCK: usize = 64 << 10;
/// No block is longer: its last record, and the header, may be long.
const BLOCK_MAX: u32 = 16 << 20;

/// What is wrong with a trace, in one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceError(String);

impl std::fmt::Display for TraceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TraceError {}

fn wrong<T>(text: impl Into<String>) -> Result<T, TraceError> {
    Err(TraceError(text.into()))
}

/// Writes a trace as it is told.
pub struct TraceWriter<W: Write> {
    out: W,
    block: Vec<u8>,
    last: Last,
    records: u64,
    failed: Option<io::Error>,
}

impl TraceWriter<BufWriter<File>> {
    /// A trace in a new file.
    ///
    /// # Errors
    ///
    /// When the file cannot be made or written.
    pub fn create(path: &Path, header: &Header) -> io::Result<Self> {
        TraceWriter::new(BufWriter::new(File::create(path)?), header)
    }
}

impl<W: Write> TraceWriter<W> {
    /// A trace that is written to `out`.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn new(mut out: W, header: &Header) -> io::Result<Self> {
        out.write_all(&MAGIC)?;
        out.write_all(&VERSION.to_le_bytes())?;
        let mut writer =
            TraceWriter { out, block: Vec::new(), last: Last::default(), records: 0, failed: None };
        header.put(&mut writer.block);
        writer.end_block()?;
        Ok(writer)
    }

    /// Adds a record. Those a trace does not hold are left out.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn add(&mut self, record: &Record) -> io::Result<()> {
        self.records += u64::from(self.last.put(record, &mut self.block));
        if self.block.len() < BLOCK { Ok(()) } else { self.end_block() }
    }

    /// Ends the trace; without its end it counts as cut.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn end(&mut self) -> io::Result<()> {
        if !self.block.is_empty() {
            self.end_block()?;
        }
        let count = self.records.to_le_bytes();
        self.out.write_all(&0u32.to_le_bytes())?;
        self.out.write_all(&count)?;
        self.out.write_all(&checksum(&count))?;
        self.out.flush()
    }

    fn end_block(&mut self) -> io::Result<()> {
        let len = u32::try_from(self.block.len()).unwrap_or(u32::MAX);
        if len > BLOCK_MAX {
            return Err(io::Error::other("a block of the trace would be longer than the format allows"));
        }
        self.out.write_all(&len.to_le_bytes())?;
        self.out.write_all(&checksum(&self.block))?;
        self.out.write_all(&self.block)?;
        self.block.clear();
        self.last = Last::default();
        Ok(())
    }
}

impl<W: Write + Send> Listener for TraceWriter<W> {
    fn hear(&mut self, record: &Record) {
        if self.failed.is_none() {
            self.failed = self.add(record).err();
        }
    }

    fn finish(&mut self) -> Result<(), String> {
        match self.failed.take() {
            Some(error) => Err(error.to_string()),
            None => self.end().map_err(|error| error.to_string()),
        }
    }
}

/// Reads a trace, a block at a time.
pub struct TraceReader<R: Read> {
    from: R,
    header: Header,
    /// Where the next block starts.
    at: u64,
    records: u64,
}

impl TraceReader<BufReader<File>> {
    /// The trace in a file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is none.
    pub fn open(path: &Path) -> Result<Self, TraceError> {
        let file = File::open(path).map_err(|error| TraceError(error.to_string()))?;
        TraceReader::new(BufReader::new(file))
    }
}

impl<R: Read> TraceReader<R> {
    /// The trace that `from` has.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn new(from: R) -> Result<Self, TraceError> {
        let mut reader = TraceReader { from, header: Header::default(), at: 0, records: 0 };
        if reader.exactly::<8>("the magic")? != MAGIC {
            return wrong("not a Freehold trace: wrong magic at byte 0");
        }
        let version = u32::from_le_bytes(reader.exactly("the version")?);
        if version != VERSION {
            return wrong(format!("version {version} at byte 8 is not supported, only version {VERSION} is"));
        }
        let Some(block) = reader.next_block()? else { return wrong("it has no header") };
        let mut bytes = Reader::new(&block);
        let header = Header::take(&mut bytes);
        match header {
            Ok(header) if bytes.is_empty() => reader.header = header,
            Ok(_) => return wrong("bytes are left over behind the header"),
            Err(Bad(why)) => return wrong(format!("in the header: {why}")),
        }
        Ok(reader)
    }

    /// What it says of the run.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Passes every record on, in order.
    ///
    /// # Errors
    ///
    /// When the trace is damaged or cut; what came before was passed on.
    pub fn for_each(mut self, mut see: impl FnMut(Record)) -> Result<(), TraceError> {
        let mut at = self.at;
        while let Some(block) = self.next_block()? {
            let (mut bytes, mut last) = (Reader::new(&block), Last::default());
            while !bytes.is_empty() {
                match last.take(&mut bytes) {
                    Ok(record) => see(record),
                    Err(Bad(why)) => return wrong(format!("in the block at byte {at}: {why}")),
                }
                self.records += 1;
            }
            at = self.at;
        }
        Ok(())
    }

    fn next_block(&mut self) -> Result<Option<Vec<u8>>, TraceError> {
        let at = self.at;
        let len = u32::from_le_bytes(self.exactly("the length of a block")?);
        if len == 0 {
            return self.check_end().map(|()| None);
        }
        if len > BLOCK_MAX {
            return wrong(format!("the block at byte {at} says that it has {len} bytes: none may"));
        }
        let sum = self.exactly("a checksum")?;
        // Only as much memory is asked for as there are bytes, whatever the length says.
        let mut block = Vec::new();
        let read = self.from.by_ref().take(len.into()).read_to_end(&mut block);
        read.map_err(|error| TraceError(error.to_string()))?;
        if block.len() as u64 != u64::from(len) {
            return wrong(format!("truncated: the block at byte {at} ends too soon"));
        }
        self.at += u64::from(len);
        match checksum(&block) == sum {
            true => Ok(Some(block)),
            false => wrong(format!("checksum mismatch: the block at byte {at} is damaged")),
        }
    }

    fn check_end(&mut self) -> Result<(), TraceError> {
        let count: [u8; 8] = self.exactly("the count of records")?;
        let sum = self.exactly("a checksum")?;
        let said = u64::from_le_bytes(count);
        if checksum(&count) != sum {
            return wrong("checksum mismatch: the end is damaged");
        }
        if said != self.records {
            return wrong(format!("it should have {said} records, but has {}", self.records));
        }
        let mut more = [0];
        match self.from.read(&mut more) {
            Ok(0) => Ok(()),
            Ok(_) => wrong(format!("something follows the end at byte {}", self.at)),
            Err(error) => wrong(error.to_string()),
        }
    }

    fn exactly<const N: usize>(&mut self, what: &str) -> Result<[u8; N], TraceError> {
        let mut bytes = [0; N];
        match self.from.read_exact(&mut bytes) {
            Ok(()) => {
                self.at += N as u64;
                Ok(bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                wrong(format!("truncated: it ends at byte {}, inside {what}", self.at))
            }
            Err(error) => wrong(error.to_string()),
        }
    }
}

fn checksum(bytes: &[u8]) -> [u8; 8] {
    let mut sum = [0; 8];
    sum.copy_from_slice(&blake3::hash(bytes).as_bytes()[..8]);
    sum
}
