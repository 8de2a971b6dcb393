//! Epochs whose readers pass no fence: the writer interrupts them ([`Machine::heavy_barrier`]).
//!
//! Loom has no interrupts. Here the writer asks by a flag, and the reader's thread looks at it before each
//! of its steps, and after the last: where loom lets it find the flag, there the interrupt came. It then
//! passes a full fence, and answers. The flag is published with Release and found with Acquire, and so is
//! the answer: what a CPU did before it asked for an interrupt is seen by the handler, and what the
//! interrupted CPU did before is seen by who waited for it. A look that finds nothing orders nothing
//! (Relaxed).
//!
//! [`Machine::heavy_barrier`]: machine::Machine::heavy_barrier

use loomed::{Data, Loomed, Op, RACE, Weak, Word, explore_bounded, rejects_bounded, together, word};
use machine::epoch::{enter, leave, start, wait};
use machine::{Memory, ReaderOrder};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

const EXACT: Loomed = Loomed::EXACT;
/// Threads interrupted while they could go on, at most.
const PREEMPTIONS: usize = 3;

/// Whether the writer waits for the reader's fence.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Barrier {
    Passed,
    LeftOut,
}

/// A link to an object, the object, the words of the protocol, and those of the interrupt.
struct World {
    link: Word,
    object: Data,
    global: Word,
    slot: Word,
    asked: Word,
    answered: Word,
}

impl World {
    fn new() -> Arc<World> {
        let [link, global, slot, asked, answered] = [1, 0, 0, 0, 0].map(word);
        Arc::new(World { link, object: Data::new(), global, slot, asked, answered })
    }

    /// Unlinks the object, waits for its readers, and uses its memory for something else.
    fn reclaim(&self, barrier: Barrier) {
        // RELAXED: the barrier is all that orders it.
        EXACT.store(&self.link, 0, Relaxed);
        let epoch = start(&EXACT, &self.global);
        if barrier == Barrier::Passed {
            EXACT.store(&self.asked, 1, Release);
            while EXACT.load(&self.answered, Acquire) == 0 {
                EXACT.relax(&self.answered);
            }
        }
        wait(&EXACT, &self.slot, epoch);
        self.object.write();
    }
}

/// Which orderings the reader's steps have.
#[derive(Clone, Copy)]
struct Steps {
    enter: Loomed,
    leave: Loomed,
}

const STEPS: Steps = Steps { enter: EXACT, leave: EXACT };

/// A reader's CPU, and an interrupt before each of its accesses.
struct Interrupted<'w> {
    world: &'w World,
    answered: Cell<bool>,
    memory: Cell<Loomed>,
}

impl Interrupted<'_> {
    fn take_interrupt(&self) {
        if self.answered.get() || EXACT.load(&self.world.asked, Relaxed) == 0 {
            return;
        }
        EXACT.fence(SeqCst);
        EXACT.store(&self.world.answered, 1, Release);
        self.answered.set(true);
    }

    /// Follows the link if it is there, inside an epoch.
    fn look(&self, steps: Steps) {
        self.memory.set(steps.enter);
        enter(self, (&self.world.global, &self.world.slot), ReaderOrder::HeavyBarrier);
        // RELAXED: what is asked is only whether the link may still be followed.
        if self.load(&self.world.link, Relaxed) == 1 {
            self.take_interrupt();
            self.world.object.read();
        }
        self.memory.set(steps.leave);
        leave(self, &self.world.slot);
    }

    /// Nothing is left to do but to answer.
    fn idle(&self) {
        while !self.answered.get() {
            self.take_interrupt();
            EXACT.relax(&self.world.asked);
        }
    }
}

impl Memory for Interrupted<'_> {
    type Word = Word;

    fn load(&self, word: &Word, order: std::sync::atomic::Ordering) -> u64 {
        self.take_interrupt();
        self.memory.get().load(word, order)
    }
    fn store(&self, word: &Word, value: u64, order: std::sync::atomic::Ordering) {
        self.take_interrupt();
        self.memory.get().store(word, value, order);
    }
    fn swap(&self, _: &Word, _: u64, _: std::sync::atomic::Ordering) -> u64 {
        unreachable!("a reader only loads and stores")
    }
    fn compare_exchange(&self, _: &Word, _: u64, _: u64, _: std::sync::atomic::Ordering) -> Result<u64, u64> {
        unreachable!("a reader only loads and stores")
    }
    fn fetch_add(&self, _: &Word, _: u64, _: std::sync::atomic::Ordering) -> u64 {
        unreachable!("a reader only loads and stores")
    }
    fn fetch_or(&self, _: &Word, _: u64, _: std::sync::atomic::Ordering) -> u64 {
        unreachable!("a reader only loads and stores")
    }
    fn fetch_and(&self, _: &Word, _: u64, _: std::sync::atomic::Ordering) -> u64 {
        unreachable!("a reader only loads and stores")
    }
    fn fence(&self, _: std::sync::atomic::Ordering) {
        unreachable!("a reader passes no fence")
    }
    fn relax(&self, _: &Word) {
        unreachable!("a reader never waits")
    }
}

/// A reader that comes so many times, and a writer.
fn reclaimed_under_a_reader(steps: Steps, visits: usize, barrier: Barrier) {
    let world = World::new();
    let reader = Arc::clone(&world);
    let reads = move || {
        let answered = Cell::new(barrier == Barrier::LeftOut);
        let cpu = Interrupted { world: &reader, answered, memory: Cell::new(EXACT) };
        (0..visits).for_each(|_| cpu.look(steps));
        cpu.idle();
    };
    together(reads, || world.reclaim(barrier));
}

#[test]
fn nobody_reads_what_was_reclaimed() {
    explore_bounded(PREEMPTIONS, || reclaimed_under_a_reader(STEPS, 1, Barrier::Passed));
}

#[test]
fn a_second_visit_does_not_hide_the_reads_of_the_first() {
    explore_bounded(PREEMPTIONS, || reclaimed_under_a_reader(STEPS, 2, Barrier::Passed));
}

#[test]
fn twin_waiting_without_the_barrier() {
    rejects_bounded(PREEMPTIONS, RACE, || reclaimed_under_a_reader(STEPS, 1, Barrier::LeftOut));
}

/// Who entered in the new epoch is not waited for, so it must find the link gone, barrier or not.
#[test]
fn twin_finding_the_new_epoch_does_not_acquire() {
    const WEAK: &[Weak] = &[Weak::new(Op::Load, Acquire, Relaxed)];
    let steps = Steps { enter: Loomed::weakened(WEAK), ..STEPS };
    rejects_bounded(PREEMPTIONS, RACE, move || reclaimed_under_a_reader(steps, 1, Barrier::Passed));
}

#[test]
fn twin_entering_again_does_not_release() {
    const WEAK: &[Weak] = &[Weak::new(Op::Store, Release, Relaxed)];
    let steps = Steps { enter: Loomed::weakened(WEAK), ..STEPS };
    rejects_bounded(PREEMPTIONS, RACE, move || reclaimed_under_a_reader(steps, 2, Barrier::Passed));
}

#[test]
fn twin_leaving_does_not_release() {
    const WEAK: &[Weak] = &[Weak::new(Op::Store, Release, Relaxed)];
    let steps = Steps { leave: Loomed::weakened(WEAK), ..STEPS };
    rejects_bounded(PREEMPTIONS, RACE, move || reclaimed_under_a_reader(steps, 1, Barrier::Passed));
}
