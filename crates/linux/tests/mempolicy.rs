//! Memory policies: where new pages come from, and where pages are moved.

mod common;

use common::*;
use linux::{Errno, MovePages};
use sim::{SimConfig, SimMachine};

const DEFAULT: u64 = 0;
const PREFERRED: u64 = 1;
const BIND: u64 = 2;
const INTERLEAVE: u64 = 3;
const STRICT: u64 = 1;
const MOVE: u64 = 2;

/// Two nodes; the program runs on node 0.
fn nodes() -> SimMachine {
    let config =
        SimConfig { cpus: 2, nodes: 2, memory_bytes: 32 << 20, tasks_max: 8, ..SimConfig::default() };
    SimMachine::new(&config).expect("a machine")
}

fn where_are(system: &mut System<'_>, addr: u64, count: u64) -> Vec<i32> {
    let pages: Vec<u64> = (0..count).map(|page| addr + page * PAGE).collect();
    let mut status = vec![77; pages.len()];
    let args = MovePages { pages: &pages, nodes: None, status: &mut status, flags: 0 };
    system.linux.move_pages(&mut system.cx, system.process, args).expect("told");
    status
}

fn fill(system: &mut System<'_>, addr: u64, count: u64) {
    (0..count).for_each(|page| system.store(addr + page * PAGE, page + 1).expect("stored"));
}

fn mbind(system: &mut System<'_>, range: (u64, u64), policy: (u64, u64), flags: u64) -> Result<(), Errno> {
    system.linux.mbind(&mut system.cx, system.process, range, policy, flags)
}

#[test]
fn new_pages_come_from_where_the_mapping_says() {
    for (mode, mask, expected) in [
        (DEFAULT, 0, [0, 0, 0, 0]),
        (PREFERRED, 2, [1, 1, 1, 1]),
        (PREFERRED, 0, [0, 0, 0, 0]),
        (BIND, 2, [1, 1, 1, 1]),
        (BIND, 3, [0, 0, 0, 0]),
        (INTERLEAVE, 3, [0, 1, 0, 1]),
    ] {
        let machine = nodes();
        let mut system = System::new(&machine);
        system.anon(BASE, 4, RW);
        assert_eq!(mbind(&mut system, (BASE, 4 * PAGE), (mode, mask), 0), Ok(()));
        fill(&mut system, BASE, 4);
        assert_eq!(where_are(&mut system, BASE, 4), expected, "mode {mode}, nodes {mask:#b}");
    }
}

#[test]
fn a_mapping_with_a_policy_of_its_own_is_one_of_its_own() {
    let machine = nodes();
    let mut system = System::new(&machine);
    system.anon(BASE, 6, RW);
    assert_eq!(mbind(&mut system, (BASE + 2 * PAGE, 2 * PAGE), (BIND, 2), 0), Ok(()));
    assert_eq!(system.picture(), ["0..2 rw-", "2..4 rw-", "4..6 rw-"]);
    fill(&mut system, BASE, 6);
    assert_eq!(where_are(&mut system, BASE, 6), [0, 0, 1, 1, 0, 0]);
    assert_eq!(mbind(&mut system, (BASE + 2 * PAGE, 2 * PAGE), (DEFAULT, 0), 0), Ok(()));
    assert_eq!(system.picture(), ["0..6 rw-"]);
    assert_eq!(where_are(&mut system, BASE, 6), [0, 0, 1, 1, 0, 0], "what is there stays");
}

#[test]
fn the_process_s_policy_speaks_where_no_other_does_and_is_inherited() {
    let machine = nodes();
    let mut system = System::new(&machine);
    system.anon(BASE, 2, RW);
    assert_eq!(mbind(&mut system, (BASE, PAGE), (BIND, 1), 0), Ok(()));
    assert_eq!(system.linux.set_mempolicy(&mut system.cx, system.process, BIND, 2), Ok(()));
    let child = system.linux.fork(&mut system.cx, system.process).expect("a child");
    system.become_process(child);
    fill(&mut system, BASE, 2);
    assert_eq!(where_are(&mut system, BASE, 2), [0, 1]);
}

#[test]
fn misplaced_pages_are_moved_or_told_of() {
    let machine = nodes();
    let mut system = System::new(&machine);
    system.anon(BASE, 4, RW);
    fill(&mut system, BASE, 4);
    let all = (BASE, 4 * PAGE);
    assert_eq!(mbind(&mut system, (BASE, 2 * PAGE), (BIND, 2), STRICT), Err(Errno::EIO));
    assert_eq!(system.picture(), ["0..4 rw-"], "the policy is as it was");
    assert_eq!(
        mbind(&mut system, (BASE, 5 * PAGE), (BIND, 2), STRICT),
        Err(Errno::EFAULT),
        "the hole is met first"
    );
    assert_eq!(mbind(&mut system, all, (DEFAULT, 0), STRICT), Ok(()));
    assert_eq!(mbind(&mut system, (BASE, 5 * PAGE), (DEFAULT, 0), 0), Ok(()), "holes may have no policy");
    assert_eq!(mbind(&mut system, all, (INTERLEAVE, 3), STRICT), Ok(()), "only the nodes count");
    assert_eq!(mbind(&mut system, all, (BIND, 2), STRICT | MOVE), Ok(()));
    assert_eq!(where_are(&mut system, BASE, 4), [1, 1, 1, 1]);
    assert_eq!(mbind(&mut system, all, (INTERLEAVE, 3), MOVE), Ok(()));
    assert_eq!(where_are(&mut system, BASE, 4), [0, 1, 0, 1]);
    (0..4).for_each(|page| assert_eq!(system.load(BASE + page * PAGE), Ok(page + 1)));
    assert_eq!(system.linux.migrate_pages(&mut system.cx, system.process, 1, 2), Ok(0));
    assert_eq!(where_are(&mut system, BASE, 4), [1, 1, 1, 1]);
    assert_eq!(system.rss(), [4, 0, 0]);
}

#[test]
fn a_bound_program_gets_nothing_from_elsewhere() {
    let machine = nodes();
    let mut system = System::new(&machine);
    let pages = 8 << 20 >> 12;
    system.anon(BASE, 2 * pages, RW);
    assert_eq!(mbind(&mut system, (BASE, 2 * pages * PAGE), (BIND, 2), 0), Ok(()));
    let mut stored = 0;
    while system.store(BASE + stored * PAGE, 1).is_ok() && stored < 2 * pages - 1 {
        stored += 1;
    }
    let found = where_are(&mut system, BASE, stored);
    assert!(found.iter().all(|&node| node == 1), "{stored} pages, some elsewhere");
}

#[test]
fn nonsense_is_refused() {
    let machine = nodes();
    let mut system = System::new(&machine);
    system.anon(BASE, 1, RW);
    for (range, policy, flags, error) in [
        ((BASE + 1, PAGE), (BIND, 1), 0, Errno::EINVAL),
        ((BASE, PAGE), (BIND, 0), 0, Errno::EINVAL),
        ((BASE, PAGE), (BIND, 4), 0, Errno::EINVAL),
        ((BASE, PAGE), (DEFAULT, 1), 0, Errno::EINVAL),
        ((BASE, PAGE), (9, 1), 0, Errno::EINVAL),
        ((BASE, 0), (9, 1), 0, Errno::EINVAL),
        ((BASE, u64::MAX - PAGE), (BIND, 1), 0, Errno::EINVAL),
        ((BASE, PAGE), (BIND, 1), 8, Errno::EINVAL),
        ((BASE, 2 * PAGE), (BIND, 1), 0, Errno::EFAULT),
    ] {
        assert_eq!(mbind(&mut system, range, policy, flags), Err(error), "{range:?} {policy:?} {flags}");
    }
    assert_eq!(system.linux.migrate_pages(&mut system.cx, system.process, 1, 0), Err(Errno::EINVAL));
    assert_eq!(system.linux.migrate_pages(&mut system.cx, system.process, 1, 8), Err(Errno::EINVAL));
}

#[test]
fn nothing_is_bound_to_whatever() {
    let machine = nodes();
    let mut system = System::new(&machine);
    for len in [0, u64::MAX] {
        for policy in [(BIND, 0), (DEFAULT, 1), (BIND, 1)] {
            assert_eq!(mbind(&mut system, (BASE, len), policy, 0), Ok(()), "{len} {policy:?}");
        }
    }
}

/// Linux: node_remap() of sets that differ in size would move pages round among the nodes they are to be on.
#[test]
fn pages_stay_on_nodes_they_are_to_be_on() {
    let config =
        SimConfig { cpus: 3, nodes: 3, memory_bytes: 48 << 20, tasks_max: 8, ..SimConfig::default() };
    let machine = SimMachine::new(&config).expect("a machine");
    let mut system = System::new(&machine);
    system.anon(BASE, 3, RW);
    for node in 0..3 {
        assert_eq!(mbind(&mut system, (BASE + node * PAGE, PAGE), (BIND, 1 << node), 0), Ok(()));
    }
    fill(&mut system, BASE, 3);
    let process = system.process;
    assert_eq!(system.linux.migrate_pages(&mut system.cx, process, 0b111, 0b110), Ok(0));
    assert_eq!(where_are(&mut system, BASE, 3), [1, 1, 2]);
    assert_eq!(system.linux.migrate_pages(&mut system.cx, process, 0b110, 0b011), Ok(0));
    assert_eq!(where_are(&mut system, BASE, 3), [0, 0, 1], "of equal size: each to its own");
}

#[test]
fn what_is_used_from_elsewhere_twice_comes_there() {
    use machine::Counter;
    let machine = nodes();
    let mut system = System::new(&machine);
    system.anon(BASE, 1, RW);
    assert_eq!(mbind(&mut system, (BASE, PAGE), (PREFERRED, 2), 0), Ok(()));
    fill(&mut system, BASE, 1);
    assert_eq!(mbind(&mut system, (BASE, PAGE), (DEFAULT, 0), 0), Ok(()));
    for (uses, node) in [(1, 1), (2, 0), (3, 0)] {
        let hinted = system.linux.hint_numa(&mut system.cx, system.process, BASE, PAGE);
        assert_eq!(hinted, Ok(1));
        system.store(BASE, 5).expect("stored");
        assert_eq!(where_are(&mut system, BASE, 1), [node], "after {uses} uses");
        assert_eq!(system.counter(Counter::NumaHintFaults), uses);
    }
    assert_eq!(system.counter(Counter::NumaPagesMigrated), 1);
    assert_eq!(system.counter(Counter::NumaHintFaultsLocal), 1);
    assert_eq!(system.counter(Counter::CowCopied), 0);
    assert_eq!(system.load(BASE), Ok(5));
}

const HUGE: u64 = 2 << 20;
/// Aligned to 2 MiB.
const LARGE: u64 = 1 << 30;

/// Maps 2 MiB pages on a node, and lets the mapping have no policy then.
fn large(system: &mut System<'_>, count: u64, nodes: u64) {
    system.anon(LARGE, count * 512, RW);
    let all = (LARGE, count * HUGE);
    system.linux.madvise(&mut system.cx, system.process, all.0, all.1, 14).expect("followed");
    assert_eq!(mbind(system, all, (BIND, nodes), 0), Ok(()));
    (0..count).for_each(|i| system.store(LARGE + i * HUGE + 7 * PAGE, i + 1).expect("stored"));
    assert_eq!(mbind(system, all, (DEFAULT, 0), 0), Ok(()));
}

fn mapped_whole(system: &System<'_>) -> u64 {
    system.linux.spaces().stats(system.linux.process(system.process).space().expect("alive")).anon_huge / 512
}

#[test]
fn large_pages_move_whole_and_take_turns_as_such() {
    use machine::Counter;
    let machine = nodes();
    let mut system = System::new(&machine);
    large(&mut system, 2, 1);
    let each = |system: &mut System<'_>| [0, HUGE].map(|at| where_are(system, LARGE + at, 512));
    assert_eq!(each(&mut system), [vec![0; 512], vec![0; 512]]);
    assert_eq!(mbind(&mut system, (LARGE, 2 * HUGE), (INTERLEAVE, 3), MOVE), Ok(()));
    let turns = each(&mut system);
    assert_eq!(turns, [vec![0; 512], vec![1; 512]], "one to each node, not one page to each");
    assert_eq!(system.counter(Counter::ThpMigrationSuccess), 1);
    let mut status = [77; 1];
    let args = MovePages { pages: &[LARGE + 9 * PAGE], nodes: Some(&[1]), status: &mut status, flags: MOVE };
    assert_eq!(system.linux.move_pages(&mut system.cx, system.process, args), Ok(0));
    assert_eq!(each(&mut system), [vec![1; 512], vec![1; 512]], "all of it goes");
    assert_eq!(mapped_whole(&system), 2);
    assert_eq!(system.counter(Counter::PgMigrateSuccess), 1024);
    assert_eq!(system.linux.migrate_pages(&mut system.cx, system.process, 2, 1), Ok(0));
    assert_eq!(each(&mut system), [vec![0; 512], vec![0; 512]]);
    assert_eq!((system.load(LARGE + 7 * PAGE), system.load(LARGE + HUGE + 7 * PAGE)), (Ok(1), Ok(2)));
    // Mapped by pages it goes whole, too: its pages are nobody else's.
    system.linux.mprotect(&mut system.cx, system.process, LARGE, PAGE, 1).expect("protected");
    assert_eq!(mapped_whole(&system), 1);
    assert_eq!(mbind(&mut system, (LARGE, HUGE), (BIND, 2), MOVE | STRICT), Ok(()));
    assert_eq!(where_are(&mut system, LARGE, 512), vec![1; 512]);
    assert_eq!(system.counter(Counter::ThpSplitPage), 0);
    system.store(LARGE + 7 * PAGE, 3).expect("stored");
    assert_eq!((system.load(LARGE + 7 * PAGE), system.counter(Counter::CowCopied)), (Ok(3), 0));
}

#[test]
fn a_large_page_that_is_used_from_elsewhere_twice_comes_there_whole() {
    use machine::Counter;
    let machine = nodes();
    let mut system = System::new(&machine);
    large(&mut system, 1, 2);
    for (uses, node) in [(1, 1), (2, 0), (3, 0)] {
        let hinted = system.linux.hint_numa(&mut system.cx, system.process, LARGE, HUGE);
        assert_eq!(hinted, Ok(512));
        system.store(LARGE + uses * PAGE, 5).expect("stored");
        assert_eq!(where_are(&mut system, LARGE, 512), vec![node; 512], "after {uses} uses");
    }
    assert_eq!(mapped_whole(&system), 1);
    assert_eq!(system.counter(Counter::NumaHintFaults), 3);
    assert_eq!(system.counter(Counter::NumaHugePteUpdates), 3);
    assert_eq!(system.counter(Counter::NumaPagesMigrated), 512);
    assert_eq!(system.counter(Counter::CowCopied), 0);
    assert_eq!(system.load(LARGE + 7 * PAGE), Ok(1));
    // Without a block on the node it stays, and stays whole (Linux splits nothing for balancing).
    assert_eq!(mbind(&mut system, (LARGE, HUGE), (BIND, 2), MOVE), Ok(()));
    assert_eq!(mbind(&mut system, (LARGE, HUGE), (DEFAULT, 0), 0), Ok(()));
    let here = frame::Request::user().only(machine::NodeId(0)).order(machine::HUGE_ORDER);
    while system.linux.frames().allocate_user(system.cx.at(), &here).is_ok() {}
    for _ in 0..3 {
        system.linux.hint_numa(&mut system.cx, system.process, LARGE, HUGE).expect("hinted");
        system.store(LARGE, 6).expect("stored");
    }
    assert_eq!((mapped_whole(&system), where_are(&mut system, LARGE, 1)), (1, vec![1]));
}
