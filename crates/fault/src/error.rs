//! What a fault can end with beside a translation.

use machine::Shortage;
use machine::trace::FaultOutcome;
use object::PageError;
use space::Error;

/// Why an address may not be accessed (Linux: `si_code` of `SIGSEGV`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SegvKind {
    /// Nothing is mapped there (`SEGV_MAPERR`).
    MapErr,
    /// The mapping does not allow it (`SEGV_ACCERR`).
    AccErr,
}

/// Why a fault gave no translation. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultError {
    /// `SIGSEGV`.
    Segv(SegvKind),
    /// `SIGBUS`: beyond the end of the file, or the file could not be read.
    Bus,
    /// The space's processes are to die.
    Killed,
    /// Frames could not be had: reclaim, then fault again.
    Shortage(Shortage),
}

impl FaultError {
    /// What a fault came to, as events tell it.
    pub(crate) fn told(result: &Result<(), FaultError>) -> FaultOutcome {
        match result {
            Ok(()) => FaultOutcome::Resolved,
            Err(FaultError::Segv(SegvKind::MapErr)) => FaultOutcome::NotMapped,
            Err(FaultError::Segv(SegvKind::AccErr)) => FaultOutcome::NotAllowed,
            Err(FaultError::Bus) => FaultOutcome::Bus,
            Err(FaultError::Killed) => FaultOutcome::Killed,
            Err(FaultError::Shortage(_)) => FaultOutcome::Shortage,
        }
    }
}

impl From<Shortage> for FaultError {
    fn from(shortage: Shortage) -> Self {
        FaultError::Shortage(shortage)
    }
}

impl From<PageError> for FaultError {
    fn from(error: PageError) -> Self {
        match error {
            PageError::BeyondEnd | PageError::Io => FaultError::Bus,
            PageError::Shortage(shortage) => FaultError::Shortage(shortage),
        }
    }
}

impl From<Error> for FaultError {
    fn from(error: Error) -> Self {
        match error {
            Error::Shortage(shortage) => FaultError::Shortage(shortage),
            Error::Killed => FaultError::Killed,
            _ => FaultError::Segv(SegvKind::MapErr),
        }
    }
}

impl core::fmt::Display for FaultError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            FaultError::Segv(SegvKind::MapErr) => "address not mapped",
            FaultError::Segv(SegvKind::AccErr) => "access not allowed",
            FaultError::Bus => "no such page in the object",
            FaultError::Killed => "the process is being killed",
            FaultError::Shortage(_) => "out of memory",
        })
    }
}

impl core::error::Error for FaultError {}
