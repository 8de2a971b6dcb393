//! What the model says when it does not agree.

use machine::VirtAddr;
use std::fmt;

/// What the model expected of a load.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expected {
    /// One of these values (more than one only if a store raced with a call).
    Value(Vec<u64>),
    /// A fault: nothing is mapped there.
    Unmapped,
    /// A fault: the page lies beyond the end of its file.
    BeyondEnd,
    /// There is no such process.
    NoProcess,
}

/// A load (or store) that the model does not agree with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
    /// The process.
    pub pid: u32,
    /// The word.
    pub addr: VirtAddr,
    /// What the machine answered; `None` for a store.
    pub got: Option<u64>,
    /// What the model expected.
    pub expected: Expected,
    /// Where the bytes come from, in words.
    pub source: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.got {
            Some(got) if got == crate::contents::POISON_WORD => {
                write!(f, "process {} loaded a discarded page's bytes", self.pid)?;
            }
            Some(got) => write!(f, "process {} loaded {got:#x}", self.pid)?,
            None => write!(f, "process {} stored", self.pid)?,
        }
        write!(f, " at {:?} ({}), ", self.addr, self.source)?;
        match &self.expected {
            Expected::Value(values) => write!(f, "where {values:#x?} was stored last"),
            Expected::Unmapped => f.write_str("where nothing is mapped"),
            Expected::BeyondEnd => f.write_str("beyond the end of the file"),
            Expected::NoProcess => f.write_str("but there is no such process"),
        }
    }
}

impl std::error::Error for Mismatch {}

/// A mismatch whose bytes come from nowhere.
pub(super) fn mismatch(pid: u32, addr: VirtAddr, got: Option<u64>, expected: Expected) -> Mismatch {
    Mismatch { pid, addr, got, expected, source: "nothing".into() }
}
