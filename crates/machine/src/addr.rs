//! Addresses and sizes: one type per unit, so that a page number cannot pass for a frame number.

use core::fmt;
use core::ops::{Add, Sub};

/// log2 of the base page size.
pub const PAGE_SHIFT: u32 = 12;
/// Bytes in a base page.
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;
/// Order of a 2 MiB folio.
pub const HUGE_ORDER: Order = Order(9);
/// Bytes in a 2 MiB page.
pub const HUGE_SIZE: u64 = PAGE_SIZE << HUGE_ORDER.0;
/// The largest order the buddy allocator hands out: 4 MiB blocks, as Linux's `MAX_PAGE_ORDER`.
pub const MAX_ORDER: Order = Order(10);

/// A count of base frames (or pages).
pub type Frames = u64;

/// log2 of a number of frames.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Order(pub u8);

impl Order {
    /// A single frame.
    pub const ZERO: Order = Order(0);

    /// How many frames a block of this order has.
    #[inline]
    pub const fn frames(self) -> Frames {
        1 << self.0
    }
}

/// Number of a page frame: physical address >> 12. 32 bits name 16 TiB.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Pfn(pub u32);

impl Pfn {
    /// The frame `n` frames further on.
    #[inline]
    pub const fn plus(self, n: Frames) -> Pfn {
        Pfn(self.0 + n as u32)
    }

    /// Whether the frame starts a block of this order.
    #[inline]
    pub const fn is_aligned(self, order: Order) -> bool {
        self.0 & ((1 << order.0) - 1) == 0
    }

    /// The other half of the block of twice this order.
    #[inline]
    pub const fn buddy(self, order: Order) -> Pfn {
        Pfn(self.0 ^ (1 << order.0))
    }
}

impl fmt::Debug for Pfn {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pfn {:#x}", self.0)
    }
}

/// A virtual address, in bytes. Nothing is promised about its range until it is parsed into a [`VirtRange`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct VirtAddr(pub u64);

impl VirtAddr {
    /// The page the address lies in.
    #[inline]
    pub const fn page(self) -> Vpn {
        Vpn(self.0 >> PAGE_SHIFT)
    }

    /// The byte within its page.
    #[inline]
    pub const fn offset(self) -> u64 {
        self.0 & (PAGE_SIZE - 1)
    }
}

impl fmt::Debug for VirtAddr {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A virtual page number: virtual address >> 12.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Vpn(pub u64);

impl Vpn {
    /// The address of the page's first byte.
    #[inline]
    pub const fn addr(self) -> VirtAddr {
        VirtAddr(self.0 << PAGE_SHIFT)
    }

    /// The first page of the 2 MiB region this page lies in.
    #[inline]
    pub const fn huge_base(self) -> Vpn {
        Vpn(self.0 & !(HUGE_ORDER.frames() - 1))
    }
}

impl Add<u64> for Vpn {
    type Output = Vpn;
    #[inline]
    fn add(self, pages: u64) -> Vpn {
        Vpn(self.0 + pages)
    }
}

impl Sub<Vpn> for Vpn {
    type Output = u64;
    #[inline]
    fn sub(self, other: Vpn) -> u64 {
        self.0 - other.0
    }
}

impl fmt::Debug for Vpn {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "page {:#x}", self.0)
    }
}

/// A half-open range of pages.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct VpnRange {
    /// First page.
    pub start: Vpn,
    /// One past the last page.
    pub end: Vpn,
}

impl VpnRange {
    /// `start..end`; empty if `end <= start`.
    #[inline]
    pub const fn new(start: Vpn, end: Vpn) -> Self {
        VpnRange { start, end }
    }

    /// `pages` pages from `start`.
    #[inline]
    pub const fn sized(start: Vpn, pages: u64) -> Self {
        VpnRange { start, end: Vpn(start.0 + pages) }
    }

    /// How many pages.
    #[inline]
    pub const fn pages(&self) -> u64 {
        self.end.0.saturating_sub(self.start.0)
    }

    /// Whether no page is in it.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.end.0 <= self.start.0
    }

    /// Whether the page is in it.
    #[inline]
    pub const fn contains(&self, page: Vpn) -> bool {
        self.start.0 <= page.0 && page.0 < self.end.0
    }

    /// Whether all of `other` is in it.
    #[inline]
    pub const fn covers(&self, other: &VpnRange) -> bool {
        self.start.0 <= other.start.0 && other.end.0 <= self.end.0
    }

    /// Whether some page is in both.
    #[inline]
    pub const fn overlaps(&self, other: &VpnRange) -> bool {
        self.start.0 < other.end.0 && other.start.0 < self.end.0
    }

    /// The pages in both (possibly none).
    #[inline]
    pub fn intersect(&self, other: &VpnRange) -> VpnRange {
        VpnRange { start: self.start.max(other.start), end: self.end.min(other.end) }
    }
}

/// A page-aligned, non-wrapping range of user addresses: what a hostile `(address, length)` becomes once
/// parsed.
pub type VirtRange = VpnRange;
