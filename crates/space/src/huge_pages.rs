//! When anonymous memory gets 2 MiB at a time.

use machine::FieldValue;

/// When anonymous memory gets 2 MiB at a time (Linux: `/sys/kernel/mm/transparent_hugepage/enabled`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum HugePages {
    /// Wherever they fit.
    Always,
    /// Where `madvise(MADV_HUGEPAGE)` asked for them.
    #[default]
    Madvise,
    /// Nowhere.
    Never,
}

impl HugePages {
    /// All of them, in the order in which Linux lists them.
    pub const ALL: [HugePages; 3] = [HugePages::Always, HugePages::Madvise, HugePages::Never];

    /// As Linux spells it.
    pub const fn name(self) -> &'static str {
        match self {
            HugePages::Always => "always",
            HugePages::Madvise => "madvise",
            HugePages::Never => "never",
        }
    }
}

impl core::str::FromStr for HugePages {
    type Err = UnknownHugePages;
    fn from_str(name: &str) -> Result<Self, UnknownHugePages> {
        HugePages::ALL.into_iter().find(|mode| mode.name() == name).ok_or(UnknownHugePages)
    }
}

/// Not a way to hand out pages of 2 MiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnknownHugePages;

impl core::fmt::Display for UnknownHugePages {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("not `always`, `madvise` or `never`")
    }
}

impl core::error::Error for UnknownHugePages {}

impl FieldValue for HugePages {
    fn to_bits(self) -> u64 {
        self as u64
    }
    fn from_bits(bits: u64) -> Self {
        HugePages::ALL[bits as usize % HugePages::ALL.len()]
    }
}
