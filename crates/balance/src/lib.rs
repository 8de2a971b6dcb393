//! Floor 7 of Freehold: keeping it true under pressure: reclaim, the OOM killer, and merging equal pages
//! ([`Ksm`]).
//!
//! The only place that catches [`machine::Shortage`]. An operation that meets one has changed nothing and
//! holds no lock when it arrives here; [`Balance::with_memory`] makes memory free and starts it again.
//!
//! ```text
//! operation ── Shortage ──> a block of several frames: compaction
//!     ^                     reclaim: lists of this CPU, clean unmapped file pages
//!     ^                        │ progress                       │ none, again and again
//!     └────────────────────────┘                                v
//!     └──────────────── the largest space dies, its private memory goes at once
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod compact;
mod deferred_split;
mod evict;
mod huge;
mod ksm;
mod memory;
mod oom;
mod policy;
mod reclaim;
mod swappiness;

pub use crate::compact::{Compacted, compact_memory};
pub use crate::huge::Scanned;
pub use crate::ksm::{Ksm, KsmReport, KsmSettings, Run};
pub use crate::memory::Balance;
pub use crate::oom::Victim;
pub use crate::policy::{Policy, Shortfall};
pub use crate::swappiness::Swappiness;
