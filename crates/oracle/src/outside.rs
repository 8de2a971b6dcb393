//! What an audit cannot find by walking the manager.

use frame::{Id, SlabView};
use machine::{Asid, CpuId, KernelFrame, Perms, Pfn, Vpn};
use object::File;

/// A translation that a CPU holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translation {
    /// Who holds it.
    pub cpu: CpuId,
    /// The space.
    pub asid: Asid,
    /// The (first) page.
    pub page: Vpn,
    /// The (first) frame.
    pub frame: Pfn,
    /// What it allows.
    pub perms: Perms,
    /// Whether the CPU believes that the entry in memory is marked dirty.
    pub dirty: bool,
}

/// A link to a leaf table that a CPU holds beside its translations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// Who holds it.
    pub cpu: CpuId,
    /// The space.
    pub asid: Asid,
    /// The first page of the 2 MiB.
    pub page: Vpn,
    /// The leaf table.
    pub table: KernelFrame,
}

/// What the machine's CPUs hold.
pub trait Tlbs {
    /// The root and space that a CPU translates through now.
    fn loaded(&self, cpu: CpuId) -> Option<(KernelFrame, Asid)>;
    /// Calls `see` with every translation of every CPU.
    fn for_each_translation(&self, see: &mut dyn FnMut(&Translation));
    /// Calls `see` with every upper-level link of every CPU.
    fn for_each_link(&self, see: &mut dyn FnMut(&Link));
}

/// Whether what was told of is all that there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known {
    /// It is.
    All,
    /// There may be more: exact numbers are not checked.
    Some,
}

/// References that others than the manager hold while it is quiet.
pub trait Holders {
    /// Calls `hold` for every reference to a frame.
    fn for_each_frame(&self, hold: &mut dyn FnMut(Pfn)) {
        let _ = hold;
    }
    /// Calls `pin` for every pin on a frame; answers whether these are all.
    fn for_each_pin(&self, pin: &mut dyn FnMut(Pfn)) -> Known {
        let _ = pin;
        Known::Some
    }
    /// Calls `visit` with every slab of the floors above, and how many of its objects can be reached.
    fn for_each_slab(&self, visit: &mut dyn FnMut(&'static str, &dyn SlabView, u64)) {
        let _ = visit;
    }
    /// How often a file is open, not counting mappings; `None`: not known, and not checked.
    fn opens(&self, file: Id<File>) -> Option<u64> {
        let _ = file;
        None
    }
}

/// Nothing is known, and nothing checked.
impl Tlbs for () {
    fn loaded(&self, _: CpuId) -> Option<(KernelFrame, Asid)> {
        None
    }
    fn for_each_translation(&self, _: &mut dyn FnMut(&Translation)) {}
    fn for_each_link(&self, _: &mut dyn FnMut(&Link)) {}
}

/// No frame is held; who has files open is not known.
impl Holders for () {}

/// All of it.
#[derive(Clone, Copy)]
pub struct Outside<'a> {
    /// What CPUs hold.
    pub tlbs: &'a dyn Tlbs,
    /// What others hold.
    pub holders: &'a dyn Holders,
}

impl Outside<'_> {
    /// Only the manager itself is checked.
    pub const NOTHING: Outside<'static> = Outside { tlbs: &(), holders: &() };
}
