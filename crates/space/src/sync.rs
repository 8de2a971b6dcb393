//! `msync`: stores to shared file mappings reach the file.

use crate::error::Error;
use crate::space::Space;
use crate::spaces::Spaces;
use crate::vma::VmaFlags;
use frame::Id;
use machine::{Cx, Machine, VpnRange, level};

/// Whether the caller waits for the writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sync {
    /// `MS_ASYNC` (or neither): nothing to do, the pages are known to be dirty.
    Async,
    /// `MS_SYNC`: written when the call returns.
    Wait,
}

/// Whether other mappings are to be brought up to date (`MS_INVALIDATE`): they always
/// are, but locked pages refuse.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invalidate {
    /// Not asked.
    No,
    /// Asked.
    Yes,
}

impl<'m, M: Machine> Spaces<'m, M> {
    /// Writes the range's dirty shared file pages (Linux: `sys_msync`). A hole is reported
    /// after the rest was done.
    ///
    /// Errors: `NoMemory` for a hole, `Busy` for locked memory to be invalidated, `Io`, `Killed`, `Shortage`.
    pub fn sync(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        range: VpnRange,
        sync: Sync,
        invalidate: Invalidate,
    ) -> Result<(), Error> {
        let mut layout = self.write_layout(cx, space)?;
        let hole = layout.first_hole(range).is_some();
        layout.for_each_in(range, |layout, id, part| {
            let vma = layout.vma(id);
            let flags = vma.flags();
            if invalidate == Invalidate::Yes && flags.contains(VmaFlags::LOCKED) {
                return Err(Error::Busy);
            }
            let Some(file) = vma.file().filter(|_| sync == Sync::Wait && flags.contains(VmaFlags::SHARED))
            else {
                return Ok(());
            };
            let first = vma.file_index(part.start);
            let objects = layout.spaces.objects();
            objects.writeback(layout.at(), file, first..first + part.pages()).map_err(Error::from)
        })?;
        if hole { Err(Error::NoMemory) } else { Ok(()) }
    }
}
