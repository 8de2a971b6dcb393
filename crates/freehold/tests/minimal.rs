//! The documented machine works and stays small.
#![forbid(unsafe_code)]

#[path = "../examples/minimal/demo.rs"]
mod demo;
#[path = "../examples/minimal/minimal.rs"]
mod minimal;

use machine::Word;
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
