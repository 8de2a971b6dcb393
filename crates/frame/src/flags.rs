//! Flags of a folio.

/// Flag bits of a folio.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags(pub u16);

impl Flags {
    /// The page lock.
    pub const LOCKED: Flags = Flags(1 << 0);
    /// Somebody waits for `LOCKED` or `WRITEBACK` to go.
    pub const WAITERS: Flags = Flags(1 << 1);
    /// Its bytes are those of its file.
    pub const UPTODATE: Flags = Flags(1 << 2);
    /// Its bytes are newer than those stored.
    pub const DIRTY: Flags = Flags(1 << 3);
    /// Its bytes are being stored.
    pub const WRITEBACK: Flags = Flags(1 << 4);
    /// Reading or storing its bytes failed.
    pub const ERROR: Flags = Flags(1 << 5);
    /// Used lately.
    pub const REFERENCED: Flags = Flags(1 << 6);
    /// The kernel's own translation of it is gone (XPFO). Stays with the frame while it is free (XR7, XR16).
    pub const UNMAPPED: Flags = Flags(1 << 8);
    /// A large folio of which some mapping is by single pages: who is exclusive is said page by page.
    pub const BY_PAGES: Flags = Flags(1 << 10);
    /// An anonymous page that is in the swap cache; its fourth word names the slot.
    pub const SWAPCACHED: Flags = Flags(1 << 11);
    /// An anonymous page whose bytes are of no use unless somebody has written to it since (`MADV_FREE`).
    pub const LAZY_FREE: Flags = Flags(1 << 15);

    /// Both sets.
    #[inline]
    pub const fn and(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Whether one of `other` is in it.
    #[inline]
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }
}
