//! `ftruncate`.

use crate::errno::{Call, Errno, of_file};
use crate::file::{FileRights, MapFile};
use crate::process::Process;
use crate::system::Linux;
use frame::Id;
use machine::{Cx, Machine};
use object::SIZE_MAX;

impl<'m, M: Machine> Linux<'m, M> {
    /// `ftruncate(fd, size)`: pages past the new end are gone from every mapping when it returns.
    pub fn ftruncate(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        file: &MapFile,
        size: u64,
    ) -> Result<(), Errno> {
        // LINUX: the length is signed; the file must be open for writing; then what the file may become.
        if size > i64::MAX as u64 || !file.rights.contains(FileRights::WRITE) {
            return Err(Errno::EINVAL);
        }
        if size > SIZE_MAX {
            return Err(Errno::EFBIG);
        }
        // LINUX: do_ftruncate() for files that may only be appended to, shmem_setattr() for sealed ones.
        let old = self.objects().file(file.file).size(cx);
        let sealed = size < old && file.rights.contains(FileRights::SEAL_SHRINK)
            || size > old && file.rights.contains(FileRights::SEAL_GROW);
        if sealed || file.rights.contains(FileRights::APPEND_ONLY) {
            return Err(Errno::EPERM);
        }
        self.run(cx, process, Call::Truncate, |cx, _| {
            self.objects().truncate(cx.at(), file.file, size).map_err(of_file)
        })
    }
}
