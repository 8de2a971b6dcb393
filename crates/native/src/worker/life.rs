//! A process of a program: taking turns, making others, ending.

use std::sync::atomic::Ordering::Relaxed;

use super::shared::{NOBODY, SERIALS_MAX, STACK_BYTES, STACKS, Shared, table};
use super::sys::{exit_now, sys, sys3};
use super::{copies, files, layout, memory, setup};
use crate::arena::is_harmless;
use crate::call::Call;
use crate::op::{Answer, Op, SLOTS, STACK_SOFT, Status, WAIT_ANY};

/// Seconds after which a process that is still there is ended: a program takes a fraction of one.
const LIFETIME: u64 = 20;

/// How the caller goes on after an operation.
enum After {
    /// As the same process.
    Same,
    /// As the child it just made.
    Child(usize),
    /// Not at all, with this status.
    Over(u64),
}

fn limit_lifetime() {
    // SAFETY: a plain number; the signal ends the process.
    unsafe { sys3(libc::SYS_alarm, LIFETIME, 0, 0) };
}

/// The first process of a program.
pub(super) fn first(shared: &'static Shared) -> ! {
    limit_lifetime();
    // SAFETY: no arguments. The nursery notes it too, but perhaps later.
    shared.pids[0].store(unsafe { sys3(libc::SYS_getpid, 0, 0, 0) } as i32, Relaxed);
    let memlock = shared.memlock.load(Relaxed);
    let limited = setup::set_limit(u64::from(libc::RLIMIT_MEMLOCK), memlock, memlock);
    let stack_max = setup::limit(libc::RLIMIT_STACK).rlim_max;
    let stacked = setup::set_limit(u64::from(libc::RLIMIT_STACK), STACK_SOFT.min(stack_max), stack_max);
    let made = files::make_memory(shared).min(copies::make_pipe(shared));
    copies::allow_looks();
    let error = limited.min(stacked).min(made);
    if error < 0 {
        shared.trouble.store(256 + error.unsigned_abs(), Relaxed);
        exit_now(0);
    }
    live(shared, 0)
}

/// A process's life, in its slot.
fn live(shared: &'static Shared, mut me: usize) -> ! {
    loop {
        shared.sleep(me);
        loop {
            if shared.over.load(Relaxed) != 0 {
                exit_now(0);
            }
            let number = shared.next.load(Relaxed);
            if number >= shared.count.load(Relaxed) {
                shared.finish();
                exit_now(0);
            }
            let op = shared.op(number).filter(is_harmless);
            let Some(op) = op else {
                shared.trouble.store(256 + libc::EILSEQ as u64, Relaxed);
                shared.finish();
                exit_now(0);
            };
            let whose = usize::from(op.process);
            if shared.slots[whose].alive.load(Relaxed) == 0 {
                shared.answer(number, Answer::SKIPPED);
                shared.next.store(number + 1, Relaxed);
            } else if whose != me {
                shared.wake(whose);
                break;
            } else {
                match step(shared, me, number, &op) {
                    After::Same => {}
                    After::Child(child) => {
                        me = child;
                        break;
                    }
                    After::Over(status) => exit_now(status),
                }
            }
        }
    }
}

/// One operation of this process.
fn step(shared: &'static Shared, me: usize, number: u32, op: &Op) -> After {
    let mut after = After::Same;
    let answer = match op.call {
        Call::Fork => match fork(shared, me, op.args[0] as usize) {
            Some(answer) => answer,
            None => return After::Child(op.args[0] as usize),
        },
        Call::Clone => clone(shared, me, op.args[0] as usize),
        Call::Exit => {
            after = After::Over(op.args[0] & 0x3f);
            Answer { status: Status::Good, value: 0 }
        }
        Call::Wait => wait(shared, op.args[0]),
        Call::Layout => layout::report(shared),
        _ => memory::run(shared, op),
    };
    shared.answer(number, answer);
    shared.next.store(number + 1, Relaxed);
    if let After::Over(_) = after {
        leave(shared, me, number + 1);
    }
    after
}

/// This process ends: the turn goes to whoever has the next operation that anybody can do.
fn leave(shared: &Shared, me: usize, mut number: u32) {
    let serial = shared.slots[me].serial.load(Relaxed) as usize;
    shared.ended[serial].store(1, Relaxed);
    shared.slots[me].alive.store(0, Relaxed);
    while number < shared.count.load(Relaxed) {
        let op = shared.op(number).filter(is_harmless);
        let whose = op.map_or(0, |op| usize::from(op.process));
        if op.is_none() || shared.slots[whose].alive.load(Relaxed) != 0 {
            shared.next.store(number, Relaxed);
            let heir = shared.slots.iter().position(|slot| slot.alive.load(Relaxed) != 0);
            match op {
                Some(_) => shared.wake(whose),
                None => heir.into_iter().for_each(|heir| shared.wake(heir)),
            }
            return;
        }
        shared.answer(number, Answer::SKIPPED);
        number += 1;
    }
    shared.next.store(number, Relaxed);
    shared.finish();
}

/// Takes a slot for a child; `None` if it is taken.
fn take_slot(shared: &Shared, slot: usize) -> Option<usize> {
    let serial = shared.serials.load(Relaxed) as usize;
    let taken = shared.slots.get(slot)?.alive.load(Relaxed) != 0;
    (!taken && serial < SERIALS_MAX).then(|| {
        shared.serials.store(serial as u32 + 1, Relaxed);
        shared.ended[serial].store(0, Relaxed);
        shared.pids[serial].store(0, Relaxed);
        serial
    })
}

fn settle(shared: &Shared, slot: usize, serial: usize, pid: i64) -> Answer {
    if pid < 0 {
        return Answer { status: Status::Errno(-pid as i32), value: 0 };
    }
    shared.pids[serial].store(pid as i32, Relaxed);
    shared.slots[slot].serial.store(serial as u32, Relaxed);
    shared.slots[slot].alive.store(1, Relaxed);
    Answer { status: Status::Good, value: 0 }
}

/// `fork`: `None` in the child, which waits for its turn.
fn fork(shared: &'static Shared, me: usize, slot: usize) -> Option<Answer> {
    let Some(serial) = take_slot(shared, slot) else { return Some(Answer::SKIPPED) };
    let group = shared.groups.load(Relaxed);
    shared.groups.store(group + 1, Relaxed);
    shared.slots[slot].group.store(group, Relaxed);
    shared.slots[slot].stack.store(shared.slots[me].stack.load(Relaxed), Relaxed);
    shared.slots[slot].wake.store(0, Relaxed);
    // SAFETY: a child with a copy of everything, which goes on in `live`.
    let pid = unsafe { sys3(libc::SYS_fork, 0, 0, 0) };
    if pid == 0 {
        limit_lifetime();
        copies::allow_looks();
        return None;
    }
    Some(settle(shared, slot, serial, pid))
}

/// A stack that nobody who shares this memory runs on.
fn free_stack(shared: &Shared, group: u32) -> u32 {
    let mut stack = shared.stacks.load(Relaxed);
    loop {
        let number = 1 + stack % (STACKS as u32 - 1);
        let taken = shared.slots.iter().any(|slot| {
            slot.alive.load(Relaxed) != 0
                && slot.group.load(Relaxed) == group
                && slot.stack.load(Relaxed) == number
        });
        stack += 1;
        if !taken {
            shared.stacks.store(stack, Relaxed);
            return number;
        }
    }
}

/// `clone(CLONE_VM)`: the child runs on a stack of its own.
fn clone(shared: &'static Shared, me: usize, slot: usize) -> Answer {
    let Some(serial) = take_slot(shared, slot) else { return Answer::SKIPPED };
    let group = shared.slots[me].group.load(Relaxed);
    let stack = free_stack(shared, group);
    shared.slots[slot].group.store(group, Relaxed);
    shared.slots[slot].stack.store(stack, Relaxed);
    shared.slots[slot].wake.store(0, Relaxed);
    let top = shared.stack_base.load(Relaxed) + (u64::from(stack) + 1) * STACK_BYTES as u64;
    let flags = libc::CLONE_VM | libc::SIGCHLD;
    let number = slot as *mut libc::c_void;
    // SAFETY: the stack is nobody else's (see `free_stack`), and `cloned` never returns.
    let pid = unsafe { libc::clone(cloned, top as *mut libc::c_void, flags, number) };
    if pid < 0 {
        // Nobody else runs: the error number is ours.
        let error = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EAGAIN);
        return Answer { status: Status::Errno(error), value: 0 };
    }
    settle(shared, slot, serial, i64::from(pid))
}

extern "C" fn cloned(slot: *mut libc::c_void) -> i32 {
    limit_lifetime();
    copies::allow_looks();
    match table() {
        Some(shared) => live(shared, (slot as usize).min(SLOTS - 1)),
        None => exit_now(97),
    }
}

const ECHILD: Answer = Answer { status: Status::Errno(libc::ECHILD), value: 0 };

/// Waits until a child that ended is a zombie: it gave the turn away before.
fn await_zombie(shared: &Shared, serial: usize) {
    let pid = shared.pids[serial].load(Relaxed);
    if pid > 0 && shared.ended[serial].load(Relaxed) == 1 {
        let options = (libc::WEXITED | libc::WNOWAIT) as u64;
        let args = [u64::from(libc::P_PID), pid as u64, 0, options, 0, 0];
        // SAFETY: nothing is stored. It fails for the children of others.
        unsafe { sys(libc::SYS_waitid, args) };
    }
}

/// `wait4` of one child or any; answers 0, or its serial number and status.
fn wait(shared: &Shared, which: u64) -> Answer {
    let serials = shared.serials.load(Relaxed) as usize;
    let pid = if which == WAIT_ANY {
        (0..serials).for_each(|serial| await_zombie(shared, serial));
        -1
    } else {
        let serial = shared.slots.get(which as usize).map_or(NOBODY, |slot| slot.serial.load(Relaxed));
        let Some(pid) = shared.pids[..serials].get(serial as usize) else { return ECHILD };
        if shared.ended[serial as usize].load(Relaxed) == 2 {
            return ECHILD;
        }
        await_zombie(shared, serial as usize);
        match pid.load(Relaxed) {
            0 => return ECHILD,
            pid => pid,
        }
    };
    let mut status = 0i32;
    let args = [i64::from(pid) as u64, &raw mut status as u64, libc::WNOHANG as u64, 0, 0, 0];
    // SAFETY: the status is ours.
    let found = unsafe { sys(libc::SYS_wait4, args) };
    if found < 0 {
        return Answer { status: Status::Errno(-found as i32), value: 0 };
    }
    let serial = (0..serials).rfind(|&serial| i64::from(shared.pids[serial].load(Relaxed)) == found);
    match serial.filter(|_| found > 0) {
        Some(serial) => {
            shared.ended[serial].store(2, Relaxed);
            Answer { status: Status::Good, value: (serial as u64 + 1) << 16 | status as u64 & 0xffff }
        }
        None => Answer { status: Status::Good, value: 0 },
    }
}
