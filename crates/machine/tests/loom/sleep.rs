//! The sleeping lock: its word, and the parking of those who wait for it.

use loomed::{At, Board, Data, Op, RACE, Weak, explore_bounded, rejects_bounded, together};
use machine::lock::Sleep;
use machine::{Boot, Core, CpuId, Cx, TaskId, level};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

type Layout = Sleep<{ level::LAYOUT }>;

/// How the second task takes the lock.
#[derive(Clone, Copy)]
enum Second {
    Writes,
    Reads,
}

/// One task writes under the lock, another writes or reads; either may have to sleep.
fn two_tasks(board: &'static Board, second: Second) {
    board.reset();
    let boot = Boot::new(board).unwrap();
    let core = Core::new(&boot).unwrap();
    let lock = &boot.array::<Layout>(1).unwrap()[0];
    let cx = move |n| Cx::new(board, core, CpuId(n), TaskId(n));
    // So that the board knows these words as locks.
    drop(lock.write(&mut cx(0)));
    core.parking.wake_all(&mut cx(0), std::ptr::from_ref(lock) as u64);
    board.watch(2);
    let data = Arc::new(Data::new());
    let other = Arc::clone(&data);
    together(
        move || {
            let mut cx = cx(1);
            match second {
                Second::Writes => {
                    let held = lock.write(&mut cx);
                    other.write();
                    drop(held);
                }
                Second::Reads => {
                    let held = lock.read(&mut cx);
                    other.read();
                    drop(held);
                }
            }
        },
        || {
            let mut cx = cx(0);
            let held = lock.write(&mut cx);
            data.write();
            drop(held);
        },
    );
    assert_eq!(core.parking.waiting_for(std::ptr::from_ref(lock) as u64), 0);
}

fn explore(weak: &'static [At]) {
    for second in [Second::Writes, Second::Reads] {
        let board = Board::new(8, weak);
        explore_bounded(3, move || two_tasks(board, second));
        assert!(board.ever_slept(), "nobody had to wait");
    }
}

fn reject(weak: &'static [At]) {
    for second in [Second::Writes, Second::Reads] {
        let board = Board::new(8, weak);
        rejects_bounded(3, RACE, move || two_tasks(board, second));
    }
}

#[test]
fn a_sleeping_lock_excludes_and_no_wake_up_is_lost() {
    explore(&[]);
}

#[test]
fn twin_taking_does_not_acquire() {
    const WEAK: &[Weak] = &[Weak::new(Op::Update, Acquire, Relaxed)];
    reject(&[At { level: level::LAYOUT, weak: WEAK }]);
}

#[test]
fn twin_giving_back_does_not_release() {
    const WEAK: &[Weak] = &[Weak::new(Op::Update, Release, Relaxed)];
    reject(&[At { level: level::LAYOUT, weak: WEAK }]);
}
