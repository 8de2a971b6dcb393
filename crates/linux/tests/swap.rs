//! Pages that leave memory and come back: swapon, MADV_PAGEOUT, fork, errors of devices, swapoff.

mod common;

use common::{ANON, BASE, PAGE, PRIVATE, RW, System, machine};
use linux::{BusCode, Errno, Exit, Signal, SwapDevice};
use machine::{Counter, FileKey, VirtAddr};
use sim::Direction;

const PAGEOUT: u64 = 21;
const FREE: u64 = 8;
const DONTNEED: u64 = 4;
const WILLNEED: u64 = 3;
/// Pages of the tests' areas.
const PAGES: u64 = 64;
/// The file of the tests' areas.
const SWAP: FileKey = FileKey(7);

const FILE: SwapDevice = SwapDevice::File { key: SWAP, pages: PAGES };
const MEMORY: SwapDevice = SwapDevice::Compressed { disk: 0, pages: PAGES };

fn at(page: u64) -> u64 {
    BASE + page * PAGE
}

/// What the tests store in a page.
fn value(page: u64) -> u64 {
    0x5eed_0000_0000_0000 + page * 0x1_0001 + 1
}

/// Makes what is stored in a page hard to compress, or not.
fn fill(system: &mut System<'_>, page: u64) {
    system.store(at(page), value(page)).expect("stored");
    system.store(at(page) + 2048, !value(page)).expect("stored");
}

fn swapped(system: &System<'_>) -> u64 {
    let space = system.linux.process(system.process).space().expect("alive");
    system.linux.spaces().stats(space).swapped
}

fn page_out(system: &mut System<'_>, pages: u64) {
    system.linux.madvise(&mut system.cx, system.process, BASE, pages * PAGE, PAGEOUT).expect("advised");
}

fn slots_in_use(system: &System<'_>) -> usize {
    system.linux.objects().slots(system.machine).count()
}

/// A system with `pages` filled pages and an area.
fn with_area(system: &mut System<'_>, device: SwapDevice, pages: u64) {
    system.machine.sim_files().create_zeroed(SWAP, PAGES * PAGE);
    system.linux.swapon(&mut system.cx, device, None).expect("an area");
    system.anon(BASE, pages, RW);
    (0..pages).for_each(|page| fill(system, page));
}

#[test]
fn what_is_paged_out_comes_back_as_it_was() {
    for device in [FILE, MEMORY] {
        let machine = machine(32 << 20);
        let mut system = System::new(&machine);
        with_area(&mut system, device, 20);
        let before = system.free();
        page_out(&mut system, 20);
        assert_eq!((system.rss()[0], swapped(&system)), (0, 20), "{device:?}");
        assert_eq!(system.counter(Counter::PSwpOut), 20);
        assert!(system.free() > before + 10, "{device:?}: frames are free");
        for page in 0..20 {
            assert_eq!(system.load(at(page)), Ok(value(page)), "{device:?} page {page}");
            assert_eq!(system.load(at(page) + 2048), Ok(!value(page)));
        }
        assert_eq!((system.rss()[0], swapped(&system)), (20, 0));
        // Clean pages are in the cache still, and leave without being written.
        page_out(&mut system, 20);
        assert_eq!(system.counter(Counter::PSwpOut), 20, "{device:?}");
        (0..20).for_each(|page| assert_eq!(system.load(at(page)), Ok(value(page))));
        // Who comes back exclusive is written in place, and then has no slot.
        let copied = system.counter(Counter::CowCopied);
        (0..20).for_each(|page| system.store(at(page), page).expect("stored"));
        assert_eq!(system.counter(Counter::CowCopied), copied, "nobody else had them");
        assert_eq!(slots_in_use(&system), 0);
        (0..20).for_each(|page| assert_eq!(system.load(at(page)), Ok(page)));
        system.linux.swapoff(&mut system.cx, device).expect("empty");
    }
}

#[test]
fn swapped_pages_are_shared_by_fork_and_diverge() {
    for device in [FILE, MEMORY] {
        let machine = machine(32 << 20);
        let mut system = System::new(&machine);
        with_area(&mut system, device, 4);
        page_out(&mut system, 4);
        let parent = system.process;
        let child = system.linux.fork(&mut system.cx, parent).expect("a child");
        assert_eq!(slots_in_use(&system), 4);
        system.store(at(0), 1).expect("stored");
        assert_eq!(system.load(at(1)), Ok(value(1)));
        system.become_process(child);
        assert_eq!(system.load(at(0)), Ok(value(0)), "the parent's store is its own");
        system.store(at(1), 2).expect("stored");
        system.store(at(2), 3).expect("stored");
        system.become_process(parent);
        assert_eq!([0, 1, 2, 3].map(|page| system.load(at(page))), [1, value(1), value(2), value(3)].map(Ok));
        system.linux.exit(&mut system.cx, child, Exit::Code(0));
        (0..4).for_each(|page| system.store(at(page), page).expect("stored"));
        assert_eq!(slots_in_use(&system), 0, "{device:?}");
    }
}

#[test]
fn unmapping_and_exit_give_slots_back() {
    let machine = machine(32 << 20);
    let mut system = System::new(&machine);
    with_area(&mut system, MEMORY, 12);
    page_out(&mut system, 12);
    let parent = system.process;
    let child = system.linux.fork(&mut system.cx, parent).expect("a child");
    system.linux.munmap(&mut system.cx, parent, at(0), 4 * PAGE).expect("unmapped");
    assert_eq!((slots_in_use(&system), swapped(&system)), (12, 8), "the child has them");
    system.linux.madvise(&mut system.cx, parent, at(4), 4 * PAGE, DONTNEED).expect("advised");
    assert_eq!(system.load(at(4)), Ok(0));
    system.linux.exit(&mut system.cx, child, Exit::Code(0));
    assert_eq!(slots_in_use(&system), 4);
    let moved =
        linux::Mremap { addr: at(8), old_len: 4 * PAGE, new_len: 4 * PAGE, flags: 3, new_addr: at(40) };
    system.linux.mremap(&mut system.cx, parent, &moved).expect("moved");
    assert_eq!(slots_in_use(&system), 4);
    (8..12).for_each(|page| assert_eq!(system.load(at(page + 32)), Ok(value(page))));
    system.linux.munmap(&mut system.cx, parent, at(40), 4 * PAGE).expect("unmapped");
    assert_eq!(slots_in_use(&system), 0, "kept pages go with their last mapping");
}

#[test]
fn a_read_error_is_the_toucher_s_and_loses_nothing() {
    let machine = machine(32 << 20);
    let mut system = System::new(&machine);
    with_area(&mut system, FILE, 8);
    page_out(&mut system, 8);
    system.machine.sim_files().fail(SWAP, None, Direction::Read);
    let bus = Signal::Bus { code: BusCode::AdrErr, addr: VirtAddr(at(3)) };
    assert_eq!(system.load(at(3)), Err(bus));
    assert_eq!(system.load(at(3)), Err(bus), "each touch fails");
    assert_eq!(system.linux.swapoff(&mut system.cx, FILE), Err(Errno::EIO));
    assert_eq!(swapped(&system), 8, "nothing is lost");
    system.machine.sim_files().heal(SWAP, None, Direction::Read);
    (0..8).for_each(|page| assert_eq!(system.load(at(page)), Ok(value(page))));
    system.linux.swapoff(&mut system.cx, FILE).expect("empty");
    assert_eq!(slots_in_use(&system), 0);
}

/// What the area has of a page is lost.
fn spoil(system: &mut System<'_>, device: SwapDevice, page: u64) {
    match device {
        SwapDevice::File { key, .. } => system.machine.sim_files().fail(key, Some(page), Direction::Read),
        SwapDevice::Compressed { .. } => {
            let stored = system.linux.objects().stored_word(&system.cx, table::Slot { area: 0, page });
            stored.expect("a page that takes room").set(0x0123_4567_89ab_cdef);
        }
    }
}

#[test]
fn who_finds_a_good_copy_in_the_cache_meets_no_error() {
    for device in [FILE, MEMORY] {
        let machine = machine(32 << 20);
        let mut system = System::new(&machine);
        with_area(&mut system, device, 8);
        page_out(&mut system, 8);
        let parent = system.process;
        let child = system.linux.fork(&mut system.cx, parent).expect("a child");
        // The child reads four of the shared pages while they can be read; 4 to 7 it does not touch.
        system.become_process(child);
        (0..4).for_each(|page| assert_eq!(system.load(at(page)), Ok(value(page))));
        let in_cache = |system: &System<'_>, page| {
            let slot = table::Slot { area: 0, page };
            system.linux.objects().slot_state(&system.cx, slot).frame().is_some()
        };
        let lost: Vec<u64> = (0..8).filter(|&page| !in_cache(&system, page)).collect();
        (0..8).for_each(|page| spoil(&mut system, device, page));
        system.become_process(parent);
        for page in 0..8 {
            let loaded = system.load(at(page));
            match lost.contains(&page) {
                true => assert!(matches!(loaded, Err(Signal::Bus { .. })), "{device:?} {page}: {loaded:?}"),
                false => assert_eq!(loaded, Ok(value(page)), "{device:?} page {page}: the cache has it"),
            }
        }
        assert!((0..4).all(|page| !lost.contains(&page)), "what the child has touched is cached");
        assert_eq!(lost.is_empty(), device == FILE, "{device:?}: files are read in clusters");
        // The child goes on as if nothing was, and a store of the parent's is no matter of it.
        (0..4).for_each(|page| system.store(at(page), 1).expect("stored"));
        system.become_process(child);
        (0..4).for_each(|page| assert_eq!(system.load(at(page)), Ok(value(page))));
        system.linux.exit(&mut system.cx, child, Exit::Code(0));
        system.become_process(parent);
        (0..4).for_each(|page| assert_eq!(system.load(at(page)), Ok(1)));
        system.linux.munmap(&mut system.cx, parent, BASE, 8 * PAGE).expect("unmapped");
        assert_eq!(slots_in_use(&system), 0);
    }
}

#[test]
fn a_read_error_of_one_process_leaves_the_other_s_page_alone() {
    for device in [FILE, MEMORY] {
        let machine = machine(32 << 20);
        let mut system = System::new(&machine);
        with_area(&mut system, device, 1);
        page_out(&mut system, 1);
        let parent = system.process;
        let child = system.linux.fork(&mut system.cx, parent).expect("a child");
        spoil(&mut system, device, 0);
        // Each that touches the page gets the error, and has a slot to get it from again.
        for process in [child, parent, child] {
            system.become_process(process);
            assert!(matches!(system.load(at(0)), Err(Signal::Bus { .. })), "{device:?}");
            assert!(matches!(system.store(at(0), 9), Err(Signal::Bus { .. })), "{device:?}");
            assert_eq!(swapped(&system), 1);
        }
        system.linux.exit(&mut system.cx, child, Exit::Code(0));
        system.become_process(parent);
        if device == FILE {
            system.machine.sim_files().heal(SWAP, Some(0), Direction::Read);
            assert_eq!(system.load(at(0)), Ok(value(0)), "the device is well again");
        }
        system.linux.munmap(&mut system.cx, parent, BASE, PAGE).expect("unmapped");
        assert_eq!(slots_in_use(&system), 0);
    }
}

#[test]
fn slots_that_cannot_be_written_lose_nothing_under_shortage() {
    let machine = machine(8 << 20);
    let mut system = System::with(&machine, linux::Config::default());
    let pages = 4096;
    system.machine.sim_files().create_zeroed(SWAP, pages * PAGE);
    system.linux.swapon(&mut system.cx, SwapDevice::File { key: SWAP, pages }, None).expect("an area");
    for slot in (0..pages).step_by(7) {
        system.machine.sim_files().fail(SWAP, Some(slot), Direction::Write);
    }
    system.anon(BASE, 3000, RW);
    (0..3000).for_each(|page| fill(&mut system, page));
    assert!(swapped(&system) > 900, "{} pages are swapped out", swapped(&system));
    (0..3000).for_each(|page| assert_eq!(system.load(at(page)), Ok(value(page)), "page {page}"));
    assert_eq!(system.counter(Counter::OomKill), 0);
}

#[test]
fn when_memory_and_the_area_are_full_one_dies_and_the_others_lose_nothing() {
    let machine = machine(8 << 20);
    let mut system = System::with(&machine, linux::Config::default());
    with_area(&mut system, MEMORY, 200);
    let survivor = system.process;
    let glutton = system.linux.fork(&mut system.cx, survivor).expect("a child");
    system.become_process(glutton);
    // (More at once would be refused: heuristic overcommit.)
    system.anon(at(1000), 1500, RW);
    system.anon(at(2500), 1500, RW);
    let refused = (0..3000).find_map(|page| system.store(at(1000 + page), page).err());
    assert_eq!(refused, Some(Signal::Kill));
    assert_eq!(system.counter(Counter::OomKill), 1);
    system.linux.exit(&mut system.cx, glutton, Exit::Code(0));
    system.become_process(survivor);
    (0..200).for_each(|page| assert_eq!(system.load(at(page)), Ok(value(page)), "page {page}"));
    (0..200).for_each(|page| assert_eq!(system.load(at(page) + 2048), Ok(!value(page)), "page {page}"));
}

#[test]
fn a_write_error_keeps_the_page() {
    let machine = machine(32 << 20);
    let mut system = System::new(&machine);
    with_area(&mut system, FILE, 8);
    system.machine.sim_files().fail(SWAP, Some(2), Direction::Write);
    page_out(&mut system, 8);
    assert_eq!(swapped(&system), 8);
    assert_eq!(system.counter(Counter::PSwpOut), 7);
    system.machine.sim_files().fail(SWAP, Some(2), Direction::Read);
    (0..8).for_each(|page| assert_eq!(system.load(at(page)), Ok(value(page)), "page {page}"));
    // It is stored at the next attempt, and comes back from there.
    system.machine.sim_files().heal(SWAP, Some(2), Direction::Write);
    page_out(&mut system, 8);
    assert_eq!(system.counter(Counter::PSwpOut), 8);
    assert!(system.load(at(2)).is_err(), "it is not in memory any more");
    system.machine.sim_files().heal(SWAP, Some(2), Direction::Read);
    (0..8).for_each(|page| assert_eq!(system.load(at(page)), Ok(value(page)), "page {page}"));
    (0..8).for_each(|page| system.store(at(page), 9).expect("stored"));
    assert_eq!(slots_in_use(&system), 0);
}

#[test]
fn a_full_area_leaves_pages_where_they_are() {
    let machine = machine(32 << 20);
    let mut system = System::new(&machine);
    with_area(&mut system, MEMORY, PAGES + 20);
    page_out(&mut system, PAGES + 20);
    assert_eq!((swapped(&system), system.rss()[0]), (PAGES, 20));
    (0..PAGES + 20).for_each(|page| assert_eq!(system.load(at(page)), Ok(value(page)), "page {page}"));
    assert!(system.linux.objects().swap_counts().free > 0, "slots come back");
}

#[test]
fn swapoff_brings_everything_back_exclusive() {
    let machine = machine(32 << 20);
    let mut system = System::new(&machine);
    with_area(&mut system, FILE, 16);
    page_out(&mut system, 16);
    let parent = system.process;
    system.linux.madvise(&mut system.cx, parent, at(12), 4 * PAGE, 10).expect("not for the child");
    let child = system.linux.fork(&mut system.cx, parent).expect("a child");
    system.linux.swapoff(&mut system.cx, FILE).expect("room for all");
    assert_eq!((slots_in_use(&system), swapped(&system), system.rss()[0]), (0, 0, 16));
    let copied = system.counter(Counter::CowCopied);
    (12..16).for_each(|page| system.store(at(page), 1).expect("stored"));
    assert_eq!(system.counter(Counter::CowCopied), copied, "CR17");
    (0..12).for_each(|page| system.store(at(page), 2).expect("stored"));
    assert_eq!(system.counter(Counter::CowCopied), copied + 12);
    system.become_process(child);
    (0..12).for_each(|page| assert_eq!(system.load(at(page)), Ok(value(page))));
    assert_eq!(system.linux.swapoff(&mut system.cx, FILE), Err(Errno::EINVAL), "it is no area any more");
    system.linux.swapon(&mut system.cx, FILE, Some(5)).expect("again");
    assert_eq!(system.linux.swapon(&mut system.cx, FILE, None), Err(Errno::EBUSY));
}

#[test]
fn areas_are_used_by_priority_and_in_turn() {
    let machine = machine(32 << 20);
    let mut system = System::new(&machine);
    system.anon(BASE, 24, RW);
    (0..24).for_each(|page| fill(&mut system, page));
    let device = |key, pages| SwapDevice::File { key: FileKey(key), pages };
    for (device, priority) in [(device(1, 8), Some(1)), (device(2, 4), Some(2)), (device(3, 8), Some(1))] {
        system.linux.swapon(&mut system.cx, device, priority).expect("an area");
    }
    page_out(&mut system, 10);
    let used: Vec<_> = system.linux.objects().swap_areas().map(|area| area.used).collect();
    assert_eq!(used, [3, 4, 3]);
    page_out(&mut system, 24);
    let used: Vec<_> = system.linux.objects().swap_areas().map(|area| area.used).collect();
    assert_eq!(used, [8, 4, 8]);
    (0..24).for_each(|page| assert_eq!(system.load(at(page)), Ok(value(page))));
}

#[test]
fn a_device_names_one_area() {
    let machine = machine(32 << 20);
    let mut system = System::new(&machine);
    system.anon(BASE, 8, RW);
    (0..8).for_each(|page| fill(&mut system, page));
    let disk = |disk| SwapDevice::Compressed { disk, pages: PAGES };
    let areas = |system: &System<'_>| -> Vec<_> {
        system.linux.objects().swap_areas().map(|area| (area.device, area.used)).collect()
    };
    system.linux.swapon(&mut system.cx, disk(0), Some(2)).expect("the first");
    system.linux.swapon(&mut system.cx, disk(1), Some(1)).expect("one of the same size");
    assert_eq!(system.linux.swapon(&mut system.cx, disk(1), None), Err(Errno::EBUSY));
    page_out(&mut system, 8);
    system.linux.swapoff(&mut system.cx, disk(1)).expect("the second");
    assert_eq!(areas(&system), [(disk(0), 8)]);
    assert_eq!(system.linux.swapoff(&mut system.cx, disk(1)), Err(Errno::EINVAL));
    system.linux.swapoff(&mut system.cx, disk(0)).expect("the first");
    assert_eq!(areas(&system), []);
}

#[test]
fn damaged_memory_is_the_toucher_s_alone() {
    let machine = machine(32 << 20);
    let mut system = System::new(&machine);
    with_area(&mut system, MEMORY, 8);
    page_out(&mut system, 8);
    let damaged = system.linux.objects().stored_word(&system.cx, table::Slot { area: 0, page: 5 });
    damaged.expect("a page that takes room").set(0x0123_4567_89ab_cdef);
    for page in 0..8 {
        let loaded = system.load(at(page));
        if page == 5 {
            assert!(matches!(loaded, Err(Signal::Bus { .. })), "{loaded:?}");
        } else {
            assert_eq!(loaded, Ok(value(page)));
        }
    }
    system.linux.munmap(&mut system.cx, system.process, BASE, 8 * PAGE).expect("unmapped");
    assert_eq!(slots_in_use(&system), 0);
    system.linux.swapoff(&mut system.cx, MEMORY).expect("empty");
}

#[test]
fn every_shortage_of_swapon_and_of_a_fault_is_clean() {
    for device in [FILE, MEMORY] {
        let machine = machine(32 << 20);
        let mut system = System::new(&machine);
        system.machine.sim_files().create_zeroed(SWAP, PAGES * PAGE);
        let mut failed = 0;
        for n in 1.. {
            let before = system.free();
            system.linux.frames().fail_after(Some(n));
            let made = system.linux.swapon(&mut system.cx, device, None);
            system.linux.frames().fail_after(None);
            match made {
                Ok(_) => break,
                Err(error) => assert_eq!((error, system.free()), (Errno::ENOMEM, before)),
            }
            failed += 1;
        }
        assert!(failed >= 3, "{device:?}: {failed} shortages");
        system.anon(BASE, 4, RW);
        (0..4).for_each(|page| fill(&mut system, page));
        for n in 1..8 {
            system.linux.frames().fail_after(Some(n));
            page_out(&mut system, 4);
            system.linux.frames().fail_after(None);
            system.linux.frames().fail_after(Some(n));
            let loaded = system.load(at(1));
            system.linux.frames().fail_after(None);
            assert!(matches!(loaded, Ok(_) | Err(Signal::Kill)), "{loaded:?}");
            (0..4).for_each(|page| assert_eq!(system.load(at(page)), Ok(value(page))));
        }
    }
}

#[test]
fn more_than_fits_into_memory_is_kept_in_swap() {
    let machine = machine(8 << 20);
    let mut system = System::with(&machine, linux::Config::default());
    let pages = 4096;
    let device = SwapDevice::File { key: SWAP, pages };
    system.machine.sim_files().create_zeroed(SWAP, pages * PAGE);
    system.linux.swapon(&mut system.cx, device, None).expect("an area");
    system.anon(BASE, 3000, RW);
    (0..3000).for_each(|page| fill(&mut system, page));
    assert!(swapped(&system) > 900, "{} pages are swapped out", swapped(&system));
    for page in (0..3000).rev() {
        assert_eq!(system.load(at(page)), Ok(value(page)), "page {page}");
    }
    assert_eq!(system.counter(Counter::OomKill), 0);
    while system.linux.background_reclaim(&mut system.cx, 64) {}
    (0..3000).for_each(|page| assert_eq!(system.load(at(page)), Ok(value(page)), "page {page}"));
}

#[test]
fn useless_pages_are_dropped_unless_they_were_written_since() {
    let machine = machine(32 << 20);
    let mut system = System::new(&machine);
    with_area(&mut system, FILE, 8);
    system.linux.madvise(&mut system.cx, system.process, BASE, 8 * PAGE, FREE).expect("advised");
    system.store(at(3), 33).expect("stored");
    page_out(&mut system, 8);
    assert_eq!((system.counter(Counter::PSwpOut), swapped(&system)), (1, 1));
    for page in 0..8 {
        assert_eq!(system.load(at(page)), Ok(if page == 3 { 33 } else { 0 }));
    }
    page_out(&mut system, 8);
    system.linux.madvise(&mut system.cx, system.process, BASE, 8 * PAGE, FREE).expect("advised");
    assert_eq!((slots_in_use(&system), swapped(&system)), (0, 0), "swapped pages are of no use either");
}

#[test]
fn what_will_be_needed_is_read_before_it_is_touched() {
    for device in [FILE, MEMORY] {
        let machine = machine(32 << 20);
        let mut system = System::new(&machine);
        with_area(&mut system, device, 12);
        page_out(&mut system, 12);
        system.machine.sim_files().fail(SWAP, Some(3), Direction::Read);
        let range = (at(2), 6 * PAGE);
        system.linux.madvise(&mut system.cx, system.process, range.0, range.1, WILLNEED).expect("advised");
        let read = if device == FILE { 5 } else { 6 };
        assert_eq!(system.counter(Counter::PSwpIn), read, "{device:?}: all but what cannot be read");
        assert_eq!((system.rss()[0], swapped(&system)), (0, 12), "nothing is mapped");
        assert_eq!(system.linux.totals().swap_cached, read);
        let before = system.counter(Counter::PgMajFault);
        for page in (2..8).filter(|&page| page != 3) {
            assert_eq!(system.load(at(page)), Ok(value(page)));
        }
        assert_eq!(system.counter(Counter::PgMajFault), before, "they were there");
        system.machine.sim_files().heal(SWAP, Some(3), Direction::Read);
        (0..12).for_each(|page| assert_eq!(system.load(at(page)), Ok(value(page))));
        system.linux.munmap(&mut system.cx, system.process, BASE, 12 * PAGE).expect("unmapped");
        assert_eq!((slots_in_use(&system), system.linux.totals().swap_cached), (0, 0));
    }
}

#[test]
fn mincore_and_mlock_know_swapped_pages() {
    let machine = machine(32 << 20);
    let mut system = System::new(&machine);
    with_area(&mut system, FILE, 4);
    system.mmap(at(100), PAGE, RW, PRIVATE | ANON | common::FIXED).expect("room");
    let resident = |system: &mut System<'_>| {
        system.mincore(BASE, 4 * PAGE, at(100)).expect("told");
        system.load(at(100)).expect("there") as u32
    };
    assert_eq!(resident(&mut system), 0x0101_0101);
    page_out(&mut system, 4);
    assert_eq!(resident(&mut system), 0);
    assert_eq!(system.load(at(0)), Ok(value(0)));
    assert_eq!(resident(&mut system) & 1, 1);
    system.linux.mlock(&mut system.cx, system.process, BASE, 4 * PAGE).expect("locked");
    assert_eq!((system.rss()[0], swapped(&system)), (5, 0));
    let refused = system.linux.madvise(&mut system.cx, system.process, BASE, 4 * PAGE, PAGEOUT);
    assert_eq!(refused, Err(Errno::EINVAL));
}
