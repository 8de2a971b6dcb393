//! `move_pages` as its manual and Linux's selftests have it.

mod common;

use common::*;
use linux::{Errno, FileRights, MovePages};
use machine::Access;
use sim::{SimConfig, SimMachine};

const MOVE: u64 = 2;
const MOVE_ALL: u64 = 4;

/// Two nodes of 16 MiB, with a CPU each; the program runs on node 0.
fn nodes() -> SimMachine {
    let config =
        SimConfig { cpus: 2, nodes: 2, memory_bytes: 32 << 20, tasks_max: 8, ..SimConfig::default() };
    SimMachine::new(&config).expect("a machine")
}

fn move_to(
    system: &mut System<'_>,
    pages: &[u64],
    nodes: Option<&[i32]>,
    flags: u64,
) -> (Result<u64, Errno>, Vec<i32>) {
    let mut status = vec![77; pages.len()];
    let args = MovePages { pages, nodes, status: &mut status, flags };
    (system.linux.move_pages(&mut system.cx, system.process, args), status)
}

#[test]
fn pages_are_found_and_moved() {
    let machine = nodes();
    let mut system = System::new(&machine);
    system.anon(BASE, 4, RW);
    for page in 0..2 {
        system.store(BASE + page * PAGE, page + 1).expect("stored");
    }
    assert_eq!(system.load(BASE + 2 * PAGE), Ok(0), "the page of zeros");
    let pages = [BASE, BASE + PAGE, BASE + 2 * PAGE, BASE + 3 * PAGE, BASE + 9 * PAGE];
    let (efault, enoent) = (-Errno::EFAULT.number(), -Errno::ENOENT.number());
    let there = vec![0, 0, efault, enoent, efault];
    assert_eq!(move_to(&mut system, &pages, None, 0), (Ok(0), there));
    let moved = move_to(&mut system, &pages, Some(&[1; 5]), MOVE);
    assert_eq!(moved, (Ok(0), vec![1, 1, efault, enoent, efault]));
    assert_eq!(move_to(&mut system, &pages[..2], None, MOVE), (Ok(0), vec![1, 1]));
    assert_eq!((system.load(BASE), system.load(BASE + PAGE)), (Ok(1), Ok(2)));
    assert_eq!(system.rss(), [2, 0, 0]);
    assert_eq!(system.counter(machine::Counter::PgMigrateSuccess), 2);
}

#[test]
fn nonsense_is_refused() {
    let machine = nodes();
    let mut system = System::new(&machine);
    system.anon(BASE, 1, RW);
    system.store(BASE, 1).expect("stored");
    assert_eq!(move_to(&mut system, &[BASE], Some(&[1]), 8).0, Err(Errno::EINVAL));
    assert_eq!(move_to(&mut system, &[BASE], Some(&[2]), MOVE).0, Err(Errno::ENODEV));
    assert_eq!(move_to(&mut system, &[BASE], Some(&[-1]), MOVE).0, Err(Errno::ENODEV));
    assert_eq!(move_to(&mut system, &[u64::MAX], Some(&[1]), MOVE).1, [-Errno::EFAULT.number()]);
    assert_eq!(move_to(&mut system, &[BASE], None, 0), (Ok(0), vec![0]), "it is where it was");
}

#[test]
fn pages_of_several_processes_move_only_if_all_are_meant() {
    let machine = nodes();
    let mut system = System::new(&machine);
    system.anon(BASE, 1, RW);
    system.store(BASE, 5).expect("stored");
    let child = system.linux.fork(&mut system.cx, system.process).expect("a child");
    let refused = move_to(&mut system, &[BASE], Some(&[1]), MOVE);
    assert_eq!(refused, (Ok(0), vec![-Errno::EACCES.number()]));
    assert_eq!(move_to(&mut system, &[BASE], Some(&[1]), MOVE_ALL), (Ok(0), vec![1]));
    system.become_process(child);
    assert_eq!(move_to(&mut system, &[BASE], None, 0), (Ok(0), vec![1]), "for the child too");
    system.store(BASE, 6).expect("stored");
    assert_eq!(system.load(BASE), Ok(6));
}

#[test]
fn who_uses_a_page_keeps_it_where_it_is() {
    let machine = nodes();
    let mut system = System::new(&machine);
    system.anon(BASE, 2, RW);
    let frame = system.touch(BASE, Access::Write).expect("a page").0;
    system.store(BASE + PAGE, 1).expect("stored");
    assert!(system.linux.frames().descriptor(frame).pin_exclusive(&system.cx));
    let moved = move_to(&mut system, &[BASE, BASE + PAGE], Some(&[1, 1]), MOVE);
    assert_eq!(moved, (Ok(1), vec![-Errno::EBUSY.number(), 1]));
    assert_eq!(system.touch(BASE, Access::Write).map(|at| at.0), Ok(frame));
    system.linux.frames().unpin(system.cx.at(), frame);
    assert_eq!(move_to(&mut system, &[BASE], Some(&[1]), MOVE), (Ok(0), vec![1]));
}

#[test]
fn pages_of_files_move_with_their_place() {
    let machine = nodes();
    let mut system = System::new(&machine);
    let file = system.file(7, 4 * PAGE, FileRights::READ | FileRights::WRITE);
    system.mmap_file(BASE, 4 * PAGE, RW, SHARED | FIXED, &file, 0).expect("mapped");
    system.store(BASE, 9).expect("stored");
    assert_eq!(move_to(&mut system, &[BASE], Some(&[1]), MOVE), (Ok(0), vec![1]));
    assert_eq!(system.load(BASE), Ok(9));
    system.linux.msync(&mut system.cx, system.process, BASE, PAGE, 4).expect("written");
    assert_eq!(move_to(&mut system, &[BASE], Some(&[0]), MOVE), (Ok(0), vec![0]));
    assert_eq!(system.load(BASE), Ok(9));
}
