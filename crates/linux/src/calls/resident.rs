//! `mincore`.

use crate::args::{is_page_aligned, user_end};
use crate::errno::{Call, Errno};
use crate::process::Process;
use crate::system::Linux;
use frame::Id;
use machine::{Cx, Machine, PAGE_SIZE, VirtAddr, Vpn, VpnRange};

/// How many pages are asked about at a time: their answers wait on the stack while locks are held.
const CHUNK: u64 = 256;

/// Stores bytes into the caller's memory; the kernel around knows how ([`Linux::copy_to_user`] is one way).
pub type CopyOut<'c, 'm, M> = &'c mut dyn FnMut(&mut Cx<'m, M>, VirtAddr, &[u8]) -> Result<(), Errno>;

/// LINUX: access_ok(): the range does not wrap and ends in user space.
fn in_user_space<M: Machine>(addr: u64, len: u64) -> bool {
    addr.checked_add(len).is_some_and(|end| end <= user_end::<M>())
}

impl<'m, M: Machine> Linux<'m, M> {
    /// `mincore(addr, len, vec)`: one byte a page is stored at `vec` through `copy_out`, 1 if the page is
    /// resident.
    pub fn mincore(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        addr: u64,
        len: u64,
        vec: u64,
        copy_out: CopyOut<'_, 'm, M>,
    ) -> Result<(), Errno> {
        if !is_page_aligned(addr) {
            return Err(Errno::EINVAL);
        }
        if !in_user_space::<M>(addr, len) {
            return Err(Errno::ENOMEM);
        }
        let pages = len.div_ceil(PAGE_SIZE);
        if !in_user_space::<M>(vec, pages) {
            return Err(Errno::EFAULT);
        }
        let start = VirtAddr(addr).page();
        let mut done = 0;
        while done < pages {
            let (answers, n) = self.resident_chunk(cx, process, start + done, pages - done)?;
            copy_out(cx, VirtAddr(vec + done), &answers[..n])?;
            done += n as u64;
        }
        Ok(())
    }

    /// Asks about the first pages, up to the end of their VMA.
    fn resident_chunk(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        first: Vpn,
        pages: u64,
    ) -> Result<([u8; CHUNK as usize], usize), Errno> {
        let space = self.space_of(process)?;
        let vma = self.spaces().vma_at(cx.at(), space, first).filter(|vma| vma.range.contains(first));
        let vma = vma.ok_or(Errno::ENOMEM)?;
        let range = VpnRange::sized(first, pages.min(CHUNK)).intersect(&vma.range);
        let mut answers = [0; CHUNK as usize];
        let mut n = 0;
        self.run(cx, process, Call::Mincore, |cx, space| {
            n = 0;
            self.spaces().resident(cx, space, range, &mut |resident| {
                if let Some(answer) = answers.get_mut(n) {
                    *answer = u8::from(resident);
                    n += 1;
                }
            })
        })?;
        if n == 0 { Err(Errno::ENOMEM) } else { Ok((answers, n)) }
    }
}
