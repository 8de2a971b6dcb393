//! Small identities.

use crate::Pfn;

/// A CPU, numbered from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct CpuId(pub u32);

/// A NUMA node, numbered from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct NodeId(pub u8);

/// A schedulable task (thread), numbered from 0 below [`crate::Machine::tasks_max`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct TaskId(pub u32);

/// Names an address space to the TLB. Unique among live spaces; 0 is never used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Asid(pub u32);

/// Names a file to the [`crate::Backing`] that stores its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct FileKey(pub u64);

/// A frame whose bytes belong to user space or to a file: reached only by machine operations
/// ([`crate::PageOp`], read, write), never as a slice of kernel memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UserFrame(pub Pfn);

/// A frame the kernel owns: page tables, slabs, boot areas. The kernel's own translation reaches it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KernelFrame(pub Pfn);
