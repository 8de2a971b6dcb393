//! Numbers, strings and lists as bytes, and back without trust.

use super::ReadError;

/// Bytes being written, with what the differences are taken from.
#[derive(Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
    last: Last,
}

/// What differences are taken from; the reader and the writer keep the same.
#[derive(Clone, Copy, Default)]
struct Last {
    addr: u64,
    time: u64,
}

impl Writer {
    pub(super) fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(super) fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub(super) fn signed(&mut self, value: i64) {
        self.number(((value << 1) ^ (value >> 63)) as u64);
    }

    pub(super) fn addr(&mut self, value: u64) {
        self.signed(value.wrapping_sub(self.last.addr) as i64);
        self.last.addr = value;
    }

    /// A start as the difference from the last end, and an end as the difference from the start.
    pub(super) fn times(&mut self, start: u64, end: u64) {
        self.signed(start.wrapping_sub(self.last.time) as i64);
        if end != start {
            self.number(end.wrapping_sub(start));
        }
        self.last.time = end;
    }

    pub(super) fn string(&mut self, value: &str) {
        self.number(value.len() as u64);
        self.bytes.extend_from_slice(value.as_bytes());
    }

    pub(super) fn list<T>(&mut self, items: &[T], mut put: impl FnMut(&mut Self, &T)) {
        self.number(items.len() as u64);
        for item in items {
            put(self, item);
        }
    }

    pub(super) fn option<T>(&mut self, item: Option<T>, put: impl FnOnce(&mut Self, T)) {
        match item {
            None => self.byte(0),
            Some(item) => {
                self.byte(1);
                put(self, item);
            }
        }
    }
}

/// Bytes being read. Nothing they claim is believed before it is checked.
pub(super) struct Reader<'a> {
    part: &'static str,
    bytes: &'a [u8],
    at: usize,
    /// The event being read, for messages.
    pub(super) event: Option<u64>,
    last: Last,
}

impl<'a> Reader<'a> {
    pub(super) fn new(part: &'static str, bytes: &'a [u8]) -> Self {
        Self { part, bytes, at: 0, event: None, last: Last::default() }
    }

    pub(super) fn short(&self, what: &'static str) -> ReadError {
        ReadError::Short { part: self.part, at: self.at as u64, event: self.event, what }
    }

    pub(super) fn bad(&self, what: &'static str, value: u64) -> ReadError {
        ReadError::Value { part: self.part, at: self.at as u64, event: self.event, what, value }
    }

    /// Fails unless everything was read.
    pub(super) fn finish(&self) -> Result<(), ReadError> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            extra => Err(ReadError::LeftOver { part: self.part, at: self.at as u64, extra: extra as u64 }),
        }
    }

    pub(super) fn byte(&mut self, what: &'static str) -> Result<u8, ReadError> {
        let byte = *self.bytes.get(self.at).ok_or_else(|| self.short(what))?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn number(&mut self, what: &'static str) -> Result<u64, ReadError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(what)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.bad("number of at most 64 bits", value))
    }

    pub(super) fn number_u32(&mut self, what: &'static str) -> Result<u32, ReadError> {
        let value = self.number(what)?;
        u32::try_from(value).map_err(|_| self.bad(what, value))
    }

    pub(super) fn signed(&mut self, what: &'static str) -> Result<i64, ReadError> {
        let value = self.number(what)?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub(super) fn addr(&mut self, what: &'static str) -> Result<u64, ReadError> {
        self.last.addr = self.last.addr.wrapping_add(self.signed(what)? as u64);
        Ok(self.last.addr)
    }

    /// The counterpart of [`Writer::times`]; `lasts` says whether the end is stored.
    pub(super) fn times(&mut self, lasts: bool) -> Result<(u64, u64), ReadError> {
        let start = self.last.time.wrapping_add(self.signed("time")? as u64);
        let length = if lasts { self.number("duration")? } else { 0 };
        let end = start.checked_add(length).ok_or_else(|| self.bad("duration", length))?;
        self.last.time = end;
        Ok((start, end))
    }

    pub(super) fn string(&mut self, what: &'static str) -> Result<String, ReadError> {
        let len = self.count(what, 1)?;
        let bytes = &self.bytes[self.at..self.at + len];
        let text = std::str::from_utf8(bytes).map_err(|_| self.bad("text in UTF-8", len as u64))?;
        self.at += len;
        Ok(text.to_owned())
    }

    /// The length of a list whose items take at least `least` bytes each, so that no more memory
    /// is ever asked for than the bytes that are there can fill.
    fn count(&mut self, what: &'static str, least: usize) -> Result<usize, ReadError> {
        let count = self.number(what)?;
        let most = (self.bytes.len() - self.at) / least;
        match usize::try_from(count) {
            Ok(count) if count <= most => Ok(count),
            _ => Err(self.bad("possible length of a list or text", count)),
        }
    }

    pub(super) fn list<T>(
        &mut self,
        what: &'static str,
        least: usize,
        mut take: impl FnMut(&mut Self) -> Result<T, ReadError>,
    ) -> Result<Vec<T>, ReadError> {
        let count = self.count(what, least)?;
        (0..count).map(|_| take(self)).collect()
    }

    pub(super) fn option<T>(
        &mut self,
        what: &'static str,
        take: impl FnOnce(&mut Self) -> Result<T, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        match self.byte(what)? {
            0 => Ok(None),
            1 => take(self).map(Some),
            other => Err(self.bad(what, other.into())),
        }
    }
}
