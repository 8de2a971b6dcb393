//! Floor 0 of Freehold: what every other floor stands on.
//!
//! * [`Pfn`], [`VirtAddr`], [`Vpn`] and their ranges: one type per unit.
//! * [`Machine`]: the only boundary to hardware. A simulator, this process or bare metal implement it.
//! * [`Cx`]: who is running (CPU, task) and which locks it may still take. Not `Send`.
//! * [`Word`] and [`Field`]: memory shared between CPUs. A `Word` is touched through the context, so that
//!   a simulator may switch CPUs at each access; a `Field` is covered by a lock or needs no order.
//! * [`lock`]: spin and sleeping locks whose level is part of their type: a wrong order does not compile.
//! * [`epoch`]: lockless readers, and waiting for those that could have seen something.
//! * [`walk`]: walks of page tables without a lock, and the rules they can follow.
//! * [`park`]: exact wait queues, keyed by address.
//! * [`trace`]: events for those who watch; [`plant`]: bugs for those who judge.
#![no_std]

pub mod addr;
#[cfg(feature = "baselines")]
pub mod baseline;
pub mod boot;
pub mod cells;
pub mod core;
pub mod counters;
pub mod cx;
pub mod entry;
pub mod epoch;
pub mod errors;
pub mod ids;
pub mod level;
pub mod lock;
mod lock_word;
mod marks;
pub mod mask;
mod node_set;
pub mod park;
pub mod plant;
mod queues;
pub mod shared_mask;
mod sleep;
mod spin;
pub mod trace;
pub mod traits;
pub mod walk;
mod walk_rules;
pub mod walking;
pub mod word;
pub mod x86_64;

pub use crate::addr::{
    Frames, HUGE_ORDER, HUGE_SIZE, MAX_ORDER, Order, PAGE_SHIFT, PAGE_SIZE, Pfn, VirtAddr, VirtRange, Vpn,
    VpnRange,
};
pub use crate::boot::Boot;
pub use crate::cells::{Cells, Field, FieldValue, Number};
pub use crate::core::Core;
pub use crate::counters::Counter;
pub use crate::cx::Cx;
pub use crate::entry::{Access, Entry, EntryFormat, Level, Perms};
pub use crate::errors::{Corrupt, IoError, Shortage};
pub use crate::ids::{Asid, CpuId, FileKey, KernelFrame, NodeId, TaskId, UserFrame};
pub use crate::mask::CpuSet;
pub use crate::node_set::NodeSet;
pub use crate::plant::{Plant, UnknownPlant};
pub use crate::shared_mask::SharedCpuSet;
pub use crate::trace::{Event, LockId};
pub use crate::traits::{Backing, FlushScope, Machine, MemoryRange, PageOp, ReaderOrder};
pub use crate::walk::WalkRule;
pub use crate::word::{Memory, Word};
