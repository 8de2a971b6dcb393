//! Epochs: readers without a lock, and a writer that frees what it unlinked.

use loomed::{
    Data, Loomed, Op, RACE, Weak, Word, explore, explore_bounded, rejects, rejects_bounded, spawn, together,
    word,
};
use machine::epoch::{enter, leave, start, wait};
use machine::{Memory, ReaderOrder};
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// Which orderings each step has.
#[derive(Clone, Copy)]
struct Steps {
    enter: Loomed,
    leave: Loomed,
    start: Loomed,
    wait: Loomed,
}

const EXACT: Steps =
    Steps { enter: Loomed::EXACT, leave: Loomed::EXACT, start: Loomed::EXACT, wait: Loomed::EXACT };

/// A link to an object, the object, and the words of the protocol.
struct World {
    link: Word,
    object: Data,
    global: Word,
    slot: Word,
}

impl World {
    fn new() -> Arc<World> {
        Arc::new(World { link: word(1), object: Data::new(), global: word(0), slot: word(0) })
    }

    /// Follows the link if it is there, inside an epoch.
    fn look(&self, steps: Steps) {
        enter(&steps.enter, (&self.global, &self.slot), ReaderOrder::Fence);
        // RELAXED: the link was there from the start; what is asked is only whether it may still be followed.
        if Loomed::EXACT.load(&self.link, Relaxed) == 1 {
            self.object.read();
        }
        leave(&steps.leave, &self.slot);
    }

    /// Unlinks the object, waits for its readers, and uses its memory for something else.
    fn reclaim(&self, steps: Steps) {
        // RELAXED: the fence in `start` is all that orders it.
        Loomed::EXACT.store(&self.link, 0, Relaxed);
        let epoch = start(&steps.start, &self.global);
        wait(&steps.wait, &self.slot, epoch);
        self.object.write();
    }
}

/// A reader that comes so many times, and a writer.
fn reclaimed_under_a_reader(steps: Steps, visits: usize) {
    let world = World::new();
    let reader = Arc::clone(&world);
    together(move || (0..visits).for_each(|_| reader.look(steps)), || world.reclaim(steps));
}

#[test]
fn nobody_reads_what_was_reclaimed() {
    explore(|| reclaimed_under_a_reader(EXACT, 1));
}

/// The mark that the writer sees may be that of the second visit, made at an epoch it does not wait for: it
/// must still be behind all reads of the first.
#[test]
fn a_second_visit_does_not_hide_the_reads_of_the_first() {
    explore_bounded(3, || reclaimed_under_a_reader(EXACT, 2));
}

#[test]
fn twin_entering_again_does_not_release() {
    const WEAK: &[Weak] = &[Weak::new(Op::Store, Release, Relaxed)];
    rejects_bounded(3, RACE, || {
        reclaimed_under_a_reader(Steps { enter: Loomed::weakened(WEAK), ..EXACT }, 2)
    });
}

#[test]
fn twin_entering_without_its_fence() {
    const WEAK: &[Weak] = &[Weak::new(Op::Fence, SeqCst, Relaxed)];
    rejects(RACE, || reclaimed_under_a_reader(Steps { enter: Loomed::weakened(WEAK), ..EXACT }, 1));
}

#[test]
fn twin_entering_with_a_weaker_fence() {
    const WEAK: &[Weak] = &[Weak::new(Op::Fence, SeqCst, AcqRel)];
    rejects(RACE, || reclaimed_under_a_reader(Steps { enter: Loomed::weakened(WEAK), ..EXACT }, 1));
}

#[test]
fn twin_starting_without_its_fence() {
    const WEAK: &[Weak] = &[Weak::new(Op::Fence, SeqCst, Relaxed)];
    rejects(RACE, || reclaimed_under_a_reader(Steps { start: Loomed::weakened(WEAK), ..EXACT }, 1));
}

#[test]
fn twin_leaving_does_not_release() {
    const WEAK: &[Weak] = &[Weak::new(Op::Store, Release, Relaxed)];
    rejects(RACE, || reclaimed_under_a_reader(Steps { leave: Loomed::weakened(WEAK), ..EXACT }, 1));
}

#[test]
fn twin_waiting_does_not_acquire() {
    const WEAK: &[Weak] = &[Weak::new(Op::Load, Acquire, Relaxed)];
    rejects(RACE, || reclaimed_under_a_reader(Steps { wait: Loomed::weakened(WEAK), ..EXACT }, 1));
}

/// Two writers: a reader that sees the epoch of the second sees what the first unlinked. (The second does not
/// wait here: loom does not get far with two threads that both wait in a loop.)
#[test]
fn the_epoch_of_another_writer_is_as_good() {
    explore_bounded(3, || {
        let world = World::new();
        let (reader, second) = (Arc::clone(&world), Arc::clone(&world));
        let second = spawn(move || start(&Loomed::EXACT, &second.global));
        together(move || reader.look(EXACT), || world.reclaim(EXACT));
        second.join().unwrap();
    });
}

/// A reader that comes after the start of a grace period and stays: were it waited for, nobody would go on
/// (LR14).
#[test]
fn a_reader_that_came_later_is_not_waited_for() {
    explore(|| {
        let world = World::new();
        let told = Arc::new((word(0), word(0)));
        let (reader, reader_told) = (Arc::clone(&world), Arc::clone(&told));
        let exact = Loomed::EXACT;
        let until_set = move |flag: &Word| {
            while exact.load(flag, Acquire) == 0 {
                exact.relax(flag);
            }
        };
        together(
            move || {
                until_set(&reader_told.0);
                enter(&exact, (&reader.global, &reader.slot), ReaderOrder::Fence);
                until_set(&reader_told.1);
                leave(&exact, &reader.slot);
            },
            || {
                let epoch = start(&exact, &world.global);
                exact.store(&told.0, 1, Release);
                wait(&exact, &world.slot, epoch);
                exact.store(&told.1, 1, Release);
            },
        );
    });
}
