//! The page tables of all address spaces.

use crate::counts::CpuCounts;
use crate::node::{Header, Life, header};
use crate::{Counted, PageTable, Payload, TableBatch, Walker, grow};
use frame::{Frames, Id, Slab, SlabView};
use machine::{Asid, Boot, CpuId, Cx, Event, Level, Machine, Shortage, level};
use revoke::{CpuTlbs, Revoked};

/// All page tables of a machine.
pub struct Tables<'m, M: Machine> {
    slab: Slab<'m, M, PageTable>,
    tlbs: CpuTlbs<'m>,
    counts: &'m [CpuCounts],
}

impl<'m, M: Machine> Tables<'m, M> {
    /// None so far.
    pub fn new(boot: &Boot<'m, M>) -> Result<Self, Shortage> {
        let counts = boot.array(boot.machine().cpus() as usize)?;
        Ok(Tables { slab: Slab::new(boot)?, tlbs: CpuTlbs::new(boot)?, counts })
    }

    /// A page table without entries.
    pub fn create(
        &self,
        cx: &mut Cx<'m, M, { level::SLEEP_MAX }>,
        frames: &Frames<'m, M>,
    ) -> Result<Id<PageTable>, Shortage> {
        let id = self.slab.alloc(cx.at(), frames)?;
        let root = match grow::make(cx.at(), frames, id.raw(), Level::ROOT) {
            Ok(root) => root,
            Err(shortage) => {
                self.slab.free(cx.at(), id);
                return Err(shortage);
            }
        };
        let table = self.get(id);
        table.root.set(root.0);
        table.number.set(id.raw());
        table.domain.init(cx, &self.tlbs, Asid(id.raw() + 1));
        table.add_table(cx.cpu());
        cx.trace(|| Event::SpaceMade { asid: table.domain.asid(), root });
        Ok(id)
    }

    /// Frees a page table that has no entries left and is active on no CPU; what waits in the batch
    /// ([`Walker::clear`] filled it) is settled in the same round.
    pub fn destroy(
        &self,
        cx: &mut Cx<'m, M, { level::SLEEP_MAX }>,
        frames: &Frames<'m, M>,
        id: Id<PageTable>,
        mut batch: TableBatch<'_, 'm, M>,
        mut finish: impl FnMut(&mut Cx<'m, M, { level::SLEEP_MAX }>, Payload),
    ) {
        let walker = self.walker(frames, id);
        let table = walker.table;
        debug_assert!(table.domain.active(cx).is_empty(), "a page table in use is freed");
        debug_assert!(table.is_bare(), "a page table with entries is freed");
        if batch.is_full() {
            walker.settle(cx, &mut batch, &mut finish);
        }
        let root = header(frames.descriptor(table.root().0));
        root.set(Header { life: Life::Dead, ..root.get() });
        let token = Revoked::table(&table.domain, Walker::<M>::whole(), Payload::Table(table.root()));
        batch.push(cx.at(), token);
        table.remove_table(cx.cpu());
        cx.trace(|| Event::SpaceEnded { asid: table.domain.asid() });
        walker.settle(cx, &mut batch, finish);
        self.slab.free(cx.at(), id);
    }

    /// The page table itself.
    pub fn get(&self, id: Id<PageTable>) -> Counted<'m> {
        Counted::new(self.slab.get(id), self.counts)
    }

    /// The way to its entries.
    pub fn walker<'a>(&self, frames: &'a Frames<'m, M>, id: Id<PageTable>) -> Walker<'a, 'm, M> {
        Walker { table: self.get(id), frames }
    }

    /// The page tables there are: for checkers of a quiet machine.
    pub fn ids(&self) -> impl Iterator<Item = Id<PageTable>> + '_ {
        self.slab.ids()
    }

    /// Where the page tables are described: for checkers of a quiet machine.
    pub fn slab_view(&self) -> &dyn SlabView {
        &self.slab
    }

    /// The live page table of this name in TLBs: for checkers of a quiet machine.
    pub fn by_asid(&self, asid: Asid) -> Option<Id<PageTable>> {
        let id = Id::from_raw(asid.0.checked_sub(1)?);
        (self.slab.is_live(id) && self.get(id).domain.asid() == asid).then_some(id)
    }

    /// The generation up to which a CPU claims to have dropped what was revoked: for checkers of a quiet
    /// machine.
    pub fn quiet_claim(&self, cpu: CpuId, id: Id<PageTable>) -> Option<u64> {
        self.get(id).domain.quiet_claim(&self.tlbs, cpu)
    }

    /// Makes this CPU, which translates through no page table, translate through this one.
    pub fn activate(&self, cx: &mut Cx<'m, M, { level::SLEEP_MAX }>, id: Id<PageTable>) {
        let table = self.get(id);
        table.begin(cx.cpu());
        table.domain.activate(cx, &self.tlbs, table.root());
    }

    /// Makes this CPU, which translates through this page table, translate through none.
    pub fn deactivate(&self, cx: &mut Cx<'m, M, { level::SLEEP_MAX }>, id: Id<PageTable>) {
        let table = self.get(id);
        table.end(cx.cpu());
        table.domain.deactivate(cx, &self.tlbs);
    }

    /// Moves this CPU from one page table to another.
    pub fn switch(&self, cx: &mut Cx<'m, M, { level::SLEEP_MAX }>, from: Id<PageTable>, to: Id<PageTable>) {
        let (from, to) = (self.get(from), self.get(to));
        from.end(cx.cpu());
        to.begin(cx.cpu());
        from.domain.switch(cx, &self.tlbs, (&to.domain, to.root()));
    }
}
