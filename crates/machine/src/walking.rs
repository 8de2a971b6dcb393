//! Being in a walk, and telling the rule of walks what changed.

use crate::epoch::Visit;
use crate::marks::Slot;
use crate::walk::{View, Walk, WalkRule};
use crate::{CpuId, CpuSet, Cx, Machine, Memory, SharedCpuSet, Word, level};
use core::ops::{Deref, DerefMut};
use core::sync::atomic::Ordering;

/// What a rule needs to know of the space whose tables are walked.
#[derive(Clone, Copy)]
pub struct Walked<'m> {
    /// The rule's word.
    pub word: &'m Word,
    /// The CPUs that have the space loaded.
    pub active: &'m SharedCpuSet,
}

/// A context and a space, as a rule sees them.
struct Seen<'a, 'm, M: Machine, const L: u8> {
    cx: &'a Cx<'m, M, L>,
    space: Walked<'a>,
}

impl<M: Machine, const L: u8> Memory for Seen<'_, '_, M, L> {
    type Word = Word;

    fn load(&self, word: &Word, order: Ordering) -> u64 {
        self.cx.load(word, order)
    }
    fn store(&self, word: &Word, value: u64, order: Ordering) {
        self.cx.store(word, value, order);
    }
    fn store_fenced(&self, word: &Word, value: u64) {
        self.cx.store_fenced(word, value);
    }
    fn swap(&self, word: &Word, value: u64, order: Ordering) -> u64 {
        self.cx.swap(word, value, order)
    }
    fn compare_exchange(&self, word: &Word, current: u64, new: u64, order: Ordering) -> Result<u64, u64> {
        self.cx.compare_exchange(word, current, new, order)
    }
    fn fetch_add(&self, word: &Word, value: u64, order: Ordering) -> u64 {
        self.cx.fetch_add(word, value, order)
    }
    fn fetch_or(&self, word: &Word, bits: u64, order: Ordering) -> u64 {
        self.cx.fetch_or(word, bits, order)
    }
    fn fetch_and(&self, word: &Word, bits: u64, order: Ordering) -> u64 {
        self.cx.fetch_and(word, bits, order)
    }
    fn fence(&self, order: Ordering) {
        self.cx.fence(order);
    }
    fn relax(&self, word: &Word) {
        self.cx.relax(word);
    }
}

impl<M: Machine, const L: u8> View for Seen<'_, '_, M, L> {
    fn cpu(&self) -> CpuId {
        self.cx.cpu()
    }
    fn cpus(&self) -> CpuSet {
        CpuSet::first(self.cx.machine().cpus())
    }
    fn cpus_of_space(&self) -> CpuSet {
        self.space.active.snapshot(self.cx)
    }
    fn word_of_space(&self) -> &Word {
        self.space.word
    }
    fn word_of_cpu(&self, cpu: CpuId) -> &Word {
        &self.cx.core().of_cpus[cpu.0 as usize].word
    }
    fn disable_interrupts(&self) -> u64 {
        self.cx.machine().irq_save(self.cx.cpu()).into()
    }
    fn restore_interrupts(&self, were_on: u64) {
        self.cx.machine().irq_restore(self.cx.cpu(), were_on != 0);
    }
    fn interrupt(&self, cpus: &CpuSet) {
        let mut others = *cpus;
        others.remove(self.cx.cpu());
        self.cx.interrupt_others(&others);
    }
}

impl<'m, M: Machine, const L: u8> Cx<'m, M, L> {
    /// Begins a walk of a space's tables: what is unlinked from now on stays readable until the guard is
    /// dropped. No sleep inside, and no lock that is held while others are interrupted.
    #[inline]
    pub fn begin_walk(&mut self, space: Walked<'m>) -> Walking<'_, 'm, M> {
        let ends = match self.core().walk {
            WalkRule::Epoch => {
                let (slot, visit) = self.mark();
                Ends::Epoch(slot, visit)
            }
            WalkRule::Other(rule) => Ends::Rule(rule, space, rule.begin(&Seen { cx: self, space })),
        };
        Walking { cx: self.at(), ends }
    }

    /// An entry of 2 MiB was taken or changed its kind; its table's lock is held.
    #[inline]
    pub fn note_walked_changed(&self, space: Walked<'_>) {
        const { assert!(L <= level::FLUSH_MAX, "interrupts are on") };
        if let WalkRule::Other(rule) = self.core().walk {
            rule.changed(&Seen { cx: self, space });
        }
    }

    /// Waits for walks and other readers that may have seen what the caller unlinked from the space's tables.
    /// CPUs of `fenced` have passed a full fence since ([`crate::epoch::Epochs::wait_for_readers_but`]).
    pub fn wait_for_walks(&mut self, space: Walked<'_>, fenced: &CpuSet) {
        self.core().epochs.wait_for_readers_but(self, fenced);
        if let WalkRule::Other(rule) = self.core().walk {
            rule.wait(&Seen { cx: self, space });
        }
    }
}

/// How a walk ends.
enum Ends<'m> {
    Epoch(&'m Slot, Visit),
    Rule(&'static dyn Walk, Walked<'m>, u64),
}

/// Being in a walk. Derefs to the context, at a level where nothing sleeps.
#[must_use = "the walk ends at once"]
pub struct Walking<'a, 'm, M: Machine> {
    cx: &'a mut Cx<'m, M, { level::EPOCH }>,
    ends: Ends<'m>,
}

impl<'m, M: Machine> Deref for Walking<'_, 'm, M> {
    type Target = Cx<'m, M, { level::EPOCH }>;
    #[inline]
    fn deref(&self) -> &Self::Target {
        self.cx
    }
}

impl<M: Machine> DerefMut for Walking<'_, '_, M> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.cx
    }
}

impl<M: Machine> Drop for Walking<'_, '_, M> {
    #[inline]
    fn drop(&mut self) {
        match self.ends {
            Ends::Epoch(slot, visit) => self.cx.unmark(slot, visit),
            Ends::Rule(rule, space, begun) => rule.end(&Seen { cx: self.cx, space }, begun),
        }
    }
}
