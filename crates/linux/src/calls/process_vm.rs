//! `process_vm_readv` and `process_vm_writev`: bytes of another process (Linux: `mm/process_vm_access.c`).
//!
//! Whether the caller may look into the other process (`ptrace_may_access`) is asked by the kernel around.

use crate::errno::Errno;
use crate::held::{Iovec, Piece, check_lengths, import};
use crate::process::Process;
use crate::system::Linux;
use fault::How;
use frame::Id;
use machine::{Access, Cx, Machine, UserFrame, VirtAddr};
use space::Space;

/// Bytes copied at a time.
const CHUNK: usize = 512;

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToCaller,
    ToRemote,
}

/// Where the caller's bytes are: the next one, over all of its ranges.
struct Local<'a> {
    ranges: &'a [Iovec],
    /// Into the first range.
    at: u64,
    /// How many bytes there are.
    left: u64,
}

impl Local<'_> {
    /// The next bytes that lie in one range; at most so many.
    fn next(&mut self, most: u64) -> Option<Iovec> {
        let most = most.min(self.left);
        if most == 0 {
            return None;
        }
        while let Some(first) = self.ranges.first() {
            if self.at < first.len {
                return Some(Iovec { base: first.base + self.at, len: (first.len - self.at).min(most) });
            }
            self.ranges = &self.ranges[1..];
            self.at = 0;
        }
        None
    }

    /// These were copied.
    fn advance(&mut self, len: u64) {
        (self.at, self.left) = (self.at + len, self.left - len);
    }
}

impl<'m, M: Machine> Linux<'m, M> {
    /// `process_vm_readv`: copies bytes of `remote` to the caller; answers how many.
    pub fn process_vm_readv(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        remote: Id<Process>,
        (local, ranges): (&[Iovec], &[Iovec]),
        flags: u64,
    ) -> Result<u64, Errno> {
        self.process_vm(cx, (process, remote), (local, ranges), flags, Way::ToCaller)
    }

    /// `process_vm_writev`: the other way.
    pub fn process_vm_writev(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        remote: Id<Process>,
        (local, ranges): (&[Iovec], &[Iovec]),
        flags: u64,
    ) -> Result<u64, Errno> {
        self.process_vm(cx, (process, remote), (local, ranges), flags, Way::ToRemote)
    }

    fn process_vm(
        &self,
        cx: &mut Cx<'m, M>,
        (process, remote): (Id<Process>, Id<Process>),
        (local, ranges): (&[Iovec], &[Iovec]),
        flags: u64,
        way: Way,
    ) -> Result<u64, Errno> {
        if flags != 0 {
            return Err(Errno::EINVAL);
        }
        let left = import::<M>(local)?;
        // LINUX: process_vm_rw(): nobody looks at the other ranges then.
        if left == 0 {
            return Ok(0);
        }
        check_lengths(ranges)?;
        if ranges.iter().all(|range| range.len == 0) {
            return Ok(0);
        }
        let (mut local, mut done) = (Local { ranges: local, at: 0, left }, 0);
        let result = self.with_space_of(cx, remote, |cx, space| {
            ranges.iter().flat_map(|range| range.pieces()).try_for_each(|piece| {
                self.copy_piece(cx, (process, space), (piece, way), &mut local, &mut done)
            })
        });
        // What was copied before an error counts.
        match result {
            Err(errno) if done == 0 => Err(errno),
            _ => Ok(done),
        }
    }

    /// What lies in one page of the other process, as far as there is room for it.
    fn copy_piece(
        &self,
        cx: &mut Cx<'m, M>,
        (process, space): (Id<Process>, Id<Space>),
        (piece, way): (Piece, Way),
        local: &mut Local<'_>,
        done: &mut u64,
    ) -> Result<(), Errno> {
        if local.next(1).is_none() {
            return Ok(());
        }
        let how = How::pin(if way == Way::ToRemote { Access::Write } else { Access::Read }).remote();
        let held = self.hold_page(cx, (self.space_of(process)?, space), (piece.page, how))?;
        let mut copied = Ok(());
        let mut at = 0;
        while let (Ok(()), Some(frame), true) = (copied, held.frame(), at < piece.len) {
            let Some(bytes) = local.next((piece.len - at).min(CHUNK as u64)) else { break };
            copied = self.copy_bytes(cx, process, bytes, (frame, piece.offset + at), way);
            if copied.is_ok() {
                local.advance(bytes.len);
                (at, *done) = (at + bytes.len, *done + bytes.len);
            }
        }
        match way {
            Way::ToRemote => self.release_dirty(cx, held),
            Way::ToCaller => self.release_page(cx, held),
        }
        copied
    }

    /// At most [`CHUNK`] bytes between the caller's memory and a frame.
    fn copy_bytes(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        local: Iovec,
        (frame, offset): (UserFrame, u64),
        way: Way,
    ) -> Result<(), Errno> {
        let mut buffer = [0; CHUNK];
        let bytes = &mut buffer[..local.len as usize];
        if way == Way::ToCaller {
            cx.machine().read_frame(cx.cpu(), frame, offset, bytes);
            return self.copy_to_user(cx, process, VirtAddr(local.base), bytes);
        }
        self.copy_from_user(cx, process, VirtAddr(local.base), bytes)?;
        cx.machine().write_frame(cx.cpu(), frame, offset, bytes);
        Ok(())
    }
}
