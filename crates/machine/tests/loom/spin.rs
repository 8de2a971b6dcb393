//! The word of a spin lock.

use loomed::{Data, Loomed, Op, RACE, Weak, explore, rejects, together, word};
use machine::lock::{acquire, release, try_acquire};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Two CPUs write the same memory under the lock; one of them only tries for it.
fn one_at_a_time(taking: Loomed, giving: Loomed) {
    let shared = Arc::new((word(0), Data::new()));
    let other = Arc::clone(&shared);
    together(
        move || {
            let (lock, data) = &*other;
            acquire(&taking, lock, 1);
            data.write();
            release(&giving, lock);
        },
        || {
            let (lock, data) = &*shared;
            if try_acquire(&taking, lock, 2) {
                data.write();
                release(&giving, lock);
            }
        },
    );
}

#[test]
fn a_lock_is_held_by_one_and_hands_over_what_was_done() {
    explore(|| one_at_a_time(Loomed::EXACT, Loomed::EXACT));
}

#[test]
fn twin_taking_does_not_acquire() {
    const WEAK: &[Weak] = &[Weak::new(Op::Update, Acquire, Relaxed)];
    rejects(RACE, || one_at_a_time(Loomed::weakened(WEAK), Loomed::EXACT));
}

#[test]
fn twin_giving_back_does_not_release() {
    const WEAK: &[Weak] = &[Weak::new(Op::Store, Release, Relaxed)];
    rejects(RACE, || one_at_a_time(Loomed::EXACT, Loomed::weakened(WEAK)));
}
