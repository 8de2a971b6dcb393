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
    /// How walks of page tables without a lock are kept from what is freed.
    pub walk: machine::WalkRule,
    /// How the layout of a space is locked.
    pub lock: space::LayoutLock,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            frames: Default::default(),
            linux: Default::default(),
            cow: &object::cow::Exclusive,
            walk: Default::default(),
            lock: Default::default(),
        }
    }
}
