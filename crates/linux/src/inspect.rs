//! What checkers of a quiet machine look at.

use crate::system::Linux;
use frame::SlabView;
use machine::Machine;

impl<M: Machine> Linux<'_, M> {
    /// The slabs of this floor, by name.
    pub fn slab_views(&self) -> [(&'static str, &dyn SlabView); 1] {
        [("processes", &self.processes)]
    }
}
