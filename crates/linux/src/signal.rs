//! What a program gets for an access that cannot be made good.

use machine::VirtAddr;

/// `si_code` of `SIGSEGV`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SegvCode {
    /// Nothing is mapped there (`SEGV_MAPERR`).
    MapErr = 1,
    /// The mapping does not allow it (`SEGV_ACCERR`).
    AccErr = 2,
}

/// `si_code` of `SIGBUS`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BusCode {
    /// There is no such page: past the end of the file, or it cannot be read (`BUS_ADRERR`).
    AdrErr = 2,
}

/// A signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// `SIGSEGV`.
    Segv {
        /// Why.
        code: SegvCode,
        /// Where.
        addr: VirtAddr,
    },
    /// `SIGBUS`.
    Bus {
        /// Why.
        code: BusCode,
        /// Where.
        addr: VirtAddr,
    },
    /// `SIGKILL`: the process was chosen to die for want of memory.
    Kill,
}

impl Signal {
    /// The signal's number.
    pub const fn number(self) -> u8 {
        match self {
            Signal::Segv { .. } => 11,
            Signal::Bus { .. } => 7,
            Signal::Kill => 9,
        }
    }
}
