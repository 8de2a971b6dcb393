//! Loom's words, and orderings made weaker on purpose.

use loom::sync::atomic::{AtomicU64, fence};
use machine::Memory;
use machine::word::failure_order;
use std::sync::atomic::Ordering::{self, Relaxed, SeqCst};

/// A kind of access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// A load.
    Load,
    /// A store.
    Store,
    /// Reading and writing in one step.
    Update,
    /// A fence. Made `Relaxed`, it is left out.
    Fence,
}

/// One ordering made weaker: every access of this kind with this ordering gets another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Weak {
    /// Which accesses.
    pub op: Op,
    /// The ordering the protocol asks for.
    pub from: Ordering,
    /// The ordering it gets.
    pub to: Ordering,
}

impl Weak {
    /// Accesses of this kind and ordering made weaker.
    pub const fn new(op: Op, from: Ordering, to: Ordering) -> Weak {
        Weak { op, from, to }
    }

    /// The ordering an access gets.
    pub(crate) fn apply(all: &[Weak], op: Op, order: Ordering) -> Ordering {
        let weak = all.iter().find(|weak| weak.op == op && weak.from == order);
        weak.map_or(order, |weak| weak.to)
    }
}

/// A [`Memory`] whose words loom watches. A test gives each call of a protocol its own, so that a twin
/// weakens one function of one side.
#[derive(Clone, Copy, Debug)]
pub struct Loomed(&'static [Weak]);

impl Loomed {
    /// The orderings as they are written.
    pub const EXACT: Loomed = Loomed(&[]);

    /// Orderings made weaker.
    pub const fn weakened(weak: &'static [Weak]) -> Loomed {
        Loomed(weak)
    }

    fn order(self, op: Op, order: Ordering) -> Ordering {
        Weak::apply(self.0, op, order)
    }
}

/// A word that loom watches.
///
/// Loom keeps only the last access to an atomic when it looks for orders it has not tried. So where a CPU
/// reads a word and then writes it, loom forgets that another CPU read it just before, and never tries the
/// write before that read. Here each access is preceded by a blind, relaxed store to a second atomic, which
/// nobody reads: it orders nothing, and makes all accesses to the word depend on each other.
#[derive(Debug)]
pub struct Word {
    value: AtomicU64,
    turn: AtomicU64,
}

/// A word holding `value`. Loom takes a sequentially consistent load to be ordered with such stores only, so
/// the first value is one.
pub fn word(value: u64) -> Word {
    let word = Word { value: AtomicU64::new(value), turn: AtomicU64::new(0) };
    word.value.store(value, SeqCst);
    word
}

impl Word {
    fn turn(&self) -> &AtomicU64 {
        self.turn.store(0, Relaxed);
        &self.value
    }
}

impl Memory for Loomed {
    type Word = Word;

    fn load(&self, word: &Word, order: Ordering) -> u64 {
        word.turn().load(self.order(Op::Load, order))
    }
    fn store(&self, word: &Word, value: u64, order: Ordering) {
        word.turn().store(value, self.order(Op::Store, order));
    }
    fn swap(&self, word: &Word, value: u64, order: Ordering) -> u64 {
        word.turn().swap(value, self.order(Op::Update, order))
    }
    fn compare_exchange(&self, word: &Word, old: u64, new: u64, order: Ordering) -> Result<u64, u64> {
        let order = self.order(Op::Update, order);
        word.turn().compare_exchange(old, new, order, failure_order(order))
    }
    fn fetch_add(&self, word: &Word, value: u64, order: Ordering) -> u64 {
        word.turn().fetch_add(value, self.order(Op::Update, order))
    }
    fn fetch_or(&self, word: &Word, bits: u64, order: Ordering) -> u64 {
        word.turn().fetch_or(bits, self.order(Op::Update, order))
    }
    fn fetch_and(&self, word: &Word, bits: u64, order: Ordering) -> u64 {
        word.turn().fetch_and(bits, self.order(Op::Update, order))
    }
    fn fence(&self, order: Ordering) {
        match self.order(Op::Fence, order) {
            Relaxed => {}
            order => fence(order),
        }
    }
    fn relax(&self, _: &Word) {
        loom::thread::yield_now();
    }
}
