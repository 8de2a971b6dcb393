//! The counts word of a folio: references, maps, pins and the exclusive bit.

use frame::counts::{self, Counts, Freed, Pinned};
use frame::{AtCap, Exclusive};
use loomed::{Data, Loomed, Op, RACE, Weak, Word, explore, rejects, together, word};
use machine::Memory;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// The counts of a folio, and all that its owner does with it.
struct Folio {
    counts: Word,
    used: Data,
}

const EXACT: Loomed = Loomed::EXACT;
/// The function's step on the word does not release.
const NO_RELEASE: Loomed = Loomed::weakened(&[Weak::new(Op::Update, AcqRel, Acquire)]);
/// The function's step on the word does not acquire.
const NO_ACQUIRE: Loomed = Loomed::weakened(&[Weak::new(Op::Update, AcqRel, Release)]);

impl Folio {
    fn new(counts: u64) -> [Arc<Folio>; 2] {
        let folio = Arc::new(Folio { counts: word(counts), used: Data::new() });
        [Arc::clone(&folio), folio]
    }

    /// A folio that is mapped so often, by as many references.
    fn mapped(times: u64, exclusive: Exclusive) -> [Arc<Folio>; 2] {
        let folio = Folio::new(times);
        for _ in 0..times {
            assert_eq!(counts::add_map(&EXACT, &folio[0].counts, exclusive), Ok(()));
        }
        folio
    }

    /// Gives a reference back; the last one frees the folio.
    fn put(&self, memory: &Loomed) {
        if counts::put(memory, &self.counts) == Freed::Yes {
            self.used.write();
        }
    }
}

// ---- references ----

fn two_holders_let_go(putting: Loomed) {
    let [a, b] = Folio::new(2);
    let hold = move |folio: Arc<Folio>| {
        folio.used.read();
        folio.put(&putting);
    };
    together(move || hold(a), || hold(b));
}

#[test]
fn the_last_reference_frees_after_everybody() {
    explore(|| two_holders_let_go(EXACT));
}

#[test]
fn twin_putting_does_not_release() {
    rejects(RACE, || two_holders_let_go(NO_RELEASE));
}

#[test]
fn twin_putting_does_not_acquire() {
    rejects(RACE, || two_holders_let_go(NO_ACQUIRE));
}

fn a_lookup_meets_a_birth(birth: Loomed, getting: Loomed) {
    let [owner, reader] = Folio::new(0);
    together(
        move || {
            if counts::try_get(&getting, &reader.counts) {
                reader.used.read();
                reader.put(&EXACT);
            }
        },
        || {
            owner.used.write();
            counts::birth(&birth, &owner.counts);
            owner.put(&EXACT);
        },
    );
}

#[test]
fn who_gets_a_reference_finds_the_folio_ready_and_keeps_it() {
    explore(|| a_lookup_meets_a_birth(EXACT, EXACT));
}

#[test]
fn twin_a_birth_does_not_release() {
    const WEAK: &[Weak] = &[Weak::new(Op::Store, Release, Relaxed)];
    rejects(RACE, || a_lookup_meets_a_birth(Loomed::weakened(WEAK), EXACT));
}

#[test]
fn twin_getting_does_not_acquire() {
    rejects(RACE, || a_lookup_meets_a_birth(EXACT, NO_ACQUIRE));
}

/// A reader with a reference, and reclaim, which drops the folio if the cache alone has it.
fn reclaim_meets_a_reader(putting: Loomed, freezing: Loomed) {
    let [cache, reader] = Folio::new(2);
    together(
        move || {
            reader.used.read();
            assert_eq!(counts::put(&putting, &reader.counts), Freed::No, "reclaim drops the last one");
        },
        || {
            if counts::freeze(&freezing, &cache.counts) {
                assert!(!counts::try_get(&EXACT, &cache.counts), "a frozen folio was got");
                cache.used.write();
            } else {
                // Otherwise the reader's would be the last.
                let two_or_one = counts::read(&EXACT, &cache.counts).refs();
                assert!(two_or_one == 2 || two_or_one == 1);
            }
        },
    );
}

#[test]
fn reclaim_takes_only_what_nobody_else_has() {
    explore(|| reclaim_meets_a_reader(EXACT, EXACT));
}

#[test]
fn twin_putting_before_reclaim_does_not_release() {
    rejects(RACE, || reclaim_meets_a_reader(NO_RELEASE, EXACT));
}

#[test]
fn twin_freezing_does_not_acquire() {
    rejects(RACE, || reclaim_meets_a_reader(EXACT, NO_ACQUIRE));
}

fn a_lookup_meets_unfreezing(unfreezing: Loomed) {
    let [owner, reader] = Folio::new(1);
    together(
        move || {
            if counts::try_get(&EXACT, &reader.counts) {
                reader.used.read();
            }
        },
        || {
            if counts::freeze(&EXACT, &owner.counts) {
                owner.used.write();
                counts::unfreeze(&unfreezing, &owner.counts);
            }
        },
    );
}

/// Who had a reference before keeps the folio from being frozen; who gets one after sees what was done.
#[test]
fn a_frozen_folio_comes_back_as_it_was_left() {
    explore(|| a_lookup_meets_unfreezing(EXACT));
}

#[test]
fn twin_unfreezing_does_not_release() {
    const WEAK: &[Weak] = &[Weak::new(Op::Update, Release, Relaxed)];
    rejects(RACE, || a_lookup_meets_unfreezing(Loomed::weakened(WEAK)));
}

#[test]
fn of_two_who_reach_for_the_last_place_one_gets_it() {
    explore(|| {
        let [a, b] = Folio::new(counts::REFS_MAX - 1);
        let got = Arc::new(word(0));
        let count = |got: &Word, result: Result<(), AtCap>| {
            EXACT.fetch_add(got, u64::from(result.is_ok()), Relaxed);
        };
        let other_got = Arc::clone(&got);
        together(
            move || count(&other_got, counts::get(&EXACT, &a.counts)),
            || count(&got, counts::get(&EXACT, &b.counts)),
        );
        assert_eq!(EXACT.load(&got, Relaxed), 1);
        assert_eq!(counts::read(&EXACT, &b.counts), Counts(counts::REFS_MAX), "the count spilled over");
    });
}

// ---- maps ----

fn the_last_unmapping_sees_the_others(unmapping: Loomed) {
    let [a, b] = Folio::mapped(2, Exclusive::No);
    let unmap = move |folio: Arc<Folio>| {
        folio.used.read();
        if counts::remove_map(&unmapping, &folio.counts).maps() == 0 {
            folio.used.write();
        }
    };
    together(move || unmap(a), || unmap(b));
}

#[test]
fn who_takes_the_last_mapping_away_sees_what_the_others_did() {
    explore(|| the_last_unmapping_sees_the_others(EXACT));
}

#[test]
fn twin_unmapping_does_not_release() {
    rejects(RACE, || the_last_unmapping_sees_the_others(NO_RELEASE));
}

#[test]
fn twin_unmapping_does_not_acquire() {
    rejects(RACE, || the_last_unmapping_sees_the_others(NO_ACQUIRE));
}

/// A sharer unmaps and lets go; the other, at a write fault, uses the page again if it is alone (CR11).
fn a_write_fault_asks_whether_it_is_alone(leaving: Loomed, asking: Loomed) {
    let [sharer, writer] = Folio::mapped(2, Exclusive::No);
    together(
        move || {
            sharer.used.read();
            assert_eq!(counts::remove_map(&leaving, &sharer.counts).maps(), 1);
            assert_eq!(counts::put(&leaving, &sharer.counts), Freed::No);
        },
        || {
            let seen = counts::read(&asking, &writer.counts);
            if seen.refs() == 1 && seen.maps() == 1 {
                counts::make_exclusive(&asking, &writer.counts);
                writer.used.write();
            }
        },
    );
}

#[test]
fn who_is_alone_writes_in_place_after_all_others_read() {
    explore(|| a_write_fault_asks_whether_it_is_alone(EXACT, EXACT));
}

#[test]
fn twin_leaving_a_page_does_not_release() {
    rejects(RACE, || a_write_fault_asks_whether_it_is_alone(NO_RELEASE, EXACT));
}

/// Reading the counts acquires, and so does setting the bit: either would do.
#[test]
fn twin_neither_asking_nor_setting_the_bit_acquires() {
    const WEAK: &[Weak] = &[Weak::new(Op::Load, Acquire, Relaxed), Weak::new(Op::Update, AcqRel, Release)];
    rejects(RACE, || a_write_fault_asks_whether_it_is_alone(EXACT, Loomed::weakened(WEAK)));
}

// ---- pins ----

type Share = fn(&Loomed, &Word) -> Result<(), Pinned>;

type Pin = fn(&Loomed, &Word) -> bool;

/// Who pins a page without a lock stores to it if it was exclusive; fork, and whoever else takes exclusivity
/// away, shares it if it is not pinned (C-6, C-7, C-8).
fn fork_meets_a_pin((pin, unpinning): (Pin, Loomed), sharing: Loomed, share: Share) {
    let [parent, device] = Folio::mapped(1, Exclusive::Yes);
    together(
        move || {
            if pin(&EXACT, &device.counts) {
                device.used.write();
                assert_eq!(counts::unpin(&unpinning, &device.counts), Freed::No);
            }
        },
        || {
            if share(&sharing, &parent.counts) == Ok(()) {
                // The child's first look.
                parent.used.read();
            }
        },
    );
}

#[test]
fn a_page_is_shared_only_while_nobody_stores_to_it_through_a_pin() {
    explore(|| fork_meets_a_pin((counts::pin_exclusive, EXACT), EXACT, counts::share));
}

#[test]
fn twin_unpinning_does_not_release() {
    rejects(RACE, || fork_meets_a_pin((counts::pin_exclusive, NO_RELEASE), EXACT, counts::share));
}

#[test]
fn twin_sharing_does_not_acquire() {
    rejects(RACE, || fork_meets_a_pin((counts::pin_exclusive, EXACT), NO_ACQUIRE, counts::share));
}

/// No ordering: the question and the answer as two steps, a pin may come between (CR8).
#[test]
fn twin_sharing_in_two_steps() {
    let share: Share = |memory, word| {
        if counts::read(memory, word).pins() > 0 {
            return Err(Pinned);
        }
        memory.fetch_and(word, !(1 << 63), AcqRel);
        Ok(())
    };
    rejects(RACE, move || fork_meets_a_pin((counts::pin_exclusive, EXACT), EXACT, share));
}

/// What fork does for a page: it is shared, and mapped once more.
fn share_again(memory: &Loomed, word: &Word) -> Result<(), Pinned> {
    counts::share_again(memory, word, counts::MAPS_MAX).map_err(|_| Pinned)
}

#[test]
fn fork_maps_a_page_again_only_while_nobody_stores_to_it_through_a_pin() {
    explore(|| fork_meets_a_pin((counts::pin_exclusive, EXACT), EXACT, share_again));
}

#[test]
fn twin_fork_s_step_does_not_acquire() {
    rejects(RACE, || fork_meets_a_pin((counts::pin_exclusive, EXACT), NO_ACQUIRE, share_again));
}

/// The bit is not asked: a page that was shared just before is pinned, and the entry is still the same (C-8).
#[test]
fn twin_pinning_whatever_the_bit_says() {
    rejects(RACE, || fork_meets_a_pin((counts::try_pin, EXACT), EXACT, counts::share));
}

/// The bit is asked before the pin is taken, not with it: a share may come between (C-7).
#[test]
fn twin_pinning_in_two_steps() {
    let pin: Pin = |memory, word| counts::read(memory, word).is_exclusive() && counts::try_pin(memory, word);
    rejects(RACE, move || fork_meets_a_pin((pin, EXACT), EXACT, counts::share));
}

type Make = fn(&Loomed, &Word);

const SET: Make = counts::make_exclusive;
const BORN: Make = |memory, word| assert_eq!(counts::add_map(memory, word, Exclusive::Yes), Ok(()));

/// A page is filled and then becomes exclusive: who finds it so stores to it after that.
fn a_pin_finds_the_bit(make: Make, making: Loomed, reading: Loomed) {
    let [owner, device] = Folio::new(1);
    together(
        move || {
            if counts::pin_exclusive(&reading, &device.counts) {
                device.used.write();
            }
        },
        move || {
            owner.used.write();
            make(&making, &owner.counts);
        },
    );
}

#[test]
fn who_finds_the_exclusive_bit_finds_what_was_done_before_it() {
    for make in [SET, BORN] {
        explore(move || a_pin_finds_the_bit(make, EXACT, EXACT));
    }
}

#[test]
fn twin_setting_the_bit_does_not_release() {
    for make in [SET, BORN] {
        rejects(RACE, move || a_pin_finds_the_bit(make, NO_RELEASE, EXACT));
    }
}

#[test]
fn twin_reading_the_bit_does_not_acquire() {
    for make in [SET, BORN] {
        rejects(RACE, move || a_pin_finds_the_bit(make, EXACT, NO_ACQUIRE));
    }
}
