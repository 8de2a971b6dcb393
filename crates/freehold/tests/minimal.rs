//! The documented machine works and stays small.
#![forbid(unsafe_code)]

#[path = "../examples/minimal/demo.rs"]
mod demo;
#[path = "../examples/minimal/minimal.rs"]
mod minimal;

use machine::{Backing, Corrupt, CpuId, FileKey, Machine, Pfn, UserFrame, Word};
use std::cmp;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

const PAGE_WORDS: usize = 512;

#[test]
fn the_minimal_machine_has_under_250_lines() {
    let lines = include_str!("../examples/minimal/minimal.rs").lines().count();
    assert!(lines < 250, "{lines} lines");
}

#[test]
fn two_processes_live_and_die_on_it() {
    let arena: Vec<Word> = (0..demo::ARENA_WORDS).map(|_| Word::new(0)).collect();
    let mut counts = BTreeMap::new();
    let end = demo::run(&arena, &mut |name, count| {
        counts.insert(name, count);
    });
    assert_eq!(end, Ok(()), "{counts:?}");
    let of = |name: &str| counts.get(name).copied().unwrap_or(0);
    assert_eq!(of("fault_zero_page"), 2, "the loads of fresh memory, and of memory given up");
    assert_eq!(of("fault_segv"), 2, "the stores after munmap, and after mprotect");
    assert_eq!(of("cow_reused"), 1, "the parent's page once the child is gone");
    assert_eq!(of("page_table_alloc"), of("page_table_free"), "no table outlives its process");
}

#[test]
fn what_a_machine_does_not_say_of_frames_is_right_too() {
    let arena: Vec<Word> = (0..64 * PAGE_WORDS).map(|_| Word::new(0)).collect();
    let machine = minimal::Minimal::new(&arena).expect("room for a frame");
    let (cpu, a, b) = (CpuId(0), UserFrame(Pfn(520)), UserFrame(Pfn(521)));
    assert!(machine.is_zero(cpu, a));
    assert_eq!(machine.compare_bytes(cpu, a, b), cmp::Ordering::Equal);
    machine.write_frame(cpu, a, 4095, &[1]);
    assert!(!machine.is_zero(cpu, a));
    assert_eq!(machine.compare_bytes(cpu, a, b), cmp::Ordering::Greater);
    machine.write_frame(cpu, b, 700, &[0, 2]);
    assert_eq!(machine.compare_bytes(cpu, a, b), cmp::Ordering::Less, "the first difference decides");
    machine.write_frame(cpu, a, 700, &[1, 1]);
    assert_eq!(machine.compare_bytes(cpu, a, b), cmp::Ordering::Greater, "byte by byte, not by words");
    assert_eq!(machine.compress(cpu, a, &mut [0; 4096]), None);
    assert_eq!(machine.decompress(cpu, &[0], a), Err(Corrupt));
    assert!(!machine.files().stable_writes(FileKey(1)));
}

#[test]
fn a_machine_too_small_is_an_error_whatever_it_lacks() {
    let arena: Vec<Word> = (0..256 * PAGE_WORDS).map(|_| Word::new(0)).collect();
    let mut enough = Vec::new();
    for pages in 0..256 {
        let part = &arena[..pages * PAGE_WORDS];
        part.iter().for_each(|word| word.raw().store(0, Relaxed));
        if demo::run(part, &mut |_, _| ()).is_ok() {
            enough.push(pages);
        }
    }
    let first = enough.first().copied().unwrap_or(256);
    assert!((16..128).contains(&first), "it runs from {first} pages on");
    assert_eq!(enough.len(), 256 - first, "more memory is never worse");
}
