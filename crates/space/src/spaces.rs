//! All address spaces of a machine, and the floors they stand on.

use crate::error::Error;
use crate::granule::Granules;
use crate::layout_lock::LayoutLock;
use crate::promises::{Promised, Promises};
use crate::space::{Limits, Space, Stats};
use crate::tree::Nodes;
use crate::uses::{self, Left};
use crate::vma::{STACK_GUARD, Snapshot, Vma};
use frame::{Frames, Id, Slab};
use machine::{
    Boot, Cx, EntryFormat, HUGE_ORDER, Machine, PAGE_SHIFT, Plant, Shortage, Vpn, VpnRange, level,
};
use object::{Attachment, Lineage, Objects, Owner};
use table::{PageTable, Rss, Tables, Walker};

/// Pages, for each CPU of the machine, for whose going counts of many CPUs are added up to note a peak.
const PEAK_PAGES: u64 = 32;

/// What [`Spaces`] needs of boot memory: made before the frame allocator takes the rest of it.
pub struct Slabs<'m, M: Machine> {
    pub(crate) spaces: Slab<'m, M, Space>,
    pub(crate) vmas: Slab<'m, M, Vma>,
    pub(crate) nodes: Nodes<'m, M>,
    pub(crate) granules: Slab<'m, M, Granules>,
    pub(crate) lock: LayoutLock,
    pub(crate) promised: &'m [Promised],
}

impl<'m, M: Machine> Slabs<'m, M> {
    /// Empty ones.
    pub fn new(boot: &Boot<'m, M>) -> Result<Self, Shortage> {
        Ok(Slabs {
            spaces: Slab::new(boot)?,
            vmas: Slab::new(boot)?,
            nodes: Nodes::new(boot)?,
            granules: Slab::new(boot)?,
            lock: LayoutLock::default(),
            promised: boot.array(boot.machine().cpus() as usize)?,
        })
    }

    /// The same, locked another way.
    pub fn with_layout_lock(self, lock: LayoutLock) -> Self {
        Slabs { lock, ..self }
    }
}

/// A space whose last user has left, with all that it has mapped: [`Spaces::take_down`] is due.
#[must_use = "the space's memory would never go"]
pub struct Deserted(Id<Space>);

/// All address spaces of a machine. Owns the floors below.
pub struct Spaces<'m, M: Machine> {
    pub(crate) spaces: Slab<'m, M, Space>,
    pub(crate) vmas: Slab<'m, M, Vma>,
    pub(crate) nodes: Nodes<'m, M>,
    pub(crate) granules: Slab<'m, M, Granules>,
    pub(crate) promises: Promises<'m>,
    pub(crate) lock: LayoutLock,
    objects: Objects<'m, M>,
}

impl<'m, M: Machine> Spaces<'m, M> {
    /// No space yet.
    pub fn new(slabs: Slabs<'m, M>, objects: Objects<'m, M>) -> Self {
        let Slabs { spaces, vmas, nodes, granules, lock, promised } = slabs;
        Spaces { spaces, vmas, nodes, granules, promises: Promises::new(promised), lock, objects }
    }

    /// What pages belong to.
    pub fn objects(&self) -> &Objects<'m, M> {
        &self.objects
    }

    /// Translations.
    pub fn tables(&self) -> &Tables<'m, M> {
        self.objects.tables()
    }

    /// Frames.
    pub fn frames(&self) -> &Frames<'m, M> {
        self.objects.frames()
    }

    /// The way to the entries of a page table.
    pub fn walker(&self, table: Id<PageTable>) -> Walker<'_, 'm, M> {
        self.tables().walker(self.frames(), table)
    }

    /// A space by its identity.
    pub fn space(&self, id: Id<Space>) -> &'m Space {
        self.spaces.get(id)
    }

    /// The family of spaces whose anonymous pages a space may share.
    pub fn lineage_of(&self, id: Id<Space>) -> Option<Id<Lineage>> {
        match self.lineage(self.space(id)) {
            Some(Owner::Lineage(lineage)) => Some(lineage),
            _ => None,
        }
    }

    /// A VMA by its identity.
    pub fn vma(&self, id: Id<Vma>) -> &'m Vma {
        self.vmas.get(id)
    }

    /// The nodes of the VMA trees.
    pub fn nodes(&self) -> &Nodes<'m, M> {
        &self.nodes
    }

    /// Every space that exists: for checkers, reports and the OOM killer.
    pub fn ids(&self) -> impl Iterator<Item = Id<Space>> + '_ {
        self.spaces.ids()
    }

    /// How many objects of each kind exist: spaces, VMAs, tree nodes.
    pub fn in_use(&self) -> [u64; 3] {
        [self.spaces.in_use(), self.vmas.in_use(), self.nodes.in_use()]
    }

    /// A new, empty space with one user, in a lineage of its own.
    pub fn create(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        limits: &Limits,
    ) -> Result<Id<Space>, Error> {
        Ok(self.create_in(cx.at(), None, limits)?)
    }

    /// A new, empty space in the lineage of its parent, or in one of its own.
    pub(crate) fn create_in(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        parent: Option<Id<Attachment>>,
        limits: &Limits,
    ) -> Result<Id<Space>, Shortage> {
        let id = self.spaces.alloc(cx.at(), self.frames())?;
        let (table, member) = self.create_table(cx, parent).inspect_err(|_| self.spaces.free(cx.at(), id))?;
        let space = self.space(id);
        space.set_limits(limits);
        space.mmap_base.set(mmap_base::<M>(limits));
        space.member.set(Some(member));
        if parent.is_some() {
            // The OOM killer passes over what is dying: fork has no lock of the child while it makes it.
            space.kill(cx);
        }
        // The first user comes before the table: from then on only users retain it.
        uses::begin(cx, space.uses());
        space.table.set(Some(table));
        Ok(id)
    }

    fn create_table(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        parent: Option<Id<Attachment>>,
    ) -> Result<(Id<PageTable>, Id<Attachment>), Shortage> {
        let table = self.tables().create(cx.at(), self.frames())?;
        let member = match parent {
            Some(parent) => self.objects().join_lineage(cx.at(), parent, table),
            None => self.objects().found_lineage(cx.at(), table).map(|(_, member)| member),
        };
        match member {
            Ok(member) => Ok((table, member)),
            Err(shortage) => {
                self.free_table(cx, table);
                Err(shortage)
            }
        }
    }

    fn free_table(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, table: Id<PageTable>) {
        let objects = self.objects();
        let batch = self.batch(table);
        self.tables()
            .destroy(cx.at(), self.frames(), table, batch, |cx, payload| objects.finish(cx.at(), payload));
    }

    /// One more user of a space that the caller uses.
    pub fn retain(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, id: Id<Space>) {
        uses::join(cx, self.space(id).uses());
    }

    /// One more user of a space that may be going away.
    pub fn try_retain(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, id: Id<Space>) -> bool {
        uses::try_join(cx, self.space(id).uses())
    }

    /// One user less. The last one's leaving takes the space down: its memory at once, its tables when no CPU
    /// has them loaded any more.
    pub fn release(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, id: Id<Space>) {
        if let Some(deserted) = self.leave(cx, id) {
            self.take_down(cx, deserted);
        }
    }

    /// One user less, for callers who have something to do between the last user's leaving and the end of the
    /// memory.
    pub fn leave(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, id: Id<Space>) -> Option<Deserted> {
        match uses::leave(cx, self.space(id).uses()) {
            Left::Used => None,
            Left::Deserted => Some(Deserted(id)),
        }
    }

    /// Removes all mappings of a space without users, and frees it unless a CPU has it loaded.
    pub fn take_down(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, Deserted(id): Deserted) {
        self.tear_down(cx, id);
        self.drop_hold(cx, id);
    }

    /// A CPU is about to load a space that the caller uses: the space outlives its users until
    /// [`Spaces::drop_hold`].
    pub fn hold(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, id: Id<Space>) {
        uses::hold(cx, self.space(id).uses());
    }

    /// The CPU no longer has the space loaded. Frees it if nobody else has.
    pub fn drop_hold(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, id: Id<Space>) {
        let space = self.space(id);
        if !uses::drop_hold(cx, space.uses()) {
            return;
        }
        if let (Some(member), Some(table)) = (space.member.get(), space.table.get()) {
            self.objects.leave_lineage(cx.at(), member);
            self.free_table(cx.at(), table);
        }
        if let Some(granules) = space.granules.get() {
            self.granules.free(cx.at(), granules);
        }
        self.spaces.free(cx.at(), id);
    }

    /// This CPU translates through the space from now on.
    pub fn activate(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, id: Id<Space>) {
        if let Some(table) = self.space(id).table.get() {
            self.tables().activate(cx.at(), table);
        }
    }

    /// This CPU no longer does.
    pub fn deactivate(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, id: Id<Space>) {
        if let Some(table) = self.space(id).table.get() {
            self.tables().deactivate(cx.at(), table);
        }
    }

    /// Replaces the limits.
    pub fn set_limits(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, id: Id<Space>, limits: &Limits) {
        let layout = self.write_layout_of_dying(cx, id);
        layout.space.set_limits(limits);
    }

    /// Marks the space's processes to die: faults and calls answer `Killed` from now on.
    pub fn kill(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, id: Id<Space>) {
        self.space(id).kill(cx);
    }

    /// The VMA that has this page or the first one behind it, read without a lock.
    pub fn vma_at(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        id: Id<Space>,
        page: Vpn,
    ) -> Option<Snapshot> {
        if let Some(found) = self.covering_lockless(cx, id, page) {
            return Some(found);
        }
        if cx.planted(Plant::HoleBelieved) {
            return None;
        }
        // Without the lock a hole is only a hint: a VMA that is being split or changed is not seen.
        let reading = self.read_whole(cx, id);
        let (_, vma) = reading.find(page)?;
        self.vma(vma).snapshot(vma, &reading)
    }

    /// The VMA that has this page, if it can be read without a lock.
    pub(crate) fn covering_lockless(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        id: Id<Space>,
        page: Vpn,
    ) -> Option<Snapshot> {
        let guard = cx.enter_epoch();
        let space = self.space(id);
        let granule = self.open_granule(&guard, space, page).map(|granule| &granule.tree);
        granule.into_iter().chain([&space.tree]).find_map(|tree| {
            let (_, value) = tree.find_lockless(&self.nodes, &guard, page).ok()??;
            let vma = Id::from_raw(value);
            self.vma(vma).snapshot(vma, &guard).filter(|vma| vma.range.contains(page))
        })
    }

    /// Calls `f` with every VMA in order, the layout locked for reading.
    pub fn for_each_vma(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        id: Id<Space>,
        mut f: impl FnMut(&Snapshot),
    ) {
        let reading = self.read_whole(cx, id);
        let mut at = Vpn(0);
        while let Some((range, vma)) = reading.find(at) {
            f(&self.vma(vma).view(vma, 0));
            at = range.end;
        }
    }

    /// What the space holds.
    pub fn stats(&self, id: Id<Space>) -> Stats {
        let space = self.space(id);
        let mut stats = Stats {
            total: space.total.get(),
            peak_total: space.peak_total.get(),
            data: space.data.get(),
            exec: space.exec.get(),
            stack: space.stack.get(),
            locked: space.locked.get(),
            committed: space.committed.get(),
            peak_rss: space.peak_rss.get(),
            peak_tables: space.peak_tables.get(),
            vmas: space.tree.count(),
            ..Stats::default()
        };
        for granule in self.all_granules(space) {
            let (pages, committed) = (granule.pages.get(), granule.committed.get());
            stats.total = stats.total.wrapping_add(pages);
            stats.data = stats.data.wrapping_add(pages);
            stats.committed = stats.committed.wrapping_add(committed);
            stats.vmas += granule.tree.count();
        }
        stats.peak_total = stats.peak_total.max(stats.total);
        if let Some(table) = space.table.get() {
            let table = self.tables().get(table);
            [stats.anon_rss, stats.file_rss, stats.shmem_rss, stats.swapped] =
                Rss::ALL.map(|kind| table.rss(kind));
            stats.tables = table.tables();
            stats.peak_rss = stats.peak_rss.max(table.resident());
            stats.peak_tables = stats.peak_tables.max(stats.tables);
            stats.mlocked = table.locked();
            stats.anon_huge = table.spare_tables() * HUGE_ORDER.frames();
        }
        stats
    }

    /// Notes how much is resident if it is more than ever before; called where residence grew. Where several
    /// CPUs count apart this does nothing: `note_peak_before` does it, as seldom as Linux
    /// (`update_hiwater_rss`).
    pub fn note_peak(&self, id: Id<Space>) {
        let space = self.space(id);
        let table = space.table.get().map(|table| self.tables().get(table));
        if let Some(table) = table.filter(|table| !table.is_counted_apart()) {
            space.note_peak(&table);
        }
    }

    /// The same before pages of a range go. What CPUs count apart is only added up if many may go.
    pub(crate) fn note_peak_before(&self, space: &Space, range: VpnRange) {
        let Some(table) = space.table.get().map(|table| self.tables().get(table)) else { return };
        if table.is_counted_apart() && range.pages() >= PEAK_PAGES * table.lines() {
            space.note_peak(&table);
        }
    }
}

/// Where `mmap` starts searching downwards: below the stack and the room it may grow into, at least 128 MiB
/// and at most 5/6 of the address space (Linux: `mmap_base`, without randomisation).
fn mmap_base<M: Machine>(limits: &Limits) -> Vpn {
    let end = M::Entry::USER_END;
    let guard = STACK_GUARD << PAGE_SHIFT;
    let gap = limits.stack.saturating_add(guard).clamp(128 << 20, end / 6 * 5);
    Vpn((end - gap) >> PAGE_SHIFT)
}
