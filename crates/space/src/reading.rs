//! A space whose layout stays as it is, for who only looks.

use crate::space::Space;
use crate::spaces::Spaces;
use crate::vma::Vma;
use core::ops::{Deref, DerefMut};
use frame::Id;
use machine::lock::{Right, SleepHeld};
use machine::{Cx, Machine, Vpn, VpnRange, level};

/// A space with all of its layout locked for reading.
pub(crate) struct Reading<'a, 'm, M: Machine> {
    spaces: &'a Spaces<'m, M>,
    space: &'m Space,
    /// Granules that are locked.
    held: u64,
    cx: SleepHeld<'a, 'm, M, { level::LAYOUT }>,
}

impl<'m, M: Machine> Deref for Reading<'_, 'm, M> {
    type Target = Cx<'m, M, { level::LAYOUT }>;
    fn deref(&self) -> &Self::Target {
        &self.cx
    }
}

impl<M: Machine> DerefMut for Reading<'_, '_, M> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.cx
    }
}

impl<M: Machine> Drop for Reading<'_, '_, M> {
    fn drop(&mut self) {
        for granule in self.spaces.granules_of(self.space, self.held) {
            granule.lock.let_go(&mut *self.cx, Right::Read);
        }
    }
}

impl<'m, M: Machine> Spaces<'m, M> {
    /// Locks all of a space's layout for reading: its lock, then those of its open granules.
    pub(crate) fn read_whole<'a>(
        &'a self,
        cx: &'a mut Cx<'m, M, { level::PROCESS }>,
        id: Id<Space>,
    ) -> Reading<'a, 'm, M> {
        let space = self.space(id);
        let mut cx = space.layout.read(cx);
        // Who opens or closes one has the layout lock for writing.
        let held = space.open_granules(&cx);
        for granule in self.granules_of(space, held) {
            granule.lock.hold_too(&mut *cx, Right::Read);
        }
        Reading { spaces: self, space, held, cx }
    }
}

impl<M: Machine> Reading<'_, '_, M> {
    /// The first VMA that ends behind this page.
    pub(crate) fn find(&self, page: Vpn) -> Option<(VpnRange, Id<Vma>)> {
        let granules = self.spaces.granules_of(self.space, self.held).map(|granule| &granule.tree);
        let trees = granules.chain([&self.space.tree]);
        let found = trees.filter_map(|tree| tree.find(self.spaces.nodes(), &self.cx, page));
        found.min_by_key(|(range, _)| range.start).map(|(range, value)| (range, Id::from_raw(value)))
    }
}
