//! Changing the layout of a space in parts: see [`crate::granule`].

use crate::error::Error;
use crate::granule::{GRANULES, Granule, PAGES, is_narrow, number, slot};
use crate::layout::{Layout, Scope};
use crate::map::VMAS_MAX;
use crate::space::Space;
use crate::spaces::Spaces;
use core::sync::atomic::Ordering::{Acquire, Release};
use frame::Id;
use machine::lock::{Right, Waited};
use machine::{Cx, Machine, Memory, Shortage, Vpn, VpnRange, level};

/// How many VMAs a granule's tree may have: together they stay far below the limit of a space.
const VMAS: u64 = 256;
/// A granule's empty page tables are freed by every so many calls of `munmap`, or by one of 2 MiB.
const PRUNED_EVERY: u64 = 32;
/// Pages of a leaf table.
const HUGE_PAGES: u64 = 512;
/// How often tasks wait before a granule is opened.
const WAITS: u64 = 16;

impl Space {
    /// Granules that are open, a bit for each.
    pub(crate) fn open_granules<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> u64 {
        if self.granules.get().is_none() {
            return 0;
        }
        // ORDERING: Acquire pairs with the Release in `set_open`: who finds a granule open finds it made.
        cx.load(&self.open, Acquire)
    }

    pub(crate) fn set_open<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, open: u64) {
        // ORDERING: Release pairs with the Acquire in `open_granules`.
        cx.store(&self.open, open, Release);
    }
}

impl<'m, M: Machine> Spaces<'m, M> {
    pub(crate) fn granule(&self, space: &Space, slot: usize) -> Option<&'m Granule> {
        Some(&self.granules.get(space.granules.get()?).all[slot])
    }

    /// The granules of a set.
    pub(crate) fn granules_of<'a>(
        &'a self,
        space: &'a Space,
        set: u64,
    ) -> impl Iterator<Item = &'m Granule> + 'a {
        let slots = (0..GRANULES).filter(move |slot| set >> slot & 1 != 0);
        slots.filter_map(|slot| self.granule(space, slot))
    }

    /// All granules a space has: for reports and checkers.
    pub(crate) fn all_granules<'a>(&'a self, space: &'a Space) -> impl Iterator<Item = &'m Granule> + 'a {
        self.granules_of(space, u64::MAX)
    }

    /// The granule a page's VMA may be in: it was open a moment ago.
    pub(crate) fn open_granule<const L: u8>(
        &self,
        cx: &Cx<'m, M, L>,
        space: &Space,
        page: Vpn,
    ) -> Option<&'m Granule> {
        let open = space.open_granules(cx);
        (open >> slot(page) & 1 != 0).then(|| self.granule(space, slot(page))).flatten()
    }

    /// Changes a range whose VMAs are or will be plain ones: with the lock of its granule alone if that is
    /// open and has all that is concerned, else with the whole.
    pub(crate) fn change_range<T>(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        id: Id<Space>,
        range: VpnRange,
        change: impl FnOnce(&mut Layout<'_, 'm, M>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let space = self.space(id);
        let granule = if is_narrow(range) { self.open_granule(cx, space, range.start) } else { None };
        if let Some(granule) = granule {
            let mut layout = self.write_granule(cx, id, granule)?;
            if layout.is_enough_for(range) {
                granule.note_use();
                return change(&mut layout);
            }
        }
        let (mut layout, waited) = self.write_layout_for(cx, id, Some(range))?;
        layout.note_wait(range, waited);
        change(&mut layout)
    }
}

impl<'m, M: Machine> Layout<'_, 'm, M> {
    /// Whether the granule that is locked has every VMA that a change of the range may touch, and nothing
    /// else of the space has to be looked at.
    fn is_enough_for(&self, range: VpnRange) -> bool {
        let space = self.space;
        let Scope::Granule(granule) = self.scope else { return true };
        let is_open = space.open_granules(self) >> slot(range.start) & 1 != 0;
        let before = Vpn(range.start.0.saturating_sub(1));
        let alone = || {
            let found = space.tree.find(self.spaces.nodes(), self, before);
            found.is_none_or(|(next, _)| range.end < next.start)
        };
        let vmas = granule.tree.count() < VMAS && space.tree.count() + VMAS * GRANULES as u64 <= VMAS_MAX;
        is_open && vmas && space.takes_plain() && self.spaces.promises_freely() && alone()
    }

    /// Opens the range's granule if tasks wait for the lock of the whole again and again to change what lies
    /// in one granule.
    fn note_wait(&mut self, range: VpnRange, waited: Waited) {
        let (spaces, space) = (self.spaces, self.space);
        if waited == Waited::No || !is_narrow(range) || !spaces.has_granules() {
            return;
        }
        space.waits.add(1);
        let Scope::Whole { held } = self.scope else { return };
        let bit = 1 << slot(range.start);
        if space.waits.get() < WAITS || held & bit != 0 {
            return;
        }
        if space.granules.get().is_none() {
            // Without memory nothing changes.
            let Ok(granules) = spaces.granules.alloc(self.at(), spaces.frames()) else { return };
            space.granules.set(Some(granules));
        }
        let Some(granule) = spaces.granule(space, slot(range.start)) else { return };
        granule.lock.hold_too(&mut **self, Right::Write);
        granule.note_use();
        self.scope = Scope::Whole { held: held | bit };
        space.set_open(self, held | bit);
    }

    /// Locks all open granules, and brings their counts home. Whether somebody else had one: who changes a
    /// granule that is not open meets the others here, and may never wait for the space's own lock.
    pub(crate) fn hold_granules(&mut self) -> Waited {
        let (spaces, space) = (self.spaces, self.space);
        let open = space.open_granules(self);
        if open == 0 {
            return Waited::No;
        }
        let mut waited = Waited::No;
        for granule in spaces.granules_of(space, open) {
            if granule.lock.hold_too(&mut **self, Right::Write) == Waited::Yes {
                waited = Waited::Yes;
            }
            space.bring_home(granule.pages.replace(0), granule.committed.replace(0));
        }
        self.scope = Scope::Whole { held: open };
        waited
    }

    /// Moves the VMAs that a change of the range may touch into the space's own tree: those of its granule if
    /// it lies in one (what is in others ends before they do, and so has no neighbour here), else all. Who
    /// looks for one without a lock meanwhile may miss it, and looks again with the lock.
    pub(crate) fn gather(&mut self, range: Option<VpnRange>) -> Result<(), Shortage> {
        let (spaces, space) = (self.spaces, self.space);
        let Scope::Whole { held } = self.scope else { return Ok(()) };
        let concerned = match range {
            Some(range) if is_narrow(range) => held & 1 << slot(range.start),
            _ => held,
        };
        for granule in spaces.granules_of(space, concerned) {
            let nodes = spaces.nodes();
            while let Some((range, value)) = granule.tree.find(nodes, self, Vpn(0)) {
                let mut reserve = nodes.reserve(self.at(), spaces.frames(), &space.tree, 1)?;
                space.tree.insert(nodes, self, &mut reserve, range, value, 0);
                nodes.give_back(self.at(), reserve);
                granule.tree.remove(nodes, self.at(), range.start);
            }
        }
        self.close_unused(held);
        Ok(())
    }

    fn close_unused(&mut self, held: u64) {
        let (spaces, space) = (self.spaces, self.space);
        let mut open = held;
        for slot in (0..GRANULES).filter(|slot| held >> slot & 1 != 0) {
            let Some(granule) = spaces.granule(space, slot) else { continue };
            match granule.patience.get() {
                0 if granule.tree.count() == 0 => open &= !(1 << slot),
                left => granule.patience.set(left.saturating_sub(1)),
            }
        }
        if open != held {
            space.set_open(self, open);
        }
    }

    /// Ends [`Layout::hold_granules`].
    pub(crate) fn let_granules_go(&mut self) {
        let (spaces, space) = (self.spaces, self.space);
        let Scope::Whole { held } = core::mem::replace(&mut self.scope, Scope::Whole { held: 0 }) else {
            return;
        };
        if held != 0 {
            for granule in spaces.granules_of(space, held) {
                granule.lock.let_go(&mut **self, Right::Write);
            }
        }
    }

    /// Where empty page tables are to go after this range was unmapped. In a granule they are kept for a
    /// while: what is unmapped there is mapped again soon, and each grace period looks at all CPUs.
    pub(crate) fn pruned(&self, range: VpnRange) -> Option<VpnRange> {
        let Scope::Granule(granule) = self.scope else { return Some(range) };
        granule.unmapped.add(1);
        if granule.unmapped.get().is_multiple_of(PRUNED_EVERY) {
            return Some(VpnRange::sized(Vpn(number(range.start) * PAGES), PAGES));
        }
        (range.pages() >= HUGE_PAGES).then_some(range)
    }
}
