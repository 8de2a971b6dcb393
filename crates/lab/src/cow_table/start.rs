//! How pages stand before an event.

/// How a page stands before the event. The scenario's process is `P`; `first` is the page's frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// Mapped, never touched.
    Untouched,
    /// Read once: the page of zeros.
    Zero,
    /// Written: writable and exclusive.
    Written,
    /// Written before a fork; the child `C` lives: read-only, shared.
    Shared,
    /// The same, and the child has exited: read-only, and nobody else is left.
    Last,
    /// The same, and a read-only pin came and went: read-only, exclusive.
    ReadOnly,
}
