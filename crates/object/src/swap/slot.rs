//! The word of a slot: how many entries name it, and which frame the swap cache has for it.
//!
//! ```text
//!  59..40    35      34   33     32     31..0
//!  entries   freeing busy stored cached frame
//! ```
//!
//! The swap cache **is** these words. A frame is in the cache from the step that writes it here to the step
//! that takes it out, and nobody reads a slot's bytes but through a frame that is in its word. So no fault
//! can hold bytes of a slot that was freed and given to another page meanwhile (C-17): a frame that is read
//! is in the word before the read begins, the next fault finds it there and waits for its lock, and a slot
//! with a frame that somebody works on (busy) is not freed, whatever becomes of its entries.
//!
//! ```text
//!           claim                 settle               put, last, frame kept
//!   free ──────────> busy, frame ─────────> in use ─────────────────────────> kept (no entry, a frame)
//!    ^                    ^   │ no entry      │  ^ claim_read (busy)              │ abandon
//!    │                    │   v               │  │                                v
//!    └── release ── freeing <──────── put, the last, nobody busy <────────────────┘
//! ```
//!
//! Every arrow but `release` is one compare-and-exchange; exactly one caller makes the step to *freeing*, and
//! owes the cache's reference and the room of the slot's bytes. The protocol is generic over [`Memory`].

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use machine::{Memory, Pfn};

const FRAME: u64 = u32::MAX as u64;
const CACHED: u64 = 1 << 32;
const STORED: u64 = 1 << 33;
const BUSY: u64 = 1 << 34;
const FREEING: u64 = 1 << 35;
const ENTRY_SHIFT: u32 = 40;
const ENTRY: u64 = 1 << ENTRY_SHIFT;
/// The most swap entries that can name one slot.
pub const ENTRIES_MAX: u64 = (1 << 20) - 1;

/// What a slot's word said at one moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SlotState(pub u64);

impl SlotState {
    /// How many swap entries name the slot.
    pub const fn entries(self) -> u64 {
        self.0 >> ENTRY_SHIFT & ENTRIES_MAX
    }

    /// The frame in the swap cache.
    pub const fn frame(self) -> Option<Pfn> {
        if self.0 & CACHED != 0 { Some(Pfn((self.0 & FRAME) as u32)) } else { None }
    }

    /// Whether somebody reads into the frame, or writes from it.
    pub const fn is_busy(self) -> bool {
        self.0 & BUSY != 0
    }

    /// Whether the area has bytes for the slot.
    pub const fn is_stored(self) -> bool {
        self.0 & STORED != 0
    }

    /// Whether nobody has the slot.
    pub const fn is_free(self) -> bool {
        self.0 == 0
    }

    /// Whether the slot is on its way to be free.
    pub const fn is_freeing(self) -> bool {
        self.0 & FREEING != 0
    }

    const fn without_frame(self) -> u64 {
        self.0 & !(FRAME | CACHED | BUSY)
    }

    const fn holds(self, frame: Pfn) -> bool {
        self.0 & (FRAME | CACHED) == CACHED | frame.0 as u64
    }
}

impl core::fmt::Debug for SlotState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} entries", self.entries())?;
        if let Some(frame) = self.frame() {
            write!(f, ", {frame:?} cached")?;
        }
        for (is, what) in
            [(self.is_busy(), "busy"), (self.is_stored(), "stored"), (self.is_freeing(), "freeing")]
        {
            if is {
                write!(f, ", {what}")?;
            }
        }
        Ok(())
    }
}

/// The caller made the last step: it gives the cache's reference to the frame back, frees the room of the
/// bytes, and then calls [`release`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "the slot and the frame would be lost"]
pub struct LastStep {
    /// The frame that is no longer in the cache.
    pub frame: Option<Pfn>,
}

/// The slot has as many entries as it can count. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct TooManyEntries;

/// What became of a frame in the cache when the last entry went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// The page stays in the cache, so that it need not be written again if nobody stores to it.
    Frame,
    /// The slot is freed.
    Nothing,
}

/// Who reads a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Claim {
    /// The caller: its frame is in the word now, busy.
    Mine,
    /// This frame is there already.
    There(Pfn),
    /// No entry names the slot any more.
    Gone,
}

/// What the word says.
pub fn read<A: Memory>(memory: &A, word: &A::Word) -> SlotState {
    // ORDERING: Acquire pairs with the AcqRel of `step`: who sees a frame sees its page ready.
    SlotState(memory.load(word, Acquire))
}

/// One step on the word: `next` answers the new value, or refuses.
fn step<A: Memory, E>(
    memory: &A,
    word: &A::Word,
    next: impl Fn(SlotState) -> Result<u64, E>,
) -> Result<(SlotState, SlotState), E> {
    // RELAXED: the compare-exchange decides.
    let mut seen = memory.load(word, Relaxed);
    loop {
        let new = next(SlotState(seen))?;
        // ORDERING: AcqRel: what was done to slot and page before a step is seen by whoever makes the next.
        match memory.compare_exchange(word, seen, new, AcqRel) {
            Ok(_) => return Ok((SlotState(seen), SlotState(new))),
            Err(now) => seen = now,
        }
    }
}

/// Takes a free slot for a page that is to be written: its frame is in the cache, busy.
pub fn claim<A: Memory>(memory: &A, word: &A::Word, frame: Pfn) -> bool {
    // ORDERING: AcqRel pairs with the Release in `release`: the slot's old bytes are gone.
    memory.compare_exchange(word, 0, CACHED | BUSY | u64::from(frame.0), AcqRel).is_ok()
}

/// One entry more. The caller has one, or works on the frame (busy).
pub fn dup<A: Memory>(memory: &A, word: &A::Word) -> Result<(), TooManyEntries> {
    step(memory, word, |slot| {
        debug_assert!(slot.entries() > 0 || slot.is_busy(), "nobody has the slot that gets an entry");
        debug_assert!(!slot.is_freeing(), "a slot that is being freed gets an entry");
        if slot.entries() == ENTRIES_MAX { Err(TooManyEntries) } else { Ok(slot.0 + ENTRY) }
    })
    .map(drop)
}

/// What is left of a slot that nobody is busy with when it has no entry.
fn rest(slot: SlotState, entries: u64, kept: Kept) -> u64 {
    let left = slot.0 & !(ENTRIES_MAX << ENTRY_SHIFT) | entries << ENTRY_SHIFT;
    let in_use = entries > 0 || slot.is_busy() || (kept == Kept::Frame && slot.frame().is_some());
    if in_use { left } else { FREEING }
}

fn last((before, after): (SlotState, SlotState)) -> Option<LastStep> {
    after.is_freeing().then_some(LastStep { frame: before.frame() })
}

/// One entry less. With the last one the slot goes, unless somebody is busy with it (who then frees it) or
/// its frame is kept.
pub fn put<A: Memory>(memory: &A, word: &A::Word, kept: Kept) -> Option<LastStep> {
    let stepped = step(memory, word, |slot| {
        debug_assert!(slot.entries() > 0, "an entry is given back twice");
        Ok::<_, ()>(rest(slot, slot.entries().saturating_sub(1), kept))
    });
    stepped.ok().and_then(last)
}

/// Puts a new, locked frame into the word of a slot that is to be read. The caller sees an entry of the slot,
/// under its leaf's lock, or works on a slot of the same area (then the area stays).
pub fn claim_read<A: Memory>(memory: &A, word: &A::Word, frame: Pfn) -> Claim {
    let stepped = step(memory, word, |slot| match slot.frame() {
        Some(there) => Err(Claim::There(there)),
        None if slot.entries() == 0 || slot.is_freeing() => Err(Claim::Gone),
        None => Ok(slot.0 | CACHED | BUSY | u64::from(frame.0)),
    });
    stepped.map_or_else(|other| other, |_| Claim::Mine)
}

/// Begins to work on a page that is in the cache, for who has it locked. `false` if somebody else does, or
/// the frame is not in the word any more.
pub fn begin<A: Memory>(memory: &A, word: &A::Word, frame: Pfn) -> bool {
    step(memory, word, |slot| {
        let refused = !slot.holds(frame) || slot.is_busy();
        if refused { Err(()) } else { Ok(slot.0 | BUSY) }
    })
    .is_ok()
}

/// Notes that the area has the bytes of the slot; the caller is busy with it.
pub fn note_stored<A: Memory>(memory: &A, word: &A::Word) {
    // ORDERING: AcqRel, as in `step`: who reads the slot finds them.
    memory.fetch_or(word, STORED, AcqRel);
}

/// The caller is busy no more; the frame stays in the cache unless no entry is left.
pub fn settle<A: Memory>(memory: &A, word: &A::Word) -> Option<LastStep> {
    let stepped = step(memory, word, |slot| {
        debug_assert!(slot.is_busy(), "nobody was busy with the slot");
        let quiet = SlotState(slot.0 & !BUSY);
        Ok::<_, ()>(rest(quiet, quiet.entries(), Kept::Nothing))
    });
    stepped.ok().and_then(last)
}

/// The caller is busy no more, and its frame leaves the cache: it could not be read, or is stored and
/// nobody's. The cache's reference is the caller's in any case; with an answer it owes the slot, too.
pub fn uncache<A: Memory>(memory: &A, word: &A::Word) -> Option<LastStep> {
    let stepped = step(memory, word, |slot| {
        debug_assert!(slot.is_busy() && slot.frame().is_some(), "the frame is not the caller's to take out");
        Ok::<_, ()>(if slot.entries() > 0 { slot.without_frame() } else { FREEING })
    });
    stepped.ok().and_then(last).map(|_| LastStep { frame: None })
}

/// Exchanges the frame for another with the same bytes (migration). The caller has both locked. `false` if
/// somebody is busy with it, or it is not there.
pub fn exchange<A: Memory>(memory: &A, word: &A::Word, (from, to): (Pfn, Pfn)) -> bool {
    step(memory, word, |slot| {
        let refused = !slot.holds(from) || slot.is_busy();
        if refused { Err(()) } else { Ok(slot.0 & !FRAME | u64::from(to.0)) }
    })
    .is_ok()
}

/// Frees a slot that has a frame, but no entry, and that nobody is busy with.
pub fn abandon<A: Memory>(memory: &A, word: &A::Word, frame: Pfn) -> Option<LastStep> {
    let stepped = step(memory, word, |slot| {
        let kept = slot.holds(frame) && slot.entries() == 0 && !slot.is_busy();
        if kept { Ok(FREEING) } else { Err(()) }
    });
    stepped.ok().and_then(last)
}

/// The slot's bytes have no room any more: it is free.
pub fn release<A: Memory>(memory: &A, word: &A::Word) {
    // ORDERING: Release pairs with the AcqRel in `claim`: the next owner finds nothing of the old one.
    memory.store(word, 0, Release);
}
