//! Which pages of a large anonymous folio are exclusive to their entry (CR21, CR24).
//!
//! While a folio of 2 MiB is mapped by one entry of 2 MiB, the exclusive bit of its counts speaks for all of
//! it. Entries that map single pages of it may part (fork, `mremap` and copies take page by page), so each
//! page then needs a bit of its own: 512 bits, in the third words of the folio's first eight tails, which
//! nobody else uses. Which of the two speaks is said by the level of the entry through which one asks:
//!
//! | entry | exclusive if |
//! |---|---|
//! | 2 MiB | the bit in the head's counts |
//! | 4 KiB, of a folio of that size | the bit in the head's counts |
//! | 4 KiB, of a larger folio | the page's bit here |
//!
//! [`Subpages::fill`] writes the bits from the head's before an entry of 2 MiB becomes 512 of 4 KiB, so at no
//! moment is a page found shared that is not (row 23 of the COW table). All pins of a folio are counted in
//! its head, so one step cannot ask "not pinned?" and clear a page's bit. Two CPUs meet over two words:
//!
//! ```text
//!  sharer                          pinner
//!  clear the page's bit            count a pin
//!  full fence                      full fence
//!  pinned? set it again, refuse    bit gone? take the pin back
//! ```
//!
//! One of them sees the other. Setting a bit needs no such care: only who holds the lock of the leaf with the
//! folio's only entries does it. The protocol is generic over [`Memory`] (loom: `tests/loom/subpages.rs`).

use crate::counts::{self, Freed, Pinned};
use crate::descriptor::{Descriptor, Flags};
use crate::frames::Frames;
use core::ops::Range;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Release, SeqCst};
use machine::{Cx, HUGE_ORDER, Machine, Memory, Pfn, Word};

/// Pages a word has bits for.
pub const PER_WORD: u64 = 64;
/// Words of bits.
pub const WORDS: u64 = HUGE_ORDER.frames() / PER_WORD;

/// Clears the bits of some pages of a word unless the folio is pinned; pages that are shared already stay so.
/// Answers which bits were set. On refusal they are as they were; in between they may have been seen cleared.
/// (leaf lock of the entries)
pub fn try_share<A: Memory>(
    memory: &A,
    (bits, mask): (&A::Word, u64),
    head: &A::Word,
) -> Result<u64, Pinned> {
    if !is_exclusive(memory, (bits, mask)) {
        return Ok(0);
    }
    // A hint that spares pinners the sight of a bit that is gone for a moment.
    if counts::read(memory, head).pins() > 0 {
        return Err(Pinned);
    }
    // ORDERING: AcqRel: the sharer sees what was done while the page was exclusive; the fence below
    // orders it before the look at the pins.
    let were_set = memory.fetch_and(bits, !mask, AcqRel) & mask;
    // ORDERING: SeqCst pairs with the fence in `try_pin` (a Dekker pair): the pin is seen here, or the
    // cleared bit there.
    memory.fence(SeqCst);
    if counts::read(memory, head).pins() == 0 {
        return Ok(were_set);
    }
    set(memory, (bits, were_set));
    Err(Pinned)
}

/// Takes a pin on the folio, with its reference, if the page's bit is set. `Err` says whether the reference
/// that was given back was the last: then the caller frees the folio.
pub fn try_pin<A: Memory>(memory: &A, (bits, mask): (&A::Word, u64), head: &A::Word) -> Result<(), Freed> {
    if !counts::try_pin(memory, head) {
        return Err(Freed::No);
    }
    // ORDERING: SeqCst pairs with the fence in `try_share`.
    memory.fence(SeqCst);
    if is_exclusive(memory, (bits, mask)) { Ok(()) } else { Err(counts::unpin(memory, head)) }
}

/// Whether a page's bit is set; of several, whether any is.
pub fn is_exclusive<A: Memory>(memory: &A, (bits, mask): (&A::Word, u64)) -> bool {
    // ORDERING: Acquire pairs with the AcqRel of `set`: who finds the bit finds what was done before it.
    memory.load(bits, Acquire) & mask != 0
}

/// Sets bits of a word. (lock of the leaf with the folio's only entries)
pub fn set<A: Memory>(memory: &A, (bits, mask): (&A::Word, u64)) {
    // ORDERING: AcqRel pairs with the Acquire in `is_exclusive`.
    memory.fetch_or(bits, mask, AcqRel);
}

/// The bits of one large folio. A handle; the caller has a reference to the folio.
#[derive(Clone, Copy)]
pub struct Subpages<'m> {
    head: &'m Descriptor,
    tails: [&'m Descriptor; WORDS as usize],
}

impl<'m> Subpages<'m> {
    /// Whether entries of single pages were ever made: before, the bits mean nothing.
    pub fn are_filled<M: Machine, const L: u8>(&self, cx: &Cx<'m, M, L>) -> bool {
        self.head.test(cx, Flags::BY_PAGES)
    }

    /// Makes the bits say what the head's bit says, and the head's bit nothing: the folio's entry of 2 MiB is
    /// about to become 512 of 4 KiB. Bits that are in use already stay: then another entry of 2 MiB, this
    /// one, shares every page, so none of them is set. (lock of the table with the entry)
    pub fn fill<M: Machine, const L: u8>(&self, cx: &Cx<'m, M, L>) {
        let exclusive = self.head.is_exclusive(cx);
        if exclusive || !self.are_filled(cx) {
            let bits = if exclusive { u64::MAX } else { 0 };
            for tail in self.tails {
                // ORDERING: Release pairs with the Acquire in `is_exclusive`.
                cx.store(tail.owner_word(), bits, Release);
            }
        }
        self.head.set(cx, Flags::BY_PAGES);
        if exclusive {
            counts::forget_exclusive(cx, self.head.counts_word());
        }
    }

    /// Whether a page is exclusive to the entry of 4 KiB that maps it.
    pub fn is_exclusive<M: Machine, const L: u8>(&self, cx: &Cx<'m, M, L>, page: u64) -> bool {
        is_exclusive(cx, self.bit(page))
    }

    /// See [`try_share`].
    pub fn try_share<M: Machine, const L: u8>(&self, cx: &Cx<'m, M, L>, page: u64) -> Result<(), Pinned> {
        try_share(cx, self.bit(page), self.head.counts_word()).map(drop)
    }

    /// The same for pages that follow each other, a word at a time; answers the bits that were set, for
    /// [`Subpages::make_exclusive_all`]. All of them, or none.
    pub fn try_share_run<M: Machine, const L: u8>(
        &self,
        cx: &Cx<'m, M, L>,
        pages: Range<u64>,
    ) -> Result<[u64; WORDS as usize], Pinned> {
        let mut were_set = [0; WORDS as usize];
        for word in (pages.start / PER_WORD)..pages.end.div_ceil(PER_WORD) {
            let first = pages.start.max(word * PER_WORD);
            let count = pages.end.min((word + 1) * PER_WORD) - first;
            let mask = (u64::MAX >> (PER_WORD - count)) << (first % PER_WORD);
            let bits = self.tails[word as usize].owner_word();
            match try_share(cx, (bits, mask), self.head.counts_word()) {
                Ok(set) => were_set[word as usize] = set,
                Err(Pinned) => {
                    self.make_exclusive_all(cx, &were_set);
                    return Err(Pinned);
                }
            }
        }
        Ok(were_set)
    }

    /// See [`try_pin`]; callers want [`Frames::try_pin_subpage`], which also frees.
    pub(crate) fn try_pin<M: Machine, const L: u8>(&self, cx: &Cx<'m, M, L>, page: u64) -> Result<(), Freed> {
        try_pin(cx, self.bit(page), self.head.counts_word())
    }

    /// Makes a page exclusive to the entry of 4 KiB that maps it. (lock of the leaf with the folio's only
    /// entries)
    pub fn make_exclusive<M: Machine, const L: u8>(&self, cx: &Cx<'m, M, L>, page: u64) {
        set(cx, self.bit(page));
    }

    /// The same for many pages: the bits to set, word by word.
    pub fn make_exclusive_all<M: Machine, const L: u8>(
        &self,
        cx: &Cx<'m, M, L>,
        pages: &[u64; WORDS as usize],
    ) {
        for (tail, &mask) in self.tails.iter().zip(pages).filter(|&(_, &mask)| mask != 0) {
            set(cx, (tail.owner_word(), mask));
        }
    }

    /// Clears a page's bit, whoever has the folio pinned: for rules of copy-on-write that know no pins.
    pub fn forget_exclusive<M: Machine, const L: u8>(&self, cx: &Cx<'m, M, L>, page: u64) {
        let (bits, mask) = self.bit(page);
        // ORDERING: AcqRel, as in `try_share`.
        cx.fetch_and(bits, !mask, AcqRel);
    }

    /// The bits of pages `word * 64` and on, on a quiet machine.
    pub fn quiet_bits(&self, word: usize) -> u64 {
        let (owner, index) = self.tails[word].quiet_owner();
        u64::from(owner) << crate::descriptor::INDEX_BITS | index
    }

    fn bit(&self, page: u64) -> (&'m Word, u64) {
        debug_assert!(page < HUGE_ORDER.frames(), "a page of the folio");
        (self.tails[(page / PER_WORD) as usize].owner_word(), 1 << (page % PER_WORD))
    }
}

impl<'m, M: Machine> Frames<'m, M> {
    /// The bits of the pages of a folio of 2 MiB, by its head.
    pub fn subpages(&self, head: Pfn) -> Subpages<'m> {
        debug_assert!(head.is_aligned(HUGE_ORDER), "a folio of 2 MiB");
        let tail = |word: usize| self.descriptor(head.plus(word as u64 + 1));
        Subpages { head: self.descriptor(head), tails: core::array::from_fn(tail) }
    }
}
