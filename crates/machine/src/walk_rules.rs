//! The rules of walks that can be chosen by name. Who adds one adds it here.

use crate::walk::WalkRule;

impl WalkRule {
    /// Rules of walks without a lock; the first is the default.
    pub const ALL: &[WalkRule] = &[
        WalkRule::Epoch,
        #[cfg(feature = "baselines")]
        WalkRule::Other(&crate::baseline::Ipi),
        #[cfg(feature = "baselines")]
        WalkRule::Other(&crate::baseline::Counter),
        #[cfg(feature = "baselines")]
        WalkRule::Other(&crate::baseline::PerCpu),
    ];
}
