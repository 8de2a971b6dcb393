//! A program: what it needs to start, and its operations.

use std::collections::BTreeSet;

use native::arena::{HUGE_PAGES, PAGE};
use native::{Call, Op, SLOTS};

use super::advice;

/// A random or stored program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Program {
    /// `RLIMIT_MEMLOCK`, soft and hard, of the first process, in bytes.
    pub(crate) memlock: u64,
    /// What its processes do, in this order.
    pub(crate) ops: Vec<Op>,
}

impl Program {
    /// The program without some of its operations.
    pub(crate) fn without(&self, dropped: &BTreeSet<usize>) -> Program {
        let kept = self.ops.iter().enumerate().filter(|(number, _)| !dropped.contains(number));
        Program { memlock: self.memlock, ops: kept.map(|(_, op)| *op).collect() }
    }

    /// Whether no operation can give a private mapping pages of its own, so that Linux merges its mappings
    /// by what they are alone.
    pub(crate) fn never_touches(&self) -> bool {
        // LINUX: do_huge_pmd_anonymous_page() prepares for pages, also of zeros.
        !Traits::of(&self.ops).is_wide
            && self.ops.iter().all(|op| match op.call {
                Call::Store | Call::Fork | Call::Mlock | Call::Mlock2 | Call::Mlockall => false,
                Call::VmRead | Call::VmWrite | Call::MemRead | Call::MemWrite => false,
                // Linux: expand_downwards() prepares for pages.
                Call::Mmap => op.args[3] & (MAP_LOCKED | MAP_POPULATE | MAP_GROWSDOWN) == 0,
                Call::Madvise => !matches!(op.args[2], 22 | 23),
                Call::Mincore => op.args[2] == 0,
                _ => true,
            })
    }
}

/// What a program does that makes the presence of pages each system's own affair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Traits {
    /// It maps 2 MiB at once: where there are huge pages, many come at a touch.
    pub(crate) is_wide: bool,
    /// It sends pages out of memory, and a host may have a swap area or not.
    pub(crate) swaps: bool,
    /// It asks for equal pages to be merged.
    pub(crate) merges: bool,
}

impl Traits {
    /// What the operations say.
    pub(crate) fn of(ops: &[Op]) -> Traits {
        let advises = |advice: u64| {
            ops.iter().any(|op| op.call == Call::Madvise && advice::number(op.args[2]) == advice)
        };
        let wide = HUGE_PAGES * PAGE;
        let is_wide = ops.iter().any(|op| match op.call {
            Call::Mmap => op.args[1] >= wide,
            Call::Mremap => op.args[2] >= wide,
            _ => false,
        });
        let is_wide = is_wide || advises(advice::COLLAPSE);
        let merges_any =
            ops.iter().any(|op| op.call == Call::Prctl && op.args[0] as u32 == SET_MEMORY_MERGE as u32);
        let merges = merges_any || advises(advice::MERGEABLE);
        Traits { is_wide, swaps: advises(advice::PAGE_OUT), merges }
    }
}

/// An operation of a process.
pub(crate) fn op(process: u8, call: Call, args: &[u64]) -> Op {
    debug_assert!(usize::from(process) < SLOTS && args.len() == call.args());
    let mut all = [0; 7];
    all[..args.len()].copy_from_slice(args);
    Op { process, call, args: all }
}

pub(crate) const PROT_READ: u64 = 1;
pub(crate) const PROT_WRITE: u64 = 2;
pub(crate) const PROT_EXEC: u64 = 4;
pub(crate) const PROT_SEM: u64 = 8;
pub(crate) const PROT_GROWSDOWN: u64 = 0x0100_0000;
pub(crate) const PROT_GROWSUP: u64 = 0x0200_0000;

pub(crate) const MAP_SHARED: u64 = 0x1;
pub(crate) const MAP_PRIVATE: u64 = 0x2;
pub(crate) const MAP_SHARED_VALIDATE: u64 = 0x3;
pub(crate) const MAP_FIXED: u64 = 0x10;
pub(crate) const MAP_ANONYMOUS: u64 = 0x20;
pub(crate) const MAP_32BIT: u64 = 0x40;
pub(crate) const MAP_GROWSDOWN: u64 = 0x100;
pub(crate) const MAP_LOCKED: u64 = 0x2000;
pub(crate) const MAP_NORESERVE: u64 = 0x4000;
pub(crate) const MAP_POPULATE: u64 = 0x8000;
pub(crate) const MAP_NONBLOCK: u64 = 0x1_0000;
pub(crate) const MAP_STACK: u64 = 0x2_0000;
pub(crate) const MAP_HUGETLB: u64 = 0x4_0000;
pub(crate) const MAP_SYNC: u64 = 0x8_0000;
pub(crate) const MAP_FIXED_NOREPLACE: u64 = 0x10_0000;

/// `PR_SET_MEMORY_MERGE`.
pub(crate) const SET_MEMORY_MERGE: u64 = 67;

pub(crate) const MREMAP_MAYMOVE: u64 = 1;
pub(crate) const MREMAP_FIXED: u64 = 2;
pub(crate) const MREMAP_DONTUNMAP: u64 = 4;
