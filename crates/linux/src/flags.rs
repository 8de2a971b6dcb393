//! The bits programs pass, by call. Numbers are those of x86-64 Linux.

use machine::Perms;

bitflags::bitflags! {
    /// `PROT_*`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Prot: u64 {
        /// Loads.
        const READ = 0x1;
        /// Stores.
        const WRITE = 0x2;
        /// Instruction fetches.
        const EXEC = 0x4;
        /// Atomic operations: means nothing here, as on x86.
        const SEM = 0x8;
        /// `mprotect` from the start of a stack.
        const GROWSDOWN = 0x0100_0000;
        /// `mprotect` to the end of a stack that grows up.
        const GROWSUP = 0x0200_0000;
    }
}

impl Prot {
    /// What `mprotect` accepts beside how a stack grows.
    pub const ACCEPTED: Prot = Prot::READ.union(Prot::WRITE).union(Prot::EXEC).union(Prot::SEM);

    /// What hardware is to let pass.
    pub fn perms(self) -> Perms {
        Perms {
            read: self.contains(Prot::READ),
            write: self.contains(Prot::WRITE),
            execute: self.contains(Prot::EXEC),
        }
    }
}

bitflags::bitflags! {
    /// `MAP_*` beside the type in the low four bits.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct MapFlags: u64 {
        /// At this address exactly; what is there goes.
        const FIXED = 0x10;
        /// No file.
        const ANONYMOUS = 0x20;
        /// Below 2 GiB.
        const LOW_2G = 0x40;
        /// Above 4 GiB: where addresses come from anyway.
        const ABOVE_4G = 0x80;
        /// A stack.
        const GROWSDOWN = 0x100;
        /// Means nothing.
        const DENYWRITE = 0x800;
        /// Means nothing.
        const EXECUTABLE = 0x1000;
        /// Pages stay resident.
        const LOCKED = 0x2000;
        /// Not counted as committed.
        const NORESERVE = 0x4000;
        /// Pages are brought in now.
        const POPULATE = 0x8000;
        /// With `POPULATE`: no I/O, which makes it mean nothing.
        const NONBLOCK = 0x1_0000;
        /// For a thread's stack: no huge pages.
        const STACK = 0x2_0000;
        /// Pages of a pool of huge pages.
        const HUGETLB = 0x4_0000;
        /// Faults wait for the file's metadata (persistent memory).
        const SYNC = 0x8_0000;
        /// At this address exactly, if nothing is there.
        const FIXED_NOREPLACE = 0x10_0000;
        /// Means nothing where there is an MMU.
        const UNINITIALIZED = 0x400_0000;
        /// With `HUGETLB`: log2 of the page size.
        const HUGE_SIZE = 0x3f << 26;
    }
}

impl MapFlags {
    /// What `MAP_SHARED_VALIDATE` accepts (Linux: `LEGACY_MAP_MASK`).
    pub const VALIDATED: u64 = MapFlags::FIXED
        .union(MapFlags::ANONYMOUS)
        .union(MapFlags::LOW_2G)
        .union(MapFlags::ABOVE_4G)
        .union(MapFlags::GROWSDOWN)
        .union(MapFlags::DENYWRITE)
        .union(MapFlags::EXECUTABLE)
        .union(MapFlags::LOCKED)
        .union(MapFlags::NORESERVE)
        .union(MapFlags::POPULATE)
        .union(MapFlags::NONBLOCK)
        .union(MapFlags::STACK)
        .union(MapFlags::HUGETLB)
        .union(MapFlags::UNINITIALIZED)
        .bits()
        | HUGE_2M
        | HUGE_1G
        | MAP_TYPE_KNOWN;
}

const HUGE_2M: u64 = 21 << 26;
const HUGE_1G: u64 = 30 << 26;
/// `MAP_SHARED | MAP_PRIVATE`.
const MAP_TYPE_KNOWN: u64 = 0x3;

/// The type of a mapping: the low four bits of `mmap`'s flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapType {
    /// Stores are seen by all who map the object.
    Shared,
    /// Stores stay with the process.
    Private,
    /// Shared, and unknown flags are refused.
    SharedValidate,
    /// Private anonymous memory that may be dropped under pressure.
    Droppable,
}

impl MapType {
    /// The type, or `None` for bits that name none.
    pub fn parse(flags: u64) -> Option<MapType> {
        match flags & 0xf {
            0x1 => Some(MapType::Shared),
            0x2 => Some(MapType::Private),
            0x3 => Some(MapType::SharedValidate),
            0x8 => Some(MapType::Droppable),
            _ => None,
        }
    }
}

bitflags::bitflags! {
    /// `MREMAP_*`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct RemapFlags: u64 {
        /// May move.
        const MAYMOVE = 1;
        /// Moves to this address.
        const FIXED = 2;
        /// The old range stays mapped, empty.
        const DONTUNMAP = 4;
    }
}

bitflags::bitflags! {
    /// `MS_*`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct SyncFlags: u64 {
        /// Some time.
        const ASYNC = 1;
        /// Other mappings see the file (they always do); locked memory refuses.
        const INVALIDATE = 2;
        /// Now, and waited for.
        const SYNC = 4;
    }
}

bitflags::bitflags! {
    /// `MCL_*`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct LockAllFlags: u64 {
        /// All that is mapped.
        const CURRENT = 1;
        /// All that will be mapped.
        const FUTURE = 2;
        /// Pages become resident when first touched.
        const ONFAULT = 4;
    }
}

bitflags::bitflags! {
    /// `MLOCK_*`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct LockFlags: u64 {
        /// Pages become resident when first touched.
        const ONFAULT = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validated_flags_are_linux_s_legacy_mask() {
        assert_eq!(MapFlags::VALIDATED & MapFlags::SYNC.bits(), 0);
        assert_eq!(MapFlags::VALIDATED & MapFlags::FIXED_NOREPLACE.bits(), 0);
        assert_ne!(MapFlags::VALIDATED & MapFlags::STACK.bits(), 0);
        assert_eq!(MapFlags::VALIDATED >> 32, 0);
    }

    #[test]
    fn types_outside_the_four_are_none() {
        for bits in 0..16 {
            assert_eq!(MapType::parse(bits).is_some(), matches!(bits, 1 | 2 | 3 | 8), "{bits}");
        }
    }
}
