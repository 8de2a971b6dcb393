//! The word of a swap slot: entries, the frame in the cache, and who makes the last step.

use loomed::{Data, Loomed, Op, RACE, Weak, Word, explore, rejects, together, word};
use machine::Pfn;
use object::swap::slot::{self, Claim, Kept};
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// A slot, and the bytes that whoever has it works on.
struct Place {
    word: Word,
    bytes: Data,
}

const EXACT: Loomed = Loomed::EXACT;
/// The function's step on the word does not release.
const NO_RELEASE: Loomed = Loomed::weakened(&[Weak::new(Op::Update, AcqRel, Acquire)]);
/// The function's step on the word does not acquire.
const NO_ACQUIRE: Loomed = Loomed::weakened(&[Weak::new(Op::Update, AcqRel, Release)]);

impl Place {
    /// A slot with so many entries, whose page is in the cache; somebody works on it.
    fn busy(entries: u64) -> [Arc<Place>; 2] {
        let place = Arc::new(Place { word: word(0), bytes: Data::new() });
        assert!(slot::claim(&EXACT, &place.word, Pfn(7)));
        for _ in 0..entries {
            assert_eq!(slot::dup(&EXACT, &place.word), Ok(()));
        }
        [Arc::clone(&place), place]
    }

    /// The same with nobody at work.
    fn quiet(entries: u64) -> [Arc<Place>; 2] {
        let places = Place::busy(entries);
        assert_eq!(slot::settle(&EXACT, &places[0].word), None);
        places
    }

    /// One entry goes; the last one frees.
    fn put(&self, memory: &Loomed) {
        if slot::put(memory, &self.word, Kept::Nothing).is_some() {
            self.bytes.write();
            slot::release(&EXACT, &self.word);
        }
    }
}

fn two_entries_go(putting: Loomed) {
    let [a, b] = Place::quiet(2);
    let go = move |place: Arc<Place>| {
        place.bytes.read();
        place.put(&putting);
    };
    together(move || go(a), || go(b));
}

#[test]
fn the_last_entry_frees_after_everybody() {
    explore(|| two_entries_go(EXACT));
}

#[test]
fn twin_putting_does_not_release() {
    rejects(RACE, || two_entries_go(NO_RELEASE));
}

#[test]
fn twin_putting_does_not_acquire() {
    rejects(RACE, || two_entries_go(NO_ACQUIRE));
}

/// The last entry goes while somebody works on the frame: exactly one of them frees.
fn an_entry_goes_under_a_reader(settling: Loomed) {
    let [reader, other] = Place::busy(1);
    let last = Arc::clone(&other);
    together(
        move || {
            reader.bytes.write();
            if slot::settle(&settling, &reader.word).is_some() {
                reader.bytes.write();
                slot::release(&EXACT, &reader.word);
            }
        },
        || other.put(&EXACT),
    );
    assert!(slot::read(&EXACT, &last.word).is_free(), "somebody frees the slot");
}

#[test]
fn who_is_busy_or_who_is_last_frees() {
    explore(|| an_entry_goes_under_a_reader(EXACT));
}

#[test]
fn twin_settling_does_not_release() {
    rejects(RACE, || an_entry_goes_under_a_reader(NO_RELEASE));
}

/// A slot is freed, and taken for another page.
fn a_slot_is_used_again(releasing: Loomed, claiming: Loomed) {
    let [old, new] = Place::quiet(1);
    together(
        move || {
            if slot::put(&EXACT, &old.word, Kept::Nothing).is_some() {
                old.bytes.write();
                slot::release(&releasing, &old.word);
            }
        },
        || {
            if slot::claim(&claiming, &new.word, Pfn(9)) {
                new.bytes.write();
            }
        },
    );
}

#[test]
fn a_new_owner_finds_nothing_of_the_old_one() {
    explore(|| a_slot_is_used_again(EXACT, EXACT));
}

#[test]
fn twin_releasing_does_not_release() {
    const WEAK: &[Weak] = &[Weak::new(Op::Store, Release, Relaxed)];
    rejects(RACE, || a_slot_is_used_again(Loomed::weakened(WEAK), EXACT));
}

#[test]
fn twin_claiming_does_not_acquire() {
    rejects(RACE, || a_slot_is_used_again(EXACT, NO_ACQUIRE));
}

/// Two faults on one slot whose page is not in the cache: one reads, the other finds its frame (C-17).
fn two_faults(claiming: Loomed) {
    let place = Arc::new(Place { word: word(0), bytes: Data::new() });
    assert!(slot::claim(&EXACT, &place.word, Pfn(7)) && slot::dup(&EXACT, &place.word).is_ok());
    assert_eq!(slot::uncache(&EXACT, &place.word), None);
    let other = Arc::clone(&place);
    let fault =
        move |place: Arc<Place>, frame: u32| match slot::claim_read(&claiming, &place.word, Pfn(frame)) {
            Claim::Mine => place.bytes.write(),
            Claim::There(there) => assert!(there != Pfn(frame), "its own frame was there before"),
            Claim::Gone => panic!("an entry keeps the slot"),
        };
    together(move || fault(other, 1), || fault(place, 2));
}

#[test]
fn one_of_two_faults_reads() {
    explore(|| two_faults(EXACT));
}
