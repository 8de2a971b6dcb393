//! How the layout of a space is locked.

/// Who meets at the lock of a space's layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LayoutLock {
    /// Faults take no lock of their space. Operations on ranges meet only if they must.
    #[default]
    Ranges,
    /// One lock a space: every operation holds it, and faults hold it for reading (Linux before 6.4:
    /// `mmap_lock`). A baseline, to be measured.
    #[cfg(feature = "baselines")]
    Global,
}

impl LayoutLock {
    /// All of them.
    pub const ALL: &[LayoutLock] = &[
        LayoutLock::Ranges,
        #[cfg(feature = "baselines")]
        LayoutLock::Global,
    ];

    /// What it is called as a policy.
    pub fn name(self) -> &'static str {
        match self {
            LayoutLock::Ranges => "ranges",
            #[cfg(feature = "baselines")]
            LayoutLock::Global => "global",
        }
    }
}

/// What a fault holds of its space's layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "it is given back by `Spaces::end_fault`"]
pub enum Holding {
    /// Nothing.
    Nothing,
    /// The lock of all of it, for reading.
    #[cfg(feature = "baselines")]
    Whole,
}
