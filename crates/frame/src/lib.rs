//! Floor 2 of Freehold: who owns each page frame: sparse memmap, zones, buddy, per-CPU lists, slabs.
//!
//! * [`Frames`] hands out blocks of 2^n frames and takes them back: [`Frames::allocate`], [`Frames::put`].
//! * [`Descriptor`]: 32 bytes a frame. One word of counts ([`counts`]), one of flags, state and place
//!   ([`Meta`]), one for the owner, one of links. Only the first descriptor of a block means something.
//! * [`MemMap`]: descriptors by frame number; which 2 MiB are there and in use ([`Subsection`]).
//! * [`Slab`]: the manager's own objects, named by [`Id`].
//!
//! # The way of a frame
//! ```text
//!             feed (a section at a time)        refill (a batch)            hand_out
//!  not fed ------------------------------> zone ----------------> CPU list ----------> user, kernel
//!                                          |  ^      drain               ^   free  |
//!                                          |  +--------------------------+---------+
//!                                          +-- large blocks, and when the list is in use --> hand_out
//! ```
//! There is one place for each arrow. At all times, what is not fed, in the zones, in the CPUs' lists, on its
//! way between them, and handed out adds up to what is there.
//!
//! # Locks
//! The CPU's list ([`machine::level::PCP`]) and the zone ([`machine::level::ZONE`], interrupts off) are never
//! held together. Interrupt handlers only try the first, and go to the zone if it is held. Slabs have a lock
//! of their own ([`machine::level::SLAB`]) and hold it only over their own lists.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod age;
mod allocate;
mod attempts;
mod buddy;
mod bulk;
pub mod counts;
pub mod descriptor;
mod flags;
pub mod frames;
mod free;
pub mod id;
mod isolate;
mod layout;
mod list;
pub mod memmap;
mod of_node;
mod pcp;
pub mod report;
pub mod request;
mod room;
pub mod slab;
mod slab_view;
mod split;
pub mod subpages;
mod user_node;
pub mod zone;

pub use crate::attempts::Attempts;
pub use crate::bulk::Bulk;
pub use crate::counts::{AtCap, Counts, Exclusive, Freed, Pinned};
pub use crate::descriptor::{Descriptor, Flags, MIGRATE_TYPES, Meta, MigrateType, State, ZoneKind};
pub use crate::frames::Frames;
pub use crate::id::Id;
pub use crate::isolate::{Candidate, ZoneId};
pub use crate::memmap::{MemMap, SECTION_ORDER, SUBSECTION_ORDER, Subsection, SubsectionState};
pub use crate::report::{Block, ZoneReport};
pub use crate::request::{Config, Mobility, Owner, Request, Reserve};
pub use crate::slab::Slab;
pub use crate::slab_view::SlabView;
pub use crate::subpages::Subpages;
pub use crate::zone::ORDERS;
pub use machine::NodeSet;
