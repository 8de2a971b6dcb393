//! Who finds an entry empty, and no batch that owes a flush, relies on the flush being over (LR10).

use loomed::{Data, Loomed, Op, RACE, Weak, Word, explore, rejects, together, word};
use machine::Memory;
use machine::lock::{acquire, release};
use revoke::protocol::{owe, owed, paid};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Which orderings each step has.
#[derive(Clone, Copy)]
struct Steps {
    unlock: Loomed,
    lock: Loomed,
    paid: Loomed,
    owed: Loomed,
}

const EXACT: Steps =
    Steps { unlock: Loomed::EXACT, lock: Loomed::EXACT, paid: Loomed::EXACT, owed: Loomed::EXACT };

/// A table of one entry, and what flushing it wrote.
struct Table {
    lock: Word,
    entry: Word,
    owing: Word,
    flushed: Data,
}

impl Table {
    fn empty_and_flush(&self, steps: Steps) {
        acquire(&Loomed::EXACT, &self.lock, 1);
        // RELAXED: as weak as an entry's store may be; the lock orders it.
        Loomed::EXACT.store(&self.entry, 0, Relaxed);
        owe(&Loomed::EXACT, &self.owing);
        release(&steps.unlock, &self.lock);
        self.flushed.write();
        paid(&steps.paid, &self.owing);
    }

    fn find_empty(&self, steps: Steps) {
        acquire(&steps.lock, &self.lock, 2);
        // RELAXED: the lock orders it.
        let empty = Loomed::EXACT.load(&self.entry, Relaxed) == 0;
        release(&Loomed::EXACT, &self.lock);
        if empty && owed(&steps.owed, &self.owing) == 0 {
            self.flushed.read();
        }
    }
}

fn two_batches(steps: Steps) {
    let table = Arc::new(Table { lock: word(0), entry: word(1), owing: word(0), flushed: Data::new() });
    let first = Arc::clone(&table);
    together(move || first.empty_and_flush(steps), || table.find_empty(steps));
}

#[test]
fn nobody_takes_an_unflushed_entry_for_flushed() {
    explore(|| two_batches(EXACT));
}

#[test]
fn twin_paying_does_not_release() {
    const WEAK: &[Weak] = &[Weak::new(Op::Update, Release, Relaxed)];
    rejects(RACE, || two_batches(Steps { paid: Loomed::weakened(WEAK), ..EXACT }));
}

#[test]
fn twin_asking_does_not_acquire() {
    const WEAK: &[Weak] = &[Weak::new(Op::Load, Acquire, Relaxed)];
    rejects(RACE, || two_batches(Steps { owed: Loomed::weakened(WEAK), ..EXACT }));
}

/// `owe` is Relaxed: the table's lock hands it over.
#[test]
fn twin_the_lock_of_the_table_does_not_release() {
    const WEAK: &[Weak] = &[Weak::new(Op::Store, Release, Relaxed)];
    rejects(RACE, || two_batches(Steps { unlock: Loomed::weakened(WEAK), ..EXACT }));
}

#[test]
fn twin_the_lock_of_the_table_does_not_acquire() {
    const WEAK: &[Weak] = &[Weak::new(Op::Update, Acquire, Relaxed)];
    rejects(RACE, || two_batches(Steps { lock: Loomed::weakened(WEAK), ..EXACT }));
}
