//! The page lock: two bits of a descriptor's second word, and the queue of those who wait.

use frame::{Descriptor, Flags};
use loomed::{At, Board, Data, Op, RACE, Weak, explore_bounded, rejects_bounded, together};
use machine::{Boot, Core, CpuId, Cx, TaskId, level};
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

type Context = Cx<'static, Board>;

/// Waits for the lock, as the page cache does (object's `lock_page`): the mark is set under the queue's lock,
/// before the last look.
fn lock(cx: &mut Context, page: &Descriptor) {
    while !page.try_lock(cx) {
        cx.core().parking.park_unless(cx, page.wait_key(), |cx| {
            page.set(cx, Flags::WAITERS);
            !page.test(cx, Flags::LOCKED)
        });
    }
}

fn unlock(cx: &mut Context, page: &Descriptor) {
    if page.unlock(cx) {
        cx.core().parking.wake_all(cx, page.wait_key());
    }
}

fn two_tasks(board: &'static Board) {
    board.reset();
    let boot = Boot::new(board).unwrap();
    let core = Core::new(&boot).unwrap();
    let page = &boot.array::<Descriptor>(1).unwrap()[0];
    let data = Arc::new(Data::new());
    let work = move |task: u32, data: &Data| {
        let mut cx = Cx::new(board, core, CpuId(task), TaskId(task));
        lock(&mut cx, page);
        data.write();
        unlock(&mut cx, page);
    };
    // So that the board knows the queue's lock.
    core.parking.wake_all(&mut Cx::new(board, core, CpuId(0), TaskId(0)), page.wait_key());
    board.watch(3);
    let other = Arc::clone(&data);
    together(move || work(1, &other), || work(0, &data));
}

fn reject(message: &str, weak: &'static [At]) {
    let board = Board::new(8, weak);
    rejects_bounded(3, message, move || two_tasks(board));
}

#[test]
fn a_page_lock_excludes_and_no_wake_up_is_lost() {
    let board = Board::new(8, &[]);
    explore_bounded(3, move || two_tasks(board));
    assert!(board.ever_slept(), "nobody had to wait");
}

#[test]
fn twin_locking_and_unlocking_do_not_acquire() {
    const WEAK: &[Weak] = &[Weak::new(Op::Update, AcqRel, Release)];
    reject(RACE, &[At { level: level::NONE, weak: WEAK }]);
}

#[test]
fn twin_locking_and_unlocking_do_not_release() {
    const WEAK: &[Weak] = &[Weak::new(Op::Update, AcqRel, Acquire)];
    reject(RACE, &[At { level: level::NONE, weak: WEAK }]);
}
