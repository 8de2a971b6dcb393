//! Looking at all address spaces of a quiet machine: for checkers and reports.

use crate::space::Space;
use crate::spaces::Spaces;
use crate::tree::{Broken, Census};
use crate::vma::Vma;
use frame::{Id, SlabView};
use machine::{Machine, Vpn, VpnRange};

impl<'m, M: Machine> Spaces<'m, M> {
    /// Whether nobody holds a space's layout lock or waits for it.
    pub fn layout_is_idle(&self, id: Id<Space>) -> bool {
        let space = self.space(id);
        space.layout.is_idle() && self.all_granules(space).all(|granule| granule.lock.is_idle())
    }

    /// Whether a space has granules, with VMAs or without.
    pub fn is_divided(&self, id: Id<Space>) -> bool {
        self.space(id).granules.get().is_some()
    }

    /// Checks the structure of a space's VMA trees.
    ///
    /// # Errors
    /// The first rule found broken.
    pub fn check_tree(&self, id: Id<Space>) -> Result<Census, Broken> {
        let space = self.space(id);
        self.all_granules(space).try_fold(space.tree.check(&self.nodes)?, |sum, granule| {
            let Census { ranges, nodes, height } = granule.tree.check(&self.nodes)?;
            Ok(Census {
                ranges: sum.ranges + ranges,
                nodes: sum.nodes + nodes,
                height: sum.height.max(height),
            })
        })
    }

    /// The VMAs of a space, ascending, with the ranges that its trees know them by. The trees are sound.
    pub fn quiet_vmas(&self, id: Id<Space>) -> impl Iterator<Item = (VpnRange, Id<Vma>)> + '_ {
        let space = self.space(id);
        let mut next = Vpn(0);
        core::iter::from_fn(move || {
            let trees = self.all_granules(space).map(|granule| &granule.tree).chain([&space.tree]);
            let behind = trees.filter_map(|tree| tree.quiet_find(&self.nodes, next));
            let (range, value) = behind.min_by_key(|(range, _)| range.start)?;
            next = range.end;
            Some((range, Id::from_raw(value)))
        })
    }

    /// Every slab, with a name.
    pub fn slab_views(&self) -> [(&'static str, &dyn SlabView); 4] {
        [
            ("spaces", &self.spaces),
            ("VMAs", &self.vmas),
            ("tree nodes", self.nodes.slab_view()),
            ("granules", &self.granules),
        ]
    }
}
