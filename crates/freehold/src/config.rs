//! What is chosen at start.

/// Choices for a new manager; the defaults are Linux's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    /// Zones and watermarks.
    pub frames: frame::Config,
    /// Overcommit, and what happens when memory is short.
    pub linux: linux::Config,
}
