//! Floor 5 of Freehold: address spaces: VMAs and the operations on them.
//!
//! One file per operation. Each locks the space's layout, prepares what it may need, and commits; faults of
//! the same space run meanwhile, without that lock (see [`vma`] and `docs/locking.md`).
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod tree;

mod advise;
mod age;
mod attach;
mod brk;
mod change_access;
mod choose_nodes;
mod clear_refs;
mod collapse;
mod commit;
mod divide;
mod error;
#[cfg(test)]
mod fake;
mod fault_holds;
mod fork;
mod fork_huge;
mod fork_run;
mod granule;
mod grow;
mod huge;
mod huge_pages;
mod inspect;
mod layout;
mod layout_lock;
mod lock_pages;
mod map;
mod merge;
mod migrate;
mod move_pages;
mod numa;
mod page_out;
mod place;
mod policy;
mod prepare;
mod promises;
mod protect;
mod reading;
mod remap;
mod resident;
mod space;
mod spaces;
pub mod stamp;
mod stamp_block;
mod swap_ahead;
mod sync;
mod unmap;
pub mod uses;
pub mod vma;
mod zap;

pub use crate::advise::Advice;
pub use crate::collapse::{CollapseError, Wanted};
pub use crate::error::Error;
pub use crate::huge_pages::{HugePages, UnknownHugePages};
pub use crate::layout_lock::{Holding, LayoutLock};
pub use crate::lock_pages::LockMode;
pub use crate::map::{Mapping, Sharing, VMAS_MAX};
pub use crate::merge::{MergeAny, NextPage};
pub use crate::migrate::{Mapped, Whereabouts};
pub use crate::place::{LOWEST, Place};
pub use crate::policy::{MemPolicy, PolicyMode};
pub use crate::promises::Overcommit;
pub use crate::protect::Grow;
pub use crate::remap::{Remap, RemapPlace, Source};
pub use crate::space::{Limits, Space, Stats};
pub use crate::spaces::{Deserted, Slabs, Spaces};
pub use crate::sync::{Invalidate, Sync};
pub use crate::vma::{Snapshot, Vma, VmaFlags};
pub use crate::zap::everything;
