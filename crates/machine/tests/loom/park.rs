//! Parking: who waits for something and who makes it true (WR20, W-18).

use loomed::{At, Board, Data, LOST, Op, RACE, Weak, explore_bounded, rejects_bounded, together};
use machine::{Boot, Core, CpuId, Cx, Memory, TaskId, Word, level};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// What the two tasks share.
struct Shared {
    flag: &'static Word,
    data: Arc<Data>,
    core: Core<'static>,
}

/// Where both keep their queue.
const KEY: u64 = 64;

fn set_up(board: &'static Board) -> Shared {
    board.reset();
    let boot = Boot::new(board).unwrap();
    let core = Core::new(&boot).unwrap();
    let flag = &boot.array::<Word>(1).unwrap()[0];
    // So that the board knows the queue's lock.
    core.parking.wake_all(&mut Cx::new(board, core, CpuId(0), TaskId(0)), KEY);
    board.watch(2);
    Shared { flag, data: Arc::new(Data::new()), core }
}

/// One task sets a flag and wakes; the other sleeps unless it is set.
fn a_flag_is_set(board: &'static Board) {
    let Shared { flag, core, .. } = set_up(board);
    together(
        move || {
            let mut cx = Cx::new(board, core, CpuId(1), TaskId(1));
            // RELAXED: the queue's lock orders it.
            core.parking.park_unless(&mut cx, KEY, |cx| cx.load(flag, Relaxed) == 1);
        },
        || {
            let mut cx = Cx::new(board, core, CpuId(0), TaskId(0));
            // RELAXED: as above.
            cx.store(flag, 1, Relaxed);
            core.parking.wake_all(&mut cx, KEY);
        },
    );
}

/// Who slept and was woken finds all that the waker did before, and all of the waker's reads over.
fn a_task_is_woken(board: &'static Board) {
    let Shared { flag, data, core } = set_up(board);
    let slept = Arc::clone(&data);
    together(
        move || {
            let mut cx = Cx::new(board, core, CpuId(1), TaskId(1));
            let mut late = false;
            core.parking.park_unless(&mut cx, KEY, |cx| {
                // RELAXED: the queue's lock orders it.
                late = cx.load(flag, Relaxed) == 1;
                late
            });
            if !late {
                slept.write();
            }
        },
        || {
            let mut cx = Cx::new(board, core, CpuId(0), TaskId(0));
            data.read();
            // RELAXED: as above.
            cx.store(flag, 1, Relaxed);
            core.parking.wake_all(&mut cx, KEY);
        },
    );
}

fn explore(weak: &'static [At], model: fn(&'static Board)) {
    let board = Board::new(8, weak);
    explore_bounded(3, move || model(board));
    assert!(board.ever_slept(), "nobody had to wait");
}

fn reject(message: &str, weak: &'static [At], model: fn(&'static Board)) {
    let board = Board::new(8, weak);
    rejects_bounded(3, message, move || model(board));
}

#[test]
fn no_wake_up_is_lost() {
    explore(&[], a_flag_is_set);
}

#[test]
fn who_is_woken_comes_after_the_waker() {
    explore(&[], a_task_is_woken);
}

#[test]
fn twin_the_lock_of_the_queue_does_not_release() {
    const WEAK: &[Weak] = &[Weak::new(Op::Store, Release, Relaxed)];
    reject(LOST, &[At { level: level::PARK, weak: WEAK }], a_flag_is_set);
}

#[test]
fn twin_the_lock_of_the_queue_does_not_acquire() {
    const WEAK: &[Weak] = &[Weak::new(Op::Update, Acquire, Relaxed)];
    reject(LOST, &[At { level: level::PARK, weak: WEAK }], a_flag_is_set);
}

#[test]
fn twin_waking_does_not_release() {
    const WEAK: &[Weak] = &[Weak::new(Op::Store, Release, Relaxed)];
    reject(RACE, &[At { level: level::NONE, weak: WEAK }], a_task_is_woken);
}

#[test]
fn twin_waking_up_does_not_acquire() {
    const WEAK: &[Weak] = &[Weak::new(Op::Load, Acquire, Relaxed)];
    reject(RACE, &[At { level: level::NONE, weak: WEAK }], a_task_is_woken);
}
