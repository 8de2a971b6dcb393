//! The bits of single pages of a large folio, beside the counts of its head.

use frame::counts::{self, Freed};
use frame::{Exclusive, subpages};
use loomed::{Data, Loomed, Op, RACE, Weak, Word, explore, rejects, together, word};
use machine::Memory;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};

const EXACT: Loomed = Loomed::EXACT;
const NO_FENCE: Loomed = Loomed::weakened(&[Weak::new(Op::Fence, SeqCst, Relaxed)]);
const HALF_A_FENCE: Loomed = Loomed::weakened(&[Weak::new(Op::Fence, SeqCst, AcqRel)]);
const NO_RELEASE: Loomed = Loomed::weakened(&[Weak::new(Op::Update, AcqRel, Acquire)]);
const NO_ACQUIRE_LOAD: Loomed = Loomed::weakened(&[Weak::new(Op::Load, Acquire, Relaxed)]);

/// Pages 3 and 4 of the first 64.
const PAGE: u64 = 1 << 3;
const OTHER: u64 = 1 << 4;

/// A large folio: the counts of its head, one word of bits, and the bytes of the page.
struct Folio {
    counts: Word,
    bits: Word,
    bytes: Data,
}

impl Folio {
    /// Mapped by two entries of single pages.
    fn new(bits: u64) -> [Arc<Folio>; 2] {
        let counts = counts::Counts::new(2, 2, Exclusive::No);
        let folio = Arc::new(Folio { counts: word(counts.0), bits: word(bits), bytes: Data::new() });
        [Arc::clone(&folio), folio]
    }

    fn pin(&self, memory: &Loomed) -> bool {
        match subpages::try_pin(memory, (&self.bits, PAGE), &self.counts) {
            Ok(()) => true,
            Err(freed) => {
                assert_eq!(freed, Freed::No, "the mappings have references");
                false
            }
        }
    }

    fn is_exclusive(&self, page: u64) -> bool {
        subpages::is_exclusive(&EXACT, (&self.bits, page))
    }
}

/// C-7 and C-8 for a page of a large folio: never pinned for exclusive and shared at once.
fn a_pin_meets_a_sharer(pinning: Loomed, sharing: Loomed) {
    let [sharer, device] = Folio::new(PAGE | OTHER);
    let pinned = Arc::new(word(0));
    let note = Arc::clone(&pinned);
    let mut shared = false;
    together(
        move || {
            if device.pin(&pinning) {
                EXACT.store(&note, 1, Relaxed);
            }
        },
        || shared = subpages::try_share(&sharing, (&sharer.bits, PAGE), &sharer.counts).is_ok(),
    );
    let pinned = EXACT.load(&pinned, Relaxed) == 1;
    assert!(!(pinned && shared), "pinned and shared");
    assert_eq!(sharer.is_exclusive(PAGE), !shared, "a refusal leaves the bit");
    assert!(sharer.is_exclusive(OTHER), "the other page is not concerned");
    assert_eq!(counts::read(&EXACT, &sharer.counts).pins(), u64::from(pinned));
}

const BOTH: &str = "pinned and shared";

#[test]
fn a_page_is_never_pinned_and_shared() {
    explore(|| a_pin_meets_a_sharer(EXACT, EXACT));
}

#[test]
fn twin_the_sharer_has_no_fence() {
    rejects(BOTH, || a_pin_meets_a_sharer(EXACT, NO_FENCE));
    rejects(BOTH, || a_pin_meets_a_sharer(EXACT, HALF_A_FENCE));
}

#[test]
fn twin_the_pinner_has_no_fence() {
    rejects(BOTH, || a_pin_meets_a_sharer(NO_FENCE, EXACT));
    rejects(BOTH, || a_pin_meets_a_sharer(HALF_A_FENCE, EXACT));
}

/// Who pins the page stores to it; who shares it reads what was stored.
fn a_device_stores_before_the_page_is_shared(unpinning: Loomed) {
    let [sharer, device] = Folio::new(PAGE);
    together(
        move || {
            if device.pin(&EXACT) {
                device.bytes.write();
                assert_eq!(counts::unpin(&unpinning, &device.counts), Freed::No);
            }
        },
        || {
            if subpages::try_share(&EXACT, (&sharer.bits, PAGE), &sharer.counts).is_ok() {
                sharer.bytes.read();
            }
        },
    );
}

#[test]
fn a_shared_page_has_all_that_was_stored_through_pins() {
    explore(|| a_device_stores_before_the_page_is_shared(EXACT));
}

#[test]
fn twin_unpinning_does_not_release() {
    rejects(RACE, || a_device_stores_before_the_page_is_shared(NO_RELEASE));
}

/// A page is filled and then becomes exclusive: who finds it so stores to it after that.
fn a_pin_finds_the_bit(setting: Loomed, pinning: Loomed) {
    let [owner, device] = Folio::new(OTHER);
    together(
        move || {
            if device.pin(&pinning) {
                device.bytes.write();
            }
        },
        || {
            owner.bytes.write();
            subpages::set(&setting, (&owner.bits, PAGE));
        },
    );
}

#[test]
fn who_finds_the_bit_finds_what_was_done_before_it() {
    explore(|| a_pin_finds_the_bit(EXACT, EXACT));
}

#[test]
fn twin_setting_the_bit_does_not_release() {
    rejects(RACE, || a_pin_finds_the_bit(NO_RELEASE, EXACT));
}

#[test]
fn twin_looking_for_the_bit_does_not_acquire() {
    rejects(RACE, || a_pin_finds_the_bit(EXACT, NO_ACQUIRE_LOAD));
}
