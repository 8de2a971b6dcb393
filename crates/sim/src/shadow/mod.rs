//! The dumb model of processes and bytes that every simulated load is compared with.
//!
//! It knows ranges of mapped pages, where their bytes come from, and the words that were stored. It knows
//! nothing of frames, tables, sharing or caches, so it cannot repeat the manager's mistakes. The lab tells it
//! of each call that succeeded, and of each load and store in the same step as the access.
//!
//! A call takes time, and other threads of the process go on meanwhile. Where that matters, the lab brackets
//! the call: [`Shadow::begin`] before, [`Shadow::end`] after; in between loads may find the bytes of before
//! or of after, and a word stored in between may or may not outlive the change: its next load settles which.
//! Layout changes of one process do not overlap each other (its layout lock sees to that in the manager, the
//! replayer's order here).
//!
//! Pages that are given up lazily (`MADV_FREE`) hold what they held, or zeros, until they are stored to;
//! loads tell which.
//!
//! Pages are also used beside their mappings. [`Shadow::pin`] is for those that a device loads from and
//! stores to, [`Shadow::refer`] for references that are no pins and for the kernel's loads,
//! [`Shadow::write_begin`] for the kernel's stores.

mod change;
mod files;
mod follow;
mod given_up;
mod holds;
mod kernel;
mod lazy;
mod mismatch;
mod model;
mod page;
mod pin;
mod process;
mod reference;
mod source;
mod window;
mod words;

pub use crate::shadow::holds::{Hold, Pin, Reference};
pub use crate::shadow::mismatch::{Expected, Mismatch};
pub use crate::shadow::model::Shadow;
pub use crate::shadow::source::{Keep, Source};
pub use crate::shadow::window::{Change, Ticket};
