//! The counts word: references, maps, pins and the exclusive bit, changed together in one step.
//!
//! ```text
//!  63        62..43    42..23    22..0
//!  exclusive pins 20   maps 20   references 23
//! ```
//!
//! One word, so that "nobody pinned it? then it is no longer exclusive" (CR8) is one compare-and-exchange and
//! no fence argument is needed. A count at its cap refuses, it never wraps. The protocols are generic over
//! [`Memory`], so that a model checker runs the very same code.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use machine::Memory;

const MAPS_SHIFT: u32 = 23;
const PINS_SHIFT: u32 = 43;
/// The largest number of references a folio can have.
pub const REFS_MAX: u64 = (1 << 23) - 1;
/// The largest number of maps, and of pins, a folio can have.
pub const MAPS_MAX: u64 = (1 << 20) - 1;
/// The largest number of pins a folio can have.
pub const PINS_MAX: u64 = MAPS_MAX;
const REF: u64 = 1;
const MAP: u64 = 1 << MAPS_SHIFT;
const PIN: u64 = 1 << PINS_SHIFT;
const EXCLUSIVE: u64 = 1 << 63;

/// A count is at its cap. The operation changed nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct AtCap;

impl core::fmt::Display for AtCap {
    #[inline]
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("a page's count is at its cap")
    }
}

impl core::error::Error for AtCap {}

/// The page is pinned, so it stays exclusive. The operation changed nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Pinned;

impl core::fmt::Display for Pinned {
    #[inline]
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the page is pinned")
    }
}

impl core::error::Error for Pinned {}

/// Why a page is not shared once more. The operation changed nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum NotShared {
    /// It is pinned, so it stays exclusive.
    Pinned,
    /// It is mapped as often as can be counted.
    AtCap,
}

/// Whether the last reference went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "the caller of the last put frees the folio"]
pub enum Freed {
    /// Others still hold references.
    No,
    /// It was the last: the caller owns the folio now and frees it.
    Yes,
}

/// Whether the new mapping is the only way to the page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exclusive {
    /// Sets the exclusive bit together with the map.
    Yes,
    /// Leaves the bit as it is.
    No,
}

/// The counts of a folio at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts(pub u64);

impl Counts {
    /// A new folio: one reference, nothing else.
    pub const ONE: Counts = Counts(REF);

    /// References, and how many of them are mappings; not pinned.
    #[inline]
    pub const fn new(refs: u64, maps: u64, exclusive: Exclusive) -> Counts {
        debug_assert!(refs <= REFS_MAX && maps <= MAPS_MAX, "counts fit");
        let bit = match exclusive {
            Exclusive::Yes => EXCLUSIVE,
            Exclusive::No => 0,
        };
        Counts(refs | maps << MAPS_SHIFT | bit)
    }

    /// References.
    #[inline]
    pub const fn refs(self) -> u64 {
        self.0 & REFS_MAX
    }

    /// How often it is mapped.
    #[inline]
    pub const fn maps(self) -> u64 {
        self.0 >> MAPS_SHIFT & MAPS_MAX
    }

    /// Pins: users that may read and write it without asking again.
    #[inline]
    pub const fn pins(self) -> u64 {
        self.0 >> PINS_SHIFT & PINS_MAX
    }

    /// Whether its only mapping may write without asking.
    #[inline]
    pub const fn is_exclusive(self) -> bool {
        self.0 & EXCLUSIVE != 0
    }
}

impl core::fmt::Debug for Counts {
    #[inline]
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let exclusive = if self.is_exclusive() { ", exclusive" } else { "" };
        write!(f, "{} references, {} maps, {} pins{exclusive}", self.refs(), self.maps(), self.pins())
    }
}

/// What the word holds.
#[inline]
pub fn read<A: Memory>(memory: &A, word: &A::Word) -> Counts {
    // ORDERING: Acquire pairs with the AcqRel of `step`: who sees a count sees what was done before it.
    Counts(memory.load(word, Acquire))
}

/// Makes a folio that nobody can reach ready: one reference, nothing else.
#[inline]
pub fn birth<A: Memory>(memory: &A, word: &A::Word) {
    // ORDERING: Release pairs with the Acquire in `try_get`: who gets a reference sees the fresh descriptor.
    memory.store(word, Counts::ONE.0, Release);
}

/// Wipes what is left of a folio without references (its exclusive bit).
#[inline]
pub fn death<A: Memory>(memory: &A, word: &A::Word) {
    // RELAXED: with no references, only `try_get` looks, and it fails either way.
    memory.store(word, 0, Relaxed);
}

/// One step on the word: `next` answers the new value, or refuses.
#[inline]
fn step<A: Memory, E>(
    memory: &A,
    word: &A::Word,
    next: impl Fn(Counts) -> Result<u64, E>,
) -> Result<(Counts, Counts), E> {
    // RELAXED: the compare-exchange decides.
    let mut seen = memory.load(word, Relaxed);
    loop {
        let new = next(Counts(seen))?;
        // ORDERING: AcqRel: what was done to the folio before a count fell is seen by
        // whoever sees the fallen count.
        match memory.compare_exchange(word, seen, new, AcqRel) {
            Ok(_) => return Ok((Counts(seen), Counts(new))),
            Err(now) => seen = now,
        }
    }
}

/// Takes a reference unless there is none (the folio is free or about to be) or there are too many.
#[inline]
pub fn try_get<A: Memory>(memory: &A, word: &A::Word) -> bool {
    step(memory, word, |c| match c.refs() {
        0 | REFS_MAX => Err(()),
        _ => Ok(c.0 + REF),
    })
    .is_ok()
}

/// Takes another reference; the caller has, or knows of, one.
#[inline]
pub fn get<A: Memory>(memory: &A, word: &A::Word) -> Result<(), AtCap> {
    step(memory, word, |c| {
        debug_assert!(c.refs() > 0, "a reference to a free folio");
        if c.refs() == REFS_MAX { Err(AtCap) } else { Ok(c.0 + REF) }
    })
    .map(drop)
}

/// Gives a reference back.
#[inline]
pub fn put<A: Memory>(memory: &A, word: &A::Word) -> Freed {
    // ORDERING: AcqRel: the last one sees everything the others did with the folio before they let go.
    let before = Counts(memory.fetch_add(word, REF.wrapping_neg(), AcqRel));
    debug_assert!(before.refs() > 0, "a reference is given back twice");
    if before.refs() == 1 { Freed::Yes } else { Freed::No }
}

/// Takes away the only reference, so that nobody can get one any more; refuses if there are others.
/// Linux: `folio_ref_freeze`, for exactly one.
#[inline]
pub fn freeze<A: Memory>(memory: &A, word: &A::Word) -> bool {
    step(memory, word, |c| if c.refs() == 1 { Ok(c.0 - REF) } else { Err(()) }).is_ok()
}

/// Takes away all references if there are exactly so many, so that nobody can get one any more. Linux:
/// `folio_ref_freeze`.
#[inline]
pub fn freeze_at<A: Memory>(memory: &A, word: &A::Word, refs: u64) -> bool {
    debug_assert!(refs > 0, "a folio without references is frozen already");
    step(memory, word, |c| if c.refs() == refs { Ok(c.0 - refs * REF) } else { Err(()) }).is_ok()
}

/// Undoes [`freeze_at`]: so many references again. The mappings, pins and exclusive bit are as they were.
#[inline]
pub fn unfreeze_to<A: Memory>(memory: &A, word: &A::Word, refs: u64) {
    // ORDERING: Release pairs with the Acquire in `try_get`.
    let before = Counts(memory.fetch_add(word, refs * REF, Release));
    debug_assert!(before.refs() == 0, "a folio that was not frozen");
}

/// Makes one of the parts of a folio that was taken apart ready: from here on it can be got.
#[inline]
pub fn publish<A: Memory>(memory: &A, word: &A::Word, counts: Counts) {
    debug_assert!(counts.refs() > 0, "who takes a folio apart has a reference to each part");
    // ORDERING: Release pairs with the Acquire in `try_get`: who gets a reference sees the new descriptor.
    memory.store(word, counts.0, Release);
}

/// Undoes [`freeze`]: one reference again. The mappings, pins and exclusive bit are as they were.
#[inline]
pub fn unfreeze<A: Memory>(memory: &A, word: &A::Word) {
    // ORDERING: Release pairs with the Acquire in `try_get`.
    let before = Counts(memory.fetch_add(word, REF, Release));
    debug_assert!(before.refs() == 0, "a folio that was not frozen");
}

/// Counts one more mapping.
#[inline]
pub fn add_map<A: Memory>(memory: &A, word: &A::Word, exclusive: Exclusive) -> Result<(), AtCap> {
    let bit = if exclusive == Exclusive::Yes { EXCLUSIVE } else { 0 };
    step(memory, word, |c| if c.maps() == MAPS_MAX { Err(AtCap) } else { Ok((c.0 + MAP) | bit) }).map(drop)
}

/// Counts `entries` more mappings, each with a reference, in one step: where one entry becomes many. Refuses
/// if the folio has more than `most` mappings then.
#[inline]
pub fn add_entries<A: Memory>(memory: &A, word: &A::Word, entries: u64, most: u64) -> Result<(), AtCap> {
    debug_assert!(most <= MAPS_MAX, "a limit below the cap");
    step(memory, word, |c| {
        let refused = c.maps() + entries > most || c.refs() + entries > REFS_MAX;
        if refused { Err(AtCap) } else { Ok(c.0 + entries * (MAP + REF)) }
    })
    .map(drop)
}

/// What fork does to a page, in one step: counts one more mapping with its reference, and takes exclusivity
/// away ([`share`] and [`add_entries`]). Refuses, and changes nothing, if the page is exclusive and pinned,
/// or has `most` mappings.
// LINUX: include/linux/rmap.h folio_try_dup_anon_rmap_pte(), folio_get().
#[inline]
pub fn share_again<A: Memory>(memory: &A, word: &A::Word, most: u64) -> Result<(), NotShared> {
    debug_assert!(most <= MAPS_MAX, "a limit below the cap");
    step(memory, word, |c| {
        if c.is_exclusive() && c.pins() > 0 {
            return Err(NotShared::Pinned);
        }
        if c.maps() >= most || c.refs() == REFS_MAX {
            return Err(NotShared::AtCap);
        }
        Ok((c.0 & !EXCLUSIVE) + MAP + REF)
    })
    .map(drop)
}

/// Counts one mapping less; answers the counts after it.
#[inline]
pub fn remove_map<A: Memory>(memory: &A, word: &A::Word) -> Counts {
    // ORDERING: AcqRel: who sees no maps sees what was written through them (with
    // the flush that came before).
    let before = Counts(memory.fetch_add(word, MAP.wrapping_neg(), AcqRel));
    debug_assert!(before.maps() > 0, "a mapping is removed twice");
    Counts(before.0.wrapping_sub(MAP))
}

/// Counts one mapping less, and gives its reference back, in one step.
#[inline]
pub fn put_entry<A: Memory>(memory: &A, word: &A::Word) -> Freed {
    // ORDERING: AcqRel, as in `put`.
    let before = Counts(memory.fetch_add(word, (MAP + REF).wrapping_neg(), AcqRel));
    debug_assert!(before.maps() > 0 && before.refs() > 0, "a mapping is given back twice");
    if before.refs() == 1 { Freed::Yes } else { Freed::No }
}

/// Takes a pin, with the reference that goes with it.
#[inline]
pub fn pin<A: Memory>(memory: &A, word: &A::Word) -> Result<(), AtCap> {
    step(memory, word, |c| {
        debug_assert!(c.refs() > 0, "a pin on a free folio");
        if c.pins() == PINS_MAX || c.refs() == REFS_MAX { Err(AtCap) } else { Ok(c.0 + PIN + REF) }
    })
    .map(drop)
}

/// Takes a pin unless the folio has no reference or is at a cap: for walks without a lock.
#[inline]
pub fn try_pin<A: Memory>(memory: &A, word: &A::Word) -> bool {
    step(memory, word, |c| {
        let refused = matches!(c.refs(), 0 | REFS_MAX) || c.pins() == PINS_MAX;
        if refused { Err(()) } else { Ok(c.0 + PIN + REF) }
    })
    .is_ok()
}

/// Takes a pin, with its reference, only if the page is exclusive (CR3). The counterpart of [`share`], on the
/// same word: of a pin and a share at the same time either the pin finds the bit gone, or the share the pin.
/// So a walk without a lock needs neither a fence nor a sequence count of fork (C-6, C-7, C-8).
#[inline]
pub fn pin_exclusive<A: Memory>(memory: &A, word: &A::Word) -> bool {
    step(memory, word, |c| {
        let refused = !c.is_exclusive() || matches!(c.refs(), 0 | REFS_MAX) || c.pins() == PINS_MAX;
        if refused { Err(()) } else { Ok(c.0 + PIN + REF) }
    })
    .is_ok()
}

/// Gives a pin and its reference back.
#[inline]
pub fn unpin<A: Memory>(memory: &A, word: &A::Word) -> Freed {
    // ORDERING: AcqRel, as in `put`.
    let before = Counts(memory.fetch_add(word, (PIN + REF).wrapping_neg(), AcqRel));
    debug_assert!(before.pins() > 0 && before.refs() > 0, "a pin is given back twice");
    if before.refs() == 1 { Freed::Yes } else { Freed::No }
}

/// Clears the exclusive bit unless somebody pinned the page (CR8): one step, so no pin can slip in between.
#[inline]
pub fn share<A: Memory>(memory: &A, word: &A::Word) -> Result<(), Pinned> {
    step(memory, word, |c| if c.is_exclusive() && c.pins() > 0 { Err(Pinned) } else { Ok(c.0 & !EXCLUSIVE) })
        .map(drop)
}

/// Clears the exclusive bit, whoever has the page pinned: for rules of copy-on-write that know no pins, and
/// where what it said was written elsewhere ([`crate::subpages`]).
#[inline]
pub fn forget_exclusive<A: Memory>(memory: &A, word: &A::Word) {
    // ORDERING: AcqRel, as in `step`.
    memory.fetch_and(word, !EXCLUSIVE, AcqRel);
}

/// Sets the exclusive bit.
#[inline]
pub fn make_exclusive<A: Memory>(memory: &A, word: &A::Word) {
    // ORDERING: AcqRel, as in `step`.
    memory.fetch_or(word, EXCLUSIVE, AcqRel);
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicU64, Ordering, fence};

    /// Plain atomics.
    struct Plain;

    impl Memory for Plain {
        type Word = AtomicU64;
        fn load(&self, word: &AtomicU64, order: Ordering) -> u64 {
            word.load(order)
        }
        fn store(&self, word: &AtomicU64, value: u64, order: Ordering) {
            word.store(value, order);
        }
        fn swap(&self, word: &AtomicU64, value: u64, order: Ordering) -> u64 {
            word.swap(value, order)
        }
        fn compare_exchange(
            &self,
            word: &AtomicU64,
            old: u64,
            new: u64,
            order: Ordering,
        ) -> Result<u64, u64> {
            word.compare_exchange(old, new, order, machine::word::failure_order(order))
        }
        fn fetch_add(&self, word: &AtomicU64, value: u64, order: Ordering) -> u64 {
            word.fetch_add(value, order)
        }
        fn fetch_or(&self, word: &AtomicU64, bits: u64, order: Ordering) -> u64 {
            word.fetch_or(bits, order)
        }
        fn fetch_and(&self, word: &AtomicU64, bits: u64, order: Ordering) -> u64 {
            word.fetch_and(bits, order)
        }
        fn fence(&self, order: Ordering) {
            fence(order);
        }
        fn relax(&self, _: &AtomicU64) {
            core::hint::spin_loop();
        }
    }

    #[test]
    fn a_folio_without_references_cannot_be_got() {
        let word = AtomicU64::new(0);
        assert!(!try_get(&Plain, &word));
        assert!(!try_pin(&Plain, &word));
        birth(&Plain, &word);
        assert!(try_get(&Plain, &word));
        assert_eq!(put(&Plain, &word), Freed::No);
        assert_eq!(put(&Plain, &word), Freed::Yes);
        assert!(!try_get(&Plain, &word));
    }

    #[test]
    fn counts_refuse_at_their_caps_and_leave_each_other_alone() {
        let word = AtomicU64::new(REFS_MAX);
        assert!(!try_get(&Plain, &word));
        assert_eq!(get(&Plain, &word), Err(AtCap));
        assert_eq!(pin(&Plain, &word), Err(AtCap));
        let word = AtomicU64::new(Counts::ONE.0 | MAPS_MAX << MAPS_SHIFT);
        assert_eq!(add_map(&Plain, &word, Exclusive::Yes), Err(AtCap));
        assert_eq!(read(&Plain, &word), Counts(Counts::ONE.0 | MAPS_MAX << MAPS_SHIFT));
        assert_eq!(remove_map(&Plain, &word).maps(), MAPS_MAX - 1);
        let word = AtomicU64::new(Counts::ONE.0 | PINS_MAX << PINS_SHIFT);
        assert_eq!(pin(&Plain, &word), Err(AtCap));
        assert!(!try_pin(&Plain, &word));
        assert_eq!(unpin(&Plain, &word), Freed::Yes);
        assert_eq!(read(&Plain, &word).pins(), PINS_MAX - 1);
    }

    #[test]
    fn fork_shares_and_counts_in_one_step_or_not_at_all() {
        let word = AtomicU64::new(Counts::new(1, 1, Exclusive::Yes).0);
        assert_eq!(pin(&Plain, &word), Ok(()));
        let before = read(&Plain, &word);
        assert_eq!(share_again(&Plain, &word, MAPS_MAX), Err(NotShared::Pinned));
        assert_eq!(read(&Plain, &word), before);
        assert_eq!(unpin(&Plain, &word), Freed::No);
        assert_eq!(share_again(&Plain, &word, 1), Err(NotShared::AtCap));
        assert_eq!(read(&Plain, &word), Counts::new(1, 1, Exclusive::Yes));
        assert_eq!(share_again(&Plain, &word, 2), Ok(()));
        assert_eq!(read(&Plain, &word), Counts::new(2, 2, Exclusive::No));
        assert_eq!(share_again(&Plain, &word, 2), Err(NotShared::AtCap));
    }

    #[test]
    fn a_pinned_page_stays_exclusive() {
        let word = AtomicU64::new(0);
        birth(&Plain, &word);
        assert_eq!(add_map(&Plain, &word, Exclusive::Yes), Ok(()));
        assert_eq!(pin(&Plain, &word), Ok(()));
        assert_eq!(share(&Plain, &word), Err(Pinned));
        assert!(read(&Plain, &word).is_exclusive());
        assert_eq!(unpin(&Plain, &word), Freed::No);
        assert_eq!(share(&Plain, &word), Ok(()));
        assert!(!read(&Plain, &word).is_exclusive());
        assert_eq!(pin(&Plain, &word), Ok(()));
        assert_eq!(share(&Plain, &word), Ok(()), "a shared page is shared already");
        assert!(!pin_exclusive(&Plain, &word), "a shared page is not pinned");
        make_exclusive(&Plain, &word);
        assert!(pin_exclusive(&Plain, &word));
        assert_eq!(unpin(&Plain, &word), Freed::No);
        assert_eq!(read(&Plain, &word).maps(), 1);
        assert!(!freeze(&Plain, &word));
        assert_eq!(unpin(&Plain, &word), Freed::No);
        assert!(freeze(&Plain, &word));
        assert!(!try_get(&Plain, &word));
    }
}
