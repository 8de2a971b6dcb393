//! Pages of a space move to other frames, for `move_pages`, policies and balancing (Linux: mm/migrate.c,
//! `add_folio_for_migration`).

use crate::space::Space;
use crate::spaces::Spaces;
use frame::{Id, Request};
use machine::entry::Kind;
use machine::{Cx, EntryFormat, Machine, NodeId, Order, Pfn, Vpn, VpnRange, level};
use object::{Refused, Without};
use table::{Cursor, Soft};

/// How often a page that somebody uses for a moment is tried (Linux: `NR_MAX_MIGRATE_SYNC_RETRY`).
const TRIES: u32 = 3;

/// What is mapped at a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mapped {
    /// Nothing, or something that is not in memory.
    Nothing,
    /// The page of zeros, which all share and nobody moves.
    Zero,
    /// It is being moved just now.
    Moving,
    /// A page, by its own frame.
    Page(Pfn),
}

/// Where a page is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Whereabouts {
    /// On which node.
    pub node: NodeId,
    /// Whether several entries map it. (Of a large page that is mapped by pages: unless this page is
    /// exclusive to its entry. Linux estimates, too: `folio_likely_mapped_shared`.)
    pub shared: bool,
    /// How large it is.
    pub order: Order,
    /// Which part of it is mapped at the page that was asked about.
    pub part: u64,
}

impl<'m, M: Machine> Spaces<'m, M> {
    /// What is mapped at a page, with a reference if it is a page: given back with `Frames::put`.
    pub fn page_mapped(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, space: Id<Space>, page: Vpn) -> Mapped {
        let Some(table) = self.space(space).table() else { return Mapped::Nothing };
        let walker = self.walker(table);
        let Some(leaf) = walker.lock_leaf_existing(cx.at(), page) else { return Mapped::Nothing };
        let (entry, level) = (leaf.entry(page), leaf.level());
        if let Some(Soft::Migration { .. }) = Soft::of::<M>(entry, level) {
            return Mapped::Moving;
        }
        let Kind::Leaf(first) = M::Entry::kind(entry, level) else { return Mapped::Nothing };
        if M::Entry::attrs(entry).special {
            return Mapped::Zero;
        }
        // The mapping's reference keeps it while the leaf is locked.
        let own = first.plus(page.0 & ((1 << level.span_shift()) - 1));
        match self.frames().get(&leaf, own) {
            Ok(()) => Mapped::Page(own),
            Err(_) => Mapped::Moving,
        }
    }

    /// Where the page is that is mapped at `page`; what is there instead if it is no page.
    pub fn whereabouts(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        page: Vpn,
    ) -> Result<Whereabouts, Mapped> {
        let pfn = match self.page_mapped(cx, space, page) {
            Mapped::Page(pfn) => pfn,
            other => return Err(other),
        };
        let folio = self.objects().folio(cx, pfn);
        let shared = folio.page.maps(cx) > 1 && !self.objects().is_exclusive(cx, pfn);
        let (node, order) = (folio.page.node(cx), folio.page.order(cx));
        let found = Whereabouts { node, shared, order, part: u64::from(pfn.0 - folio.head.0) };
        self.frames().put(cx.at(), pfn);
        Ok(found)
    }

    /// The first page of a range with an entry in use.
    pub fn next_mapped(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        range: VpnRange,
    ) -> Option<Vpn> {
        let walker = self.walker(self.space(space).table()?);
        let mut cursor = Cursor::new(range);
        while let Some((leaf, part)) = cursor.next(&walker, cx.at()) {
            if let Some((page, _)) = leaf.next_used(part.start, part.end) {
                return Some(page.max(part.start));
            }
        }
        None
    }

    /// Moves the page that is mapped at `page` to a frame that `request` allows: all of it, if it is one of 2
    /// MiB and there is a block for it. The caller uses the space and holds no lock.
    pub fn move_page(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        page: Vpn,
        request: &Request,
    ) -> Result<Pfn, Refused> {
        let mut moved = Err(Refused::Busy);
        for _ in 0..TRIES {
            moved = match self.page_mapped(cx, space, page) {
                Mapped::Nothing => Err(Refused::Gone),
                Mapped::Zero => Err(Refused::Unmovable),
                Mapped::Moving => Err(Refused::Busy),
                Mapped::Page(pfn) => self.objects().migrate(cx.at(), pfn, request, Without::Split),
            };
            // A page that went may have left another one in its place.
            if !matches!(moved, Err(Refused::Busy | Refused::Gone)) {
                break;
            }
        }
        moved
    }
}
