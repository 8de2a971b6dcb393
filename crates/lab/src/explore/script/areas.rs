//! Steps about swap areas and the devices under them.

use super::terms::FileName;

/// What such a step does.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum SwapStep {
    /// Pages may go to an area from here on.
    On {
        /// What it is made of.
        device: Device,
        /// How many pages it has.
        pages: u64,
        /// Whether bytes must not change while they are written to it.
        stable: bool,
    },
    /// What it has comes back.
    Off(Device),
    /// A file can be read, or written, no more.
    Fails(FileName, Way),
    /// It can be again.
    Heals(FileName),
}

/// What a swap area is made of.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Device {
    /// Compressed memory.
    Lz4,
    /// A file of the scenario, which no process maps.
    File(FileName),
}

/// What a device does no more.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Way {
    /// Reading.
    Reads,
    /// Writing.
    Writes,
}

/// Whether a step begins with this word.
pub(super) fn is_verb(verb: &str) -> bool {
    matches!(verb, "swapon" | "swapoff" | "device")
}
