//! Small pages become one of 2 MiB, by copying, or stay as they are.
//!
//! ```text
//! layout lock, stamps odd      no fault installs, no call changes what is mapped
//! reverse map, exclusive       no walk misses a page that has no entry for a while
//!   the table is unlinked      flushed, and lockless walks that saw it are over: what they pinned is counted
//!   counts, page by page       a pin, or a reference of somebody else's? the table comes back
//!   copy                       nobody can store to the pages: no translation and no pin is left
//!   install                    one entry of 2 MiB, exclusive; the table is its spare
//! the small pages' mappings and references go
//! ```
//!
//! Copying makes shared pages the program's own, so that all of the new page is exclusive (row 24 of the COW
//! table). Linux: `collapse_huge_page`.

use crate::account::counted;
use crate::anon::{anon_born, born};
use crate::exclusive::AnonCtx;
use crate::ksm::merge::Sign;
use crate::model::Owner;
use crate::objects::Objects;
use frame::{Id, State};
use machine::entry::{Attrs, Kind};
use machine::{
    Asid, Counter, Cx, Entry, EntryFormat, Event, Level, Machine, Order, PageOp, Plant, UserFrame, Vpn,
    VpnRange, level,
};
use revoke::Batch;
use table::{Leaf, PageTable, Unlinked, Walker};

/// Why small pages stay small. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotCollapsed {
    /// It is one page already.
    IsHuge,
    /// There are no small pages, or none that a store may reach (Linux: `SCAN_PAGE_RO`).
    NotWorthIt,
    /// Too many pages are shared, or some are swapped out or on their way (Linux: `SCAN_EXCEED_SHARED_PTE`).
    Unfit,
    /// Somebody has a pin on a page, or a reference to it (Linux: `SCAN_PAGE_COUNT`).
    InUse,
}

/// What is to be collapsed, and into what.
#[derive(Clone, Copy, Debug)]
pub struct Collapse {
    /// The space's translations.
    pub table: Id<PageTable>,
    /// The 2 MiB.
    pub pages: VpnRange,
    /// The new page: 2 MiB that nobody else knows.
    pub into: UserFrame,
    /// Where its first page belongs.
    pub ctx: AnonCtx,
    /// Its entry's attributes.
    pub attrs: Attrs,
    /// How many shared pages are copied at most.
    pub shared_max: u64,
}

/// What was found among the entries of a table.
#[derive(Default)]
struct Findings {
    resident: u64,
    shared: u64,
    writable: u64,
}

impl<'m, M: Machine> Objects<'m, M> {
    /// Whether the small pages around a page could become one: a look under the leaf's lock.
    pub fn is_collapsible(
        &self,
        cx: &mut Cx<'m, M, { level::SLEEP_MAX }>,
        walker: &Walker<'_, 'm, M>,
        (page, shared_max): (Vpn, u64),
    ) -> Result<(), NotCollapsed> {
        let Some(leaf) = walker.lock_leaf_existing(cx, page) else { return Err(NotCollapsed::NotWorthIt) };
        if leaf.level() == Level::HUGE {
            return Err(NotCollapsed::IsHuge);
        }
        let entries = entries_of(&leaf);
        self.judge(&leaf, entries, shared_max).map(drop)
    }

    /// Collapses. The caller holds the layout lock, and has made the VMA's stamp odd. On success the frame's
    /// reference is the mapping's; otherwise it stays the caller's.
    pub fn collapse(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        collapse: &Collapse,
    ) -> Result<(), NotCollapsed> {
        let walker = self.walker(collapse.table);
        self.is_collapsible(cx.at(), &walker, (collapse.pages.start, collapse.shared_max))?;
        let mut done = Err(NotCollapsed::NotWorthIt);
        self.without_walks(cx.at(), Owner::Lineage(collapse.ctx.lineage), |cx| {
            done = self.collapse_alone(cx, &walker, collapse);
        });
        done
    }

    fn collapse_alone(
        &self,
        cx: &mut Cx<'m, M, { level::RMAP }>,
        walker: &Walker<'_, 'm, M>,
        collapse: &Collapse,
    ) -> Result<(), NotCollapsed> {
        let mut batch = Batch::new(walker.table().domain(), self.frames());
        let unlinked = walker.unlink_leaf(cx.at(), collapse.pages.start, &mut batch);
        self.settle(cx, walker, &mut batch);
        let unlinked = unlinked.ok_or(NotCollapsed::NotWorthIt)?;
        let judged = self.judge(cx, entries_in(cx, &unlinked), collapse.shared_max);
        let findings = match judged {
            Ok(findings) => findings,
            Err(refused) => {
                walker.relink(cx.at(), unlinked);
                return Err(refused);
            }
        };
        self.copy_all(cx, &unlinked, collapse.into);
        self.let_all_go(cx, walker.table().domain().asid(), &unlinked);
        born(cx, self.descriptor(collapse.into.0), collapse.ctx);
        cx.trace(|| anon_born(collapse.into, collapse.ctx));
        let entry = M::Entry::leaf(collapse.into.0, collapse.attrs, Level::HUGE);
        walker.replace_unlinked(cx.at(), unlinked, (entry, findings.resident));
        cx.count(Counter::ThpCollapseAlloc);
        Ok(())
    }

    /// Whether what a table maps can be collapsed (Linux: `__collapse_huge_page_isolate`).
    fn judge<const L: u8>(
        &self,
        cx: &Cx<'m, M, L>,
        entries: impl Iterator<Item = (Vpn, Entry)>,
        shared_max: u64,
    ) -> Result<Findings, NotCollapsed> {
        let mut found = Findings::default();
        for (_, entry) in entries {
            match M::Entry::kind(entry, Level::LEAF) {
                Kind::Leaf(_) => {}
                Kind::Empty | Kind::Table(_) => continue,
                Kind::Absent(_) => return Err(NotCollapsed::Unfit),
            }
            let Some(pfn) = counted::<M>(entry) else { continue };
            let folio = self.folio(cx, pfn);
            if folio.page.state(cx) != State::Anon {
                return Err(NotCollapsed::Unfit);
            }
            let counts = folio.page.counts(cx);
            let in_use = counts.pins() > 0 || counts.refs() != counts.maps();
            if in_use && !cx.planted(Plant::CollapseUnchecked) {
                return Err(NotCollapsed::InUse);
            }
            found.resident += 1;
            found.shared += u64::from(!self.is_exclusive(cx, pfn));
            found.writable += u64::from(M::Entry::attrs(entry).perms.write);
        }
        match found {
            Findings { shared, .. } if shared > shared_max => Err(NotCollapsed::Unfit),
            Findings { writable: 0, .. } => Err(NotCollapsed::NotWorthIt),
            found => Ok(found),
        }
    }

    /// Copies what is mapped; the rest is zeros.
    fn copy_all(&self, cx: &Cx<'m, M, { level::RMAP }>, unlinked: &Unlinked<'m>, into: UserFrame) {
        for (i, page) in (0..).zip(unlinked.each_page()) {
            let to = UserFrame(into.0.plus(i));
            let op = match counted::<M>(unlinked.entry(cx, page)) {
                Some(pfn) => PageOp::Copy { to, from: UserFrame(pfn), order: Order::ZERO },
                None => PageOp::Zero { to, order: Order::ZERO },
            };
            cx.machine().page_op(cx.cpu(), op);
        }
    }

    /// The mappings of the small pages go. Everything was flushed.
    fn let_all_go(&self, cx: &mut Cx<'m, M, { level::RMAP }>, asid: Asid, unlinked: &Unlinked<'m>) {
        for page in unlinked.each_page() {
            let before = unlinked.entry(cx, page);
            if before == Entry::EMPTY {
                continue;
            }
            let (level, after) = (Level::LEAF, Entry::EMPTY);
            cx.trace(|| Event::EntryChanged { asid, page, level, before, after });
            self.count_merged_zero(before, Sign::Goes);
            let Some(pfn) = counted::<M>(before) else { continue };
            self.folio(cx, pfn).page.remove_map(cx);
            self.frames().put(cx.at(), pfn);
        }
    }
}

/// The entries in use of a locked leaf.
fn entries_of<'a, M: Machine>(leaf: &'a Leaf<'_, '_, M>) -> impl Iterator<Item = (Vpn, Entry)> + 'a {
    let mut next = leaf.span().start;
    core::iter::from_fn(move || {
        let (page, entry) = leaf.next_used(next, leaf.span().end)?;
        next = page + 1;
        Some((page, entry))
    })
}

/// The entries of a table that nobody else reaches.
fn entries_in<'a, 'm, M: Machine>(
    cx: &'a Cx<'m, M, { level::RMAP }>,
    unlinked: &'a Unlinked<'m>,
) -> impl Iterator<Item = (Vpn, Entry)> + 'a {
    unlinked.each_page().map(|page| (page, unlinked.entry(cx, page)))
}
