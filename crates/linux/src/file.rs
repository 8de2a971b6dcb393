//! Open files, as far as mapping them goes.

use frame::Id;
use object::File;

bitflags::bitflags! {
    /// What the descriptor and the file allow.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct FileRights: u32 {
        /// Opened for reading.
        const READ = 1 << 0;
        /// Opened for writing.
        const WRITE = 1 << 1;
        /// The file may only be appended to (an attribute of the file, not `O_APPEND`).
        const APPEND_ONLY = 1 << 2;
        /// On a file system mounted `noexec`.
        const NO_EXEC = 1 << 3;
        /// Sealed against (future) writing: `F_SEAL_WRITE`, `F_SEAL_FUTURE_WRITE`.
        const SEAL_WRITE = 1 << 4;
        /// Sealed against shrinking: `F_SEAL_SHRINK`.
        const SEAL_SHRINK = 1 << 5;
        /// Sealed against growing: `F_SEAL_GROW`.
        const SEAL_GROW = 1 << 6;
    }
}

/// What a descriptor names, resolved by the kernel around.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MapFile {
    /// The file.
    pub file: Id<File>,
    /// What may be done with it.
    pub rights: FileRights,
}
