//! Small pages of a space become one of 2 MiB (Linux: `khugepaged`, `MADV_COLLAPSE`), and the other way round
//! (Linux: `split_huge_pages` of debugfs).

use crate::layout::Layout;
use crate::space::Space;
use crate::spaces::Spaces;
use crate::vma::{Snapshot, VmaFlags};
use frame::{Id, Request, Reserve};
use machine::entry::{Attrs, Kind};
use machine::trace::Work;
use machine::{Counter, Cx, EntryFormat, Event, HUGE_ORDER, Machine, UserFrame, Vpn, VpnRange, level};
use object::exclusive::AnonCtx;
use object::{Collapse, NotCollapsed, Split};

/// Who wants small pages to become one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// A scanner, where VMAs want large pages.
    ByScan,
    /// The program asked for it: also where pages of 2 MiB are made nowhere else (`MADV_COLLAPSE`).
    ByProgram,
}

impl Wanted {
    /// How many shared pages are copied at most (Linux: `max_ptes_shared`, which only the scanner minds).
    fn shared_max(self) -> u64 {
        match self {
            Wanted::ByScan => HUGE_ORDER.frames() / 2,
            Wanted::ByProgram => HUGE_ORDER.frames(),
        }
    }
}

/// Why nothing was collapsed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CollapseError {
    /// The VMA does not allow it, or is none (Linux: `SCAN_VMA_CHECK`).
    NotHere,
    /// The pages do not allow it.
    Pages(NotCollapsed),
    /// No free 2 MiB (Linux: `SCAN_ALLOC_HUGE_PAGE_FAIL`).
    NoMemory,
    /// The space is dying.
    Killed,
}

impl core::fmt::Display for CollapseError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            CollapseError::NotHere => "no large page may stand here",
            CollapseError::Pages(NotCollapsed::IsHuge) => "it is a large page",
            CollapseError::Pages(NotCollapsed::NotWorthIt) => "there is nothing to collapse",
            CollapseError::Pages(NotCollapsed::Unfit) => "some pages must stay as they are",
            CollapseError::Pages(NotCollapsed::InUse) => "some page is in use",
            CollapseError::NoMemory => "no large page is free",
            CollapseError::Killed => "the process is being killed",
        })
    }
}

impl core::error::Error for CollapseError {}

impl<'m, M: Machine> Spaces<'m, M> {
    /// Makes the aligned 2 MiB around a page one page, by copying.
    // LINUX: mm/khugepaged.c hpage_collapse_scan_pmd(), collapse_huge_page().
    pub fn collapse(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        (page, wanted): (Vpn, Wanted),
    ) -> Result<(), CollapseError> {
        // Before anything is locked: is it worth a large page?
        let vma = self.vma_at(cx, space, page).ok_or(CollapseError::NotHere)?;
        self.collapse_range(space, &vma, (page, wanted)).ok_or(CollapseError::NotHere)?;
        let table = self.space(space).table().ok_or(CollapseError::Killed)?;
        let look = (page.huge_base(), wanted.shared_max());
        let looked = self.objects().is_collapsible(cx.at(), &self.walker(table), look);
        looked.map_err(CollapseError::Pages)?;
        let request = Request::user().order(HUGE_ORDER).reserve(Reserve::Optional);
        let Ok(into) = self.frames().allocate_user(cx.at(), &request) else {
            cx.count(Counter::ThpCollapseAllocFailed);
            return Err(CollapseError::NoMemory);
        };
        let done = match self.write_layout(cx, space) {
            Ok(mut layout) => layout.collapse((page, wanted), into),
            Err(_) => Err(CollapseError::Killed),
        };
        if done.is_err() {
            self.frames().put(cx.at(), into.0);
        }
        done
    }

    /// Whether some 2 MiB of a VMA may be one page, if the program asks for it.
    // LINUX: mm/huge_memory.c thp_vma_allowable_order(): the last aligned 2 MiB before the end are in the
    // VMA.
    pub fn may_collapse(&self, space: Id<Space>, vma: &Snapshot) -> bool {
        let last = Vpn(vma.range.end.0.saturating_sub(HUGE_ORDER.frames())).huge_base();
        self.collapse_range(space, vma, (last, Wanted::ByProgram)).is_some()
    }

    /// Splits the folio of 2 MiB that a page of the space is in; `None` if it is in none.
    pub fn split_folio_at(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        page: Vpn,
    ) -> Option<Split> {
        let table = self.space(space).table()?;
        let head = {
            let leaf = self.walker(table).lock_leaf_existing(cx.at(), page)?;
            let (entry, level) = (leaf.entry(page), leaf.level());
            let Kind::Leaf(pfn) = M::Entry::kind(entry, level) else { return None };
            let folio = self.objects().folio(&leaf, pfn);
            let counted = folio.is_large() && !M::Entry::attrs(entry).special;
            (counted && self.frames().get(&leaf, folio.head).is_ok()).then_some(folio.head)?
        };
        let split = self.objects().split_folio(cx.at(), head);
        self.frames().put(cx.at(), head);
        Some(split)
    }

    /// The 2 MiB around a page, if they may be one page.
    fn collapse_range(
        &self,
        space: Id<Space>,
        vma: &Snapshot,
        (page, wanted): (Vpn, Wanted),
    ) -> Option<VpnRange> {
        let refused = vma.flags.contains(VmaFlags::NO_HUGE_PAGE) || self.refuses_huge_pages(space);
        match wanted {
            Wanted::ByScan => self.huge_range(space, vma, page),
            Wanted::ByProgram => Self::huge_range_in(vma, page).filter(|_| !refused),
        }
    }
}

impl<M: Machine> Layout<'_, '_, M> {
    fn collapse(&mut self, (page, wanted): (Vpn, Wanted), into: UserFrame) -> Result<(), CollapseError> {
        let (spaces, space) = (self.spaces, self.space);
        let id = self.covering(page).ok_or(CollapseError::NotHere)?;
        let vma = self.snapshot(id);
        let pages = spaces.collapse_range(self.id, &vma, (page, wanted)).ok_or(CollapseError::NotHere)?;
        let table = space.table.get().ok_or(CollapseError::Killed)?;
        let lineage = spaces.lineage_of(self.id).ok_or(CollapseError::Killed)?;
        let ctx = AnonCtx { lineage, index: vma.anon_index(pages.start) };
        let asid = spaces.tables().get(table).domain().asid();
        self.trace(|| Event::WorkBegun { asid, pages, work: Work::Collapse });
        let (perms, locked) = (vma.flags.perms(), vma.flags.is_locked());
        let attrs = Attrs { perms, accessed: true, dirty: true, special: false, locked };
        let collapse = Collapse { table, pages, into, ctx, attrs, shared_max: wanted.shared_max() };
        // No fault installs a page where the table was, or takes another table's place.
        self.begin_change(id);
        let done = spaces.objects().collapse(self, &collapse);
        self.end_change(id);
        done.map_err(CollapseError::Pages)
    }
}
