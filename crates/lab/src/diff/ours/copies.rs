//! Bytes between processes, and the pipe.

use std::cell::Cell;

use freehold::frame::Id;
use freehold::linux::{Errno, Iovec, Process};
use freehold::machine::{Vpn, VpnRange};
use freehold::space::{Snapshot, Space, VmaFlags};
use native::arena::PAGE;
use native::{Answer, Backing, Call, Op, PIPE_BITS, PIPE_PAGES, Status};
use sim::TaskCtx;

use super::super::known::Known;
use super::World;
use super::calls::failed;
use super::pipe::pieces;

/// A sum of bytes; the worker's is the same.
fn mix_byte(sum: u64, byte: u8) -> u64 {
    (sum.rotate_left(5) ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Goes through a range in steps of at most a page, until one falls short.
fn in_steps(
    (addr, len): (u64, u64),
    mut step: impl FnMut(u64, usize) -> Result<u64, Errno>,
) -> Result<u64, Errno> {
    let mut done = 0;
    loop {
        let wanted = (len - done).min(PAGE);
        match step(addr + done, wanted as usize) {
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => return Ok(done),
            Ok(moved) => done += moved,
        }
        if done == len || !done.is_multiple_of(PAGE) {
            return Ok(done);
        }
    }
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

    /// Whether a page that may not be read goes into the pipe depends on its being there, and that on the
    /// system; and whether Linux brings in pages that do not fit into the pipe.
    // LINUX: gup_fast_pte_range() looks at the entry, which tells nothing of a right to read.
    pub(super) fn known_of_splice(
        &self,
        ctx: TaskCtx<'_>,
        me: usize,
        (addr, len): (u64, u64),
    ) -> Option<Known> {
        let brings_more = self.traits.is_wide || self.has_stopped_short.get();
        let space = self.space_of(me)?;
        let pages = VpnRange::new(Vpn(addr / PAGE), Vpn(addr.saturating_add(len).div_ceil(PAGE)));
        let on_disk = |vma: &Snapshot| vma.file.is_some_and(|file| self.files.backing(file) == Backing::Disk);
        let lacks = |vma: &Snapshot| {
            let part = vma.range.intersect(&pages);
            (part.start.0..part.end.0).any(|page| !self.is_present(space, Vpn(page)))
        };
        let doubtful = |vma: &Snapshot| {
            let unread = !vma.flags.contains(VmaFlags::READ) && vma.flags.intersects(VmaFlags::ACCESS);
            unread && (self.traits.swaps || on_disk(vma) || brings_more && lacks(vma))
        };
        if self.vmas(ctx, me, (addr, len)).iter().any(doubtful) {
            return Some(Known::Residency);
        }
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
            return failed(Errno::EAGAIN);
        }
        Answer { status: Status::Good, value: sum << PIPE_BITS | done }
    }

    /// The caller and the process of a slot that lives.
    fn both(&self, me: usize, slot: u64) -> Option<(Id<Process>, Id<Process>)> {
        let lives = self.alive.get(slot as usize).is_some_and(Cell::get);
        self.process(me).zip(self.process(slot as usize)).filter(|_| lives)
    }

    /// Reads `/proc/PID/mem`, in steps of at most a page, as the worker does.
    pub(super) fn read_mem(&self, ctx: TaskCtx<'_>, me: usize, slot: u64, range: (u64, u64)) -> Answer {
        let Some(both) = self.both(me, slot) else { return Answer::SKIPPED };
        let (linux, cx) = (self.manager.linux(), &mut self.cx(ctx));
        let (mut buffer, mut sum) = ([0; PAGE as usize], 0);
        let done = in_steps(range, |at, wanted| {
            let read = linux.mem_read(cx, both, at, &mut buffer[..wanted]);
            sum = buffer[..read.unwrap_or(0) as usize].iter().fold(sum, |sum, byte| mix_byte(sum, *byte));
            read
        });
        done.map_or_else(failed, |done| Answer { status: Status::Good, value: sum << PIPE_BITS | done })
    }

    /// Writes a word over and over to `/proc/PID/mem`, in the same steps.
    pub(super) fn write_mem(
        &self,
        ctx: TaskCtx<'_>,
        me: usize,
        slot: u64,
        range: (u64, u64),
        word: u64,
    ) -> Answer {
        let Some(both) = self.both(me, slot) else { return Answer::SKIPPED };
        let (linux, cx) = (self.manager.linux(), &mut self.cx(ctx));
        let bytes: Vec<u8> = word.to_le_bytes().into_iter().cycle().take(PAGE as usize).collect();
        let done = in_steps(range, |at, wanted| linux.mem_write(cx, both, at, &bytes[..wanted]));
        done.map_or_else(failed, |value| Answer { status: Status::Good, value })
    }

    /// Whose memory an operation may have stored to.
    pub(super) fn note_store(&self, me: usize, op: &Op) {
        // Whether a page that is cut off keeps its bytes is the file system's affair: if it is a part of a
        // large folio they become zeros (Linux: `truncate_inode_partial_folio`).
        if op.call == Call::Ftruncate && !self.pipe.parts.borrow().is_empty() {
            self.pipe.is_doubtful.set(true);
        }
        let stored = match op.call {
            Call::Store | Call::Mincore | Call::VmRead => self.space_of(me),
            Call::VmWrite | Call::MemWrite => self.space_of(op.args[0] as usize),
            _ => None,
        };
        if stored.is_some_and(|space| self.pipe.spaces.borrow().contains(&space)) {
            self.pipe.is_doubtful.set(true);
        }
    }
}
