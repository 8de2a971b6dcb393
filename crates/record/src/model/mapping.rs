//! What an address space held when Linux handed it to a program, and the files behind it.

use crate::FileId;

/// What may be done with a mapping, as Linux's `PROT_*` bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Prot(pub u8);

impl Prot {
    /// `PROT_NONE`.
    pub const NONE: Self = Self(0);
    /// `PROT_READ`.
    pub const READ: Self = Self(1);
    /// `PROT_WRITE`.
    pub const WRITE: Self = Self(2);
    /// `PROT_EXEC`.
    pub const EXEC: Self = Self(4);

    /// Whether every bit of `other` is set here.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for Prot {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Who sees the writes to a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// `MAP_PRIVATE`: only the writer.
    Private,
    /// `MAP_SHARED`: everyone who maps the same object.
    Shared,
}

/// What a mapping of a fresh address space is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MappingKind {
    /// A segment of the program or of its dynamic linker.
    File,
    /// Zero-filled memory, such as `.bss`.
    Anonymous,
    /// The area `brk` grows.
    Heap,
    /// The first thread's stack; it grows down.
    Stack,
    /// The kernel's code for user space (`[vdso]`).
    Vdso,
    /// The kernel's data for that code (`[vvar]` and its kin).
    Vvar,
}

/// The part of a file that a mapping shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backing {
    /// Which file.
    pub file: FileId,
    /// The byte in it that the mapping's first byte shows.
    pub offset: u64,
}

/// One mapping of an address space as `execve` left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mapping {
    /// Its first address.
    pub start: u64,
    /// Its length in bytes, a multiple of the page size.
    pub len: u64,
    /// What may be done with it.
    pub prot: Prot,
    /// Who sees writes to it.
    pub sharing: Sharing,
    /// What it is for.
    pub kind: MappingKind,
    /// The file behind it, if any.
    pub backing: Option<Backing>,
}

impl Mapping {
    /// The first address after it. Never overflows in a valid recording.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }
}

/// What sort of thing a mapped file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A file in a file system.
    Regular,
    /// A device, such as `/dev/zero`.
    Device,
    /// A `memfd`, or a file in `/dev/shm`.
    SharedMemory,
    /// The nameless object behind `MAP_SHARED | MAP_ANONYMOUS`.
    SharedAnonymous,
}

/// A file that the program mapped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileInfo {
    /// Its base name, such as `libc.so.6`.
    pub name: String,
    /// Its size in bytes when the recording was made, or at least as much as was mapped of it.
    pub size: u64,
    /// What sort of thing it is.
    pub kind: FileKind,
}
