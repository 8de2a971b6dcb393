//! Large pages in the background: small pages become one (Linux: `khugepaged`).

use crate::memory::Balance;
use machine::{Cx, HUGE_ORDER, Machine, Vpn, level};
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
