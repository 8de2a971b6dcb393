//! Bytes between processes, and the pipe.

use std::cell::Cell;

use freehold::frame::Id;
use freehold::linux::Iovec;
use freehold::space::Space;
use native::arena::PAGE;
use native::{Answer, Call, Op, PIPE_BITS, PIPE_PAGES, Status};
use sim::TaskCtx;

use super::super::known::Known;
use super::World;
use super::calls::failed;
use super::pipe::pieces;

/// A sum of bytes; the worker's is the same.
fn mix_byte(sum: u64, byte: u8) -> u64 {
    (sum.rotate_left(5) ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl World<'_> {
    fn space_of(&self, slot: usize) -> Option<Id<Space>> {
        self.process(slot).and_then(|process| self.manager.linux().process(process).space())
    }

    /// `process_vm_readv`, `process_vm_writev`.
    pub(super) fn vm(&self, ctx: TaskCtx<'_>, me: usize, op: &Op) -> Answer {
        let [slot, own, other, len, ..] = op.args;
        let lives = self.alive.get(slot as usize).is_some_and(Cell::get);
        let (true, Some(process), Some(remote)) = (lives, self.process(me), self.process(slot as usize))
        else {
            return Answer::SKIPPED;
        };
        let (linux, cx) = (self.manager.linux(), &mut self.cx(ctx));
        let (own, other) = ([Iovec { base: own, len }], [Iovec { base: other, len }]);
        let copied = match op.call {
            Call::VmRead => linux.process_vm_readv(cx, process, remote, (&own, &other), 0),
            _ => linux.process_vm_writev(cx, process, remote, (&own, &other), 0),
        };
        if copied != Ok(len) {
            self.has_stopped_short.set(true);
        }
        copied.map_or_else(failed, |value| Answer { status: Status::Good, value })
    }

    /// `vmsplice` to the pipe.
    pub(super) fn splice(&self, ctx: TaskCtx<'_>, me: usize, (addr, len): (u64, u64), flags: u64) -> Answer {
        let Some(process) = self.process(me) else { return Answer::SKIPPED };
        let (linux, cx) = (self.manager.linux(), &mut self.cx(ctx));
        let range = [Iovec { base: addr, len }];
        match linux.vmsplice(cx, process, (self.pipe.pipe, &range), flags) {
            Err(errno) => failed(errno),
            Ok(done) => {
                self.pipe.parts.borrow_mut().extend(pieces(addr, done));
                self.pipe.spaces.borrow_mut().extend(self.space_of(me));
                Answer { status: Status::Good, value: done }
            }
        }
    }

    /// Whether Linux brings in pages that do not fit into the pipe.
    pub(super) fn known_of_splice(&self, addr: u64, len: u64) -> Option<Known> {
        let free = PIPE_PAGES - self.pipe.parts.borrow().len() as u64;
        let wanted = pieces(addr, len).take(PIPE_PAGES as usize + 1).count() as u64;
        (free > 0 && wanted > free).then_some(Known::Residency)
    }

    /// Reads from the pipe.
    pub(super) fn read_pipe(&self, ctx: TaskCtx<'_>, len: u64) -> Answer {
        let (linux, cx) = (self.manager.linux(), &mut self.cx(ctx));
        let (mut done, mut sum) = (0, 0);
        while done < len {
            let mut buffer = [0; PAGE as usize];
            let most = (len - done).min(PAGE) as usize;
            let found = linux.look_into_pipe(cx, self.pipe.pipe, &mut buffer[..most]);
            if found == 0 {
                break;
            }
            linux.take_from_pipe(cx, self.pipe.pipe, found as u64);
            sum = buffer[..found].iter().fold(sum, |sum, byte| mix_byte(sum, *byte));
            done += found as u64;
        }
        if self.pipe.is_doubtful.get() {
            let ran = &mut *self.ran.borrow_mut();
            ran.doubt.insert(ran.answers.answers.len(), u64::MAX << PIPE_BITS);
        }
        self.pipe.forget(done);
        if done == 0 && len > 0 {
            return failed(freehold::linux::Errno::EAGAIN);
        }
        Answer { status: Status::Good, value: sum << PIPE_BITS | done }
    }

    /// Whose memory an operation may have stored to.
    pub(super) fn note_store(&self, me: usize, op: &Op) {
        let stored = match op.call {
            Call::Store | Call::Mincore | Call::VmRead => self.space_of(me),
            Call::VmWrite => self.space_of(op.args[0] as usize),
            _ => None,
        };
        if stored.is_some_and(|space| self.pipe.spaces.borrow().contains(&space)) {
            self.pipe.is_doubtful.set(true);
        }
    }
}
