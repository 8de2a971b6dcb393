//! How the layout of a space is locked.

use crate::space::Space;
use crate::spaces::{Slabs, Spaces};
use frame::Id;
#[cfg(feature = "baselines")]
use machine::lock::Right;
use machine::{Cx, Machine, Vpn, level};

/// Who meets at the lock of a space's layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LayoutLock {
    /// Faults take no lock of their space. Operations on ranges meet only if they must.
    #[default]
    Ranges,
    /// One lock a space: every operation holds it, and faults hold it for reading (Linux before 6.4:
    /// `mmap_lock`). A baseline, to be measured.
    #[cfg(feature = "baselines")]
    Global,
}

impl LayoutLock {
    /// All of them.
    pub const ALL: &[LayoutLock] = &[
        LayoutLock::Ranges,
        #[cfg(feature = "baselines")]
        LayoutLock::Global,
    ];

    /// What it is called as a policy.
    pub fn name(self) -> &'static str {
        match self {
            LayoutLock::Ranges => "ranges",
            #[cfg(feature = "baselines")]
            LayoutLock::Global => "global",
        }
    }
}

/// What a fault holds of its space's layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "it is given back by `Spaces::end_fault`"]
pub enum Holding {
    /// Nothing.
    Nothing,
    /// The lock of all of it, for reading.
    #[cfg(feature = "baselines")]
    Whole,
}

impl<M: Machine> Slabs<'_, M> {
    /// The same, locked another way.
    pub fn with_layout_lock(self, lock: LayoutLock) -> Self {
        Slabs { lock, ..self }
    }
}

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
