//! The stamp of a VMA: faults against those who change the VMA.

use loomed::{Loomed, Op, Weak, Word, explore_bounded, rejects_bounded, together, word};
use machine::lock::{acquire, release};
use machine::{Memory, ReaderOrder, epoch};
use space::stamp::{begin, end, is_current, is_unchanged, look};
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

const EXACT: Loomed = Loomed::EXACT;
const NO_FULL_FENCE: Loomed = Loomed::weakened(&[Weak::new(Op::Fence, SeqCst, Relaxed)]);
const HALF_A_FENCE: Loomed = Loomed::weakened(&[Weak::new(Op::Fence, SeqCst, AcqRel)]);
const NO_ACQUIRE_FENCE: Loomed = Loomed::weakened(&[Weak::new(Op::Fence, Acquire, Relaxed)]);
const NO_ACQUIRE: Loomed = Loomed::weakened(&[Weak::new(Op::Load, Acquire, Relaxed)]);
const NO_RELEASE: Loomed = Loomed::weakened(&[Weak::new(Op::Store, Release, Relaxed)]);

/// Which orderings each step has.
#[derive(Clone, Copy)]
struct Steps {
    look: Loomed,
    is_unchanged: Loomed,
    is_current: Loomed,
    begin: Loomed,
    end: Loomed,
    walk: Loomed,
}

const STEPS: Steps =
    Steps { look: EXACT, is_unchanged: EXACT, is_current: EXACT, begin: EXACT, end: EXACT, walk: EXACT };

// ---- snapshots ----

/// A VMA with two fields that change together, from 2 to 4, as its stamp does.
struct Vma {
    stamp: Word,
    fields: [Word; 2],
}

fn a_snapshot_meets_a_change(steps: Steps) {
    let vma = Arc::new(Vma { stamp: word(2), fields: [word(2), word(2)] });
    let changed = Arc::clone(&vma);
    together(
        move || {
            begin(&steps.begin, &changed.stamp);
            // RELAXED: as a `Field` is.
            changed.fields.iter().for_each(|field| EXACT.store(field, 4, Relaxed));
            end(&steps.end, &changed.stamp, 4);
        },
        || {
            let Some(seen) = look(&steps.look, &vma.stamp) else { return };
            // RELAXED: as a `Field` is.
            let fields = vma.fields.each_ref().map(|field| EXACT.load(field, Relaxed));
            if is_unchanged(&steps.is_unchanged, &vma.stamp, seen) {
                assert_eq!(fields, [seen; 2], "the snapshot is of no one moment");
            }
        },
    );
}

const TORN: &str = "the snapshot is of no one moment";

#[test]
fn a_snapshot_is_of_one_moment() {
    explore_bounded(3, || a_snapshot_meets_a_change(STEPS));
}

#[test]
fn twin_looking_does_not_acquire() {
    rejects_bounded(3, TORN, || a_snapshot_meets_a_change(Steps { look: NO_ACQUIRE, ..STEPS }));
}

#[test]
fn twin_looking_again_without_its_fence() {
    rejects_bounded(3, TORN, || a_snapshot_meets_a_change(Steps { is_unchanged: NO_ACQUIRE_FENCE, ..STEPS }));
}

#[test]
fn twin_beginning_without_its_fence() {
    rejects_bounded(3, TORN, || a_snapshot_meets_a_change(Steps { begin: NO_FULL_FENCE, ..STEPS }));
}

#[test]
fn twin_ending_does_not_release() {
    rejects_bounded(3, TORN, || a_snapshot_meets_a_change(Steps { end: NO_RELEASE, ..STEPS }));
}

// ---- faults against changes ----

/// A VMA's stamp, and the one leaf its page may be mapped in.
struct Leaf {
    stamp: Word,
    /// Whether the leaf is linked into its tree.
    link: Word,
    lock: Word,
    entry: Word,
    epoch: Word,
    slot: Word,
}

impl Leaf {
    /// A fault that saw stamp 2: links the leaf, locks it, asks, installs.
    fn fault(&self, steps: Steps) {
        // ORDERING: Release, as the link of a table; under its parent's lock.
        EXACT.store(&self.link, 1, Release);
        acquire(&EXACT, &self.lock, 1);
        if is_current(&steps.is_current, &self.stamp, 2) {
            // ORDERING: Release, as an entry.
            EXACT.store(&self.entry, 1, Release);
        }
        release(&EXACT, &self.lock);
    }

    /// A change that takes translations away: a leaf that is not there is passed over.
    fn change(&self, steps: Steps) {
        begin(&steps.begin, &self.stamp);
        epoch::enter(&steps.walk, (&self.epoch, &self.slot), ReaderOrder::Fence);
        // ORDERING: Acquire, as a walk.
        if EXACT.load(&self.link, Acquire) == 1 {
            acquire(&EXACT, &self.lock, 2);
            EXACT.swap(&self.entry, 0, AcqRel);
            release(&EXACT, &self.lock);
        }
        epoch::leave(&EXACT, &self.slot);
    }
}

fn a_fault_meets_a_change(steps: Steps, linked: u64) {
    let leaf = Arc::new(Leaf {
        stamp: word(2),
        link: word(linked),
        lock: word(0),
        entry: word(0),
        epoch: word(0),
        slot: word(0),
    });
    let faulting = Arc::clone(&leaf);
    together(move || faulting.fault(steps), || leaf.change(steps));
    assert_eq!(EXACT.load(&leaf.entry, Relaxed), 0, "{LEFT}");
}

const LEFT: &str = "a translation outlived the change that took it away";

#[test]
fn a_fault_sees_the_change_or_the_change_finds_the_leaf() {
    explore_bounded(3, || a_fault_meets_a_change(STEPS, 0));
}

#[test]
fn a_fault_sees_the_change_or_the_change_finds_the_entry() {
    explore_bounded(3, || a_fault_meets_a_change(STEPS, 1));
}

#[test]
fn twin_asking_without_its_fence() {
    rejects_bounded(3, LEFT, || a_fault_meets_a_change(Steps { is_current: NO_FULL_FENCE, ..STEPS }, 0));
}

#[test]
fn twin_asking_with_a_weaker_fence() {
    rejects_bounded(3, LEFT, || a_fault_meets_a_change(Steps { is_current: HALF_A_FENCE, ..STEPS }, 0));
}

/// The changer passes two full fences before it looks for the leaf, its own and that of the epoch its walk
/// enters: either would do.
#[test]
fn twin_changing_without_a_full_fence() {
    let steps = Steps { begin: HALF_A_FENCE, walk: HALF_A_FENCE, ..STEPS };
    rejects_bounded(3, LEFT, move || a_fault_meets_a_change(steps, 0));
}
