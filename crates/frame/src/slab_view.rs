//! A slab whatever it holds: for checkers of a quiet machine.

use crate::slab::Slab;
use machine::{Cells, Machine, Pfn};

/// What can be told of every slab.
pub trait SlabView {
    /// Objects allocated minus objects freed, by the CPUs' own counts.
    fn in_use(&self) -> u64;
    /// Objects that are marked as somebody's.
    fn live(&self) -> u64;
    /// Objects that nobody has: in the slab or in a CPU's cache.
    fn idle(&self) -> u64;
    /// All objects there is room for.
    fn capacity(&self) -> u64;
    /// Whether somebody holds the slab's lock.
    fn is_locked(&self) -> bool;
    /// Calls `visit` with every frame the slab has, of objects and of its directory.
    fn for_each_frame(&self, visit: &mut dyn FnMut(Pfn));
}

impl<M: Machine, T: Cells> SlabView for Slab<'_, M, T> {
    fn in_use(&self) -> u64 {
        Slab::in_use(self)
    }

    fn live(&self) -> u64 {
        self.counts().0
    }

    fn idle(&self) -> u64 {
        self.counts().1
    }

    fn capacity(&self) -> u64 {
        self.counts().2
    }

    fn is_locked(&self) -> bool {
        self.is_locked()
    }

    fn for_each_frame(&self, visit: &mut dyn FnMut(Pfn)) {
        self.frame_numbers().for_each(visit);
    }
}
