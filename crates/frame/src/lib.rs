//! Floor 2 of Freehold: who owns each page frame: sparse memmap, zones, buddy, per-CPU lists, slabs.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod allocate;
mod buddy;
pub mod counts;
pub mod descriptor;
pub mod frames;
mod free;
pub mod id;
mod layout;
mod list;
pub mod memmap;
mod pcp;
pub mod report;
pub mod request;
mod room;
pub mod slab;
mod slab_view;
pub mod zone;

pub use crate::counts::{AtCap, Counts, Exclusive, Freed, Pinned};
pub use crate::descriptor::{Descriptor, Flags, MIGRATE_TYPES, Meta, MigrateType, State, ZoneKind};
pub use crate::frames::Frames;
pub use crate::id::Id;
pub use crate::memmap::{MemMap, SECTION_ORDER, SUBSECTION_ORDER, Subsection, SubsectionState};
pub use crate::report::{Block, ZoneReport};
pub use crate::request::{Config, Mobility, Owner, Request, Reserve};
pub use crate::slab::Slab;
pub use crate::slab_view::SlabView;
pub use crate::zone::ORDERS;
