//! A store that another CPU could make through a translation of before: none passes once a call has returned.

use crate::common::{Calls, Clock, READ, RW, World, machine, seed};
use freehold::linux::Signal;
use freehold::machine::{CpuId, VirtAddr};
use host::Program;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

const PAGE: u64 = 0x10_0000_0000;

/// Stores numbers to the page as fast as it can; waits while it may not.
fn writer(program: &mut Program<'_, '_>, over: &AtomicBool) -> (u64, u64) {
    let (mut stored, mut refused) = (0, 0);
    while !over.load(SeqCst) {
        match program.store(VirtAddr(PAGE), stored + 1) {
            Ok(()) => stored += 1,
            Err(Signal::Segv { .. }) => {
                refused += 1;
                std::thread::yield_now();
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    (stored, refused)
}

/// Runs `rounds` beside threads that store, until the time is over.
fn against_writers(name: &str, rounds: impl Fn(&mut Program<'_, '_>) + Sync) {
    let machine = machine(seed(name), 3, 32 << 20);
    let world = World::new(&machine);
    let process = world.process();
    let (clock, over) = (Clock::millis(1500), AtomicBool::new(false));
    machine.run(|threads| {
        let writers = [1, 2].map(|number| {
            let (world, over) = (&world, &over);
            threads.spawn(CpuId(number), move |cpu| {
                let mut program = Program::new(cpu, &world.manager, process).expect("a thread");
                writer(&mut program, over)
            })
        });
        let (world, clock, over, rounds) = (&world, &clock, &over, &rounds);
        let caller = threads.spawn(CpuId(0), move |cpu| {
            let mut program = Program::new(cpu, &world.manager, process).expect("a thread");
            let mut count = 0;
            while !clock.is_over() {
                rounds(&mut program);
                count += 1;
            }
            over.store(true, SeqCst);
            count
        });
        let count = caller.join();
        over.store(true, SeqCst);
        let counts = writers.map(|thread| thread.join().expect("no panic").expect("a CPU"));
        let count: u64 = count.expect("no panic").expect("a CPU");
        println!("{name}: {count} rounds, stored and refused: {counts:?}");
        // A busy host lets few of them meet.
        let stored: u64 = counts.iter().map(|(stored, _)| stored).sum();
        assert!(count > 0 && stored >= count);
    });
    world.finish();
}

/// Waits until somebody has stored.
fn await_store(program: &mut Program<'_, '_>) {
    let clock = Clock::millis(2000);
    while program.load(VirtAddr(PAGE)) == Ok(0) {
        assert!(!clock.is_over(), "nobody stores to the new page");
        std::thread::yield_now();
    }
}

/// Lets the writers run for a moment that is never the same.
fn moment(program: &mut Program<'_, '_>) {
    let turns = program.load(VirtAddr(PAGE)).unwrap_or(0) % 300;
    (0..turns).for_each(|_| std::hint::spin_loop());
}

#[test]
fn no_store_passes_after_mprotect() {
    against_writers("no_store_passes_after_mprotect", |program| {
        program.map(PAGE, 1, RW).expect("room");
        await_store(program);
        moment(program);
        program.protect(PAGE, 1, READ).expect("mapped");
        let seen = program.load(VirtAddr(PAGE)).expect("readable");
        for _ in 0..20 {
            moment(program);
            assert_eq!(program.load(VirtAddr(PAGE)), Ok(seen), "a store after mprotect returned");
        }
        program.unmap(PAGE, 1).expect("mapped");
    });
}

#[test]
fn no_store_passes_after_munmap() {
    against_writers("no_store_passes_after_munmap", |program| {
        program.map(PAGE, 1, RW).expect("room");
        await_store(program);
        program.unmap(PAGE, 1).expect("mapped");
        // The frames that are free now, the page's among them, are this mapping's soon.
        let other = PAGE + (1 << 30);
        program.map(other, 32, RW).expect("room");
        for turn in 0..3 {
            for page in 0..32 {
                let found = program.load(VirtAddr(other + page * 4096)).expect("readable");
                assert_eq!(found, if turn == 0 { 0 } else { 7 << 40 }, "a store after munmap returned");
                program.store(VirtAddr(other + page * 4096), 7 << 40).expect("writable");
            }
        }
        program.unmap(other, 32).expect("mapped");
    });
}

#[test]
fn a_child_keeps_what_was_there_when_its_parent_forked() {
    against_writers("a_child_keeps_what_was_there_when_its_parent_forked", |program| {
        let (parent, linux) = (program.process(), program.linux());
        program.map(PAGE, 1, RW).expect("room");
        await_store(program);
        let child = linux.fork(program.cx(), parent).expect("a child");
        program.switch_to(child).expect("alive");
        let seen = program.load(VirtAddr(PAGE)).expect("readable");
        for _ in 0..10 {
            moment(program);
            assert_eq!(program.load(VirtAddr(PAGE)), Ok(seen), "a parent's store was seen by its child");
        }
        program.switch_to(parent).expect("alive");
        linux.exit(program.cx(), child, freehold::linux::Exit::Code(0));
        linux.wait(program.cx(), parent, Some(child), freehold::linux::Waiting::Poll).expect("ended");
        program.unmap(PAGE, 1).expect("mapped");
    });
}
