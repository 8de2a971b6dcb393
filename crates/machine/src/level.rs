//! Levels of locks. A lock may be taken only while every lock held has a lower level; the context carries the
//! highest level held as a type parameter, so a wrong order does not compile. `docs/locking.md` tells what
//! each protects.

/// No lock is held.
pub const NONE: u8 = 0;
/// A process of floor 8 (sleeps).
pub const PROCESS: u8 = 1;
/// The layout of an address space: its VMA tree (sleeps). Linux: `mmap_lock`.
pub const LAYOUT: u8 = 2;
/// One page's lock bit: contents are being read, written back or truncated (sleeps). Linux: `folio_lock`.
pub const PAGE: u8 = 3;
/// The attachments of one object: who maps it (sleeps). Linux: `i_mmap_rwsem`, `anon_vma`.
pub const RMAP: u8 = 4;
/// The highest level at which a task may sleep.
pub const SLEEP_MAX: u8 = RMAP;
/// Inside an epoch: a lockless reader. No sleep from here on.
pub const EPOCH: u8 = 5;
/// A page table of level 4 (root).
pub const TABLE4: u8 = 6;
/// A page table of level 3.
pub const TABLE3: u8 = 7;
/// A page table of level 2.
pub const TABLE2: u8 = 8;
/// A page table of level 1 (leaf).
pub const TABLE1: u8 = 9;
/// The index of one file's cached pages. Linux: `xa_lock`.
pub const CACHE: u8 = 10;
/// Registries: lists of spaces, of files, of free numbers.
pub const REGISTRY: u8 = 11;
/// The highest level at which interrupts are on and another CPU may be waited for (flush rounds).
pub const FLUSH_MAX: u8 = REGISTRY;
/// A slab's list of free objects.
pub const SLAB: u8 = 12;
/// A CPU's lists of free frames.
pub const PCP: u8 = 13;
/// A zone's free lists (interrupts off).
pub const ZONE: u8 = 14;
/// A bucket of the parking lot.
pub const PARK: u8 = 15;

/// A level's name, for people.
#[inline]
pub const fn name(level: u8) -> &'static str {
    match level {
        PROCESS => "process",
        LAYOUT => "layout",
        PAGE => "page",
        RMAP => "reverse map",
        TABLE4..=TABLE1 => "page table",
        CACHE => "page cache",
        REGISTRY => "registry",
        SLAB => "slab",
        PCP => "per-CPU list",
        ZONE => "zone",
        PARK => "parking bucket",
        _ => "unknown",
    }
}
