//! The shadow's judgement of what is used beside its mapping: pins, references, the kernel's loads and
//! stores.

use machine::{FileKey, VirtAddr, Vpn, VpnRange};
use sim::shadow::{Change, Expected, Hold, Keep, Reference, Shadow, Source};
use sim::synthetic::file_word;

const FILE: FileKey = FileKey(3);

fn pages(start: u64, pages: u64) -> VpnRange {
    VpnRange::sized(Vpn(start), pages)
}

fn at(page: u64, word: u64) -> VirtAddr {
    VirtAddr(page * 4096 + word * 8)
}

/// Process 1 with ten anonymous pages from page 10 on; 1 is stored to the first word.
fn anonymous() -> Shadow {
    let mut shadow = Shadow::new();
    shadow.process(1);
    shadow.map(1, pages(10, 10), Source::Anonymous);
    shadow.store(1, at(10, 0), 1).unwrap();
    shadow
}

fn fork(shadow: &mut Shadow, child: u32) {
    let ticket = shadow.fork_begin(1);
    shadow.fork_end(ticket, child);
}

/// The values among 0 to 9 that a load may find; loads that settle something are tried on their own.
fn allowed(shadow: &dyn Fn() -> Shadow, load: impl Fn(&mut Shadow, u64) -> bool) -> Vec<u64> {
    (0..10).filter(|&value| load(&mut shadow(), value)).collect()
}

// ---- pins ----

#[test]
fn a_pin_is_one_with_its_program() {
    let mut shadow = anonymous();
    let pin = shadow.pin(1, pages(10, 2), Hold::Write).unwrap();
    shadow.pin_load(pin, 0, 1).unwrap();
    shadow.store(1, at(11, 3), 2).unwrap();
    shadow.pin_load(pin, 4096 + 3 * 8, 2).unwrap();
    let stale = shadow.pin_load(pin, 4096 + 3 * 8, 0).unwrap_err();
    assert_eq!(stale.expected, Expected::Value(vec![2]));
    assert_eq!((stale.pid, stale.addr), (1, at(11, 3)));
    assert_eq!(stale.source, "through a pin, anonymous, stored to");
    shadow.pin_store(pin, 8, 3).unwrap();
    shadow.load(1, at(10, 1), 3).unwrap();
    assert!(shadow.load(1, at(10, 1), 0).is_err(), "the device's store is lost");
    assert_eq!((shadow.loads(), shadow.stores()), (5, 3));
}

#[test]
fn a_child_has_what_was_stored_through_the_pin_before_the_fork_only() {
    let mut shadow = anonymous();
    let pin = shadow.pin(1, pages(10, 1), Hold::Write).unwrap();
    shadow.pin_store(pin, 0, 2).unwrap();
    fork(&mut shadow, 2);
    shadow.pin_store(pin, 0, 3).unwrap();
    shadow.load(2, at(10, 0), 2).unwrap();
    assert!(shadow.load(2, at(10, 0), 3).is_err());
    shadow.load(1, at(10, 0), 3).unwrap();
    shadow.store(2, at(10, 0), 4).unwrap();
    assert!(shadow.pin_load(pin, 0, 4).is_err());
    shadow.pin_load(pin, 0, 3).unwrap();
    shadow.exit(2);
    shadow.pin_load(pin, 0, 3).unwrap();
}

#[test]
fn a_store_of_the_device_during_a_fork_may_reach_the_child() {
    for seen in [1, 2] {
        let mut shadow = anonymous();
        let pin = shadow.pin(1, pages(10, 1), Hold::Write).unwrap();
        let ticket = shadow.fork_begin(1);
        shadow.pin_store(pin, 0, 2).unwrap();
        shadow.fork_end(ticket, 2);
        shadow.load(2, at(10, 0), seen).unwrap();
        assert!(shadow.load(2, at(10, 0), 3 - seen).is_err(), "the first load settles it");
        shadow.pin_load(pin, 0, 2).unwrap();
        assert!(shadow.pin_load(pin, 0, 1).is_err());
    }
}

#[test]
fn a_page_given_up_goes_on_with_bytes_of_the_pin_s_own() {
    let given_up: [fn(&mut Shadow); 6] = [
        |shadow| shadow.unmap(1, pages(10, 1)),
        |shadow| shadow.dontneed(1, pages(9, 2)),
        |shadow| shadow.map(1, pages(10, 1), Source::Anonymous),
        |shadow| shadow.exec(1),
        |shadow| shadow.exit(1),
        |shadow| shadow.remap(1, pages(15, 1), pages(10, 1), Keep::Nothing),
    ];
    for (number, give_up) in given_up.into_iter().enumerate() {
        let mut shadow = anonymous();
        let pin = shadow.pin(1, pages(10, 1), Hold::Write).unwrap();
        shadow.pin_store(pin, 8, 2).unwrap();
        give_up(&mut shadow);
        for (offset, value) in [(0, 1), (8, 2), (16, 0)] {
            shadow.pin_load(pin, offset, value).unwrap_or_else(|why| panic!("{number}: {why}"));
        }
        assert!(shadow.pin_load(pin, 0, 0).is_err(), "{number}: it keeps its bytes");
        shadow.process(1);
        shadow.map(1, pages(10, 1), Source::Anonymous);
        shadow.store(1, at(10, 0), 7).unwrap();
        let mismatch = shadow.pin_load(pin, 0, 7).unwrap_err();
        assert_eq!(mismatch.source, "through a pin, page given up");
        shadow.pin_store(pin, 0, 8).unwrap();
        shadow.pin_load(pin, 0, 8).unwrap();
        shadow.load(1, at(10, 0), 7).expect("the device stores to a page that is not the program's");
    }
}

#[test]
fn a_pin_follows_its_page() {
    for keep in [Keep::Nothing, Keep::Mapping] {
        let mut shadow = anonymous();
        let pin = shadow.pin(1, pages(10, 3), Hold::Write).unwrap();
        shadow.remap(1, pages(10, 2), pages(50, 1), keep);
        shadow.store(1, at(50, 0), 2).unwrap();
        shadow.pin_load(pin, 0, 2).unwrap();
        shadow.pin_store(pin, 8, 3).unwrap();
        shadow.load(1, at(50, 1), 3).unwrap();
        // The second page was cut off by the move, the third one stayed.
        shadow.pin_store(pin, 4096, 4).unwrap();
        shadow.pin_load(pin, 4096, 4).unwrap();
        assert!(shadow.load(1, at(11, 0), 4).is_err());
        shadow.pin_store(pin, 8192, 5).unwrap();
        shadow.load(1, at(12, 0), 5).unwrap();
    }
}

#[test]
fn a_pin_of_a_shared_page_is_a_pin_of_the_file() {
    let mut shadow = Shadow::new();
    shadow.file_zeroed(FILE, 4 * 4096);
    for pid in [1, 2] {
        shadow.process(pid);
        shadow.map(pid, pages(10, 4), Source::Shared { file: FILE, page: 0 });
    }
    let pin = shadow.pin(1, pages(10, 4), Hold::Write).unwrap();
    shadow.pin_store(pin, 0, 1).unwrap();
    shadow.load(2, at(10, 0), 1).unwrap();
    shadow.unmap(1, pages(10, 4));
    shadow.store(2, at(10, 0), 2).unwrap();
    shadow.pin_load(pin, 0, 2).unwrap();
    assert!(shadow.pin_load(pin, 0, 1).is_err());
    shadow.store(2, at(12, 0), 3).unwrap();
    shadow.truncate_begin(FILE, 4096);
    shadow.pin_load(pin, 2 * 4096, 3).unwrap();
    shadow.truncate(FILE, 4096);
    shadow.pin_load(pin, 2 * 4096, 3).expect("of a page that is no longer the file's, nothing is known");
    shadow.pin_store(pin, 2 * 4096, 4).unwrap();
    shadow.pin_load(pin, 0, 2).unwrap();
    assert!(shadow.pin_load(pin, 0, 3).is_err(), "the first page is judged as before");
}

#[test]
fn what_a_pin_sees_of_a_private_file_page_depends_on_what_it_is_for() {
    let (of_file, written) = (file_word(3, 0, 0, 0), file_word(3, 0, 0, 1));
    let pinned = |hold| {
        let mut shadow = Shadow::new();
        shadow.file(FILE, 4096);
        shadow.process(1);
        shadow.map(1, pages(10, 1), Source::Private { file: FILE, page: 0 });
        let pin = shadow.pin(1, pages(10, 1), hold).unwrap();
        shadow.file_write(FILE, 0, 1, 5);
        shadow.store(1, at(10, 0), 6).unwrap();
        (shadow, pin)
    };
    for hold in [Hold::Write, Hold::LongRead] {
        let (mut shadow, pin) = pinned(hold);
        shadow.pin_load(pin, 0, 6).unwrap();
        assert!(shadow.pin_load(pin, 0, of_file).is_err());
        shadow.pin_load(pin, 8, written).expect("copied when it was pinned");
        assert!(shadow.pin_load(pin, 8, 5).is_err());
    }
    let (mut shadow, pin) = pinned(Hold::Read);
    shadow.pin_load(pin, 0, 6).unwrap();
    shadow.pin_load(pin, 0, of_file).expect("the page cache's page");
    shadow.pin_load(pin, 8, 5).unwrap();
    assert!(shadow.pin_load(pin, 0, 7).is_err());
    assert!(shadow.pin_store(pin, 0, 7).is_err(), "pinned to load from");
}

#[test]
fn a_short_pin_of_a_page_never_stored_to_may_be_of_the_zero_page() {
    for (hold, values) in [(Hold::Read, vec![0, 2]), (Hold::LongRead, vec![2]), (Hold::Write, vec![2])] {
        let pinned = || {
            let mut shadow = anonymous();
            let pin = shadow.pin(1, pages(11, 1), hold).unwrap();
            shadow.store(1, at(11, 0), 2).unwrap();
            (shadow, pin)
        };
        let pin = pinned().1;
        let found = allowed(&|| pinned().0, |shadow, value| shadow.pin_load(pin, 0, value).is_ok());
        assert_eq!(found, values, "{hold:?}");
    }
    let mut shadow = anonymous();
    let pin = shadow.pin(1, pages(10, 1), Hold::Read).unwrap();
    shadow.store(1, at(10, 0), 2).unwrap();
    assert!(shadow.pin_load(pin, 0, 1).is_err(), "a page of its own stays with the program");
}

#[test]
fn stores_that_race_with_the_loss_of_the_page_leave_it_open() {
    let raced = || {
        let mut shadow = anonymous();
        let pin = shadow.pin(1, pages(10, 1), Hold::Write).unwrap();
        let ticket = shadow.begin(1, Change::Wipe { range: pages(10, 1) });
        shadow.store(1, at(10, 0), 2).unwrap();
        (shadow, pin, ticket)
    };
    let pin = raced().1;
    let load = |shadow: &mut Shadow, value| shadow.pin_load(pin, 0, value).is_ok();
    assert_eq!(allowed(&|| raced().0, load), [1, 2], "while it is under way");
    let ended = || {
        let (mut shadow, _, ticket) = raced();
        shadow.end(ticket);
        shadow
    };
    assert_eq!(allowed(&ended, load), [1, 2]);
    let mut shadow = ended();
    assert!(load(&mut shadow, 1) && !load(&mut shadow, 2), "the first load settles it");
    let stored = || {
        let (mut shadow, _, ticket) = raced();
        shadow.pin_store(pin, 0, 5).unwrap();
        shadow.end(ticket);
        shadow
    };
    assert_eq!(allowed(&stored, load), [5]);
    assert_eq!(allowed(&stored, |shadow, value| shadow.load(1, at(10, 0), value).is_ok()), [0, 2]);
    let cancelled = || {
        let (mut shadow, _, ticket) = raced();
        shadow.cancel(ticket);
        shadow
    };
    assert_eq!(allowed(&cancelled, load), [2], "nothing changed");
    let unmapped_later = || {
        let mut shadow = cancelled();
        shadow.unmap(1, pages(10, 1));
        shadow
    };
    assert_eq!(allowed(&unmapped_later, load), [2]);
}

#[test]
fn a_page_that_changes_hands_while_it_is_pinned_is_not_judged() {
    let changes: [fn(&mut Shadow); 2] = [
        |shadow| shadow.map(1, pages(10, 1), Source::Anonymous),
        |shadow| {
            let _ = shadow.begin(1, Change::Unmap { range: pages(10, 1) });
        },
    ];
    for change in changes {
        let mut shadow = anonymous();
        let pin = shadow.pin_begin(1, pages(10, 2), Hold::Write);
        change(&mut shadow);
        shadow.pin_end(pin).unwrap();
        shadow.pin_load(pin, 0, 99).unwrap();
        shadow.pin_store(pin, 8, 4).unwrap();
        assert!(shadow.pin_load(pin, 4096, 99).is_err(), "the other page is judged");
    }
    let mut shadow = anonymous();
    let pin = shadow.pin_begin(1, pages(10, 1), Hold::Write);
    shadow.dontneed(1, pages(10, 1));
    shadow.pin_end(pin).unwrap();
    shadow.pin_store(pin, 8, 4).unwrap();
    for value in [0, 4] {
        let reached = shadow.load(1, at(10, 1), value);
        assert_eq!(reached.is_ok(), value == 0, "either is right; the first load settles which");
    }
}

#[test]
fn what_cannot_be_pinned_is_refused() {
    let mut shadow = anonymous();
    let refused = |shadow: &mut Shadow, range| shadow.pin(1, range, Hold::Write).unwrap_err().expected;
    assert_eq!(refused(&mut shadow, pages(19, 2)), Expected::Unmapped);
    shadow.file(FILE, 4096);
    shadow.map(1, pages(30, 2), Source::Shared { file: FILE, page: 0 });
    shadow.map(1, pages(40, 2), Source::Private { file: FILE, page: 0 });
    assert_eq!(refused(&mut shadow, pages(30, 2)), Expected::BeyondEnd);
    assert_eq!(refused(&mut shadow, pages(40, 2)), Expected::BeyondEnd);
    assert_eq!(shadow.pin(7, pages(10, 1), Hold::Read).unwrap_err().expected, Expected::NoProcess);
    let pin = shadow.pin(1, pages(10, 1), Hold::Write).unwrap();
    assert!(shadow.pin_load(pin, 4096, 0).is_err(), "past its end");
    assert!(shadow.pin_load(pin, u64::MAX, 0).is_err());
    shadow.unpin(pin);
    assert!(shadow.pin_load(pin, 0, 1).is_err() && shadow.pin_store(pin, 0, 1).is_err());
    assert!(shadow.pin_end(pin).is_err());
}

// ---- references ----

fn refer(shadow: &mut Shadow, pid: u32, range: VpnRange) -> Reference {
    let reference = shadow.refer(pid, range);
    shadow.referred(reference).unwrap();
    reference
}

/// CVE-2020-29374: the child keeps a reference to a page that it unmaps, and must not see what the parent
/// then stores.
#[test]
fn c1_a_reference_of_the_child_never_sees_the_parent_s_later_stores() {
    let mut shadow = anonymous();
    fork(&mut shadow, 2);
    let pipe = refer(&mut shadow, 2, pages(10, 1));
    shadow.unmap(2, pages(10, 1));
    shadow.store(1, at(10, 0), 2).unwrap();
    shadow.reference_load(pipe, 0, 1).unwrap();
    let leak = shadow.reference_load(pipe, 0, 2).unwrap_err();
    assert_eq!((leak.pid, leak.addr, leak.expected), (2, at(10, 0), Expected::Value(vec![1])));
    shadow.exit(2);
    shadow.reference_load(pipe, 0, 1).expect("it outlives its process");
}

#[test]
fn c2_a_reference_of_the_parent_never_sees_the_child_s_stores() {
    let mut shadow = anonymous();
    let before = refer(&mut shadow, 1, pages(10, 1));
    fork(&mut shadow, 2);
    let after = refer(&mut shadow, 1, pages(10, 1));
    shadow.unmap(1, pages(10, 1));
    shadow.store(2, at(10, 0), 2).unwrap();
    for pipe in [before, after] {
        shadow.reference_load(pipe, 0, 1).unwrap();
        assert!(shadow.reference_load(pipe, 0, 2).is_err());
    }
}

#[test]
fn later_stores_of_the_same_program_may_be_seen_until_it_gives_the_page_up() {
    let mut shadow = anonymous();
    let pipe = refer(&mut shadow, 1, pages(10, 1));
    let pin = shadow.pin(1, pages(10, 1), Hold::Write).unwrap();
    shadow.store(1, at(10, 0), 2).unwrap();
    shadow.pin_store(pin, 0, 3).unwrap();
    shadow.remap(1, pages(10, 1), pages(50, 1), Keep::Mapping);
    shadow.store(1, at(50, 0), 4).unwrap();
    shadow.store(1, at(10, 0), 5).unwrap();
    shadow.dontneed(1, pages(50, 1));
    shadow.store(1, at(50, 0), 6).unwrap();
    let found: Vec<u64> = (0..10).filter(|&v| shadow.reference_load(pipe, 0, v).is_ok()).collect();
    assert_eq!(found, [1, 2, 3, 4]);
    shadow.release(pipe);
    assert!(shadow.reference_load(pipe, 0, 1).is_err());
}

#[test]
fn a_reference_to_a_shared_page_sees_what_anybody_stores_and_one_to_a_private_page_the_file_s_words() {
    let mut shadow = Shadow::new();
    shadow.file_zeroed(FILE, 2 * 4096);
    for pid in [1, 2] {
        shadow.process(pid);
        shadow.map(pid, pages(10, 2), Source::Shared { file: FILE, page: 0 });
        shadow.map(pid, pages(20, 2), Source::Private { file: FILE, page: 0 });
    }
    let shared = refer(&mut shadow, 1, pages(10, 2));
    let private = refer(&mut shadow, 1, pages(20, 2));
    shadow.store(2, at(10, 0), 2).unwrap();
    shadow.store(2, at(20, 0), 3).unwrap();
    shadow.store(1, at(20, 0), 4).unwrap();
    shadow.file_write(FILE, 0, 0, 5);
    let mut found =
        |pipe| -> Vec<u64> { (0..10).filter(|&v| shadow.reference_load(pipe, 0, v).is_ok()).collect() };
    assert_eq!(found(shared), [0, 2, 5]);
    assert_eq!(found(private), [0, 2, 4, 5]);
    shadow.truncate(FILE, 4096);
    shadow.reference_load(shared, 4096, 99).expect("of a page that was cut off nothing is known");
    shadow.reference_load(private, 4096, 99).unwrap();
}

#[test]
fn a_page_that_changes_hands_while_a_reference_is_taken_is_not_judged() {
    let mut shadow = anonymous();
    let pipe = shadow.refer(1, pages(10, 2));
    shadow.map(1, pages(10, 1), Source::Anonymous);
    shadow.referred(pipe).unwrap();
    shadow.reference_load(pipe, 0, 99).unwrap();
    assert!(shadow.reference_load(pipe, 4096, 99).is_err());
    let open = shadow.begin(1, Change::Unmap { range: pages(12, 1) });
    let pipe = refer(&mut shadow, 1, pages(12, 1));
    shadow.cancel(open);
    shadow.reference_load(pipe, 0, 99).unwrap();
    let nothing = shadow.refer(1, pages(19, 2));
    assert_eq!(shadow.referred(nothing).unwrap_err().expected, Expected::Unmapped);
}

// ---- the kernel's stores ----

#[test]
fn while_the_kernel_stores_a_load_finds_either_and_then_what_it_found_stays() {
    let writing = || {
        let mut shadow = anonymous();
        let write = shadow.write_begin(1, at(10, 0), &[2, 3]);
        (shadow, write)
    };
    let load = |shadow: &mut Shadow, value| shadow.load(1, at(10, 0), value).is_ok();
    assert_eq!(allowed(&|| writing().0, load), [1, 2]);
    let (mut shadow, write) = writing();
    assert!(load(&mut shadow, 2) && !load(&mut shadow, 1), "it was seen: it is there");
    shadow.write_end(write, 2);
    assert!(load(&mut shadow, 2) && !load(&mut shadow, 1));
    shadow.load(1, at(10, 1), 3).unwrap();
    let (mut shadow, write) = writing();
    shadow.write_end(write, 1);
    assert!(!load(&mut shadow, 1) && load(&mut shadow, 2));
    shadow.load(1, at(10, 1), 0).expect("it stopped before");
}

#[test]
fn a_store_of_the_program_comes_before_or_after_the_kernel_s() {
    let raced = || {
        let mut shadow = anonymous();
        let write = shadow.write_begin(1, at(10, 0), &[2]);
        shadow.store(1, at(10, 0), 3).unwrap();
        shadow.write_end(write, 1);
        shadow
    };
    assert_eq!(allowed(&raced, |shadow, value| shadow.load(1, at(10, 0), value).is_ok()), [2, 3]);
}

#[test]
fn the_kernel_s_store_reaches_a_child_a_pin_and_a_reference_as_the_program_s_would() {
    let mut shadow = anonymous();
    let pin = shadow.pin(1, pages(10, 1), Hold::Write).unwrap();
    let pipe = refer(&mut shadow, 1, pages(10, 1));
    fork(&mut shadow, 2);
    let write = shadow.write_begin(1, at(10, 0), &[2]);
    fork(&mut shadow, 3);
    fork(&mut shadow, 4);
    let late = shadow.fork_begin(1);
    shadow.reference_load(pipe, 0, 2).unwrap();
    shadow.pin_load(pin, 0, 1).unwrap();
    shadow.write_end(write, 1);
    shadow.fork_end(late, 5);
    fork(&mut shadow, 6);
    shadow.pin_load(pin, 0, 2).unwrap();
    assert!(shadow.pin_load(pin, 0, 1).is_err());
    for (child, value) in [(2, 1), (3, 1), (4, 2), (5, 2), (6, 2)] {
        shadow.load(child, at(10, 0), value).unwrap();
        assert!(shadow.load(child, at(10, 0), 3 - value).is_err(), "child {child}");
    }
}

#[test]
fn the_kernel_s_store_to_a_page_that_changes_hands_may_be_lost() {
    let lost = || {
        let mut shadow = anonymous();
        let write = shadow.write_begin(1, at(10, 0), &[2]);
        shadow.dontneed(1, pages(10, 1));
        shadow.write_end(write, 1);
        shadow
    };
    assert_eq!(allowed(&lost, |shadow, value| shadow.load(1, at(10, 0), value).is_ok()), [0, 2]);
    let moved = || {
        let mut shadow = anonymous();
        let write = shadow.write_begin(1, at(10, 0), &[2]);
        shadow.remap(1, pages(10, 1), pages(50, 1), Keep::Nothing);
        shadow.write_end(write, 1);
        shadow
    };
    assert_eq!(allowed(&moved, |shadow, value| shadow.load(1, at(50, 0), value).is_ok()), [1, 2]);
}

#[test]
fn everybody_who_maps_the_file_finds_the_kernel_s_store_to_it() {
    let mut shadow = Shadow::new();
    shadow.file_zeroed(FILE, 4096);
    for pid in [1, 2, 3] {
        shadow.process(pid);
        shadow.map(pid, pages(10, 1), Source::Shared { file: FILE, page: 0 });
        shadow.map(pid, pages(20, 1), Source::Private { file: FILE, page: 0 });
    }
    shadow.store(3, at(20, 1), 9).unwrap();
    let write = shadow.write_begin(1, at(10, 0), &[2]);
    shadow.load(2, at(20, 0), 0).unwrap();
    assert!(shadow.load(3, at(20, 0), 2).is_err(), "a copy of its own");
    shadow.load(2, at(20, 0), 2).unwrap();
    assert!(shadow.load(2, at(10, 0), 0).is_err(), "it was seen: it is there");
    shadow.write_end(write, 1);
    shadow.load(2, at(10, 0), 2).unwrap();
}
