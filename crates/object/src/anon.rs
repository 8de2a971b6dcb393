//! Anonymous pages: where they belong, and how they begin.

use crate::model::{Lineage, Owner, owner_number};
use frame::counts::Exclusive;
use frame::{Descriptor, Id, State};
use machine::{Cx, Event, Machine, UserFrame};

/// Where an anonymous page belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnonCtx {
    /// Its family of address spaces.
    pub lineage: Id<Lineage>,
    /// Its linear index there: page number plus what the VMA was moved by.
    pub index: u64,
}

impl AnonCtx {
    /// What it belongs to.
    pub fn owner(self) -> Owner {
        Owner::Lineage(self.lineage)
    }
}

/// Whether a page was exclusive before it was shared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Was {
    /// It was.
    Exclusive,
    /// Others may have had it before.
    Shared,
}

/// The page stays exclusive to its one mapping (it is pinned), or cannot be counted once more: the child gets
/// a copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct MustCopy;

/// A fresh page, which only the caller knows and whose one reference becomes its mapping's: anonymous, of
/// that place, mapped once, exclusive (CR5). The caller holds the leaf's lock and installs the entry next.
pub(crate) fn born<'m, M: Machine, const L: u8>(cx: &Cx<'m, M, L>, page: &Descriptor, at: AnonCtx) {
    debug_assert!(page.maps(cx) == 0, "a page is born once");
    page.set_owner(cx, owner_number(at.lineage), at.index);
    page.set_state(cx, State::Anon);
    let counted = page.add_map(cx, Exclusive::Yes);
    debug_assert!(counted.is_ok(), "the first mapping fits");
}

/// What those who watch are told.
pub(crate) fn anon_born(frame: UserFrame, ctx: AnonCtx) -> Event {
    Event::AnonBorn { frame: frame.0, lineage: ctx.lineage.raw(), index: ctx.index }
}
