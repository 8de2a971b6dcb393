//! Taking spin locks: what is held is a context at the lock's level.

use crate::lock_word::{Spin, acquire, release, try_acquire};
use crate::{Cx, Event, LockId, Machine, Word};
use core::ops::{Deref, DerefMut};

impl<const L: u8> Spin<L> {
    /// Waits for the lock. The result is the context to go on with: it derefs to [`Cx`] at level `L`.
    #[inline]
    pub fn lock<'a, 'm, M: Machine, const H: u8>(&'a self, cx: &'a mut Cx<'m, M, H>) -> Held<'a, 'm, M, L> {
        const { assert!(H < L, "lock order: a lock of this level or above is held") };
        acquire(cx, &self.0, owner(cx));
        Held::new(cx.at(), &self.0, false)
    }

    /// Takes the lock if it is free.
    #[inline]
    pub fn try_lock<'a, 'm, M: Machine, const H: u8>(
        &'a self,
        cx: &'a mut Cx<'m, M, H>,
    ) -> Option<Held<'a, 'm, M, L>> {
        const { assert!(H < L, "lock order: a lock of this level or above is held") };
        try_acquire(cx, &self.0, owner(cx)).then(|| Held::new(cx.at(), &self.0, false))
    }

    /// Disables interrupts, then waits for the lock. Both are undone when the result is dropped.
    #[inline]
    pub fn lock_irq<'a, 'm, M: Machine, const H: u8>(
        &'a self,
        cx: &'a mut Cx<'m, M, H>,
    ) -> Held<'a, 'm, M, L> {
        const { assert!(H < L, "lock order: a lock of this level or above is held") };
        let irq = cx.machine().irq_save(cx.cpu());
        acquire(cx, &self.0, owner(cx));
        Held::new(cx.at(), &self.0, irq)
    }
}

#[inline]
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

impl<'a, 'm, M: Machine, const L: u8> Held<'a, 'm, M, L> {
    #[inline]
    fn new(cx: &'a mut Cx<'m, M, L>, word: &'a Word, irq: bool) -> Self {
        cx.trace(|| Event::Locked(LockId::new(L, word)));
        Held { cx, word, irq }
    }
}

impl<'m, M: Machine, const L: u8> Deref for Held<'_, 'm, M, L> {
    type Target = Cx<'m, M, L>;
    #[inline]
    fn deref(&self) -> &Cx<'m, M, L> {
        self.cx
    }
}

impl<'m, M: Machine, const L: u8> DerefMut for Held<'_, 'm, M, L> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Cx<'m, M, L> {
        self.cx
    }
}

impl<M: Machine, const L: u8> Drop for Held<'_, '_, M, L> {
    #[inline]
    fn drop(&mut self) {
        self.cx.trace(|| Event::Unlocked(LockId::new(L, self.word)));
        release(self.cx, self.word);
        self.cx.machine().irq_restore(self.cx.cpu(), self.irq);
    }
}
