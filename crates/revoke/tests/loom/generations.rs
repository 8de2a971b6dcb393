//! CPUs that flush a space, and a CPU that joins and leaves it: no CPU translates to a frame whose flush is
//! over (L-16).

use loomed::{
    Data, Loomed, Mutex, Op, RACE, Weak, Word, explore, explore_bounded, rejects, rejects_bounded, spawn,
    together, word,
};
use machine::Memory;
use machine::shared_mask::{insert, read, remove};
use revoke::protocol::{begin, confirm, finish, join};
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// How many pages there are, each revoked by a flusher of its own.
const PAGES: usize = 2;
/// The one CPU that translates.
const CPU: u64 = 1;

/// Which orderings each step has.
#[derive(Clone, Copy)]
struct Steps {
    begin: Loomed,
    snapshot: Loomed,
    finish: Loomed,
    insert: Loomed,
    join: Loomed,
    confirm: Loomed,
    remove: Loomed,
}

const EXACT: Steps = Steps {
    begin: Loomed::EXACT,
    snapshot: Loomed::EXACT,
    finish: Loomed::EXACT,
    insert: Loomed::EXACT,
    join: Loomed::EXACT,
    confirm: Loomed::EXACT,
    remove: Loomed::EXACT,
};

/// A space, and the TLB of the CPU.
struct Space {
    entries: [Word; PAGES],
    frames: [Data; PAGES],
    begun: Word,
    done: Word,
    active: Word,
    /// Which pages the CPU holds a translation of. The lock is the CPU's interrupts: a flush that asks the
    /// CPU comes before or after one access. A flush that does not ask it takes no lock, and so orders
    /// nothing.
    tlb: Mutex<[bool; PAGES]>,
}

impl Space {
    fn new(active: u64) -> Arc<Space> {
        Arc::new(Space {
            entries: [word(1), word(1)],
            frames: [Data::new(), Data::new()],
            begun: word(0),
            done: word(0),
            active: word(active),
            tlb: Mutex::new([true; PAGES]),
        })
    }

    /// Empties a page's entry, flushes, and uses the frame for something else.
    fn revoke(&self, steps: Steps, page: usize) {
        // ORDERING: AcqRel, as the table's `clear`.
        Loomed::EXACT.swap(&self.entries[page], 0, AcqRel);
        begin(&steps.begin, &self.begun);
        if read(&steps.snapshot, &self.active) & CPU != 0 {
            self.tlb.lock().unwrap()[page] = false;
        }
        finish(&steps.finish, &self.done);
        self.frames[page].write();
    }

    /// Joins, drops what it kept unless the claim still holds.
    fn join(&self, steps: Steps, claim: u64) {
        insert(&steps.insert, &self.active, CPU);
        if join(&steps.join, &self.begun) != claim {
            *self.tlb.lock().unwrap() = [false; PAGES];
        }
    }

    /// One access: through what the TLB holds, or what a walk finds.
    fn touch(&self, page: usize) {
        let mut tlb = self.tlb.lock().unwrap();
        // ORDERING: Acquire, as a walk by hardware.
        if tlb[page] || Loomed::EXACT.load(&self.entries[page], Acquire) == 1 {
            tlb[page] = true;
            self.frames[page].read();
        }
    }
}

/// A CPU that kept a translation from before comes back while it is revoked.
fn comes_back(steps: Steps) {
    let space = Space::new(0);
    let cpu = Arc::clone(&space);
    together(
        move || {
            cpu.join(steps, 0);
            cpu.touch(0);
        },
        || space.revoke(steps, 0),
    );
}

/// A CPU translates, stops and leaves while the page is revoked: it is asked, or its accesses are over.
fn leaves(steps: Steps) {
    let space = Space::new(CPU);
    let cpu = Arc::clone(&space);
    together(
        move || {
            cpu.touch(0);
            remove(&steps.remove, &cpu.active, CPU);
        },
        || space.revoke(steps, 0),
    );
}

/// What a CPU that leaves claims to have seen; it joined at generation 0.
type Claim = fn(Steps, &Space) -> u64;

fn as_confirmed(steps: Steps, space: &Space) -> u64 {
    confirm(&steps.confirm, &space.begun, &space.done).unwrap_or(0)
}

/// Two pages are revoked by two CPUs, which may overtake each other, while a third leaves and comes back.
fn leaves_and_comes_back(steps: Steps, claim: Claim) {
    let space = Space::new(CPU);
    let flushers = [0, 1].map(|page| {
        let space = Arc::clone(&space);
        spawn(move || space.revoke(steps, page))
    });
    let claimed = claim(steps, &space);
    remove(&steps.remove, &space.active, CPU);
    space.join(steps, claimed);
    (0..PAGES).for_each(|page| space.touch(page));
    flushers.into_iter().for_each(|flusher| flusher.join().unwrap());
}

#[test]
fn a_cpu_that_joins_is_asked_or_sees_the_generation() {
    explore(|| comes_back(EXACT));
}

#[test]
fn twin_joining_without_seq_cst() {
    const WEAK: &[Weak] = &[Weak::new(Op::Load, SeqCst, Acquire)];
    rejects(RACE, || comes_back(Steps { join: Loomed::weakened(WEAK), ..EXACT }));
}

#[test]
fn twin_inserting_without_seq_cst() {
    const WEAK: &[Weak] = &[Weak::new(Op::Update, SeqCst, AcqRel)];
    rejects(RACE, || comes_back(Steps { insert: Loomed::weakened(WEAK), ..EXACT }));
}

/// The SeqCst of the addition and the fence behind it do the same work here: with either, C11 orders the
/// addition before the reading of the set. Without both it does not.
#[test]
fn twin_beginning_without_seq_cst_and_without_its_fence() {
    const WEAK: &[Weak] = &[Weak::new(Op::Update, SeqCst, AcqRel), Weak::new(Op::Fence, SeqCst, Relaxed)];
    rejects(RACE, || comes_back(Steps { begin: Loomed::weakened(WEAK), ..EXACT }));
}

/// As above: the fence alone would do for the load of the set, so the twin takes both.
#[test]
fn twin_reading_the_set_without_seq_cst_and_without_the_fence() {
    const LOAD: &[Weak] = &[Weak::new(Op::Load, SeqCst, Acquire)];
    const FENCE: &[Weak] = &[Weak::new(Op::Fence, SeqCst, Relaxed)];
    let steps = Steps { snapshot: Loomed::weakened(LOAD), begin: Loomed::weakened(FENCE), ..EXACT };
    rejects(RACE, move || comes_back(steps));
}

#[test]
fn a_cpu_that_is_not_asked_has_stopped() {
    explore(|| leaves(EXACT));
}

#[test]
fn twin_leaving_does_not_release() {
    const WEAK: &[Weak] = &[Weak::new(Op::Update, SeqCst, Acquire)];
    rejects(RACE, || leaves(Steps { remove: Loomed::weakened(WEAK), ..EXACT }));
}

#[test]
fn twin_reading_the_set_does_not_acquire() {
    const WEAK: &[Weak] = &[Weak::new(Op::Load, SeqCst, Relaxed)];
    rejects(RACE, || leaves(Steps { snapshot: Loomed::weakened(WEAK), ..EXACT }));
}

#[test]
fn a_claim_is_made_only_when_every_flush_is_over() {
    explore_bounded(3, || leaves_and_comes_back(EXACT, as_confirmed));
}

/// No ordering: a CPU that claims whatever was begun. It shows that the test above would notice a wrong
/// claim.
#[test]
fn twin_claiming_what_was_begun() {
    let begun: Claim = |_, space| Loomed::EXACT.load(&space.begun, Acquire);
    rejects_bounded(3, RACE, move || leaves_and_comes_back(EXACT, begun));
}

/// Release in `finish` and Acquire in `confirm` keep the argument short; nothing depends on them. If `begun`
/// was read too old, a later flush is begun that joining then sees (its SeqCst load answers the newest), and
/// the claim counts for nothing; and nobody finds the CPU gone from the set before it read `done`, because it
/// leaves by a Release.
#[test]
fn a_claim_needs_no_order_between_its_two_words() {
    const FINISH: &[Weak] = &[Weak::new(Op::Update, Release, Relaxed)];
    const CONFIRM: &[Weak] = &[Weak::new(Op::Load, Acquire, Relaxed)];
    let steps = Steps { finish: Loomed::weakened(FINISH), confirm: Loomed::weakened(CONFIRM), ..EXACT };
    explore_bounded(3, move || leaves_and_comes_back(steps, as_confirmed));
}
