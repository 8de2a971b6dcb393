//! Uses of pages whose entries lost their rights to be noticed (Linux: `do_numa_page`,
//! `do_huge_pmd_numa_page`).

use crate::error::FaultError;
use crate::faults::Faults;
use crate::handle::{Outcome, Wish};
use frame::Request;
use machine::entry::Attrs;
use machine::{Counter, Cx, EntryFormat, Machine, NodeId, Order, Pfn, level};
use object::Without;
use table::Leaf;

impl<'m, M: Machine> Faults<'m, M> {
    /// Gives the entry its rights back, to write only if nobody else can see the page (CR13), and moves the
    /// page here if it was used from here the last time, too.
    // LINUX: mm/memory.c do_numa_page() moves the page first and gives the rights back if it stays.
    // kernel/sched/fair.c should_numa_migrate_memory(): of its rules this is the one of two faults in a row;
    // it knows no groups of tasks that share pages, and no tiers of memory.
    pub(crate) fn hint_fault(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
        pfn: Pfn,
    ) -> Result<Outcome, FaultError> {
        let here = cx.node();
        let (spaces, objects) = (self.spaces(), self.spaces().objects());
        let (allowed, misplaced) = {
            let Some(mut leaf) = self.lock_unchanged(cx, wish)? else { return Ok(Outcome::Again) };
            let attrs = M::Entry::attrs(leaf.entry(wish.page));
            let mut perms = wish.vma.flags.perms();
            perms.write &= spaces.may_write_at_once(&leaf, &wish.vma, pfn, attrs);
            leaf.relax(wish.page, |entry| {
                let attrs = Attrs { perms, accessed: true, ..M::Entry::attrs(entry) };
                M::Entry::with_attrs(entry, attrs, wish.level)
            });
            (perms.allow(wish.access), self.is_misplaced(&leaf, pfn, here))
        };
        let request = Request::user().only(here);
        if let Some(pages) = misplaced
            && objects.migrate(cx.at(), pfn, &request, Without::Stay).is_ok()
        {
            cx.count_n(Counter::NumaPagesMigrated, pages);
        }
        Ok(if allowed { Outcome::Done } else { Outcome::Again })
    }

    /// Notes the use. If the page is to come here the answer is how many pages it has, and it has a
    /// reference.
    fn is_misplaced(&self, leaf: &Leaf<'_, 'm, M>, pfn: Pfn, here: NodeId) -> Option<u64> {
        leaf.count(Counter::NumaHintFaults);
        let page = self.spaces().frames().descriptor(pfn);
        let meta = page.meta(leaf);
        // Of a large folio only what one entry maps is looked at.
        if !meta.is_head() || meta.order() != Order(leaf.level().span_shift() as u8) {
            return None;
        }
        let last = page.note_user_node(leaf, here);
        if meta.node() == here {
            leaf.count(Counter::NumaHintFaultsLocal);
            return None;
        }
        (last == Some(here) && page.get(leaf).is_ok()).then_some(meta.order().frames())
    }
}
