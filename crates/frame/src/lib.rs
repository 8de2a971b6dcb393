//! Floor 2 of Freehold: who owns each page frame: sparse memmap, zones, buddy, per-CPU lists, slabs.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod counts;
pub mod descriptor;
pub mod frames;
pub mod id;
pub mod memmap;
pub mod request;
pub mod slab;

pub use crate::counts::{AtCap, Counts, Exclusive, Freed, Pinned};
pub use crate::descriptor::{Descriptor, Flags, Meta, MigrateType, State, ZoneKind};
pub use crate::frames::Frames;
pub use crate::id::Id;
pub use crate::memmap::{MemMap, Subsection, SubsectionState};
pub use crate::request::{Config, Mobility, Owner, Request, Reserve};
pub use crate::slab::Slab;
