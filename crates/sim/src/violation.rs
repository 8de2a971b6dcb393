//! What the machine itself found to be wrong.

use machine::CpuId;
use std::fmt;

/// What was broken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Rule {
    /// A user load (or the kernel) read bytes that nobody gave a value.
    PoisonRead,
    /// A translation was used although its frame was discarded since.
    StaleTranslation,
    /// A translation of a discarded frame became reachable again: a space was loaded without flushing it.
    KeptStale,
    /// A flush ended while a translation in its scope was left.
    FlushIncomplete,
    /// A CPU holds translations of two sizes for one page: which it uses is anybody's guess, and some CPUs
    /// stop with a machine check (LR8, L-8).
    MixedSizes,
    /// A page table or a leaf names a frame that does not exist.
    WildEntry,
    /// A flush, or sleep, with interrupts off: two CPUs doing so wait for each other (L-12).
    InterruptsOff,
    /// A task was parked, or is to run, under another task's name.
    WrongTask,
    /// The bytes of a frame changed while a device was writing them to a file and needed them to stay.
    TornWrite,
    /// A device accessed a frame that was discarded since the device was given it.
    DmaToFreed,
    /// An access faulted again and again although each fault was said to be resolved.
    FaultLoop,
}

/// One finding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// What was broken.
    pub rule: Rule,
    /// When, by the clock of the CPU.
    pub at_ns: u64,
    /// On which CPU.
    pub cpu: CpuId,
    /// What exactly.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {} ns on cpu {}: {}", self.rule, self.at_ns, self.cpu.0, self.text)
    }
}
