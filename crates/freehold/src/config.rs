//! What is chosen at start.

/// Choices for a new manager; the defaults are Linux's.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Zones and watermarks.
    pub frames: frame::Config,
    /// Overcommit, and what happens when memory is short.
    pub linux: linux::Config,
    /// The rule of copy-on-write.
    pub cow: &'static dyn object::Cow,
}

impl Default for Config {
    fn default() -> Self {
        Config { frames: Default::default(), linux: Default::default(), cow: &object::cow::Exclusive }
    }
}
