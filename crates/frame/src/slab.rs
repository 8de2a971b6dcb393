//! Slabs.

use crate::frames::Frames;
use crate::id::Id;
use core::marker::PhantomData;
use machine::{Boot, Cells, Cx, Machine, NodeId, Order, Shortage, level};

/// Objects of one type.
pub struct Slab<'m, M: Machine, T: Cells> {
    machine: &'m M,
    of: PhantomData<fn() -> T>,
}

impl<'m, M: Machine, T: Cells> Slab<'m, M, T> {
    /// An empty slab.
    pub fn new(boot: &Boot<'m, M>) -> Result<Self, Shortage> {
        Ok(Slab { machine: boot.machine(), of: PhantomData })
    }
    /// A zeroed object.
    pub fn alloc(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        frames: &Frames<'m, M>,
    ) -> Result<Id<T>, Shortage> {
        let _ = (cx, frames, self.machine);
        Err(Shortage { order: Order::ZERO, node: NodeId(0) })
    }
    /// The object.
    pub fn get(&self, id: Id<T>) -> &'m T {
        let _ = id;
        unimplemented!()
    }
    /// Gives an object back.
    pub fn free(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, id: Id<T>) {
        let _ = (cx, id);
    }
    /// How many objects are in use.
    pub fn in_use(&self) -> u64 {
        0
    }
    /// The objects in use, on a quiet machine.
    pub fn ids(&self) -> impl Iterator<Item = Id<T>> + '_ {
        core::iter::empty()
    }
}
