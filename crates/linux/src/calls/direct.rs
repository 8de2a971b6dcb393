//! `read` and `write` with `O_DIRECT`, and of fixed buffers: between a file and pages of a program, past the
//! page cache (Linux: `mm/filemap.c` `generic_file_direct_write`, `iomap_dio_rw`).
//!
//! Places in memory and in the file, and lengths, are whole pages, as for a device with blocks of 4 KiB. A
//! page is pinned while it is transferred, so that neither fork nor a write fault takes it away from the
//! program (C-3); a page of a fixed buffer once more, since the buffer may be unregistered meanwhile.

use crate::errno::Errno;
use crate::file::{FileRights, MapFile};
use crate::held::Iovec;
use crate::process::Process;
use crate::ring::Ring;
use crate::system::Linux;
use fault::How;
use frame::Id;
use machine::{Access, Backing, Cx, Machine, Order, PAGE_SIZE, PageOp, UserFrame, VirtAddr};
use object::{FileKind, PageCtx, PageError, Want};

/// Bytes copied at a time.
const CHUNK: usize = 512;

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    FromFile,
    ToFile,
}

/// Where in memory: of the program, or of a fixed buffer.
#[derive(Clone, Copy)]
enum Memory {
    Program(u64),
    Fixed(Id<Ring>, usize, u64),
}

impl<'m, M: Machine> Linux<'m, M> {
    /// `pread` with `O_DIRECT`; answers how many bytes, up to the end of the file.
    pub fn read_direct(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        (file, offset): (&MapFile, u64),
        into: Iovec,
    ) -> Result<u64, Errno> {
        self.direct(cx, process, (file, offset), (Memory::Program(into.base), into.len), Way::FromFile)
    }

    /// `pwrite` with `O_DIRECT`, of bytes that the file has: it does not grow. What is cached of them is
    /// replaced.
    pub fn write_direct(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        (file, offset): (&MapFile, u64),
        from: Iovec,
    ) -> Result<u64, Errno> {
        self.direct(cx, process, (file, offset), (Memory::Program(from.base), from.len), Way::ToFile)
    }

    /// `IORING_OP_READ_FIXED`: the same into a buffer of a ring, `at` bytes from its start.
    pub fn read_fixed(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        (file, offset): (&MapFile, u64),
        (ring, index, at, len): (Id<Ring>, usize, u64, u64),
    ) -> Result<u64, Errno> {
        self.direct(cx, process, (file, offset), (Memory::Fixed(ring, index, at), len), Way::FromFile)
    }

    /// `IORING_OP_WRITE_FIXED`: the other way.
    pub fn write_fixed(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        (file, offset): (&MapFile, u64),
        (ring, index, at, len): (Id<Ring>, usize, u64, u64),
    ) -> Result<u64, Errno> {
        self.direct(cx, process, (file, offset), (Memory::Fixed(ring, index, at), len), Way::ToFile)
    }

    fn direct(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        (file, offset): (&MapFile, u64),
        (memory, len): (Memory, u64),
        way: Way,
    ) -> Result<u64, Errno> {
        let wanted = if way == Way::FromFile { FileRights::READ } else { FileRights::WRITE };
        if !file.rights.contains(wanted) {
            return Err(Errno::EBADF);
        }
        let object = self.objects().file(file.file);
        let base = match memory {
            Memory::Program(base) | Memory::Fixed(_, _, base) => base,
        };
        let is_whole = [offset, len, base].iter().all(|number| number % PAGE_SIZE == 0);
        if !is_whole || object.kind() == FileKind::Memory || len > i64::MAX as u64 {
            return Err(Errno::EINVAL);
        }
        let size = object.size(cx);
        let left = size.saturating_sub(offset).min(len);
        if way == Way::ToFile && left < len {
            return Err(Errno::EINVAL);
        }
        let mut done = 0;
        while done < left {
            let part = (left - done).min(PAGE_SIZE);
            let at = match memory {
                Memory::Program(base) => Memory::Program(base.checked_add(done).ok_or(Errno::EFAULT)?),
                Memory::Fixed(ring, index, base) => Memory::Fixed(ring, index, base + done),
            };
            let ctx = PageCtx { file: file.file, index: (offset + done) / PAGE_SIZE };
            match self.direct_page(cx, process, (ctx, part), at, way) {
                Ok(()) => done += part,
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn direct_page(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        (ctx, len): (PageCtx, u64),
        memory: Memory,
        way: Way,
    ) -> Result<(), Errno> {
        let held = match memory {
            Memory::Program(base) if len < PAGE_SIZE && way == Way::FromFile => {
                // LINUX: what is no whole block comes through the page cache.
                return self.copy_tail(cx, process, (ctx, len), base);
            }
            Memory::Program(base) => {
                let space = self.space_of(process)?;
                let how = How::pin(if way == Way::FromFile { Access::Write } else { Access::Read });
                self.hold_page(cx, (space, space), (VirtAddr(base).page(), how))?
            }
            Memory::Fixed(ring, index, at) => self.hold_fixed_page(cx, ring, (index, at))?,
        };
        let done = held.frame().map_or(Ok(()), |frame| self.transfer(cx, ctx, frame, way));
        match way {
            Way::FromFile => self.release_dirty(cx, held),
            Way::ToFile => self.release_page(cx, held),
        }
        done
    }

    /// One whole page.
    fn transfer(&self, cx: &mut Cx<'m, M>, ctx: PageCtx, frame: UserFrame, way: Way) -> Result<(), Errno> {
        let (objects, pages) = (self.objects(), ctx.index..ctx.index + 1);
        let key = objects.file(ctx.file).key();
        // What the cache has newer than the file comes first.
        objects.writeback(cx.at(), ctx.file, pages.clone()).map_err(|_| Errno::EIO)?;
        if way == Way::FromFile {
            let read = cx.machine().files().read(cx.cpu(), key, ctx.index, frame);
            return read.map_err(|_| Errno::EIO);
        }
        objects.invalidate(cx.at(), ctx.file, pages.clone());
        if self.store_cached(cx, ctx, frame)? {
            return objects.writeback(cx.at(), ctx.file, pages).map_err(|_| Errno::EIO);
        }
        let written = cx.machine().files().write(cx.cpu(), key, ctx.index, frame);
        // Somebody may have read the old bytes in meanwhile.
        objects.invalidate(cx.at(), ctx.file, pages);
        written.map_err(|_| Errno::EIO)
    }

    /// Stores to the cached page, if there is one that does not go: then others map it, and see it change.
    // LINUX: generic_file_direct_write() falls back to the cache for pages that it cannot invalidate.
    fn store_cached(&self, cx: &mut Cx<'m, M>, ctx: PageCtx, from: UserFrame) -> Result<bool, Errno> {
        let objects = self.objects();
        let found = match objects.page(cx.at(), ctx, Want::Existing) {
            Ok(found) => found,
            Err(PageError::Shortage(_)) => return Err(Errno::ENOMEM),
            Err(PageError::BeyondEnd | PageError::Io) => None,
        };
        let Some(fetched) = found else { return Ok(false) };
        let stored = {
            let mut locked = objects.lock_page(cx.at(), fetched.page.pfn());
            let is_cached = objects.still_cached(&locked, &fetched.page);
            if is_cached {
                let copy = PageOp::Copy { to: fetched.page.frame(), from, order: Order::ZERO };
                locked.machine().page_op(locked.cpu(), copy);
                objects.mark_dirty(locked.at(), ctx, fetched.page.pfn());
            }
            is_cached
        };
        objects.release(cx.at(), fetched.page);
        Ok(stored)
    }

    /// The bytes up to the end of the file, which is in this page.
    fn copy_tail(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        (ctx, len): (PageCtx, u64),
        base: u64,
    ) -> Result<(), Errno> {
        let objects = self.objects();
        let page = match objects.page(cx.at(), ctx, Want::Read) {
            Ok(Some(fetched)) => fetched.page,
            Ok(None) | Err(PageError::BeyondEnd) => return Ok(()),
            Err(PageError::Io) => return Err(Errno::EIO),
            Err(PageError::Shortage(_)) => return Err(Errno::ENOMEM),
        };
        let mut copied = Ok(());
        for at in (0..len).step_by(CHUNK) {
            let mut buffer = [0; CHUNK];
            let bytes = &mut buffer[..(len - at).min(CHUNK as u64) as usize];
            cx.machine().read_frame(cx.cpu(), page.frame(), at, bytes);
            copied = copied.and_then(|()| self.copy_to_user(cx, process, VirtAddr(base + at), bytes));
        }
        objects.release(cx.at(), page);
        copied
    }
}
