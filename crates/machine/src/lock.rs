//! Locks whose level is part of their type.
//!
//! [`Spin`] waits on the CPU; [`Sleep`] is a reader-writer lock that parks. Neither owns the data it covers: the fields
//! it covers name it at their declaration, because most of them live in zeroed kernel frames (see [`crate::cells`]).

use crate::{Cells, Cx, Machine, Memory, Word, level};
use core::ops::{Deref, DerefMut};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// Takes a lock word if it is free. `owner` is not 0.
pub fn try_acquire<A: Memory>(memory: &A, word: &A::Word, owner: u64) -> bool {
    // ORDERING: Acquire pairs with the Release in `release`.
    memory.compare_exchange(word, 0, owner, Acquire).is_ok()
}

/// Takes a lock word, waiting for it.
pub fn acquire<A: Memory>(memory: &A, word: &A::Word, owner: u64) {
    while !try_acquire(memory, word, owner) {
        // RELAXED: only a hint; `try_acquire` decides.
        while memory.load(word, Relaxed) != 0 {
            memory.relax(word);
        }
    }
}

/// Gives a lock word back.
pub fn release<A: Memory>(memory: &A, word: &A::Word) {
    // ORDERING: Release pairs with the Acquire in `try_acquire`.
    memory.store(word, 0, Release);
}

/// A spin lock of level `L`. The word holds 0, or 1 + the owner's CPU.
#[derive(Default)]
#[repr(transparent)]
pub struct Spin<const L: u8>(Word);

// SAFETY: transparent over a `Word`.
unsafe impl<const L: u8> Cells for Spin<L> {}

impl<const L: u8> Spin<L> {
    /// A free lock.
    pub const fn new() -> Self {
        Spin(Word::new(0))
    }

    /// Waits for the lock. The result is the context to go on with: it derefs to [`Cx`] at level `L`.
    pub fn lock<'a, 'm, M: Machine, const H: u8>(&'a self, cx: &'a mut Cx<'m, M, H>) -> Held<'a, 'm, M, L> {
        const { assert!(H < L, "lock order: a lock of this level or above is held") };
        acquire(cx, &self.0, owner(cx));
        Held { cx: cx.at(), word: &self.0, irq: false }
    }

    /// Takes the lock if it is free.
    pub fn try_lock<'a, 'm, M: Machine, const H: u8>(
        &'a self,
        cx: &'a mut Cx<'m, M, H>,
    ) -> Option<Held<'a, 'm, M, L>> {
        const { assert!(H < L, "lock order: a lock of this level or above is held") };
        try_acquire(cx, &self.0, owner(cx)).then(|| Held { cx: cx.at(), word: &self.0, irq: false })
    }

    /// Disables interrupts, then waits for the lock. Both are undone when the result is dropped.
    pub fn lock_irq<'a, 'm, M: Machine, const H: u8>(
        &'a self,
        cx: &'a mut Cx<'m, M, H>,
    ) -> Held<'a, 'm, M, L> {
        const { assert!(H < L, "lock order: a lock of this level or above is held") };
        let irq = cx.machine().irq_save(cx.cpu());
        acquire(cx, &self.0, owner(cx));
        Held { cx: cx.at(), word: &self.0, irq }
    }

    /// Takes two locks of one level, lower address first (the order that makes pairs safe against each other).
    /// The same lock twice is taken once.
    pub fn lock_two<'a, 'm, M: Machine, const H: u8>(
        &'a self,
        other: &'a Self,
        cx: &'a mut Cx<'m, M, H>,
    ) -> HeldTwo<'a, 'm, M, L> {
        const { assert!(H < L, "lock order: a lock of this level or above is held") };
        let (a, b) = (core::ptr::from_ref(self), core::ptr::from_ref(other));
        let (first, second) = if a <= b { (self, other) } else { (other, self) };
        acquire(cx, &first.0, owner(cx));
        let second = (a != b).then_some(&second.0);
        if let Some(word) = second {
            acquire(cx, word, owner(cx));
        }
        HeldTwo { cx: cx.at(), first: &first.0, second }
    }

    /// Whether somebody holds it: for checkers of a quiet machine.
    pub fn is_held(&self) -> bool {
        self.0.raw().load(Relaxed) != 0
    }
}

fn owner<M: Machine, const H: u8>(cx: &Cx<'_, M, H>) -> u64 {
    u64::from(cx.cpu().0) + 1
}

/// A held spin lock, and the context under it.
#[must_use = "the lock is released at once"]
pub struct Held<'a, 'm, M: Machine, const L: u8> {
    cx: &'a mut Cx<'m, M, L>,
    word: &'a Word,
    irq: bool,
}

impl<'m, M: Machine, const L: u8> Deref for Held<'_, 'm, M, L> {
    type Target = Cx<'m, M, L>;
    fn deref(&self) -> &Cx<'m, M, L> {
        self.cx
    }
}

impl<'m, M: Machine, const L: u8> DerefMut for Held<'_, 'm, M, L> {
    fn deref_mut(&mut self) -> &mut Cx<'m, M, L> {
        self.cx
    }
}

impl<M: Machine, const L: u8> Drop for Held<'_, '_, M, L> {
    fn drop(&mut self) {
        release(self.cx, self.word);
        self.cx.machine().irq_restore(self.cx.cpu(), self.irq);
    }
}

/// Two held spin locks of one level.
#[must_use = "the locks are released at once"]
pub struct HeldTwo<'a, 'm, M: Machine, const L: u8> {
    cx: &'a mut Cx<'m, M, L>,
    first: &'a Word,
    second: Option<&'a Word>,
}

impl<'m, M: Machine, const L: u8> Deref for HeldTwo<'_, 'm, M, L> {
    type Target = Cx<'m, M, L>;
    fn deref(&self) -> &Cx<'m, M, L> {
        self.cx
    }
}

impl<'m, M: Machine, const L: u8> DerefMut for HeldTwo<'_, 'm, M, L> {
    fn deref_mut(&mut self) -> &mut Cx<'m, M, L> {
        self.cx
    }
}

impl<M: Machine, const L: u8> Drop for HeldTwo<'_, '_, M, L> {
    fn drop(&mut self) {
        if let Some(word) = self.second {
            release(self.cx, word);
        }
        release(self.cx, self.first);
    }
}

const WRITER: u64 = 1 << 63;
const WAITERS: u64 = 1 << 62;
const READERS: u64 = WAITERS - 1;

/// A sleeping reader-writer lock of level `L`: a writer bit, a waiters bit and a count of readers in one word.
/// Waiters park on the word's address.
#[derive(Default)]
#[repr(transparent)]
pub struct Sleep<const L: u8>(Word);

// SAFETY: transparent over a `Word`.
unsafe impl<const L: u8> Cells for Sleep<L> {}

impl<const L: u8> Sleep<L> {
    /// A free lock.
    pub const fn new() -> Self {
        Sleep(Word::new(0))
    }

    /// Waits until nobody else holds the lock.
    pub fn write<'a, 'm, M: Machine, const H: u8>(
        &'a self,
        cx: &'a mut Cx<'m, M, H>,
    ) -> SleepHeld<'a, 'm, M, L> {
        const { assert!(H < L && L <= level::SLEEP_MAX, "lock order: a sleeping lock is taken too late") };
        self.take(cx, WRITER | READERS, WRITER);
        SleepHeld { cx: cx.at(), word: &self.0, held: WRITER }
    }

    /// Waits until no writer holds the lock.
    pub fn read<'a, 'm, M: Machine, const H: u8>(
        &'a self,
        cx: &'a mut Cx<'m, M, H>,
    ) -> SleepHeld<'a, 'm, M, L> {
        const { assert!(H < L && L <= level::SLEEP_MAX, "lock order: a sleeping lock is taken too late") };
        // A reader also stays behind waiters, so that a stream of readers cannot starve a writer.
        self.take(cx, WRITER | WAITERS, 1);
        SleepHeld { cx: cx.at(), word: &self.0, held: 1 }
    }

    /// Adds `grant` to the word once none of `blockers` is set.
    fn take<M: Machine, const H: u8>(&self, cx: &mut Cx<'_, M, H>, blockers: u64, grant: u64) {
        const { assert!(H <= level::SLEEP_MAX, "lock order: a sleeping lock is taken too late") };
        loop {
            // RELAXED: the compare-exchange decides.
            let seen = cx.load(&self.0, Relaxed);
            if seen & blockers == 0 {
                // ORDERING: Acquire pairs with the Release in `SleepHeld::drop`.
                if cx.compare_exchange(&self.0, seen, seen + grant, Acquire).is_ok() {
                    return;
                }
                continue;
            }
            self.wait(cx);
        }
    }

    /// Parks until the holder lets go, unless it just did.
    fn wait<M: Machine, const H: u8>(&self, cx: &mut Cx<'_, M, H>) {
        let parking = cx.core().parking;
        parking.park_unless(cx, key(&self.0), |cx| {
            // ORDERING: AcqRel: the waiters bit is set before the holder's last look (its fetch in `drop`), in one
            // modification order; if the holder was first, this sees the lock free.
            let seen = cx.fetch_or(&self.0, WAITERS, AcqRel);
            let free = seen & (WRITER | READERS) == 0;
            if free && seen & WAITERS == 0 {
                // Nobody holds it, so nobody would clear the mark set just now. (If it was set before, the holder
                // who left is between its two steps in `drop`, and clears it.)
                cx.fetch_and(&self.0, !WAITERS, AcqRel);
            }
            free
        });
    }

    /// Whether somebody holds it: for checkers of a quiet machine.
    pub fn is_held(&self) -> bool {
        self.0.raw().load(Relaxed) & (WRITER | READERS) != 0
    }
}

/// The parking key of a word: its address, which no other word has.
pub fn key(word: &Word) -> u64 {
    core::ptr::from_ref(word) as u64
}

/// A held sleeping lock, and the context under it.
#[must_use = "the lock is released at once"]
pub struct SleepHeld<'a, 'm, M: Machine, const L: u8> {
    cx: &'a mut Cx<'m, M, L>,
    word: &'a Word,
    held: u64,
}

impl<'m, M: Machine, const L: u8> Deref for SleepHeld<'_, 'm, M, L> {
    type Target = Cx<'m, M, L>;
    fn deref(&self) -> &Cx<'m, M, L> {
        self.cx
    }
}

impl<'m, M: Machine, const L: u8> DerefMut for SleepHeld<'_, 'm, M, L> {
    fn deref_mut(&mut self) -> &mut Cx<'m, M, L> {
        self.cx
    }
}

impl<M: Machine, const L: u8> Drop for SleepHeld<'_, '_, M, L> {
    fn drop(&mut self) {
        // ORDERING: Release pairs with the Acquire in `Sleep::take`.
        let before = self.cx.fetch_add(self.word, self.held.wrapping_neg(), Release);
        let after = before - self.held;
        if after == WAITERS {
            // The last holder left and somebody waits: clear the mark, wake them, they compete again.
            if self.cx.compare_exchange(self.word, WAITERS, 0, AcqRel).is_ok() {
                let parking = self.cx.core().parking;
                parking.wake_all(self.cx, key(self.word));
            }
        }
    }
}
