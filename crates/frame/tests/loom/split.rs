//! Taking a frozen folio apart, against readers without a lock.

use frame::Exclusive;
use frame::counts::{self, Counts};
use loomed::{Data, Loomed, Op, RACE, Weak, Word, explore, rejects, together, word};
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

const EXACT: Loomed = Loomed::EXACT;

/// The counts of one frame, and what its descriptor says beside them.
struct Part {
    counts: Word,
    described: Data,
}

impl Part {
    fn new(refs: u64) -> [Arc<Part>; 2] {
        let counts = Counts::new(refs, 0, Exclusive::No);
        let part = Arc::new(Part { counts: word(counts.0), described: Data::new() });
        [Arc::clone(&part), part]
    }
}

fn a_lookup_meets_a_split(publishing: Loomed, getting: Loomed) {
    let [part, reader] = Part::new(0);
    together(
        move || {
            if counts::try_get(&getting, &reader.counts) {
                reader.described.read();
            }
        },
        || {
            part.described.write();
            counts::publish(&publishing, &part.counts, Counts::ONE);
        },
    );
}

#[test]
fn who_gets_a_part_finds_it_described() {
    explore(|| a_lookup_meets_a_split(EXACT, EXACT));
}

#[test]
fn twin_publishing_does_not_release() {
    const WEAK: &[Weak] = &[Weak::new(Op::Store, Release, Relaxed)];
    rejects(RACE, || a_lookup_meets_a_split(Loomed::weakened(WEAK), EXACT));
}

#[test]
fn twin_getting_a_part_does_not_acquire() {
    const WEAK: &[Weak] = &[Weak::new(Op::Update, AcqRel, Release)];
    rejects(RACE, || a_lookup_meets_a_split(EXACT, Loomed::weakened(WEAK)));
}

/// A holder lets go while the folio is frozen at the two references its owner knows of.
fn a_holder_meets_a_freeze(putting: Loomed, freezing: Loomed) {
    let [owner, holder] = Part::new(3);
    together(
        move || {
            holder.described.read();
            let _ = counts::put(&putting, &holder.counts);
        },
        || {
            if counts::freeze_at(&freezing, &owner.counts, 2) {
                assert!(!counts::try_get(&EXACT, &owner.counts), "a frozen folio was got");
                owner.described.write();
                counts::unfreeze_to(&EXACT, &owner.counts, 2);
            }
            let refs = counts::read(&EXACT, &owner.counts).refs();
            assert!(refs == 3 || refs == 2, "{refs}");
        },
    );
}

#[test]
fn a_folio_is_frozen_only_without_other_holders() {
    explore(|| a_holder_meets_a_freeze(EXACT, EXACT));
}

#[test]
fn twin_putting_does_not_release() {
    const WEAK: &[Weak] = &[Weak::new(Op::Update, AcqRel, Acquire)];
    rejects(RACE, || a_holder_meets_a_freeze(Loomed::weakened(WEAK), EXACT));
}

#[test]
fn twin_freezing_does_not_acquire() {
    const WEAK: &[Weak] = &[Weak::new(Op::Update, AcqRel, Release)];
    rejects(RACE, || a_holder_meets_a_freeze(EXACT, Loomed::weakened(WEAK)));
}
