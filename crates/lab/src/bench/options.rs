//! What a bench is asked for.

use std::time::Duration;

use native::peer::Clock;

/// How much work a bench does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Size {
    /// So little that it is over at once: a test of the bench itself.
    Quick,
    /// As much as its figures need.
    Full,
}

/// Choices of the command line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// How often a native bench measures each side. A simulated one is the same each time.
    pub(crate) reps: usize,
    /// After how long a native bench begins no further repetition.
    pub(crate) budget: Option<Duration>,
    /// Whose time a native bench of one thread measures.
    pub(crate) clock: Clock,
    /// How much work.
    pub(crate) size: Size,
}

impl Options {
    /// `full`, or `quick` for a test run.
    pub(crate) fn sized<T>(&self, full: T, quick: T) -> T {
        match self.size {
            Size::Full => full,
            Size::Quick => quick,
        }
    }
}
