//! Operations on whole frames: what they answer, and what they cost.

use machine::{Backing, Corrupt, CpuId, FileKey, Machine, Order, PageOp, Pfn, UserFrame};
use proptest::prelude::*;
use sim::{Cause, Rule, SimConfig, SimMachine};
use std::cmp::Ordering;

const CPU: CpuId = CpuId(0);

fn machine() -> SimMachine {
    SimMachine::new(&SimConfig { cpus: 1, memory_bytes: 4 << 20, ..SimConfig::default() }).unwrap()
}

fn frame(number: u32) -> UserFrame {
    UserFrame(Pfn(100 + number))
}

fn zero(sim: &SimMachine, number: u32) {
    sim.page_op(CPU, PageOp::Zero { to: frame(number), order: Order(0) });
}

fn fill(sim: &SimMachine, number: u32, bytes: &[u8]) {
    sim.write_frame(CPU, frame(number), 0, bytes);
}

fn bytes(sim: &SimMachine, number: u32) -> Vec<u8> {
    let mut all = vec![0; 4096];
    sim.read_frame(CPU, frame(number), 0, &mut all);
    all
}

/// What an operation added to the clock.
fn cost(sim: &SimMachine, operation: impl FnOnce()) -> u64 {
    let before = sim.now(CPU);
    operation();
    sim.now(CPU) - before
}

/// Words that occur again and again.
fn text() -> Vec<u8> {
    let words = (0u64..).map(|n| format!("{} ", sim::synthetic::mix(n) % 97));
    words.flat_map(String::into_bytes).take(4096).collect()
}

#[test]
fn zero_is_told_from_what_is_not_in_any_representation() {
    let sim = machine();
    zero(&sim, 0);
    assert!(sim.is_zero(CPU, frame(0)));
    fill(&sim, 0, &[0; 4096]);
    assert!(sim.is_zero(CPU, frame(0)), "written word by word");
    sim.write_frame(CPU, frame(0), 4095, &[1]);
    assert!(!sim.is_zero(CPU, frame(0)));
    sim.read(CPU, FileKey(1), 0, frame(1)).unwrap();
    assert!(!sim.is_zero(CPU, frame(1)));
    assert_eq!(sim.violation_count(), 0);
}

#[test]
fn what_is_not_there_cannot_be_looked_at() {
    let sim = machine();
    zero(&sim, 0);
    let _ = sim.is_zero(CPU, frame(7));
    let _ = sim.compare_bytes(CPU, frame(0), frame(7));
    let _ = sim.compress(CPU, frame(7), &mut [0; 4096]);
    assert!(sim.violations().iter().all(|v| v.rule == Rule::PoisonRead));
    assert_eq!(sim.violation_count(), 3);
}

#[test]
fn a_look_costs_as_far_as_it_goes() {
    let sim = machine();
    let costs = SimConfig::default().profile.costs;
    (0..3).for_each(|n| zero(&sim, n));
    sim.write_frame(CPU, frame(2), 0, &[1]);
    assert_eq!(cost(&sim, || assert!(sim.same_bytes(CPU, frame(0), frame(1)))), costs.compare_hot);
    assert_eq!(cost(&sim, || assert!(!sim.same_bytes(CPU, frame(0), frame(2)))), 1);
    assert_eq!(cost(&sim, || assert!(sim.is_zero(CPU, frame(0)))), costs.scan_hot);
    assert_eq!(cost(&sim, || assert!(!sim.is_zero(CPU, frame(2)))), 1);
    assert_eq!(cost(&sim, || assert_ne!(sim.hash_bytes(CPU, frame(0)), 1)), costs.hash_hot);
}

#[test]
fn compressed_pages_come_back_and_cost_what_the_profile_says() {
    let sim = machine();
    let costs = SimConfig::default().profile.costs;
    let mut room = [0; 4096];
    zero(&sim, 0);
    sim.write_frame(CPU, frame(0), 800, &[7; 9]);
    fill(&sim, 1, &text());
    for (number, most) in [(0, 100), (1, 3500)] {
        let mut len = None;
        let spent = cost(&sim, || len = sim.compress(CPU, frame(number), &mut room));
        assert_eq!(spent, costs.compress);
        let len = len.expect("compressible");
        assert!(len < most, "page {number}: {len} bytes");
        let spent = cost(&sim, || sim.decompress(CPU, &room[..len], frame(9)).expect("whole"));
        assert_eq!(spent, costs.decompress);
        assert_eq!(bytes(&sim, 9), bytes(&sim, number));
        assert!(sim.same_bytes(CPU, frame(9), frame(number)));
        assert_eq!(sim.compress(CPU, frame(number), &mut room[..len - 1]), None, "does not fit");
    }
    let class: Vec<u8> = (0..512).flat_map(|n| sim::synthetic::class_word(7, n).to_le_bytes()).collect();
    fill(&sim, 2, &class);
    let len = sim.compress(CPU, frame(2), &mut room).expect("compressible");
    assert!((2000..2600).contains(&len), "a content class becomes about half: {len}");
    sim.read(CPU, FileKey(1), 0, frame(2)).unwrap();
    assert_eq!(sim.compress(CPU, frame(2), &mut room), None, "random bytes do not become fewer");
    let report = sim.report();
    assert_eq!((report.events.frames_compressed, report.events.frames_decompressed), (6, 2));
    assert_eq!(report.time(Cause::Compress), 6 * costs.compress + 2 * costs.decompress);
    assert_eq!(sim.violation_count(), 0);
}

#[test]
fn bytes_that_are_too_few_or_too_many_are_refused_and_change_nothing() {
    let sim = machine();
    fill(&sim, 0, &text());
    let mut room = [0; 4096];
    let len = sim.compress(CPU, frame(0), &mut room).expect("compressible");
    for part in [&room[..0], &room[..1], &room[..len / 2], &room[..len - 1]] {
        assert_eq!(sim.decompress(CPU, part, frame(0)), Err(Corrupt));
    }
    // A literal run of five bytes and nothing else: a page of five bytes.
    assert_eq!(sim.decompress(CPU, &[0x50, 1, 2, 3, 4, 5], frame(0)), Err(Corrupt));
    assert_eq!(bytes(&sim, 0), text());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn hostile_bytes_are_answered_with_an_error_or_a_page(
        noise in prop::collection::vec(any::<u8>(), 0..600),
        flips in prop::collection::vec((0..2048usize, any::<u8>()), 1..8),
    ) {
        let sim = machine();
        zero(&sim, 3);
        fill(&sim, 0, &text());
        let mut room = [0; 4096];
        let len = sim.compress(CPU, frame(0), &mut room).expect("compressible");
        for (at, value) in flips {
            room[at % len] = value;
        }
        for hostile in [&noise[..], &room[..len]] {
            if sim.decompress(CPU, hostile, frame(3)).is_err() {
                prop_assert!(sim.violation_count() == 0);
            }
        }
        prop_assert_eq!(bytes(&sim, 3).len(), 4096);
    }

    #[test]
    fn frames_are_ordered_as_their_bytes(
        common in 0..4096usize,
        left in prop::collection::vec(any::<u8>(), 0..20),
        right in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let sim = machine();
        zero(&sim, 0);
        zero(&sim, 1);
        let page = |tail: &[u8]| {
            let mut page = vec![3; common];
            page.extend_from_slice(tail);
            page.resize(4096.max(page.len()), 0);
            page.truncate(4096);
            page
        };
        let (left, right) = (page(&left), page(&right));
        fill(&sim, 0, &left);
        // In the other representation: words over zero bytes.
        right.iter().enumerate().filter(|(_, byte)| **byte != 0).for_each(|(at, byte)| {
            sim.write_frame(CPU, frame(1), at as u64, &[*byte]);
        });
        prop_assert_eq!(sim.compare_bytes(CPU, frame(0), frame(1)), left.cmp(&right));
        prop_assert_eq!(sim.compare_bytes(CPU, frame(1), frame(0)), right.cmp(&left));
        prop_assert_eq!(sim.compare_bytes(CPU, frame(1), frame(1)), Ordering::Equal);
        prop_assert_eq!(sim.is_zero(CPU, frame(1)), right.iter().all(|byte| *byte == 0));
    }
}
