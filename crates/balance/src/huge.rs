//! Large pages in the background: small pages become one (Linux: `khugepaged`), and folios of which parts are
//! not mapped any more become small ones (Linux: `deferred_split_scan`).

use crate::memory::Balance;
use frame::{Flags, SUBSECTION_ORDER, SubsectionState};
use machine::{Cx, HUGE_ORDER, Machine, Pfn, Vpn, level};
use object::Split;
use space::{CollapseError, Space, Spaces, Wanted};

/// What one step of the scanner came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Scanned {
    /// How many pages it looked at.
    pub pages: u64,
    /// How many times 2 MiB it made.
    pub collapsed: u64,
}

const PAGES: u64 = HUGE_ORDER.frames();

impl Balance<'_> {
    /// Looks at about `budget` pages, where the last step ended, and makes large pages of small ones where
    /// VMAs want them. One step runs at a time.
    // LINUX: mm/khugepaged.c khugepaged_do_scan(); `pages_to_scan` is the budget.
    pub fn collapse_step<'m, M: Machine>(
        &self,
        cx: &mut Cx<'m, M>,
        spaces: &Spaces<'m, M>,
        budget: u64,
    ) -> Scanned {
        let mut cx = self.shared.scan.write(cx);
        let mut scanned = Scanned::default();
        let mut rounds = 0;
        while scanned.pages < budget {
            let hand = self.shared.scan_space.get();
            let next = spaces.ids().find(|id| u64::from(id.raw()) >= hand);
            let Some(id) = next else {
                self.go_on_at(0);
                rounds += 1;
                if rounds == 2 {
                    break;
                }
                continue;
            };
            if u64::from(id.raw()) > hand {
                self.go_on_at(u64::from(id.raw()));
            }
            if spaces.try_retain(&mut cx, id) {
                self.scan_space(&mut cx, spaces, id, (budget, &mut scanned));
                spaces.release(&mut cx, id);
            } else {
                self.go_on_at(hand.max(u64::from(id.raw())) + 1);
            }
        }
        scanned
    }

    /// The next space, from its first page on.
    fn go_on_at(&self, space: u64) {
        self.shared.scan_space.set(space);
        self.shared.scan_page.set(Vpn(0));
    }

    fn scan_space<'m, M: Machine>(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        spaces: &Spaces<'m, M>,
        id: frame::Id<Space>,
        (budget, scanned): (u64, &mut Scanned),
    ) {
        while scanned.pages < budget {
            let page = self.shared.scan_page.get();
            let Some(vma) = spaces.vma_at(cx, id, page) else {
                return self.go_on_at(u64::from(id.raw()) + 1);
            };
            let first = Vpn((page.max(vma.range.start).0 + PAGES - 1) & !(PAGES - 1));
            if first >= vma.range.end || spaces.huge_range(id, &vma, first).is_none() {
                scanned.pages += 1;
                self.shared.scan_page.set(vma.range.end.max(page + 1));
                continue;
            }
            scanned.pages += PAGES;
            self.shared.scan_page.set(first + PAGES);
            match spaces.collapse(cx, id, (first, Wanted::ByScan)) {
                Ok(()) => scanned.collapsed += 1,
                // LINUX: it sleeps until memory may have become free.
                Err(CollapseError::NoMemory) => scanned.pages = budget,
                Err(_) => {}
            }
        }
    }
}

/// Splits folios of 2 MiB of which parts have no mapping any more, so that those frames are free; looks at
/// all memory. Answers how many were split. Who holds or pins one keeps it whole.
pub(crate) fn split_partly_mapped<'m, M: Machine>(
    cx: &mut Cx<'m, M, { level::PROCESS }>,
    spaces: &Spaces<'m, M>,
) -> u64 {
    let frames = spaces.frames();
    let mut split = 0;
    for (start, end) in frames.touched() {
        let first = start.0.next_multiple_of(PAGES as u32);
        for head in (first..end.0).step_by(PAGES as usize).map(Pfn) {
            split += u64::from(is_partly_mapped(cx, spaces, head) && try_split(cx, spaces, head));
        }
    }
    split
}

/// A hint. (More processes than one may map the folio: then parts that none of them maps stay.)
fn is_partly_mapped<'m, M: Machine>(
    cx: &Cx<'m, M, { level::PROCESS }>,
    spaces: &Spaces<'m, M>,
    head: Pfn,
) -> bool {
    let subsection = spaces.frames().memmap().subsection(cx, head);
    if subsection.state() != SubsectionState::Active || subsection.whole() != Some(SUBSECTION_ORDER) {
        return false;
    }
    let page = spaces.frames().descriptor(head);
    page.test(cx, Flags::BY_PAGES) && page.maps(cx) < PAGES
}

fn try_split<'m, M: Machine>(
    cx: &mut Cx<'m, M, { level::PROCESS }>,
    spaces: &Spaces<'m, M>,
    head: Pfn,
) -> bool {
    if spaces.frames().try_get_folio(cx.at(), head) != Some(head) {
        return false;
    }
    let split = spaces.objects().split_folio(cx.at(), head) == Split::Done;
    spaces.frames().put(cx.at(), head);
    split
}
