//! Translations go away: the step that `munmap`, `MADV_DONTNEED`, exit and the OOM killer share.

use crate::layout::Layout;
use crate::place::user_end;
use crate::space::{Sign, Space};
use crate::spaces::Spaces;
use crate::vma::VmaFlags;
use frame::Id;
use machine::trace::Work;
use machine::{Cx, Event, Machine, Plant, Vpn, VpnRange, level};
use revoke::Batch;
use table::{PageTable, Refill, TableBatch};

/// Whether page tables that became empty go away too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tables {
    /// They stay: the range is still mapped.
    Keep,
    /// They go: nothing is mapped there any more.
    FreeEmpty,
}

impl Tables {
    /// Where tables go, the VMAs are marked: faults start over, and find none.
    fn refill(self) -> Refill {
        match self {
            Tables::Keep => Refill::Possible,
            Tables::FreeEmpty => Refill::Excluded,
        }
    }
}

/// Every page user space may have.
pub fn everything<M: Machine>() -> VpnRange {
    VpnRange::new(Vpn(0), user_end::<M>())
}

impl<'m, M: Machine> Spaces<'m, M> {
    /// A batch for changes of one space's translations.
    pub fn batch(&self, table: Id<PageTable>) -> TableBatch<'_, 'm, M> {
        Batch::new(self.tables().get(table).domain(), self.frames())
    }

    /// Settles a batch; the frames and tables it carries are let go.
    pub fn settle(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        table: Id<PageTable>,
        batch: &mut TableBatch<'_, 'm, M>,
    ) {
        self.objects().settle(cx.at(), &self.walker(table), batch);
    }

    /// Removes everything a space without users has.
    pub(crate) fn tear_down(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, id: Id<Space>) {
        let mut layout = self.write_layout_of_dying(cx, id);
        let space = layout.space;
        for granule in self.all_granules(space).filter(|granule| granule.tree.count() != 0) {
            layout.tree = &granule.tree;
            layout.mark_all();
            layout.zap(everything::<M>(), Tables::Keep);
            layout.remove_vmas(everything::<M>());
        }
        layout.tree = &space.tree;
        layout.mark_all();
        layout.zap(everything::<M>(), Tables::FreeEmpty);
        layout.remove_vmas(everything::<M>());
    }

    /// Takes the private memory of a killed space away, without its co-operation (Linux:
    /// `__oom_reap_task_mm`). Its VMAs stay; its faults answer `Killed`.
    pub fn reap(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, id: Id<Space>) {
        let mut layout = self.write_layout_of_dying(cx, id);
        let space = layout.space;
        for tree in self.all_granules(space).map(|granule| &granule.tree).chain([&space.tree]) {
            layout.tree = tree;
            layout.reap();
        }
    }
}

impl<'m, M: Machine> Layout<'_, 'm, M> {
    /// Removes every translation of the VMAs in the range. When it returns no CPU has one, and the frames
    /// they held are free unless somebody else uses them. One flush round, unless the batch fills up.
    pub(crate) fn zap(&mut self, range: VpnRange, tables: Tables) {
        let (spaces, space) = (self.spaces, self.space);
        let Some(table) = space.table.get() else { return };
        spaces.note_peak_before(space, range);
        let walker = spaces.walker(table);
        let work = if tables == Tables::FreeEmpty { Work::Unmap } else { Work::Discard };
        let asid = walker.table().domain().asid();
        self.trace(|| Event::WorkBegun { asid, pages: range, work });
        let mut batch = spaces.batch(table);
        let refill = tables.refill();
        let zapped = self.for_each_in(range, |layout, id, part| {
            let file = layout.vma(id).mapped_file();
            let mut unmapper = spaces.objects().unmapper(file).with_refill(refill);
            walker.sweep(layout.at(), part, &mut batch, &mut unmapper);
            Ok(())
        });
        debug_assert!(zapped.is_ok());
        if let Some(range) = self.pruned(range).filter(|_| tables == Tables::FreeEmpty) {
            let objects = spaces.objects();
            walker.prune(self.at(), range, &mut batch, |cx, payload| objects.finish(cx, payload));
        }
        if tables == Tables::FreeEmpty && self.planted(Plant::MappingLeftEarly) {
            self.remove_vmas(range);
        }
        spaces.settle(self, table, &mut batch);
    }

    fn reap(&mut self) {
        let reaped = self.for_each_in(everything::<M>(), |layout, id, part| {
            if layout.vma(id).flags().is_private() {
                layout.begin_change(id);
                layout.zap(part, Tables::Keep);
                layout.end_change(id);
            }
            Ok(())
        });
        debug_assert!(reaped.is_ok());
    }

    /// Faults that saw any VMA start over, and find none.
    fn mark_all(&mut self) {
        let marked = self.for_each_in(everything::<M>(), |layout, id, _| {
            layout.begin_change(id);
            Ok(())
        });
        debug_assert!(marked.is_ok());
    }

    /// Frees the VMAs of a range; their translations are gone and none sticks out.
    pub(crate) fn remove_vmas(&mut self, range: VpnRange) {
        while let Some(id) = self.first_in(range) {
            let (pages, flags) = (self.vma(id).range().pages(), self.vma(id).flags());
            self.account(flags, pages, Sign::Minus);
            if flags.contains(VmaFlags::ACCOUNTED) && !self.planted(Plant::PromiseKept) {
                self.uncommit(pages);
            }
            self.remove(id);
        }
    }
}
