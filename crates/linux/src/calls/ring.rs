//! Fixed buffers of a ring: registering, unregistering, and what a device is told of them (Linux:
//! `io_uring/rsrc.c`).
//!
//! The pages are pinned for long and for writing: they leave the Movable zone, stay the program's through
//! fork and whatever else wants them (C-5), and are there for the device when the program has unmapped them
//! or exited. They count as locked memory (`RLIMIT_MEMLOCK`) of the one user that all processes belong to
//! here.

use crate::errno::{Call, Errno};
use crate::held::Iovec;
use crate::process::Process;
use crate::ring::{CHUNK_PAGES, Chunk, REGISTERING, RING_BUFFERS, Ring};
use crate::system::Linux;
use fault::How;
use frame::Id;
use machine::{Access, Cx, Machine, PAGE_SHIFT, PAGE_SIZE, UserFrame, VirtAddr, Vpn};
use object::{Held, Hold};

/// Bytes of a buffer, at most.
const BUFFER_MAX: u64 = 1 << 30;
/// Where the number of bytes starts beside the offset.
const LEN_SHIFT: u32 = 16;

/// The pages that some bytes lie in: the first, and how many.
fn pages_of(bytes: Iovec) -> (Vpn, u64) {
    let first = VirtAddr(bytes.base).page();
    (first, ((bytes.base & (PAGE_SIZE - 1)) + bytes.len).div_ceil(PAGE_SIZE))
}

/// LINUX: io_buffer_validate(): no more than 1 GiB each, and not around the end of addresses.
fn validate(buffers: &[Iovec]) -> Result<u64, Errno> {
    if buffers.is_empty() || buffers.len() > RING_BUFFERS {
        return Err(Errno::EINVAL);
    }
    let mut pages = 0;
    for &buffer in buffers {
        if buffer.base == 0 || buffer.len == 0 || buffer.len > BUFFER_MAX {
            return Err(Errno::EFAULT);
        }
        buffer.base.checked_add(buffer.len + PAGE_SIZE).ok_or(Errno::EOVERFLOW)?;
        pages += pages_of(buffer).1;
    }
    Ok(pages)
}

impl<'m, M: Machine> Linux<'m, M> {
    /// A ring without buffers (`io_uring_setup`), closed with [`Linux::close_ring`].
    pub fn ring(&self, cx: &mut Cx<'m, M>) -> Result<Id<Ring>, Errno> {
        self.with_memory(cx, None, Call::Ring, |cx| Ok(self.rings.alloc(cx.at(), self.frames())?))
    }

    /// The ring is gone, with its buffers.
    pub fn close_ring(&self, cx: &mut Cx<'m, M>, ring: Id<Ring>) {
        // Without buffers there is nothing to unregister.
        let _ = self.unregister_buffers(cx, ring);
        self.rings.free(cx.at(), ring);
    }

    /// `IORING_REGISTER_BUFFERS`: pins every page of the buffers. All of them, or none.
    pub fn register_buffers(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        ring: Id<Ring>,
        buffers: &[Iovec],
    ) -> Result<(), Errno> {
        let pages = validate(buffers)?;
        let object = self.rings.get(ring);
        self.begin_registering(cx, object)?;
        let mut done = self.account_pinned(cx, process, pages);
        if done.is_ok() {
            object.pages.set(pages);
            for (index, &buffer) in buffers.iter().enumerate() {
                object.bytes[index].set(buffer.len << LEN_SHIFT | buffer.base & (PAGE_SIZE - 1));
                done = done.and_then(|()| self.pin_buffer(cx, process, (object, index), buffer));
            }
        }
        if done.is_err() {
            self.drop_buffers(cx, object);
        }
        self.end_registering(cx, object, if done.is_ok() { buffers.len() as u64 } else { 0 });
        done
    }

    /// `IORING_UNREGISTER_BUFFERS`: gives every pin back. `ENXIO` without buffers, `EBUSY` while others are
    /// at it.
    pub fn unregister_buffers(&self, cx: &mut Cx<'m, M>, ring: Id<Ring>) -> Result<(), Errno> {
        let object = self.rings.get(ring);
        {
            let _locked = object.lock.lock(cx);
            match object.buffers.get() {
                0 => return Err(Errno::ENXIO),
                REGISTERING => return Err(Errno::EBUSY),
                _ => object.buffers.set(REGISTERING),
            }
        }
        self.drop_buffers(cx, object);
        self.end_registering(cx, object, 0);
        Ok(())
    }

    /// The frame and the byte of it that a device is told for a byte of a buffer; how many bytes of the
    /// buffer follow in this frame. The buffer must stay registered while the device works: who transfers
    /// bytes with it sees to that.
    pub fn fixed_bytes(
        &self,
        cx: &mut Cx<'m, M>,
        ring: Id<Ring>,
        (index, at): (usize, u64),
    ) -> Result<(UserFrame, u64, u64), Errno> {
        let object = self.rings.get(ring);
        let _locked = object.lock.lock(cx);
        self.fixed_place(object, (index, at))
    }

    /// A pin of a whole page of a buffer, for a transfer that goes on when the buffer is unregistered
    /// meanwhile. `EINVAL` if no whole page of the buffer begins at that byte.
    // LINUX: a request has a reference to its buffer (`io_rsrc_node`), and the buffer has the pins.
    pub(crate) fn hold_fixed_page(
        &self,
        cx: &mut Cx<'m, M>,
        ring: Id<Ring>,
        byte: (usize, u64),
    ) -> Result<Held, Errno> {
        let object = self.rings.get(ring);
        let mut locked = object.lock.lock(cx);
        let (frame, start, room) = self.fixed_place(object, byte)?;
        if start != 0 || room < PAGE_SIZE {
            return Err(Errno::EINVAL);
        }
        // The buffer has it pinned: of all refusals only that of a count at its cap is left.
        self.objects().hold_mapped(&mut locked, frame.0, Hold::Pin).map_err(|_| Errno::ENOMEM)
    }

    /// (ring) See [`Linux::fixed_bytes`].
    fn fixed_place(&self, ring: &Ring, (index, at): (usize, u64)) -> Result<(UserFrame, u64, u64), Errno> {
        let registered = ring.buffers.get();
        if registered == REGISTERING || index as u64 >= registered {
            return Err(Errno::EFAULT);
        }
        let bytes = ring.bytes[index].get();
        let (offset, len) = (bytes & ((1 << LEN_SHIFT) - 1), bytes >> LEN_SHIFT);
        if at >= len {
            return Err(Errno::EFAULT);
        }
        let place = offset + at;
        let frame = self.nth_page(ring.first[index].get(), place >> PAGE_SHIFT).frame();
        let within = place & (PAGE_SIZE - 1);
        Ok((frame.ok_or(Errno::EFAULT)?, within, (PAGE_SIZE - within).min(len - at)))
    }

    fn nth_page(&self, mut chunk: Option<Id<Chunk>>, nth: u64) -> Held {
        for _ in 0..nth / CHUNK_PAGES as u64 {
            chunk = chunk.and_then(|chunk| self.chunks.get(chunk).next.get());
        }
        let place = (nth % CHUNK_PAGES as u64) as usize;
        chunk.map_or(Held::Nothing, |chunk| self.chunks.get(chunk).held[place].get())
    }

    fn begin_registering(&self, cx: &mut Cx<'m, M>, ring: &'m Ring) -> Result<(), Errno> {
        let _locked = ring.lock.lock(cx);
        if ring.buffers.get() != 0 {
            return Err(Errno::EBUSY);
        }
        ring.buffers.set(REGISTERING);
        Ok(())
    }

    fn end_registering(&self, cx: &mut Cx<'m, M>, ring: &'m Ring, buffers: u64) {
        let _locked = ring.lock.lock(cx);
        ring.buffers.set(buffers);
    }

    /// LINUX: __io_account_mem(): what the user has pinned in all, against the caller's limit.
    fn account_pinned(&self, cx: &mut Cx<'m, M>, process: Id<Process>, pages: u64) -> Result<(), Errno> {
        let limit = self.process(process).limits().memlock >> PAGE_SHIFT;
        let _held = self.shared.registry.lock(cx);
        let total = self.shared.pinned.get() + pages;
        if total > limit {
            return Err(Errno::ENOMEM);
        }
        self.shared.pinned.set(total);
        Ok(())
    }

    /// Pins the pages of one buffer; what was pinned before an error is in the buffer's list.
    fn pin_buffer(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        (ring, index): (&'m Ring, usize),
        buffer: Iovec,
    ) -> Result<(), Errno> {
        let space = self.space_of(process)?;
        let (first, pages) = pages_of(buffer);
        let mut last: Option<Id<Chunk>> = None;
        for nth in 0..pages {
            let place = (nth % CHUNK_PAGES as u64) as usize;
            if place == 0 {
                let chunk = self.with_memory(cx, Some(space), Call::Ring, |cx| {
                    Ok(self.chunks.alloc(cx.at(), self.frames())?)
                })?;
                match last {
                    Some(last) => self.chunks.get(last).next.set(Some(chunk)),
                    None => ring.first[index].set(Some(chunk)),
                }
                last = Some(chunk);
            }
            let how = How::pin(Access::Write).long();
            let held = self.hold_page(cx, (space, space), (first + nth, how))?;
            if let Some(chunk) = last {
                self.chunks.get(chunk).held[place].set(held);
            }
        }
        Ok(())
    }

    /// Gives everything back. Who calls is the one that registers.
    fn drop_buffers(&self, cx: &mut Cx<'m, M>, ring: &'m Ring) {
        for first in &ring.first {
            let mut next = first.replace(None);
            while let Some(chunk) = next {
                let object = self.chunks.get(chunk);
                for held in &object.held {
                    // LINUX: io_release_ubuf() leaves the pages clean; whoever did the I/O has marked them.
                    // Here nobody else knows.
                    self.release_dirty(cx, held.replace(Held::Nothing));
                }
                next = object.next.replace(None);
                self.chunks.free(cx.at(), chunk);
            }
        }
        let pages = ring.pages.replace(0);
        let _held = self.shared.registry.lock(cx);
        self.shared.pinned.sub(pages);
    }
}
