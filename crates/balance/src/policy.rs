//! What callers choose, and what they can be told.

use fault::{FaultError, HoldError};
use machine::Shortage;
use space::Error;

/// How far to go when memory is short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// The first shortage is the answer: nothing is reclaimed. For tests that fail one allocation.
    Fail,
    /// Reclaim, but kill nobody (Linux: `__GFP_NORETRY`).
    Reclaim,
    /// Reclaim; then the largest process dies (Linux: `GFP_KERNEL`, and every page fault).
    Kill,
}

/// An error that may be a shortage.
pub trait Shortfall: Sized {
    /// The shortage, if it is one.
    fn shortage(&self) -> Option<Shortage>;
    /// What a caller is told whose own space was chosen to die.
    fn killed(shortage: Shortage) -> Self;
}

impl Shortfall for Shortage {
    fn shortage(&self) -> Option<Shortage> {
        Some(*self)
    }
    fn killed(shortage: Shortage) -> Self {
        shortage
    }
}

impl Shortfall for Error {
    fn shortage(&self) -> Option<Shortage> {
        match self {
            Error::Shortage(shortage) => Some(*shortage),
            _ => None,
        }
    }
    fn killed(_: Shortage) -> Self {
        Error::Killed
    }
}

impl Shortfall for FaultError {
    fn shortage(&self) -> Option<Shortage> {
        match self {
            FaultError::Shortage(shortage) => Some(*shortage),
            _ => None,
        }
    }
    fn killed(_: Shortage) -> Self {
        FaultError::Killed
    }
}

impl Shortfall for HoldError {
    fn shortage(&self) -> Option<Shortage> {
        match self {
            HoldError::Fault(error) => error.shortage(),
            _ => None,
        }
    }
    fn killed(_: Shortage) -> Self {
        HoldError::Fault(FaultError::Killed)
    }
}
