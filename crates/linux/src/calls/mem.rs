//! `/proc/PID/mem`: a debugger reads and writes the memory of a process, with the rights that the process
//! could give itself (Linux: `mem_rw`, `access_remote_vm`).
//!
//! Whether the caller may do that is asked by the kernel around.

use crate::errno::Errno;
use crate::held::{Iovec, Piece};
use crate::process::Process;
use crate::system::Linux;
use fault::How;
use frame::Id;
use machine::{Access, Cx, Machine, Vpn};
use object::Held;
use space::Space;

impl<'m, M: Machine> Linux<'m, M> {
    /// `pread` of `/proc/PID/mem`; answers how many bytes were read before the first page that cannot be.
    /// `EIO` if none could, `EINVAL` for the upper half of all addresses. A stack grows for this.
    pub fn mem_read(
        &self,
        cx: &mut Cx<'m, M>,
        (process, of): (Id<Process>, Id<Process>),
        at: u64,
        into: &mut [u8],
    ) -> Result<u64, Errno> {
        let (mut done, len) = (0, into.len() as u64);
        let how = How::get(Access::Read).forced();
        self.each_forced(cx, (process, of), (Iovec { base: at, len }, how), &mut |cx, piece, held| {
            let part = &mut into[done as usize..(done + piece.len) as usize];
            if let Some(frame) = held.frame() {
                cx.machine().read_frame(cx.cpu(), frame, piece.offset, part);
            }
            done += piece.len;
            self.release_page(cx, held);
        })
    }

    /// `pwrite` of `/proc/PID/mem`. A private page that the process may not store to is made its own first,
    /// and stays as protected as it is (C-20).
    ///
    /// LINUX: access_remote_vm() holds `mmap_lock` from the look at the page to the store, so that no fork
    /// comes between. A pin keeps fork from sharing the page, and nobody waits.
    pub fn mem_write(
        &self,
        cx: &mut Cx<'m, M>,
        (process, of): (Id<Process>, Id<Process>),
        at: u64,
        bytes: &[u8],
    ) -> Result<u64, Errno> {
        let (mut done, len) = (0, bytes.len() as u64);
        let how = How::pin(Access::Write).forced();
        self.each_forced(cx, (process, of), (Iovec { base: at, len }, how), &mut |cx, piece, held| {
            let part = &bytes[done as usize..(done + piece.len) as usize];
            if let Some(frame) = held.frame() {
                cx.machine().write_frame(cx.cpu(), frame, piece.offset, part);
            }
            done += piece.len;
            self.release_dirty(cx, held);
        })
    }

    /// Calls `f` with each page that can be held, until one cannot; answers how many bytes these are.
    fn each_forced(
        &self,
        cx: &mut Cx<'m, M>,
        (process, of): (Id<Process>, Id<Process>),
        (bytes, how): (Iovec, How),
        f: &mut dyn FnMut(&mut Cx<'m, M>, Piece, Held),
    ) -> Result<u64, Errno> {
        // LINUX: pread and pwrite take no position that is negative as a number with a sign.
        if bytes.base > i64::MAX as u64 {
            return Err(Errno::EINVAL);
        }
        let current = self.space_of(process)?;
        self.with_space_of(cx, of, |cx, space| {
            let mut done = 0;
            for piece in bytes.pieces() {
                let mut held = self.hold_page(cx, (current, space), (piece.page, how));
                if held == Err(Errno::EFAULT) && self.grows_to(cx, (process, space), piece.page) {
                    held = self.hold_page(cx, (current, space), (piece.page, how));
                }
                match held {
                    Ok(held) => f(cx, piece, held),
                    // LINUX: mem_rw() answers EIO for what access_remote_vm() could not copy at all, whyever.
                    Err(_) if done == 0 => return Err(Errno::EIO),
                    Err(_) => break,
                }
                done += piece.len;
            }
            Ok(done)
        })
    }

    /// Whether a stack reaches down to a page where nothing was mapped, from here on. The limit is the
    /// caller's.
    // LINUX: access_remote_vm() asks expand_stack().
    fn grows_to(&self, cx: &mut Cx<'m, M>, (process, space): (Id<Process>, Id<Space>), page: Vpn) -> bool {
        let next = self.spaces().vma_at(cx.at(), space, page);
        if next.is_none_or(|vma| vma.range.contains(page)) {
            return false;
        }
        self.bring_limits(cx, process, space);
        self.spaces().grow_stack(cx.at(), space, page).is_ok()
    }
}
