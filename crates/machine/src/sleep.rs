//! The sleeping reader-writer lock.

use crate::{Cells, Cx, Event, LockId, Machine, Memory, Word, level};
use core::ops::{Deref, DerefMut};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

const WRITER: u64 = 1 << 63;
const WAITERS: u64 = 1 << 62;
const READERS: u64 = WAITERS - 1;

/// What a lock is held for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Right {
    /// Others may read, too.
    Read,
    /// Nobody else is there.
    Write,
}

/// Whether a lock was somebody else's first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waited {
    /// It was free.
    No,
    /// It was waited for.
    Yes,
}

/// A sleeping reader-writer lock of level `L`: a writer bit, a waiters bit and a count of readers in one
/// word. Waiters park on the word's address.
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

    /// As [`Sleep::write`], and whether somebody else had it first.
    pub fn write_or_wait<'a, 'm, M: Machine, const H: u8>(
        &'a self,
        cx: &'a mut Cx<'m, M, H>,
    ) -> (SleepHeld<'a, 'm, M, L>, Waited) {
        const { assert!(H < L && L <= level::SLEEP_MAX, "lock order: a sleeping lock is taken too late") };
        let waited = self.take(cx, WRITER | READERS, WRITER);
        (SleepHeld { cx: cx.at(), word: &self.0, held: WRITER }, waited)
    }

    /// Holds the lock until [`Sleep::let_go`] as one of several of its level, which everybody who holds more
    /// than one takes in the same order. Only that it is no lock of a higher level is checked.
    pub fn hold_too<M: Machine, const H: u8>(&self, cx: &mut Cx<'_, M, H>, right: Right) -> Waited {
        const { assert!(H <= L && L <= level::SLEEP_MAX, "lock order: a sleeping lock is taken too late") };
        match right {
            Right::Read => self.take(cx, WRITER | WAITERS, 1),
            Right::Write => self.take(cx, WRITER | READERS, WRITER),
        }
    }

    /// Ends [`Sleep::hold_too`].
    pub fn let_go<M: Machine, const H: u8>(&self, cx: &mut Cx<'_, M, H>, right: Right) {
        let held = if right == Right::Read { 1 } else { WRITER };
        give_back::<M, H, L>(cx, &self.0, held);
    }

    /// Adds `grant` to the word once none of `blockers` is set.
    fn take<M: Machine, const H: u8>(&self, cx: &mut Cx<'_, M, H>, blockers: u64, grant: u64) -> Waited {
        const { assert!(H <= level::SLEEP_MAX, "lock order: a sleeping lock is taken too late") };
        let mut waited = Waited::No;
        loop {
            // RELAXED: the compare-exchange decides.
            let seen = cx.load(&self.0, Relaxed);
            if seen & blockers == 0 {
                // ORDERING: Acquire pairs with the Release in `give_back`.
                if cx.compare_exchange(&self.0, seen, seen + grant, Acquire).is_ok() {
                    cx.trace(|| Event::Locked(LockId::new(L, &self.0)));
                    return waited;
                }
                continue;
            }
            if seen == WAITERS {
                // A holder is between its two steps in `give_back`. Parking would be refused: this is a spin
                // loop.
                cx.relax(&self.0);
                continue;
            }
            self.wait(cx);
            waited = Waited::Yes;
        }
    }

    /// Parks until the holder lets go, unless it just did.
    fn wait<M: Machine, const H: u8>(&self, cx: &mut Cx<'_, M, H>) {
        let parking = cx.core().parking;
        parking.park_unless(cx, key(&self.0), |cx| {
            // RELAXED: both are steps on one word, and so in one order: the waiters bit is set before the
            // holder's last look (its fetch in `give_back`), or this sees the lock free. The queue's lock
            // keeps the waker out until this task is queued.
            let seen = cx.fetch_or(&self.0, WAITERS, Relaxed);
            let free = seen & (WRITER | READERS) == 0;
            if free && seen & WAITERS == 0 {
                // Nobody holds it, so nobody would clear the mark set just now. (If it was set before, the
                // holder who left is between its two steps in `give_back`, and clears it.)
                // RELAXED: what a holder before released stays so: this is one step on its word.
                cx.fetch_and(&self.0, !WAITERS, Relaxed);
            }
            free
        });
    }

    /// Whether somebody holds it: for checkers of a quiet machine.
    pub fn is_held(&self) -> bool {
        self.0.raw().load(Relaxed) & (WRITER | READERS) != 0
    }

    /// Whether nobody holds it and nobody waits for it: for checkers of a quiet machine.
    pub fn is_idle(&self) -> bool {
        self.0.raw().load(Relaxed) == 0
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
        give_back::<M, L, L>(self.cx, self.word, self.held);
    }
}

/// Takes `held` off the word of a lock of level `L`, and wakes who waits if nobody holds it any more.
fn give_back<M: Machine, const H: u8, const L: u8>(cx: &mut Cx<'_, M, H>, word: &Word, held: u64) {
    cx.trace(|| Event::Unlocked(LockId::new(L, word)));
    // ORDERING: Release pairs with the Acquire in `Sleep::take`.
    let before = cx.fetch_add(word, held.wrapping_neg(), Release);
    let after = before - held;
    if after == WAITERS {
        // The last holder left and somebody waits: clear the mark, wake them, they compete again.
        // RELAXED: the next to take the lock still acquires the release above, through this step.
        if cx.compare_exchange(word, WAITERS, 0, Relaxed).is_ok() {
            let parking = cx.core().parking;
            parking.wake_all(cx, key(word));
        }
    }
}
