//! Floor 3 of Freehold: page tables: cursors, walks, entry changes that must be settled.
//!
//! # Who may do what
//! * **Entries that map pages** are changed under the lock of their leaf only: [`Walker::lock_leaf`] and
//!   its kin give a [`Leaf`], and every change of an entry that hardware may have cached gives a token for
//!   the [`revoke::Batch`].
//! * **Entries of 2 MiB** become tables ([`Leaf::split`]) and tables such entries ([`Walker::unlink_leaf`])
//!   so that a walk never finds nothing where something is.
//! * **Links to tables** are made and emptied under the lock of the table they are in; a table is unlinked
//!   under its parent's lock and its own, once it has no entries.
//! * **Hardware** sets accessed and dirty bits at any time, by atomic operations on the same words: nothing
//!   here writes an entry in use except by exchange or compare-and-exchange.
//! * **Lockless readers** ([`walk`]) see the old or the new value of an entry, each level read once
//!   (LR1, LR2).
//!
//! # Locks
//! One lock a table, in its frame's descriptor. A walk takes none: it runs inside an epoch, locks only the
//! leaf it was looking for, and starts again if that was unlinked on the way. Two leaves are locked by
//! frame number ([`Walker::lock_pair`]), a table and its parent top-down. Nobody who holds one waits for a
//! grace period.
#![no_std]
#![forbid(unsafe_code)]

pub mod collapse;
pub mod counts;
pub mod cursor;
pub mod dump;
mod grow;
pub mod leaf;
mod lock;
pub mod look;
pub mod node;
pub mod page_table;
pub mod pair;
pub mod payload;
pub mod prune;
pub mod run;
pub mod sample;
pub mod soft;
pub mod spare;
mod split;
pub mod survey;
pub mod sweep;
pub mod tables;
mod tally;
pub mod walk;
pub mod walker;

pub use crate::collapse::Unlinked;
pub use crate::counts::Counted;
pub use crate::cursor::Cursor;
pub use crate::dump::Mapped;
pub use crate::leaf::{Leaf, is_locked};
pub use crate::look::Looked;
pub use crate::node::{Header, Life};
pub use crate::page_table::PageTable;
pub use crate::pair::Pair;
pub use crate::payload::{Payload, Rss};
pub use crate::prune::TableBatch;
pub use crate::run::{Handed, Keeps};
pub use crate::sample::Sample;
pub use crate::soft::{MigrationKind, Slot, Soft, Sole};
pub use crate::spare::Spare;
pub use crate::survey::Sight;
pub use crate::sweep::{Reaper, Refill, Urgency, Verdict};
pub use crate::tables::Tables;
pub use crate::walk::Walk;
pub use crate::walker::{Seen, Walker};
