//! `vmsplice`, and reading what it put into a pipe.
//!
//! The pipe holds references (`FOLL_GET`), not pins: what the program stores to a page afterwards may be read
//! from the pipe or not (CR28). What others store is never read: a page that they share with the pipe is
//! copied before they write it (C-1, C-2).
//!
//! Descriptors, waiting, and one reader at a time (Linux: `pipe->mutex`) are matters of the kernel around.

use crate::errno::{Call, Errno};
use crate::held::{Iovec, Piece, import};
use crate::pipe::{Part, Pipe, lock};
use crate::process::Process;
use crate::system::Linux;
use fault::How;
use frame::Id;
use machine::{Access, Cx, Machine, VirtAddr};

/// `SPLICE_F_*`: all that there are.
const SPLICE_FLAGS: u64 = 0xf;
/// Bytes copied at a time.
const CHUNK: usize = 512;

impl<'m, M: Machine> Linux<'m, M> {
    /// An empty pipe (`pipe2`), closed with [`Linux::close_pipe`].
    pub fn pipe(&self, cx: &mut Cx<'m, M>) -> Result<Id<Pipe>, Errno> {
        self.with_memory(cx, None, Call::Pipe, |cx| Ok(self.pipes.alloc(cx.at(), self.frames())?))
    }

    /// The pipe is gone, with what it holds.
    pub fn close_pipe(&self, cx: &mut Cx<'m, M>, pipe: Id<Pipe>) {
        let object = self.pipes.get(pipe);
        loop {
            let held = {
                let _locked = lock(cx, object);
                let Some(part) = object.front() else { break };
                object.consume(part.len)
            };
            self.release_page(cx, held);
        }
        self.pipes.free(cx.at(), pipe);
    }

    /// `vmsplice(pipe, ranges, flags)` to the end of a pipe: the pages themselves go into it. Answers how
    /// many bytes fitted; `EAGAIN` if the pipe was full.
    // LINUX: fs/splice.c vmsplice_to_pipe(), iter_to_pipe().
    pub fn vmsplice(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        (pipe, ranges): (Id<Pipe>, &[Iovec]),
        flags: u64,
    ) -> Result<u64, Errno> {
        // LINUX: the flags are an unsigned int.
        if flags & u64::from(u32::MAX) & !SPLICE_FLAGS != 0 {
            return Err(Errno::EINVAL);
        }
        import::<M>(ranges)?;
        let mut done = 0;
        for piece in ranges.iter().flat_map(|range| range.pieces()) {
            match self.splice_piece(cx, process, pipe, piece) {
                Ok(()) => done += piece.len,
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn splice_piece(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        pipe: Id<Pipe>,
        piece: Piece,
    ) -> Result<(), Errno> {
        let object = self.pipes.get(pipe);
        if self.is_full(cx, object) {
            return Err(Errno::EAGAIN);
        }
        let space = self.space_of(process)?;
        let held = self.hold_page(cx, (space, space), (piece.page, How::get(Access::Read)))?;
        let part = Part { held, offset: piece.offset, len: piece.len };
        let pushed = {
            let _locked = lock(cx, object);
            object.push(part)
        };
        pushed.map_err(|part| {
            self.release_page(cx, part.held);
            Errno::EAGAIN
        })
    }

    fn is_full(&self, cx: &mut Cx<'m, M>, pipe: &'m Pipe) -> bool {
        let _locked = lock(cx, pipe);
        pipe.is_full()
    }

    /// `read` from the pipe into memory of the process; answers how many bytes. `EAGAIN` if the pipe is
    /// empty. What cannot be stored stays in the pipe.
    pub fn read_pipe(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        pipe: Id<Pipe>,
        into: Iovec,
    ) -> Result<u64, Errno> {
        let mut done = 0;
        while done < into.len {
            let mut buffer = [0; CHUNK];
            let most = (into.len - done).min(CHUNK as u64) as usize;
            let len = self.look_into_pipe(cx, pipe, &mut buffer[..most]);
            if len == 0 {
                break;
            }
            let to = VirtAddr(into.base.checked_add(done).ok_or(Errno::EFAULT)?);
            match self.copy_to_user(cx, process, to, &buffer[..len]) {
                Ok(()) => self.take_from_pipe(cx, pipe, len as u64),
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
            done += len as u64;
        }
        if done == 0 && into.len > 0 { Err(Errno::EAGAIN) } else { Ok(done) }
    }

    /// The first bytes in the pipe, as far as they lie in one page; answers how many. They stay in it.
    pub fn look_into_pipe(&self, cx: &mut Cx<'m, M>, pipe: Id<Pipe>, into: &mut [u8]) -> usize {
        let object = self.pipes.get(pipe);
        let locked = lock(cx, object);
        let Some((part, frame)) = object.front().and_then(|part| Some((part, part.held.frame()?))) else {
            return 0;
        };
        let len = into.len().min(part.len as usize);
        locked.machine().read_frame(locked.cpu(), frame, part.offset, &mut into[..len]);
        len
    }

    /// Takes the first bytes out of the pipe: so many as [`Linux::look_into_pipe`] found, at most.
    pub fn take_from_pipe(&self, cx: &mut Cx<'m, M>, pipe: Id<Pipe>, len: u64) {
        let object = self.pipes.get(pipe);
        let held = {
            let _locked = lock(cx, object);
            object.consume(len)
        };
        self.release_page(cx, held);
    }
}
