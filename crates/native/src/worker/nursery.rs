//! The process that programs are started from.

use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use super::shared::{Shared, map};
use super::sys::{read_all, sys, sys3, write_all};
use super::{files, life, setup, touch};
use crate::op::{REQUEST_BYTES, Reply, Request};

/// Reads the contents of the disk's file, says hello, then runs programs until the input ends.
pub(super) fn run(directory: &Path) -> Result<(), String> {
    let shared = map()?;
    touch::install()?;
    let disk = files::open_disk(directory)?;
    for (slot, fd) in shared.fds[2..].iter().zip(disk) {
        slot.store(fd, Relaxed);
    }
    let mut length = [0; 8];
    if !read_all(0, &mut length) {
        return Err("no program was sent".into());
    }
    let length = usize::try_from(u64::from_le_bytes(length)).ok().filter(|&length| length <= 1 << 20);
    let mut contents = vec![0; length.ok_or("what was sent is no program")?];
    if !read_all(0, &mut contents) {
        return Err("the contents of the file were cut short".into());
    }
    // From here on nothing is allocated: the heap's end is elsewhere.
    let hello = setup::run()?;
    if !write_all(1, &hello.to_bytes()) {
        return Ok(());
    }
    while let Some(answered) = serve(shared, &contents) {
        if !answered {
            super::sys::exit_now(2);
        }
    }
    super::sys::exit_now(0)
}

/// One program; `None` at the end of the input, `false` if it was no program or nobody reads.
fn serve(shared: &'static Shared, contents: &[u8]) -> Option<bool> {
    let mut head = [0; REQUEST_BYTES];
    if !read_all(0, &mut head) {
        return None;
    }
    let Some(request) = Request::from_bytes(&head) else { return Some(false) };
    shared.reset(request.ops as u32, request.memlock);
    // SAFETY: no process but this one is there.
    if !read_all(0, unsafe { shared.ops_mut(request.ops as usize) }) {
        return Some(false);
    }
    if !files::rewrite_disk(shared, contents) {
        shared.trouble.store(256 + libc::EIO as u64, Relaxed);
    } else {
        start(shared);
        wait_for_all(shared);
    }
    let areas = u64::from(shared.areas.load(Relaxed));
    let reply = Reply { answers: request.ops, areas, trouble: shared.trouble.load(Relaxed) };
    // SAFETY: every other process is gone.
    let (answers, areas) = unsafe { (shared.answer_bytes(request.ops as usize), shared.area_bytes()) };
    Some(write_all(1, &reply.to_bytes()) && write_all(1, answers) && write_all(1, areas))
}

/// Starts the first process.
fn start(shared: &'static Shared) {
    let slot = &shared.slots[0];
    slot.serial.store(0, Relaxed);
    slot.alive.store(1, Relaxed);
    slot.group.store(0, Relaxed);
    slot.stack.store(0, Relaxed);
    for counter in [&shared.serials, &shared.groups, &shared.stacks] {
        counter.store(1, Relaxed);
    }
    shared.ended[0].store(0, Relaxed);
    shared.slots[0].wake.store(1, Relaxed);
    // SAFETY: a child with a copy of everything; it goes on below and does not come back.
    match unsafe { sys3(libc::SYS_fork, 0, 0, 0) } {
        0 => life::first(shared),
        child if child > 0 => shared.pids[0].store(child as i32, Relaxed),
        error => shared.trouble.store(256 + error.unsigned_abs(), Relaxed),
    }
}

/// Waits until every process of the program is gone. One that died of a signal ends the program.
fn wait_for_all(shared: &Shared) {
    loop {
        let mut status = 0i32;
        let args = [u64::MAX, &raw mut status as u64, 0x4000_0000, 0, 0, 0];
        // SAFETY: the status is ours. `__WALL`: children of any kind.
        let found = unsafe { sys(libc::SYS_wait4, args) };
        match found {
            _ if found == -i64::from(libc::EINTR) => {}
            _ if found < 0 => return,
            _ => {
                let (signal, code) = (status & 0x7f, status >> 8 & 0xff);
                let own_fault = if code == 98 { 98 } else { signal };
                if own_fault != 0 {
                    shared.trouble.store(own_fault as u64, Relaxed);
                    shared.finish();
                }
            }
        }
    }
}
