//! What a fault holds of the layout of its space.

use crate::layout_lock::{Holding, LayoutLock};
use crate::space::Space;
use crate::spaces::Spaces;
use frame::Id;
#[cfg(feature = "baselines")]
use machine::lock::Right;
use machine::{Cx, Machine, Vpn, level};

impl<'m, M: Machine> Spaces<'m, M> {
    /// Whether operations on ranges may have a lock of their own.
    pub(crate) fn has_granules(&self) -> bool {
        self.lock == LayoutLock::Ranges
    }

    /// A fault on a page begins.
    #[inline]
    pub fn begin_fault(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, id: Id<Space>, page: Vpn) -> Holding {
        match self.lock {
            LayoutLock::Ranges => {
                let _ = (cx, id, page);
                Holding::Nothing
            }
            #[cfg(feature = "baselines")]
            LayoutLock::Global => self.hold_for_fault(cx, id, page),
        }
    }

    /// It has ended.
    #[inline]
    pub fn end_fault(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, id: Id<Space>, holding: Holding) {
        match holding {
            Holding::Nothing => {
                let _ = (cx, id);
            }
            #[cfg(feature = "baselines")]
            Holding::Whole => self.space(id).layout.let_go(cx, Right::Read),
        }
    }

    /// Holds the layout if a VMA has the page: then it has the page until the fault ends. Else the fault
    /// takes the lock itself, to look again or to let a stack grow, and nobody takes it twice.
    #[cfg(feature = "baselines")]
    fn hold_for_fault(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, id: Id<Space>, page: Vpn) -> Holding {
        self.space(id).layout.hold_too(cx, Right::Read);
        if self.covering_lockless(cx, id, page).is_some() {
            return Holding::Whole;
        }
        self.space(id).layout.let_go(cx, Right::Read);
        Holding::Nothing
    }
}
