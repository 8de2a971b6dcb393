//! The rules that can be chosen by name. Who adds one adds it here.

use crate::cow::{Cow, Exclusive};

/// Rules of copy-on-write; the first is the default.
pub const COW: &[&dyn Cow] = &[
    &Exclusive,
    #[cfg(feature = "baselines")]
    &crate::baseline::Refcount,
    #[cfg(feature = "baselines")]
    &crate::baseline::Mapcount,
];
