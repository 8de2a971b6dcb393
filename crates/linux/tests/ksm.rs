//! Same-page merging as programs and administrators see it.

mod common;

use common::*;
use frame::Id;
use linux::{Errno, Exit, KsmReport, KsmRun, KsmSettings, Process};
use sim::SimMachine;

const P: u64 = PAGE;
const MERGEABLE: u64 = 12;
const UNMERGEABLE: u64 = 13;

/// Pages with few contents, by number: every third page is the same.
fn content(page: u64) -> u64 {
    100 + page % 3
}

fn fill(s: &mut System<'_>, pages: u64, content: fn(u64) -> u64) {
    s.anon(BASE, pages, RW);
    for page in 0..pages {
        s.store(BASE + page * P, content(page)).expect("stored");
    }
    s.linux.madvise(&mut s.cx, s.process, BASE, pages * P, MERGEABLE).expect("advice");
}

fn expect(s: &mut System<'_>, pages: u64, content: impl Fn(u64) -> u64) {
    for page in 0..pages {
        assert_eq!(s.load(BASE + page * P), Ok(content(page)), "page {page}");
    }
}

/// Passes, until nothing changes any more.
fn scan(s: &mut System<'_>) -> KsmReport {
    for _ in 0..3 {
        s.linux.ksm_scan(&mut s.cx, u64::MAX);
    }
    s.linux.ksm_report(&mut s.cx)
}

/// Programs of their own, with equal pages.
fn programs(s: &mut System<'_>, count: usize, pages: u64) -> Vec<Id<Process>> {
    (0..count)
        .map(|_| {
            let process = s.linux.first_process(&mut s.cx).expect("a process");
            s.become_process(process);
            fill(s, pages, content);
            process
        })
        .collect()
}

fn system(machine: &SimMachine) -> System<'_> {
    let mut s = System::new(machine);
    s.warm_up();
    s
}

fn show(s: &mut System<'_>, file: &str) -> String {
    let mut text = String::new();
    s.linux.ksm_show(&mut s.cx, file, &mut text).expect("shown");
    text.trim_end().to_string()
}

#[test]
fn equal_pages_of_many_processes_cost_one_frame() {
    let machine = machine(64 << 20);
    let mut s = system(&machine);
    let all = programs(&mut s, 5, 30);
    let before = s.free();
    let report = scan(&mut s);
    assert_eq!((report.totals.shared, report.totals.sharing), (3, 5 * 30 - 3));
    // What merging itself remembers takes a few frames of slabs.
    assert!(s.free() >= before + 5 * 30 - 3 - 8, "{} frames were free, {} are", before, s.free());
    for &process in &all {
        s.become_process(process);
        expect(&mut s, 30, content);
        assert_eq!(s.rss()[0], 30);
    }
    // Every store goes to a copy, and nobody else sees it.
    s.become_process(all[0]);
    for page in 0..30 {
        s.store(BASE + page * P, 1000 + page).expect("stored");
    }
    expect(&mut s, 30, |page| 1000 + page);
    s.become_process(all[4]);
    expect(&mut s, 30, content);
    assert_eq!(s.counter(machine::Counter::CowKsm), 30);
    assert_eq!(scan(&mut s).totals.sharing, 4 * 30 - 3);
}

#[test]
fn families_keep_what_was_merged() {
    let machine = machine(64 << 20);
    let mut s = system(&machine);
    let parent = s.process;
    fill(&mut s, 9, content);
    assert_eq!(scan(&mut s).totals.shared, 3);
    let child = s.linux.fork(&mut s.cx, parent).expect("a child");
    assert_eq!(s.linux.ksm_report(&mut s.cx).totals.sharing, 18 - 3);
    s.store(BASE, 7).expect("stored");
    s.linux.munmap(&mut s.cx, parent, BASE + 8 * P, P).expect("unmapped");
    s.become_process(child);
    expect(&mut s, 9, content);
    s.linux.exit(&mut s.cx, parent, Exit::Code(0));
    assert_eq!(scan(&mut s).totals.sharing, 9 - 3);
    expect(&mut s, 9, content);
    s.linux.leave(&mut s.cx, child);
    s.linux.exit(&mut s.cx, child, Exit::Code(0));
    s.linux.ksm_forget(&mut s.cx);
    let census = s.linux.objects().census();
    assert_eq!((census.merge_nodes, census.merge_items, census.lineages), (0, 0, 0));
}

/// Who asks for a family by the number that a page still has must not be told that it is there.
#[test]
fn a_family_that_merged_pages_kept_is_gone_with_them() {
    let machine = machine(64 << 20);
    let mut s = system(&machine);
    fill(&mut s, 9, content);
    assert_eq!(scan(&mut s).totals.shared, 3);
    let space = s.linux.process(s.process).space().expect("a space");
    let family = s.linux.spaces().lineage_of(space).expect("a family");
    s.linux.leave(&mut s.cx, s.process);
    s.linux.exit(&mut s.cx, s.process, Exit::Code(0));
    assert_eq!(s.linux.objects().lineage(family).quiet_holds(), 1, "merged pages name it");
    s.linux.ksm_forget(&mut s.cx);
    assert_eq!(s.linux.objects().census().lineages, 0);
    assert_eq!(s.linux.objects().lineage(family).quiet_holds(), 0);
}

#[test]
fn pages_of_zeros_are_the_page_of_zeros() {
    let machine = machine(64 << 20);
    let mut s = system(&machine);
    s.linux.ksm_store(&mut s.cx, "use_zero_pages", "1\n").expect("set");
    fill(&mut s, 8, |_| 0);
    let report = scan(&mut s);
    assert_eq!((report.totals.zero_pages, report.totals.shared, s.rss()[0]), (8, 0, 0));
    expect(&mut s, 8, |_| 0);
    s.store(BASE, 5).expect("stored");
    s.linux.munmap(&mut s.cx, s.process, BASE + 7 * P, P).expect("unmapped");
    assert_eq!(s.linux.ksm_report(&mut s.cx).totals.zero_pages, 6);
    let child = s.linux.fork(&mut s.cx, s.process).expect("a child");
    assert_eq!(s.linux.ksm_report(&mut s.cx).totals.zero_pages, 12);
    s.linux.exit(&mut s.cx, child, Exit::Code(0));
    s.linux.madvise(&mut s.cx, s.process, BASE, 7 * P, UNMERGEABLE).expect("parted");
    assert_eq!((s.linux.ksm_report(&mut s.cx).totals.zero_pages, s.rss()[0]), (0, 7));
}

#[test]
fn what_may_not_be_merged_any_more_is_parted() {
    let machine = machine(64 << 20);
    let mut s = system(&machine);
    fill(&mut s, 12, content);
    scan(&mut s);
    s.linux.mprotect(&mut s.cx, s.process, BASE, 6 * P, 0).expect("no rights");
    s.linux.madvise(&mut s.cx, s.process, BASE, 6 * P, UNMERGEABLE).expect("parted");
    assert_eq!(s.linux.ksm_report(&mut s.cx).totals.sharing, 6 - 3);
    assert_eq!(scan(&mut s).totals.sharing, 6 - 3);
    let parted = KsmSettings { run: KsmRun::Unmerge, ..s.linux.ksm_settings() };
    s.linux.ksm_set(&mut s.cx, &parted).expect("all parted");
    assert_eq!(s.linux.ksm_report(&mut s.cx).totals.shared, 0);
    s.linux.mprotect(&mut s.cx, s.process, BASE, 6 * P, RW).expect("rights");
    expect(&mut s, 12, content);
    for page in 0..12 {
        s.store(BASE + page * P, page).expect("stored");
    }
    expect(&mut s, 12, |page| page);
}

#[test]
fn a_merged_page_has_only_so_many_mappings() {
    let machine = machine(64 << 20);
    let mut s = system(&machine);
    s.linux.ksm_store(&mut s.cx, "max_page_sharing", "4").expect("set");
    fill(&mut s, 12, |_| 9);
    let totals = scan(&mut s).totals;
    assert_eq!((totals.shared, totals.sharing, totals.chains, totals.dups), (3, 9, 1, 3));
    expect(&mut s, 12, |_| 9);
    assert_eq!(s.linux.ksm_store(&mut s.cx, "max_page_sharing", "8"), Err(Errno::EBUSY));
}

#[test]
fn files_show_and_take_what_linux_does() {
    let machine = machine(64 << 20);
    let mut s = system(&machine);
    assert_eq!(s.linux.ksm_step(&mut s.cx), 0, "it is stopped at first");
    for (file, text) in [("pages_to_scan", "7"), ("sleep_millisecs", "50"), ("run", "1")] {
        s.linux.ksm_store(&mut s.cx, file, text).expect("set");
        assert_eq!(show(&mut s, file), text);
    }
    fill(&mut s, 9, content);
    assert_eq!([(); 3].map(|()| s.linux.ksm_step(&mut s.cx)), [7, 2, 7], "a step ends with its pass");
    for file in linux::sys::ksm::FILES {
        assert!(show(&mut s, file).parse::<i64>().is_ok(), "{file}");
    }
    for (file, text) in [
        ("run", "3"),
        ("run", ""),
        ("pages_shared", "1"),
        ("max_page_sharing", "1"),
        ("merge_across_nodes", "2"),
        ("x", "1"),
    ] {
        assert_eq!(s.linux.ksm_store(&mut s.cx, file, text), Err(Errno::EINVAL), "{file}");
    }
}

#[test]
fn a_process_may_merge_all_it_has() {
    let machine = machine(64 << 20);
    let mut s = system(&machine);
    s.anon(BASE, 4, RW);
    s.linux.set_memory_merge(&mut s.cx, s.process, 1, [0; 3]).expect("on");
    s.anon(BASE + 8 * P, 4, RW);
    for page in [0, 1, 8, 9] {
        s.store(BASE + page * P, 5).expect("stored");
    }
    assert_eq!(scan(&mut s).totals.sharing, 3);
    assert_eq!(s.linux.memory_merge(s.process, [0; 4]), Ok(true));
    s.linux.set_memory_merge(&mut s.cx, s.process, 0, [0; 3]).expect("off");
    assert_eq!(scan(&mut s).totals.shared, 0);
    assert_eq!(s.linux.set_memory_merge(&mut s.cx, s.process, 1, [1, 0, 0]), Err(Errno::EINVAL));
}

/// Whatever allocation fails while pages are merged, bytes stay right and nothing is lost.
#[test]
fn a_shortage_in_every_step_leaves_pages_unmerged() {
    for n in 1..40 {
        let machine = machine(64 << 20);
        let mut s = System::new(&machine);
        fill(&mut s, 9, content);
        s.linux.ksm_scan(&mut s.cx, u64::MAX);
        s.linux.frames().fail_after(Some(n));
        s.linux.ksm_scan(&mut s.cx, u64::MAX);
        s.linux.frames().fail_after(None);
        expect(&mut s, 9, content);
        assert_eq!(scan(&mut s).totals.sharing, 9 - 3, "refused: {n}");
        s.linux.frames().fail_after(Some(n));
        let parted = s.linux.madvise(&mut s.cx, s.process, BASE, 9 * P, UNMERGEABLE);
        s.linux.frames().fail_after(None);
        assert!(matches!(parted, Ok(()) | Err(Errno::EAGAIN)), "{parted:?}");
        expect(&mut s, 9, content);
        s.linux.madvise(&mut s.cx, s.process, BASE, 9 * P, UNMERGEABLE).expect("parted");
        assert_eq!(s.linux.ksm_report(&mut s.cx).totals.shared, 0);
    }
}

/// Two pages of one large page, and of another: each is split when something is found to merge with.
#[test]
fn parts_of_large_pages_are_merged() {
    use machine::Counter;
    const HUGE: u64 = 2 << 20;
    let machine = machine(64 << 20);
    let mut s = system(&machine);
    s.linux.spaces().set_huge_pages(space::HugePages::Always);
    let at = |block: u64| (1 << 30) + 2 * block * HUGE;
    for block in 0..2 {
        s.anon(at(block), 512, RW);
        for page in 0..512 {
            s.store(at(block) + page * P, 1 + page + 1000 * block).expect("stored");
        }
    }
    for (block, page) in [(0, 100), (0, 300), (1, 7)] {
        s.store(at(block) + page * P, 7777).expect("stored");
    }
    s.linux.ksm_scan(&mut s.cx, u64::MAX);
    s.linux.madvise(&mut s.cx, s.process, at(0), HUGE, MERGEABLE).expect("advice");
    s.linux.madvise(&mut s.cx, s.process, at(1), HUGE, MERGEABLE).expect("advice");
    s.linux.ksm_scan(&mut s.cx, u64::MAX);
    assert_eq!(s.counter(Counter::ThpSplitPage), 0, "nothing was found so far");
    let report = scan(&mut s);
    assert_eq!((report.totals.shared, report.totals.sharing), (1, 2));
    assert_eq!(s.counter(Counter::ThpSplitPage), 2);
    assert_eq!(s.counter(Counter::ThpSplitPageFailed), 0);
    for (block, page) in [(0, 100), (0, 300), (1, 7)] {
        assert_eq!(s.load(at(block) + page * P), Ok(7777));
    }
    assert_eq!(s.load(at(1) + 8 * P), Ok(1009));
    s.store(at(0) + 100 * P, 5).expect("stored");
    assert_eq!((s.load(at(0) + 300 * P), s.counter(Counter::CowKsm)), (Ok(7777), 1));
    assert_eq!(machine.violations(), []);
}

/// A merged page moves with all its mappings, in all families; what names it follows.
#[test]
fn merged_pages_move() {
    use linux::MovePages;
    let config =
        sim::SimConfig { cpus: 2, nodes: 2, memory_bytes: 64 << 20, tasks_max: 8, ..Default::default() };
    let machine = SimMachine::new(&config).expect("a machine");
    let mut s = system(&machine);
    let all = programs(&mut s, 3, 6);
    let child = s.linux.fork(&mut s.cx, all[2]).expect("a child");
    assert_eq!(scan(&mut s).totals.shared, 3);
    let where_to = |s: &mut System<'_>, flags| {
        let mut status = [77];
        let args = MovePages { pages: &[BASE], nodes: Some(&[1]), status: &mut status, flags };
        s.linux.move_pages(&mut s.cx, s.process, args).expect("called");
        status[0]
    };
    assert_eq!(where_to(&mut s, 2), -Errno::EACCES.number(), "others have it, too");
    assert_eq!(where_to(&mut s, 4), 1);
    for &process in all.iter().chain([&child]) {
        s.become_process(process);
        expect(&mut s, 6, content);
        assert_eq!(where_to(&mut s, 4), 1, "it is there for all of them");
    }
    assert_eq!(s.counter(machine::Counter::PgMigrateSuccess), 1);
    assert_eq!(scan(&mut s).totals.sharing, 4 * 6 - 3);
    // What is equal to it is merged with it, where it is.
    s.store(BASE, 5).expect("stored");
    s.store(BASE, content(0)).expect("stored");
    assert_eq!(scan(&mut s).totals.sharing, 4 * 6 - 3);
    s.store(BASE, 5).expect("stored");
    s.become_process(all[0]);
    expect(&mut s, 6, content);
    s.linux.compact_memory(&mut s.cx);
    expect(&mut s, 6, content);
    s.linux.madvise(&mut s.cx, all[0], BASE, 6 * P, UNMERGEABLE).expect("advice");
    expect(&mut s, 6, content);
    assert_eq!(machine.violations(), []);
}

/// Each node's pages are merged among themselves, and what moved away is not met any more.
#[test]
fn pages_of_different_nodes_stay_apart_if_that_is_wanted() {
    use linux::MovePages;
    let config =
        sim::SimConfig { cpus: 2, nodes: 2, memory_bytes: 64 << 20, tasks_max: 8, ..Default::default() };
    let machine = SimMachine::new(&config).expect("a machine");
    let mut s = system(&machine);
    s.linux.ksm_store(&mut s.cx, "merge_across_nodes", "0").expect("set");
    fill(&mut s, 8, |_| 5);
    let move_to = |s: &mut System<'_>, page: u64, node: i32| {
        let mut status = [77];
        let args =
            MovePages { pages: &[BASE + page * P], nodes: Some(&[node]), status: &mut status, flags: 4 };
        s.linux.move_pages(&mut s.cx, s.process, args).expect("called");
        assert_eq!(status, [node]);
    };
    (0..4).for_each(|page| move_to(&mut s, page, 1));
    let report = scan(&mut s);
    assert_eq!((report.totals.shared, report.totals.sharing), (2, 6), "one page on each node");
    assert_eq!(s.linux.ksm_store(&mut s.cx, "merge_across_nodes", "1"), Err(Errno::EBUSY));
    // The page of one node goes to the other: new ones are not merged with it.
    move_to(&mut s, 0, 0);
    s.store(BASE + 7 * P, 6).expect("stored");
    s.store(BASE + 7 * P, 5).expect("stored");
    assert_eq!(scan(&mut s).totals.sharing, 6);
    expect(&mut s, 8, |_| 5);
    s.linux.ksm_store(&mut s.cx, "run", "2").expect("parted");
    s.linux.ksm_store(&mut s.cx, "merge_across_nodes", "1").expect("set");
    assert_eq!(scan(&mut s).totals.shared, 1);
    assert_eq!(machine.violations(), []);
}

/// A merged page in the Movable zone that is to be read for long is copied to where it may stay.
#[test]
fn merged_pages_are_parted_for_long_pins() {
    use fault::How;
    use object::Held;
    let machine = machine(64 << 20);
    let zones = frame::Config { movable_percent: 50, ..frame::Config::default() };
    let mut s = System::with_frames(&machine, &zones);
    fill(&mut s, 6, content);
    assert_eq!(scan(&mut s).totals.shared, 3);
    let how = How::pin(machine::Access::Read).long();
    let mut held = [Held::Nothing];
    let page = machine::VirtAddr(BASE).page();
    assert_eq!(s.linux.hold_pages(&mut s.cx, s.process, (page, how), &mut held), Ok(1));
    let frame = held[0].frame().expect("a frame").0;
    assert_ne!(s.linux.frames().descriptor(frame).zone(&s.cx), frame::ZoneKind::Movable);
    expect(&mut s, 6, content);
    s.linux.release_page(&mut s.cx, held[0]);
}
