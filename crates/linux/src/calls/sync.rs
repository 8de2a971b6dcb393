//! `msync` and `fsync`.

use crate::args::{Span, is_page_aligned, page_align};
use crate::errno::{Call, Errno};
use crate::file::MapFile;
use crate::flags::SyncFlags;
use crate::process::Process;
use crate::system::Linux;
use frame::Id;
use machine::{Cx, Machine};
use space::{Error, Invalidate, Sync};

impl<'m, M: Machine> Linux<'m, M> {
    /// `msync(addr, len, flags)`.
    pub fn msync(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        addr: u64,
        len: u64,
        flags: u64,
    ) -> Result<(), Errno> {
        // LINUX: the flags are an int.
        let flags = SyncFlags::from_bits(flags & u64::from(u32::MAX)).ok_or(Errno::EINVAL)?;
        if !is_page_aligned(addr) || flags.contains(SyncFlags::ASYNC | SyncFlags::SYNC) {
            return Err(Errno::EINVAL);
        }
        // LINUX: a length that rounds up past 64 bits is zero, and so nothing to do.
        let len = page_align(len).unwrap_or(0);
        let Some(span) = Span::parse::<M>(addr, len, Errno::ENOMEM)? else { return Ok(()) };
        let sync = if flags.contains(SyncFlags::SYNC) { Sync::Wait } else { Sync::Async };
        let invalidate = if flags.contains(SyncFlags::INVALIDATE) { Invalidate::Yes } else { Invalidate::No };
        let done = self.run(cx, process, Call::Msync, |cx, space| {
            self.spaces().sync(cx, space, span.user, sync, invalidate)
        });
        span.hole_after(done)
    }

    /// `fsync` of an open file: writes its dirty pages and waits.
    pub fn fsync(&self, cx: &mut Cx<'m, M>, process: Id<Process>, file: &MapFile) -> Result<(), Errno> {
        self.run(cx, process, Call::Msync, |cx, _| {
            self.objects().writeback(cx.at(), file.file, 0..u64::MAX).map_err(|_| Error::Io)
        })
    }
}
