//! Large blocks from memory in pieces: pages move out of their way, and programs notice nothing.

mod common;

use common::*;
use frame::Request;
use linux::{Config, Policy};
use machine::{Access, Counter, HUGE_ORDER, Order};

/// Pages of the large region.
const PAGES: u64 = 14_000;
const DONTNEED: u64 = 4;

/// Uses nearly all memory, then gives every `nth` page back: plenty is free, and nothing in one piece.
fn in_pieces(system: &mut System<'_>, nth: u64) {
    system.anon(BASE, PAGES, RW);
    for page in 0..PAGES {
        system.store(BASE + page * PAGE, page + 1).expect("stored");
    }
    // What is left in large blocks is somebody else's.
    let large = Request::user().order(HUGE_ORDER);
    while system.linux.frames().allocate(system.cx.at(), &large).is_ok() {}
    for page in (0..PAGES).filter(|page| page % nth == 0) {
        let System { linux, cx, process, .. } = system;
        linux.madvise(cx, *process, BASE + page * PAGE, PAGE, DONTNEED).expect("dropped");
    }
    system.linux.frames().drain_all(system.cx.at());
}

fn is_intact(system: &mut System<'_>, nth: u64) {
    for page in 0..PAGES {
        let due = if page % nth == 0 { 0 } else { page + 1 };
        assert_eq!(system.load(BASE + page * PAGE), Ok(due), "page {page}");
    }
}

/// Free blocks of 2 MiB, those in larger ones, too.
fn large_blocks(system: &System<'_>) -> u64 {
    let in_zone = |zone: frame::ZoneReport| {
        let large = zone.free_blocks.iter().skip(usize::from(HUGE_ORDER.0)).enumerate();
        large.map(|(size, lists)| lists.iter().sum::<u64>() << size).sum::<u64>()
    };
    system.linux.frames().zones().map(in_zone).sum()
}

#[test]
fn a_request_for_2_mib_is_rescued() {
    let machine = machine(64 << 20);
    let mut system = System::with(&machine, Config { shortage: Policy::Kill, ..Config::default() });
    in_pieces(&mut system, 4);
    assert_eq!(large_blocks(&system), 0, "all free memory is in pieces");
    let request = Request::user().order(HUGE_ORDER);
    assert!(system.linux.frames().allocate(system.cx.at(), &request).is_err());
    let (moved, faults) = (system.counter(Counter::PgMigrateSuccess), system.counter(Counter::PgFault));
    let System { linux, cx, .. } = &mut system;
    let block = linux.allocate_block(cx, &request).expect("a block of 2 MiB");
    assert!(block.is_aligned(HUGE_ORDER));
    assert!(system.counter(Counter::PgMigrateSuccess) > moved);
    assert!(
        system.counter(Counter::PgMigrateSuccess) - moved <= 2 * HUGE_ORDER.frames(),
        "no more than that"
    );
    assert_eq!(system.counter(Counter::CompactSuccess), 1);
    assert_eq!(system.counter(Counter::PgFault), faults, "nobody faulted for it");
    is_intact(&mut system, 4);
    system.linux.frames().put(system.cx.at(), block);
}

#[test]
fn all_of_memory_is_compacted_on_demand() {
    let machine = machine(64 << 20);
    let mut system = System::new(&machine);
    in_pieces(&mut system, 2);
    assert_eq!(large_blocks(&system), 0);
    let free = system.free();
    let System { linux, cx, .. } = &mut system;
    linux.compact_memory(cx);
    assert_eq!(system.free(), free, "compaction neither makes nor keeps memory");
    let (blocks, possible) = (large_blocks(&system), free / HUGE_ORDER.frames());
    assert!(blocks * 10 >= possible * 8, "{blocks} of {possible} blocks that could be");
    is_intact(&mut system, 2);
}

#[test]
fn pinned_pages_stay_in_the_way() {
    let machine = machine(64 << 20);
    let mut system = System::with(&machine, Config { shortage: Policy::Kill, ..Config::default() });
    in_pieces(&mut system, 4);
    // A page of every pageblock is in use by a device.
    let mut pinned = Vec::new();
    for page in (1..PAGES).step_by(64).filter(|page| page % 4 != 0) {
        let frame = system.touch(BASE + page * PAGE, Access::Write).expect("there");
        assert!(system.linux.frames().descriptor(frame.0).pin_exclusive(&system.cx));
        pinned.push(frame.0);
    }
    let free = system.free();
    let System { linux, cx, .. } = &mut system;
    let refused = linux.allocate_block(cx, &Request::user().order(HUGE_ORDER));
    assert!(refused.is_err(), "no pageblock can be emptied");
    assert_eq!(system.counter(Counter::OomKill), 0, "nobody dies for a large block");
    assert_eq!(system.free(), free);
    let System { linux, cx, .. } = &mut system;
    let smaller = linux.allocate_block(cx, &Request::user().order(Order(4))).expect("a smaller block");
    system.linux.frames().put(system.cx.at(), smaller);
    for (page, frame) in (1..PAGES).step_by(64).filter(|page| page % 4 != 0).zip(pinned) {
        assert_eq!(system.touch(BASE + page * PAGE, Access::Read).map(|at| at.0), Ok(frame));
        system.linux.frames().unpin(system.cx.at(), frame);
    }
    is_intact(&mut system, 4);
}
