//! Pages of 2 MiB as programs see them.

mod common;

use common::*;
use linux::{Config, Errno, Exit, Mremap, Policy, SwapDevice, Waiting};
use machine::Counter;
use sim::SimMachine;
use space::HugePages;

const P: u64 = PAGE;
const HUGE: u64 = 2 << 20;
/// Aligned to 2 MiB.
const A: u64 = 0x4000_0000;
const MADV_HUGEPAGE: u64 = 14;
const MADV_NOHUGEPAGE: u64 = 15;
const MADV_COLLAPSE: u64 = 25;
const MAP_STACK: u64 = 0x2_0000;

fn with(machine: &SimMachine, huge_pages: HugePages) -> System<'_> {
    System::with(machine, Config { shortage: Policy::Fail, huge_pages, ..Config::default() })
}

fn advise(s: &mut System<'_>, addr: u64, len: u64, advice: u64) -> Result<(), Errno> {
    s.linux.madvise(&mut s.cx, s.process, addr, len, advice)
}

/// Pages of the process that are mapped by 2 MiB.
fn huge(s: &System<'_>) -> u64 {
    s.linux.spaces().stats(s.linux.process(s.process).space().expect("alive")).anon_huge
}

fn meminfo(s: &System<'_>, label: &str) -> u64 {
    let mut text = String::new();
    s.linux.meminfo(&mut text).expect("text");
    let line = text.lines().find(|line| line.starts_with(label)).expect("a line of meminfo");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

#[test]
fn who_gets_pages_of_2_mib_is_chosen_by_the_system_the_program_and_each_mapping() {
    let cases = [
        (HugePages::Always, None, 512),
        (HugePages::Always, Some(MADV_NOHUGEPAGE), 0),
        (HugePages::Madvise, None, 0),
        (HugePages::Madvise, Some(MADV_HUGEPAGE), 512),
        (HugePages::Never, Some(MADV_HUGEPAGE), 0),
    ];
    for (mode, advice, pages) in cases {
        let machine = machine(32 << 20);
        let mut s = with(&machine, mode);
        s.anon(A, 512, RW);
        if let Some(advice) = advice {
            advise(&mut s, A, HUGE, advice).expect("followed");
        }
        s.store(A + 5 * P, 7).expect("stored");
        assert_eq!(huge(&s), pages, "{mode:?} {advice:?}");
        assert_eq!(s.rss()[0], pages.max(1));
        assert_eq!(meminfo(&s, "AnonHugePages"), pages * 4);
        assert_eq!(s.counter(Counter::ThpFaultAlloc), pages / 512);
        assert_eq!((s.load(A), s.load(A + 5 * P)), (Ok(0), Ok(7)));
    }
    let machine = machine(32 << 20);
    let mut s = with(&machine, HugePages::Always);
    assert_eq!(s.linux.set_thp_disable(s.process, [1, 0, 1, 0]), Err(Errno::EINVAL));
    s.linux.set_thp_disable(s.process, [1, 0, 0, 0]).expect("done");
    let child = s.linux.fork(&mut s.cx, s.process).expect("a child");
    assert_eq!(s.linux.get_thp_disable(child, [0; 4]), Ok(1), "inherited");
    s.anon(A, 512, RW);
    s.store(A, 7).expect("stored");
    assert_eq!(huge(&s), 0);
    s.linux.set_thp_disable(s.process, [0; 4]).expect("done");
    s.anon(A + HUGE, 512, RW);
    s.store(A + HUGE, 7).expect("stored");
    assert_eq!(huge(&s), 512);
}

#[test]
fn map_stack_asks_for_small_pages() {
    let machine = machine(32 << 20);
    let mut s = with(&machine, HugePages::Always);
    s.mmap(A, HUGE, RW, PRIVATE | ANON | FIXED | MAP_STACK).expect("mapped");
    s.store(A, 7).expect("stored");
    assert_eq!(huge(&s), 0);
    advise(&mut s, A, HUGE, MADV_HUGEPAGE).expect("the program may change its mind");
    assert_eq!(advise(&mut s, A, HUGE, MADV_COLLAPSE), Ok(()));
    assert_eq!((huge(&s), s.load(A)), (512, Ok(7)));
}

#[test]
fn only_memory_that_has_all_of_2_mib_gets_them() {
    let machine = machine(32 << 20);
    let mut s = with(&machine, HugePages::Always);
    s.anon(A + P, 1023, RW);
    s.store(A + 2 * P, 1).expect("stored");
    assert_eq!(huge(&s), 0, "the first 2 MiB are not all mapped");
    s.store(A + HUGE + 2 * P, 1).expect("stored");
    assert_eq!(huge(&s), 512);
    // What was read first has a table for the page of zeros.
    s.anon(A + 2 * HUGE, 512, RW);
    assert_eq!(s.load(A + 2 * HUGE), Ok(0));
    s.store(A + 2 * HUGE, 1).expect("stored");
    assert_eq!(huge(&s), 512);
    s.mmap(A + 3 * HUGE, HUGE, RW, SHARED | ANON | FIXED).expect("mapped");
    s.store(A + 3 * HUGE, 1).expect("stored");
    assert_eq!(huge(&s), 512);
}

#[test]
fn parts_of_it_are_unmapped_protected_moved_and_given_up() {
    let machine = machine(32 << 20);
    let mut s = with(&machine, HugePages::Always);
    for place in 0..4 {
        s.anon(A + place * HUGE, 512, RW);
        for page in [0, 99, 100, 511] {
            s.store(A + place * HUGE + page * P, 1000 * place + page).expect("stored");
        }
    }
    assert_eq!((huge(&s), s.rss()[0]), (2048, 2048));
    s.linux.munmap(&mut s.cx, s.process, A + 100 * P, P).expect("unmapped");
    s.linux.mprotect(&mut s.cx, s.process, A + HUGE + 100 * P, P, 1).expect("protected");
    advise(&mut s, A + 2 * HUGE + 100 * P, P, 4).expect("dropped");
    assert_eq!((huge(&s), s.rss()[0]), (512, 2046));
    assert!(s.load(A + 100 * P).is_err() && s.store(A + HUGE + 100 * P, 1).is_err());
    assert_eq!((s.load(A + 99 * P), s.load(A + HUGE + 100 * P)), (Ok(99), Ok(1100)));
    assert_eq!((s.load(A + 2 * HUGE + 100 * P), s.load(A + 2 * HUGE + 511 * P)), (Ok(0), Ok(2511)));
    // All of it moves as it is; to a place of another alignment it is split.
    for (from, to, left) in [(A + 3 * HUGE, A + 8 * HUGE, 512), (A + 8 * HUGE, A + 16 * HUGE + P, 0)] {
        let args = Mremap { addr: from, old_len: HUGE, new_len: HUGE, flags: 3, new_addr: to };
        assert_eq!(s.linux.mremap(&mut s.cx, s.process, &args), Ok(to));
        assert_eq!(huge(&s), left);
        assert_eq!((s.load(to + 99 * P), s.load(to + 511 * P)), (Ok(3099), Ok(3511)));
        assert!(s.load(from).is_err());
    }
    assert_eq!(s.counter(Counter::CowCopied), 0);
    let Count { frames, .. } = s.count();
    assert!(frames > 0);
}

#[test]
fn small_pages_are_collapsed_on_request_and_by_the_scanner() {
    let machine = machine(32 << 20);
    let mut s = with(&machine, HugePages::Madvise);
    s.anon(A, 1536, RW);
    for page in [3, 511, 700] {
        s.store(A + page * P, page).expect("stored");
    }
    assert_eq!(advise(&mut s, A, 2 * HUGE, MADV_COLLAPSE), Ok(()));
    assert_eq!((huge(&s), s.rss()[0]), (1024, 1024));
    assert_eq!(advise(&mut s, A, 2 * HUGE, MADV_COLLAPSE), Ok(()), "they are large already");
    assert_eq!(advise(&mut s, A + 2 * HUGE, HUGE, MADV_COLLAPSE), Err(Errno::EINVAL), "nothing is there");
    assert_eq!(advise(&mut s, A + 2 * HUGE + P, HUGE, MADV_COLLAPSE), Err(Errno::ENOMEM), "a hole");
    assert_eq!((s.load(A + 3 * P), s.load(A + 511 * P), s.load(A + 700 * P)), (Ok(3), Ok(511), Ok(700)));
    // The scanner leaves alone what did not ask.
    s.store(A + 2 * HUGE, 1).expect("stored");
    assert_eq!(s.linux.collapse_step(&mut s.cx, 4096).collapsed, 0);
    advise(&mut s, A + 2 * HUGE, HUGE, MADV_HUGEPAGE).expect("followed");
    assert_eq!(s.linux.collapse_step(&mut s.cx, 4096).collapsed, 1);
    assert_eq!((huge(&s), s.load(A + 2 * HUGE)), (1536, Ok(1)));
    assert_eq!(s.counter(Counter::ThpCollapseAlloc), 3);
    // LINUX: a range within 2 MiB is refused, one that touches a boundary has nothing to do.
    assert_eq!(advise(&mut s, A + P, P, MADV_COLLAPSE), Err(Errno::EINVAL));
    assert_eq!(advise(&mut s, A + HUGE - P, P, MADV_COLLAPSE), Ok(()));
    assert_eq!(advise(&mut s, A + HUGE - P, 2 * P, MADV_COLLAPSE), Ok(()));
    // What has no aligned 2 MiB is refused, whatever the range.
    s.anon(A + 8 * HUGE + P, 512, RW);
    for range in [(A + 8 * HUGE + P, 512 * P), (A + 9 * HUGE - P, 2 * P)] {
        assert_eq!(advise(&mut s, range.0, range.1, MADV_COLLAPSE), Err(Errno::EINVAL));
    }
    // What nobody may store to is not worth it.
    s.anon(A + 4 * HUGE, 512, RW);
    s.store(A + 4 * HUGE, 1).expect("stored");
    s.linux.mprotect(&mut s.cx, s.process, A + 4 * HUGE, HUGE, 1).expect("protected");
    assert_eq!(advise(&mut s, A + 4 * HUGE, HUGE, MADV_COLLAPSE), Err(Errno::EINVAL));
}

#[test]
fn without_a_free_block_small_pages_do() {
    let machine = machine(8 << 20);
    let mut s = with(&machine, HugePages::Always);
    for place in 0..8 {
        s.anon(A + place * HUGE, 512, RW);
        s.store(A + place * HUGE, place).expect("stored");
    }
    assert!(s.counter(Counter::ThpFaultFallback) > 0 && s.counter(Counter::ThpFaultAlloc) > 0);
    assert!((0..8).all(|place| s.load(A + place * HUGE) == Ok(place)));
}

#[test]
fn parts_that_nobody_maps_are_free_when_memory_is_short() {
    let machine = machine(16 << 20);
    let config = Config { huge_pages: HugePages::Always, shortage: Policy::Reclaim, ..Config::default() };
    let mut s = System::with(&machine, config);
    for place in 0..5 {
        s.anon(A + place * HUGE, 512, RW);
        s.store(A + place * HUGE + 511 * P, place).expect("stored");
        s.linux.munmap(&mut s.cx, s.process, A + place * HUGE, HUGE - P).expect("unmapped");
    }
    assert_eq!(s.rss()[0], 5);
    s.linux.set_thp_disable(s.process, [1, 0, 0, 0]).expect("done");
    s.anon(A + 16 * HUGE, 2560, RW);
    for page in 0..2560 {
        s.store(A + 16 * HUGE + page * P, page).expect("the parts are given back");
    }
    assert!(s.counter(Counter::ThpSplitPage) > 0);
    assert!((0..5).all(|place| s.load(A + place * HUGE + 511 * P) == Ok(place)));
}

/// Each allocation of each operation fails once: nothing is lost and nothing leaks.
#[test]
fn shortage_anywhere_loses_nothing() {
    type Step = fn(&mut System<'_>) -> Result<(), Errno>;
    let fork: Step = |s| {
        let child = s.linux.fork(&mut s.cx, s.process)?;
        s.linux.exit(&mut s.cx, child, Exit::Code(0));
        s.linux.wait(&mut s.cx, s.process, None, Waiting::Poll).map(drop)
    };
    let remap: Step = |s| {
        let args = Mremap { addr: A, old_len: HUGE, new_len: HUGE, flags: 3, new_addr: A + 9 * HUGE };
        s.linux.mremap(&mut s.cx, s.process, &args)?;
        let back = Mremap { addr: A + 9 * HUGE, new_addr: A, ..args };
        s.linux.mremap(&mut s.cx, s.process, &back).map(drop)
    };
    let collapse: Step = |s| advise(s, A + HUGE, HUGE, MADV_COLLAPSE);
    let protect: Step = |s| s.linux.mprotect(&mut s.cx, s.process, A + 7 * P, P, 1);
    let touch: Step = |s| s.store(A + 2 * HUGE, 5).map_err(|_| Errno::ENOMEM);
    for (name, step) in
        [("fork", fork), ("mremap", remap), ("collapse", collapse), ("mprotect", protect), ("touch", touch)]
    {
        let mut refused = 0;
        for n in 1..200 {
            let machine = machine(32 << 20);
            let mut s = with(&machine, HugePages::Always);
            s.warm_up();
            s.anon(A, 512, RW);
            s.store(A + 7 * P, 7).expect("stored");
            s.anon(A + HUGE, 1024, RW);
            advise(&mut s, A + HUGE, HUGE, MADV_NOHUGEPAGE).expect("followed");
            s.store(A + HUGE, 8).expect("stored");
            advise(&mut s, A + HUGE, HUGE, MADV_HUGEPAGE).expect("followed");
            let before = s.count();
            s.linux.frames().fail_after(Some(n));
            let answer = step(&mut s);
            let met = s.counter(Counter::AllocFail) > 0;
            s.linux.frames().fail_after(None);
            refused += u64::from(answer.is_err());
            assert_eq!((s.load(A + 7 * P), s.load(A + HUGE)), (Ok(7), Ok(8)), "{name}, allocation {n}");
            if answer.is_err() && name != "mremap" {
                assert_eq!(s.count(), before, "{name}, allocation {n}: something leaked");
            }
            s.linux.leave(&mut s.cx, s.process);
            s.linux.exit(&mut s.cx, s.process, Exit::Code(0));
            assert_eq!(s.linux.spaces().in_use(), [0; 3], "{name}, allocation {n}");
            if !met && n > 1 {
                break;
            }
        }
        assert!(refused > 0 || name == "touch", "{name} needs memory");
    }
}

fn split_at(s: &mut System<'_>, addr: u64) {
    let space = s.linux.process(s.process).space().expect("alive");
    let page = machine::VirtAddr(addr).page();
    let split = s.linux.spaces().split_folio_at(s.cx.at(), space, page);
    assert_eq!(split, Some(object::Split::Done));
}

#[test]
fn pages_of_a_large_page_leave_memory_and_come_back() {
    let machine = machine(32 << 20);
    let mut s = with(&machine, HugePages::Always);
    s.linux.swapon(&mut s.cx, SwapDevice::Compressed { disk: 0, pages: 1024 }, None).expect("an area");
    s.anon(A, 512, RW);
    for page in 0..512 {
        s.store(A + page * P, page).expect("stored");
    }
    advise(&mut s, A + 100 * P, 8 * P, 21).expect("followed");
    assert_eq!((huge(&s), s.rss()[0]), (0, 504), "it was split, and eight pages went");
    assert_eq!(s.counter(Counter::ThpSplitPage), 1);
    assert!((0..512).all(|page| s.load(A + page * P) == Ok(page)));
    // All of one that was split before, and of one that was not.
    s.anon(A + HUGE, 512, RW);
    s.store(A + HUGE + 9 * P, 9).expect("stored");
    advise(&mut s, A, 2 * HUGE, 21).expect("followed");
    assert_eq!(s.rss()[0], 0);
    assert!((0..512).all(|page| s.load(A + page * P) == Ok(page)));
    assert_eq!((s.load(A + HUGE + 9 * P), s.load(A + HUGE)), (Ok(9), Ok(0)));
    assert_eq!(s.counter(Counter::CowCopied), 0);
}

#[test]
fn a_large_page_that_was_split_is_large_again_after_a_collapse() {
    let machine = machine(32 << 20);
    let mut s = with(&machine, HugePages::Always);
    s.anon(A, 512, RW);
    s.store(A + 9 * P, 9).expect("stored");
    split_at(&mut s, A + 200 * P);
    assert_eq!(huge(&s), 0);
    advise(&mut s, A, HUGE, MADV_COLLAPSE).expect("collapsed");
    assert_eq!((huge(&s), s.load(A + 9 * P)), (512, Ok(9)));
}

#[test]
fn a_large_page_moves_to_another_frame() {
    let machine = machine(32 << 20);
    let mut s = with(&machine, HugePages::Always);
    s.anon(A, 512, RW);
    s.store(A + 9 * P, 9).expect("stored");
    let before = s.touch(A + 9 * P, machine::Access::Read).expect("mapped");
    let space = s.linux.process(s.process).space().expect("alive");
    let page = machine::VirtAddr(A + 9 * P).page();
    let moved = s.linux.spaces().move_page(s.cx.at(), space, page, &frame::Request::user());
    assert!(moved.is_ok_and(|to| to != before.0));
    assert_eq!((s.load(A + 9 * P), s.rss()[0]), (Ok(9), 512));
    assert_eq!((s.counter(Counter::ThpSplitPage), huge(&s)), (0, 512));
}
