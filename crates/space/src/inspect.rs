//! Looking at all address spaces of a quiet machine: for checkers and reports.

use crate::space::Space;
use crate::spaces::Spaces;
use crate::tree::{Broken, Census};
use crate::vma::Vma;
use frame::{Id, SlabView};
use machine::{Machine, VpnRange};

impl<'m, M: Machine> Spaces<'m, M> {
    /// Whether nobody holds a space's layout lock or waits for it.
    pub fn layout_is_idle(&self, id: Id<Space>) -> bool {
        self.space(id).layout.is_idle()
    }

    /// Checks the structure of a space's VMA tree.
    ///
    /// # Errors
    /// The first rule found broken.
    pub fn check_tree(&self, id: Id<Space>) -> Result<Census, Broken> {
        self.space(id).tree.check(&self.nodes)
    }

    /// The VMAs of a space in the order of its tree, with the ranges the tree knows them by. The tree is
    /// sound.
    pub fn quiet_vmas(&self, id: Id<Space>) -> impl Iterator<Item = (VpnRange, Id<Vma>)> + '_ {
        let all = self.space(id).tree.quiet_ranges(&self.nodes);
        all.map(|(range, value)| (range, Id::from_raw(value)))
    }

    /// Every slab, with a name.
    pub fn slab_views(&self) -> [(&'static str, &dyn SlabView); 3] {
        [("spaces", &self.spaces), ("VMAs", &self.vmas), ("tree nodes", self.nodes.slab_view())]
    }
}
