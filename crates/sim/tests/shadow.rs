//! The shadow agrees with what Linux does to bytes, and notices what it must notice.

use machine::{FileKey, VirtAddr, Vpn, VpnRange};
use proptest::prelude::*;
use sim::shadow::{Change, Expected, Keep, Shadow, Source};
use sim::synthetic::{class_word, file_word};
use std::collections::BTreeMap;

const FILE: FileKey = FileKey(3);

fn pages(start: u64, pages: u64) -> VpnRange {
    VpnRange::sized(Vpn(start), pages)
}

fn at(page: u64, word: u64) -> VirtAddr {
    VirtAddr(page * 4096 + word * 8)
}

fn anonymous() -> Shadow {
    let mut shadow = Shadow::new();
    shadow.process(1);
    shadow.map(1, pages(10, 10), Source::Anonymous);
    shadow
}

#[test]
fn a_lost_write_a_leak_and_a_wild_load_are_told_apart() {
    let mut shadow = anonymous();
    shadow.store(1, at(10, 3), 77).unwrap();
    shadow.load(1, at(10, 3), 77).unwrap();
    shadow.load(1, at(10, 4), 0).unwrap();
    let lost = shadow.load(1, at(10, 3), 0).unwrap_err();
    assert_eq!(lost.expected, Expected::Value(vec![77]));
    assert_eq!(lost.source, "anonymous, stored to");
    let leak = shadow.load(1, at(11, 0), 0x5ec2e7).unwrap_err();
    assert_eq!(leak.expected, Expected::Value(vec![0]));
    assert!(
        leak.to_string().contains("process 1 loaded 0x5ec2e7 at 0xb000 (anonymous, never stored to)"),
        "{leak}"
    );
    assert_eq!(shadow.load(1, at(20, 0), 0).unwrap_err().expected, Expected::Unmapped);
    assert_eq!(shadow.store(1, at(20, 0), 0).unwrap_err().expected, Expected::Unmapped);
    assert_eq!(shadow.load(9, at(10, 0), 0).unwrap_err().expected, Expected::NoProcess);
    assert_eq!((shadow.loads(), shadow.stores()), (6, 2));
}

#[test]
fn a_fork_copies_and_the_sides_part() {
    let mut shadow = anonymous();
    shadow.store(1, at(10, 0), 1).unwrap();
    let fork = shadow.fork_begin(1);
    shadow.fork_end(fork, 2);
    shadow.store(1, at(10, 0), 2).unwrap();
    shadow.store(2, at(10, 1), 3).unwrap();
    shadow.load(1, at(10, 0), 2).unwrap();
    shadow.load(2, at(10, 0), 1).unwrap();
    shadow.load(1, at(10, 1), 0).unwrap();
    assert!(shadow.load(2, at(10, 0), 2).is_err(), "the parent's later store reached the child");
    shadow.exit(2);
    assert!(!shadow.exists(2));
}

#[test]
fn a_store_during_a_fork_may_reach_the_child_and_the_first_load_settles_it() {
    for seen in [1, 2, 3] {
        let mut shadow = anonymous();
        shadow.store(1, at(10, 0), 1).unwrap();
        let fork = shadow.fork_begin(1);
        shadow.store(1, at(10, 0), 2).unwrap();
        shadow.store(1, at(10, 0), 3).unwrap();
        shadow.fork_end(fork, 2);
        shadow.load(1, at(10, 0), 3).unwrap();
        shadow.load(2, at(10, 0), seen).unwrap();
        for other in [1, 2, 3] {
            assert_eq!(shadow.load(2, at(10, 0), other).is_ok(), other == seen);
        }
        assert!(shadow.load(2, at(10, 0), 4).is_err());
    }
}

#[test]
fn a_store_during_a_wipe_stays_or_goes() {
    for seen in [0, 8] {
        let mut shadow = anonymous();
        shadow.store(1, at(10, 0), 5).unwrap();
        shadow.store(1, at(10, 1), 6).unwrap();
        let wipe = shadow.begin(1, Change::Wipe { range: pages(10, 2) });
        shadow.load(1, at(10, 1), 6).unwrap();
        shadow.load(1, at(10, 1), 0).unwrap();
        assert!(shadow.load(1, at(10, 1), 9).is_err());
        shadow.store(1, at(10, 0), 8).unwrap();
        shadow.end(wipe);
        shadow.load(1, at(10, 0), seen).unwrap();
        assert!(shadow.load(1, at(10, 0), 8 - seen).is_err());
        assert!(shadow.load(1, at(10, 1), 6).is_err(), "nobody stored this one meanwhile");
    }
}

/// A page with two words stored, given up lazily.
fn given_up() -> Shadow {
    let mut shadow = anonymous();
    shadow.store(1, at(10, 0), 5).unwrap();
    shadow.store(1, at(10, 1), 6).unwrap();
    shadow.free_lazily(1, pages(10, 1));
    shadow
}

#[test]
fn a_page_given_up_is_there_or_zeros_as_a_whole() {
    let mut shadow = given_up();
    shadow.load(1, at(10, 0), 5).unwrap();
    shadow.load(1, at(10, 1), 6).unwrap();
    assert!(shadow.load(1, at(10, 1), 7).is_err());
    shadow.load(1, at(10, 1), 0).expect("it was dropped just now");
    assert!(shadow.load(1, at(10, 0), 5).is_err(), "what was dropped does not come back");
    shadow.load(1, at(10, 0), 0).unwrap();
}

#[test]
fn a_store_keeps_a_page_that_was_given_up() {
    let mut shadow = given_up();
    shadow.load(1, at(10, 0), 5).unwrap();
    shadow.store(1, at(10, 2), 7).unwrap();
    shadow.load(1, at(10, 2), 7).unwrap();
    assert!(shadow.load(1, at(10, 2), 0).is_err(), "what was stored since stays");
    shadow.load(1, at(10, 1), 6).expect("it was not dropped before the store");
    assert!(shadow.load(1, at(10, 0), 0).is_err(), "so none of it was");
    let mut shadow = given_up();
    shadow.store(1, at(10, 2), 7).unwrap();
    shadow.load(1, at(10, 1), 0).expect("it was dropped before the store");
    assert!(shadow.load(1, at(10, 0), 5).is_err(), "so all of it was");
    shadow.load(1, at(10, 2), 7).unwrap();
}

#[test]
fn a_child_s_page_and_a_moved_one_may_be_dropped_too() {
    let mut shadow = given_up();
    let fork = shadow.fork_begin(1);
    shadow.fork_end(fork, 2);
    shadow.store(1, at(10, 2), 7).unwrap();
    shadow.load(2, at(10, 0), 0).expect("the child's may be dropped");
    shadow.remap(1, pages(10, 1), pages(30, 1), Keep::Nothing);
    shadow.load(1, at(30, 0), 0).expect("dropped before it was stored to, and moved");
    shadow.load(1, at(30, 2), 7).unwrap();
    let mut shadow = given_up();
    shadow.map(1, pages(10, 1), Source::Anonymous);
    shadow.store(1, at(10, 0), 8).unwrap();
    assert!(shadow.load(1, at(10, 0), 0).is_err(), "a new mapping has nothing to do with it");
}

#[test]
fn a_store_while_a_page_is_given_up_stays_or_goes() {
    for seen in [0, 8] {
        let mut shadow = anonymous();
        shadow.store(1, at(10, 1), 6).unwrap();
        let free = shadow.begin(1, Change::Free { range: pages(10, 1) });
        shadow.store(1, at(10, 0), 8).unwrap();
        shadow.load(1, at(10, 1), 0).expect("dropped at once");
        shadow.end(free);
        shadow.load(1, at(10, 0), seen).unwrap();
        assert!(shadow.load(1, at(10, 0), 9).is_err());
    }
}

#[test]
fn words_that_may_be_gone_are_not_looked_for() {
    let mut shadow = given_up();
    shadow.store(1, at(11, 0), 9).unwrap();
    let mut seen = Vec::new();
    shadow.for_each_stored(1, &mut |addr, value| seen.push((addr, value)));
    assert_eq!(seen, [(at(11, 0), 9)]);
    shadow.store(1, at(10, 0), 3).unwrap();
    shadow.load(1, at(10, 1), 6).unwrap();
    seen.clear();
    shadow.for_each_stored(1, &mut |addr, value| seen.push((addr, value)));
    assert_eq!(seen, [(at(10, 0), 3), (at(10, 1), 6), (at(11, 0), 9)]);
}

#[test]
fn a_cancelled_change_changes_nothing() {
    let mut shadow = anonymous();
    shadow.store(1, at(10, 0), 5).unwrap();
    let unmap = shadow.begin(1, Change::Unmap { range: pages(10, 1) });
    shadow.cancel(unmap);
    shadow.load(1, at(10, 0), 5).unwrap();
    assert!(shadow.load(1, at(10, 0), 0).is_err());
}

#[test]
fn private_pages_read_through_to_the_file_until_they_are_stored_to() {
    let mut shadow = Shadow::new();
    shadow.file(FILE, 3 * 4096);
    shadow.process(1);
    shadow.process(2);
    shadow.map(1, pages(10, 4), Source::Private { file: FILE, page: 0 });
    shadow.map(2, pages(50, 2), Source::Shared { file: FILE, page: 1 });
    shadow.load(1, at(11, 2), file_word(3, 1, 0, 2)).unwrap();
    shadow.store(2, at(50, 2), 9).unwrap();
    shadow.load(1, at(11, 2), 9).unwrap();
    shadow.store(1, at(11, 0), 1).unwrap();
    shadow.store(2, at(50, 2), 10).unwrap();
    shadow.load(1, at(11, 2), 9).expect("copied before the second store");
    shadow.load(1, at(11, 0), 1).unwrap();
    shadow.load(2, at(50, 0), file_word(3, 1, 0, 0)).expect("private stores stay private");
    assert_eq!(shadow.load(1, at(13, 0), 0).unwrap_err().expected, Expected::BeyondEnd);
}

#[test]
fn truncation_takes_private_copies_and_what_comes_back_is_zero() {
    let mut shadow = Shadow::new();
    shadow.file(FILE, 4 * 4096);
    shadow.process(1);
    shadow.map(1, pages(10, 4), Source::Private { file: FILE, page: 0 });
    shadow.store(1, at(11, 0), 1).unwrap();
    shadow.store(1, at(10, 9), 2).unwrap();
    shadow.truncate_begin(FILE, 100);
    shadow.load(1, at(12, 0), file_word(3, 2, 0, 0)).unwrap();
    shadow.truncate(FILE, 100);
    assert!(shadow.load(1, at(11, 0), 1).is_err());
    shadow.truncate(FILE, 2 * 4096);
    shadow.load(1, at(11, 0), 0).unwrap();
    shadow.load(1, at(10, 9), 2).expect("the page of the cut keeps its private copy");
    assert_eq!(shadow.file_word(FILE, 0, 12), file_word(3, 0, 0, 12) & 0xffff_ffff);
    assert_eq!(shadow.file_word(FILE, 0, 13), 0);
}

#[test]
fn moved_pages_keep_their_bytes() {
    let mut shadow = anonymous();
    shadow.store(1, at(12, 5), 3).unwrap();
    shadow.remap(1, pages(11, 3), pages(100, 5), Keep::Nothing);
    shadow.load(1, at(101, 5), 3).unwrap();
    assert_eq!(shadow.load(1, at(12, 5), 3).unwrap_err().expected, Expected::Unmapped);
    shadow.remap(1, pages(101, 1), pages(200, 1), Keep::Mapping);
    shadow.load(1, at(200, 5), 3).unwrap();
    shadow.load(1, at(101, 5), 0).expect("still mapped, and empty");
}

#[test]
fn a_store_beside_a_move_that_leaves_memory_behind_came_before_or_after() {
    let moved_beside_a_store = || {
        let mut shadow = anonymous();
        shadow.store(1, at(12, 5), 3).unwrap();
        let change = Change::Move { from: pages(12, 1), to: pages(100, 1), keep: Keep::Mapping };
        let ticket = shadow.begin(1, change);
        shadow.store(1, at(12, 5), 4).unwrap();
        shadow.end(ticket);
        shadow
    };
    for (moved, left) in [(3, 4), (4, 0)] {
        let mut shadow = moved_beside_a_store();
        shadow.load(1, at(100, 5), moved).expect("what moved");
        shadow.load(1, at(12, 5), left).expect("what stayed");
    }
    moved_beside_a_store().load(1, at(100, 5), 0).expect_err("neither of them");
}

#[test]
fn a_class_fills_a_page() {
    let mut shadow = anonymous();
    shadow.store_class(1, at(10, 7), 42).unwrap();
    shadow.load(1, at(10, 0), class_word(42, 0)).unwrap();
    shadow.store(1, at(10, 1), 5).unwrap();
    shadow.load(1, at(10, 511), class_word(42, 511)).unwrap();
    shadow.load(1, at(10, 1), 5).unwrap();
}

#[test]
fn a_page_has_a_class_until_somebody_stores() {
    let mut shadow = anonymous();
    assert!(shadow.has_class(1, at(10, 0), 0), "never stored to: zeros");
    assert!(!shadow.has_class(1, at(10, 0), 42));
    assert!(!shadow.has_class(1, at(9, 0), 0), "not mapped");
    shadow.store_class(1, at(10, 7), 42).unwrap();
    assert!(shadow.has_class(1, at(10, 3), 42));
    let mut swept = Vec::new();
    shadow.for_each_stored(1, &mut |addr, value| swept.push((addr, value)));
    assert_eq!(swept, [(at(10, 0), class_word(42, 0)), (at(10, 511), class_word(42, 511))]);
    shadow.store(1, at(10, 1), 5).unwrap();
    assert!(!shadow.has_class(1, at(10, 0), 42));
    shadow.store_class(1, at(10, 7), 0).unwrap();
    assert!(shadow.has_class(1, at(10, 0), 0));
}

#[derive(Clone, Debug)]
enum Op {
    Map(u64, u64, bool),
    Unmap(u64, u64),
    Wipe(u64, u64),
    Move(u64, u64, u64, bool),
    Store(u64, u64),
    Fork,
}

fn op() -> impl Strategy<Value = Op> {
    let page = || 0..200u64;
    prop_oneof![
        (page(), 1..90u64, any::<bool>()).prop_map(|(at, n, file)| Op::Map(at, n, file)),
        (page(), 1..60u64).prop_map(|(at, n)| Op::Unmap(at, n)),
        (page(), 1..60u64).prop_map(|(at, n)| Op::Wipe(at, n)),
        (page(), 1..40u64, page(), any::<bool>()).prop_map(|(at, n, to, keep)| Op::Move(
            at,
            n,
            to + 300,
            keep
        )),
        (page(), 0..4u64).prop_map(|(at, word)| Op::Store(at, word)),
        (page(), 0..4u64).prop_map(|(at, word)| Op::Store(at, word)),
        Just(Op::Fork),
    ]
}

/// A page of the even dumber model: where it comes from, and four words.
type Dumb = BTreeMap<u64, (Option<u64>, [Option<u64>; 4])>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn ranges_and_chunks_behave_like_single_pages(ops in prop::collection::vec(op(), 1..40)) {
        let mut shadow = Shadow::new();
        shadow.process(1);
        let mut dumb = Dumb::new();
        let mut forks: Vec<(u32, Dumb)> = Vec::new();
        for (step, op) in ops.into_iter().enumerate() {
            match op {
                Op::Map(start, n, file) => {
                    let private = Source::Private { file: FILE, page: start };
                    let source = if file { private } else { Source::Anonymous };
                    shadow.map(1, pages(start, n), source);
                    (start..start + n).for_each(|p| { dumb.insert(p, (file.then_some(p), [None; 4])); });
                }
                Op::Unmap(start, n) => {
                    shadow.unmap(1, pages(start, n));
                    (start..start + n).for_each(|p| { dumb.remove(&p); });
                }
                Op::Wipe(start, n) => {
                    shadow.dontneed(1, pages(start, n));
                    for p in start..start + n {
                        if let Some(page) = dumb.get_mut(&p) { page.1 = [None; 4]; }
                    }
                }
                Op::Move(start, n, to, keep) => {
                    let kept = if keep { Keep::Mapping } else { Keep::Nothing };
                    shadow.remap(1, pages(start, n), pages(to, n), kept);
                    for i in 0..n {
                        let page = dumb.remove(&(start + i));
                        dumb.remove(&(to + i));
                        if let Some(page) = page {
                            if keep { dumb.insert(start + i, (page.0, [None; 4])); }
                            dumb.insert(to + i, page);
                        }
                    }
                }
                Op::Store(page, word) => {
                    let stored = shadow.store(1, at(page, word), step as u64 + 1);
                    prop_assert_eq!(stored.is_ok(), dumb.contains_key(&page));
                    if let Some(page) = dumb.get_mut(&page) { page.1[word as usize] = Some(step as u64 + 1); }
                }
                Op::Fork => {
                    let child = 2 + forks.len() as u32;
                    let fork = shadow.fork_begin(1);
                    shadow.fork_end(fork, child);
                    forks.push((child, dumb.clone()));
                }
            }
        }
        forks.push((1, dumb));
        for (pid, dumb) in forks {
            for page in 0..600 {
                for word in 0..4 {
                    let expected = dumb.get(&page).map(|(of, words)| {
                        words[word as usize].unwrap_or(of.map_or(0, |of| file_word(3, of, 0, word)))
                    });
                    let found = shadow.peek(pid, at(page, word));
                    prop_assert_eq!(found, expected, "process {} page {}", pid, page);
                }
            }
        }
    }
}
