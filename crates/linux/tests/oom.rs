//! Memory that is really short: reclaim first, then the largest process dies, and only then.

mod common;

use common::*;
use frame::Id;
use linux::{Config, Errno, Exit, FileRights, Policy, Process, Rlimit, Signal, Waiting};
use machine::{Access, Counter, TaskId};

const P: u64 = PAGE;
const MEMORY: u64 = 16 << 20;
const FRAMES: u64 = MEMORY / P;

fn system(machine: &sim::SimMachine) -> System<'_> {
    System::with(machine, Config::default())
}

/// Stores to fresh pages until a signal comes; answers how many pages it got.
fn fill(system: &mut System<'_>, at: u64, pages: u64) -> Result<u64, (u64, Signal)> {
    system.mmap(at, pages * P, RW, PRIVATE | ANON | FIXED | NORESERVE).map_err(|_| (0, Signal::Kill))?;
    for page in 0..pages {
        system.store(at + page * P, page).map_err(|signal| (page, signal))?;
    }
    Ok(pages)
}

fn child(system: &mut System<'_>) -> Id<Process> {
    system.linux.fork(&mut system.cx, system.process).expect("a child")
}

#[test]
fn the_largest_process_dies_and_the_others_go_on() {
    let machine = machine(MEMORY);
    let mut s = system(&machine);
    let small = s.process;
    let large = child(&mut s);
    s.become_process(large);
    fill(&mut s, BASE, FRAMES * 5 / 8).expect("room");
    s.become_process(small);
    let pages = fill(&mut s, BASE, FRAMES / 2).expect("the large one makes room");
    assert_eq!(s.counter(Counter::OomKill), 1);
    for page in [0, 1, pages / 2, pages - 1] {
        assert_eq!(s.load(BASE + page * P), Ok(page), "what the small one stored");
    }
    // The dead one's memory went without its help; all it can do is to die.
    s.become_process(large);
    assert_eq!(s.rss(), [0, 0, 0]);
    assert_eq!(s.touch(BASE, Access::Read), Err(Signal::Kill));
    assert_eq!(s.mmap(0, P, RW, PRIVATE | ANON), Err(Errno::EINTR));
    assert_eq!(s.linux.munmap(&mut s.cx, large, BASE, P), Err(Errno::EINTR));
    assert_eq!(s.linux.fork(&mut s.cx, large), Err(Errno::EINTR));
    assert_eq!(s.linux.vfork(&mut s.cx, large), Err(Errno::EINTR));
    s.become_process(small);
    s.linux.exit(&mut s.cx, large, Exit::Signal(9));
    let answer = s.linux.wait(&mut s.cx, small, Some(large), Waiting::Poll);
    assert_eq!(answer, Ok(Some((large, Exit::Signal(9)))));
}

#[test]
fn the_process_that_asks_dies_if_it_is_the_largest() {
    let machine = machine(MEMORY);
    let mut s = system(&machine);
    let other = child(&mut s);
    let (pages, signal) = fill(&mut s, BASE, 2 * FRAMES).expect_err("there is not so much");
    assert_eq!(signal, Signal::Kill);
    assert!(pages > FRAMES / 2, "{pages} of {FRAMES}");
    assert_eq!(s.counter(Counter::OomKill), 1);
    assert!(s.free() > FRAMES / 2, "its memory went at once");
    s.become_process(other);
    fill(&mut s, BASE, FRAMES / 4).expect("room again");
    assert_eq!(s.counter(Counter::OomKill), 1);
}

#[test]
fn clean_file_pages_go_before_anybody_dies() {
    let machine = machine(MEMORY);
    let mut s = system(&machine);
    let size = FRAMES / 2 * P;
    let file = s.file(1, size, FileRights::READ);
    let at = s.mmap_file(0, size, READ, PRIVATE, &file, 0).expect("mapped");
    for page in 0..FRAMES / 2 {
        s.load(at + page * P).expect("read");
    }
    let cached = s.linux.objects().file(file.file).cached_pages();
    assert_eq!(cached, FRAMES / 2);
    s.linux.munmap(&mut s.cx, s.process, at, size).expect("unmapped");
    fill(&mut s, BASE, FRAMES * 3 / 4).expect("the cache makes room");
    assert_eq!(s.counter(Counter::OomKill), 0);
    assert!(s.counter(Counter::PgSteal) >= FRAMES / 4, "{}", s.counter(Counter::PgSteal));
}

#[test]
fn mapped_file_pages_are_not_dropped_under_their_users() {
    let machine = machine(MEMORY);
    let mut s = system(&machine);
    let file = s.file(1, 64 * P, FileRights::READ);
    let at = s.mmap_file(0, 64 * P, READ, PRIVATE, &file, 0).expect("mapped");
    let before: Vec<u64> = (0..64).map(|page| s.load(at + page * P).expect("read")).collect();
    let reader = s.process;
    let large = child(&mut s);
    s.become_process(large);
    fill(&mut s, BASE, 2 * FRAMES).expect_err("there is not so much");
    s.become_process(reader);
    let after: Vec<u64> = (0..64).map(|page| s.load(at + page * P).expect("read")).collect();
    assert_eq!(before, after);
}

#[test]
fn a_refusal_by_a_limit_kills_nobody() {
    let machine = machine(MEMORY);
    let mut s = system(&machine);
    fill(&mut s, BASE, FRAMES / 2).expect("room");
    let limit = Rlimit { soft: MEMORY, hard: MEMORY };
    s.linux.prlimit(&mut s.cx, s.process, 9, Some(limit)).expect("lowered");
    assert_eq!(s.mmap(0, 2 * MEMORY, RW, PRIVATE | ANON), Err(Errno::ENOMEM), "RLIMIT_AS");
    assert_eq!(s.mmap(0, 64 * MEMORY, RW, PRIVATE | ANON | NORESERVE), Err(Errno::ENOMEM));
    assert_eq!(s.counter(Counter::OomKill), 0);
}

#[test]
fn without_leave_to_kill_shortage_is_an_error() {
    let machine = machine(MEMORY);
    let mut s = System::with(&machine, Config { shortage: Policy::Reclaim, ..Config::default() });
    let (pages, signal) = fill(&mut s, BASE, 2 * FRAMES).expect_err("there is not so much");
    assert_eq!((signal, s.counter(Counter::OomKill)), (Signal::Kill, 0), "after {pages} pages");
    assert_eq!(s.linux.fork(&mut s.cx, s.process), Err(Errno::ENOMEM));
    // Nothing was lost, and what is given back can be had again.
    assert_eq!(s.load(BASE + P), Ok(1));
    s.linux.madvise(&mut s.cx, s.process, BASE, 64 * P, 4).expect("dropped");
    let child = s.linux.fork(&mut s.cx, s.process).expect("room");
    s.linux.exit(&mut s.cx, child, Exit::Code(0));
}

#[test]
fn a_single_failed_allocation_is_not_noticed() {
    let machine = machine(MEMORY);
    let mut s = system(&machine);
    for n in 1..6 {
        s.linux.frames().fail_after(Some(n));
        let child = s.linux.fork(&mut s.cx, s.process).expect("started again");
        s.linux.frames().fail_after(Some(n));
        s.mmap(0, P, RW, SHARED | ANON).expect("started again");
        s.linux.frames().fail_after(None);
        s.linux.exit(&mut s.cx, child, Exit::Code(0));
        s.linux.wait(&mut s.cx, s.process, None, Waiting::Poll).expect("a zombie");
    }
    assert_eq!(s.counter(Counter::OomKill), 0);
}

#[test]
fn calls_kill_too() {
    let machine = machine(MEMORY);
    let mut s = system(&machine);
    let small = s.process;
    s.anon(BASE, 64, RW);
    let large = child(&mut s);
    s.become_process(large);
    // To the last page, without meeting a shortage itself.
    let mut pages = 0;
    s.mmap(BASE + 4096 * P, FRAMES * P, RW, PRIVATE | ANON | FIXED | NORESERVE).expect("mapped");
    s.linux.set_shortage_policy(Policy::Fail);
    while s.store(BASE + (4096 + pages) * P, 1).is_ok() {
        pages += 1;
    }
    s.linux.set_shortage_policy(Policy::Kill);
    s.become_process(small);
    let mut children = Vec::new();
    while s.counter(Counter::OomKill) == 0 {
        assert!(children.len() < 2000, "nobody dies");
        children.push(child(&mut s));
    }
    assert_eq!(s.touch(BASE, Access::Write).map(drop), Ok(()));
    s.become_process(large);
    assert_eq!(s.touch(BASE + 4096 * P, Access::Read), Err(Signal::Kill));
}

#[test]
fn locked_memory_of_the_dead_goes_too() {
    let machine = machine(MEMORY);
    let (linux, mut cx) = build(&machine, Config::default());
    let unlimited = [(linux::Resource::Memlock, Rlimit::UNLIMITED)];
    let process = linux.first_process_with(&mut cx, &unlimited).expect("a process");
    linux.attach(&mut cx, process, TaskId(0)).expect("a task");
    linux.enter(&mut cx, process);
    let mut s = System { machine: &machine, linux, cx, process };
    let free = s.free();
    let at = s.mmap(0, FRAMES / 2 * P, RW, PRIVATE | ANON | LOCKED).expect("locked");
    assert!(s.rss()[0] >= FRAMES / 2);
    let (_, signal) = fill(&mut s, at - 2 * MEMORY, FRAMES).expect_err("there is not so much");
    assert_eq!(signal, Signal::Kill);
    assert!(s.free() + 64 > free, "{} of {free} frames are free", s.free());
}

#[test]
fn many_deaths_in_a_row_leak_nothing() {
    let machine = machine(MEMORY);
    let mut s = system(&machine);
    s.warm_up();
    let parent = s.process;
    let mut free = Vec::new();
    for _ in 0..4 {
        let child = child(&mut s);
        s.become_process(child);
        fill(&mut s, BASE, 2 * FRAMES).expect_err("there is not so much");
        s.become_process(parent);
        s.linux.exit(&mut s.cx, child, Exit::Signal(9));
        s.linux.wait(&mut s.cx, parent, None, Waiting::Poll).expect("a zombie");
        free.push(s.free());
    }
    assert_eq!(s.counter(Counter::OomKill), 4);
    assert!(free.windows(2).all(|pair| pair[0] == pair[1]), "{free:?}");
}
