//! What an audit tells.

use crate::rule::Rule;
use core::fmt::{self, Write};

/// Bytes of a message.
const CAPACITY: usize = 200;

/// A short message in a buffer of its own; what does not fit is cut off.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text {
    bytes: [u8; CAPACITY],
    len: usize,
}

impl Text {
    /// The formatted message.
    pub fn new(message: fmt::Arguments<'_>) -> Text {
        let mut text = Text { bytes: [0; CAPACITY], len: 0 };
        // An error says that the message was cut off.
        let _ = text.write_fmt(message);
        text
    }

    /// The message.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or("(no text)")
    }
}

impl Write for Text {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let mut fits = more.len().min(CAPACITY - self.len);
        while !more.is_char_boundary(fits) {
            fits -= 1;
        }
        self.bytes[self.len..self.len + fits].copy_from_slice(&more.as_bytes()[..fits]);
        self.len += fits;
        if fits == more.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A rule does not hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// Where, and what was found instead.
    pub text: Text,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule.id(), self.text)
    }
}
