//! Advice, by name: what is compared, and where.

use super::host::Host;

/// Where an advice can be compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Where {
    /// On every host.
    Everywhere,
    /// On hosts with huge pages.
    HugePages,
    /// On hosts that collapse pages when they are asked to.
    Collapse,
    /// On hosts that merge equal pages.
    Merging,
    /// Nowhere: Freehold does not know it yet, or the answer is the host's own affair.
    Nowhere,
}
use Where::{Collapse, Everywhere, HugePages, Merging, Nowhere};

const TABLE: &[(&str, u64, Where)] = &[
    ("MADV_NORMAL", 0, Everywhere),
    ("MADV_RANDOM", 1, Everywhere),
    ("MADV_SEQUENTIAL", 2, Everywhere),
    ("MADV_WILLNEED", 3, Everywhere),
    ("MADV_DONTNEED", 4, Everywhere),
    ("MADV_FREE", 8, Everywhere),
    ("MADV_REMOVE", 9, Nowhere),
    ("MADV_DONTFORK", 10, Everywhere),
    ("MADV_DOFORK", 11, Everywhere),
    ("MADV_MERGEABLE", 12, Merging),
    ("MADV_UNMERGEABLE", 13, Merging),
    ("MADV_HUGEPAGE", 14, HugePages),
    ("MADV_NOHUGEPAGE", 15, HugePages),
    ("MADV_DONTDUMP", 16, Nowhere),
    ("MADV_DODUMP", 17, Nowhere),
    ("MADV_WIPEONFORK", 18, Everywhere),
    ("MADV_KEEPONFORK", 19, Everywhere),
    ("MADV_COLD", 20, Everywhere),
    ("MADV_PAGEOUT", 21, Everywhere),
    ("MADV_POPULATE_READ", 22, Everywhere),
    ("MADV_POPULATE_WRITE", 23, Everywhere),
    ("MADV_DONTNEED_LOCKED", 24, Nowhere),
    // Whether memory for it can be had is each system's own affair: see `known::may_fail`.
    ("MADV_COLLAPSE", 25, Collapse),
    ("MADV_HWPOISON", 100, Nowhere),
    ("MADV_SOFT_OFFLINE", 101, Nowhere),
    ("MADV_GUARD_INSTALL", 102, Nowhere),
    ("MADV_GUARD_REMOVE", 103, Nowhere),
];

/// `MADV_FREE`.
pub(crate) const FREE: u64 = 8;
/// `MADV_MERGEABLE`.
pub(crate) const MERGEABLE: u64 = 12;
/// `MADV_PAGEOUT`.
pub(crate) const PAGE_OUT: u64 = 21;
/// `MADV_COLLAPSE`.
pub(crate) const COLLAPSE: u64 = 25;

/// The number the call looks at.
pub(crate) fn number(argument: u64) -> u64 {
    argument & u64::from(u32::MAX)
}

/// Whether it has a name and is compared on this host.
pub(crate) fn is_compared(argument: u64, host: &Host) -> bool {
    let found = TABLE.iter().find(|(_, known, _)| *known == number(argument));
    found.is_some_and(|(_, _, place)| match place {
        Everywhere => true,
        HugePages => host.has_huge_pages,
        Collapse => host.has_huge_pages && host.version >= (6, 1),
        Merging => host.has_merging,
        Nowhere => false,
    })
}

/// Whether it has a name and is not compared on this host. Numbers without a name are refused by all.
pub(crate) fn is_left_out(argument: u64, host: &Host) -> bool {
    TABLE.iter().any(|(_, known, _)| *known == number(argument)) && !is_compared(argument, host)
}

/// Names and numbers.
pub(crate) const NAMES: [(&str, u64); TABLE.len()] = {
    let mut names = [("", 0); TABLE.len()];
    let mut at = 0;
    while at < TABLE.len() {
        names[at] = (TABLE[at].0, TABLE[at].1);
        at += 1;
    }
    names
};
