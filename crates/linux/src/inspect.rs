//! What checkers of a quiet machine look at.

use crate::system::Linux;
use frame::SlabView;
use machine::Machine;
use object::Held;

impl<M: Machine> Linux<'_, M> {
    /// The slabs of this floor, by name.
    pub fn slab_views(&self) -> [(&'static str, &dyn SlabView); 4] {
        [
            ("processes", &self.processes),
            ("pipes", &self.pipes),
            ("rings", &self.rings),
            ("pages of rings", &self.chunks),
        ]
    }

    /// Calls `see` with what pipes and rings hold.
    pub fn for_each_held(&self, see: &mut dyn FnMut(Held)) {
        for pipe in self.pipes.ids() {
            self.pipes.get(pipe).quiet_held().for_each(&mut *see);
        }
        for chunk in self.chunks.ids() {
            self.chunks.get(chunk).held.iter().for_each(|held| see(held.get()));
        }
    }
}
