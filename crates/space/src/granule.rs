//! Parts of a space's layout that are changed without its lock: granules of one GiB.
//!
//! A space begins with one tree of VMAs under one lock, the layout lock. Where tasks wait for that lock although
//! they work in different granules, the space gets [`Granules`]: for each a lock, a *tree of its own* and its
//! own counts, all on one line. Then `mmap` at a fixed address and `munmap` of what was mapped so take the lock
//! of their granule only, and change its tree only. Two of them in different granules meet nowhere.
//!
//! * A VMA is in the tree of a granule only if it lies in the granule and ends before the granule does, and is
//!   plain: private, writable, anonymous, not locked, no stack. All others are in the space's own tree.
//! * Whoever has the **whole** layout (its lock, then those of all open granules, in order) changes all trees.
//!   Everything but those two operations takes the whole, and first moves the VMAs of granules into the space's
//!   own tree ([`Layout::gather`]). So no other operation knows of granules.
//! * Who has the lock of one open granule may rely on the space's own tree: only who has the whole changes it. An
//!   operation that touches a VMA of it, or one beside it, takes the whole.
//! * Granules are opened and closed by who has the whole ([`Space`]`::open`): a granule that is not open is not
//!   locked by them, so who finds it closed, with its lock held, goes away again.
//!
//! The number of locks is fixed: several GiB share one, and a tree.

use crate::layout::{Layout, Scope};
use crate::space::Space;
use crate::spaces::Spaces;
use crate::stamp_block::StampBlock;
use crate::tree::Tree;
use crate::vma::VmaFlags;
use core::sync::atomic::Ordering::{Acquire, Release};
use frame::Id;
use machine::lock::{Right, Sleep};
use machine::{Cx, Field, Machine, Memory, Shortage, Vpn, VpnRange, level};

/// How many granules can be told apart.
pub(crate) const GRANULES: usize = 64;
/// Pages of a granule: 1 GiB.
const PAGES: u64 = 1 << 18;
/// How many VMAs a granule's tree may have: together they stay far below the limit of a space.
pub(crate) const VMAS: u64 = 256;
/// Holders of the whole that come by before a granule that nobody uses is closed.
const PATIENCE: u64 = 1000;
/// A granule's empty page tables are freed by every so many calls of `munmap`, or by one of 2 MiB.
const PRUNED_EVERY: u64 = 32;

machine::cells! {
    /// One granule: a line.
    #[repr(align(64))]
    pub(crate) struct Granule {
        /// Covers the rest.
        pub(crate) lock: Sleep<{ level::LAYOUT }>,
        /// (granule; read inside an epoch) Its VMAs.
        pub(crate) tree: Tree,
        /// (granule) Pages of its VMAs, since the whole was last held (wrapping).
        pub(crate) pages: Field<u64>,
        /// (granule) Pages committed for them since then (wrapping).
        pub(crate) committed: Field<u64>,
        /// (granule) Stamps that are its own.
        pub(crate) stamps: StampBlock,
        /// (granule) How often the whole may be held until the granule is closed.
        patience: Field<u64>,
        /// (granule) Ranges unmapped.
        unmapped: Field<u64>,
    }
}

machine::cells! {
    /// The granules of one space, in a slab.
    pub(crate) struct Granules {
        all: [Granule; GRANULES],
    }
}

const _: () = assert!(size_of::<Granule>() == 64);

/// The granule of a page, as a number of its GiB.
fn number(page: Vpn) -> u64 {
    page.0 / PAGES
}

/// The lock that a page's granule has.
fn slot(page: Vpn) -> usize {
    (number(page) % GRANULES as u64) as usize
}

/// Whether a range lies in one granule, and ends before it does.
fn is_narrow(range: VpnRange) -> bool {
    !range.is_empty() && number(range.start) == number(range.end)
}

/// Whether VMAs of these flags may be in a granule's tree.
pub(crate) fn is_plain(flags: VmaFlags) -> bool {
    let odd = [
        VmaFlags::SHARED,
        VmaFlags::EXEC,
        VmaFlags::GROWS_DOWN,
        VmaFlags::LOCKED,
        VmaFlags::LOCK_ON_FAULT,
        VmaFlags::MERGEABLE,
    ];
    flags.contains(VmaFlags::WRITE) && odd.into_iter().all(|flag| !flags.contains(flag))
}

impl Granule {
    /// The granule is used.
    fn note_use(&self) {
        if self.patience.get() != PATIENCE {
            self.patience.set(PATIENCE);
        }
    }
}

impl Space {
    /// Granules that are open, a bit for each.
    pub(crate) fn open_granules<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> u64 {
        if self.granules.get().is_none() {
            return 0;
        }
        // ORDERING: Acquire pairs with the Release in `set_open`: who finds a granule open finds it made.
        cx.load(&self.open, Acquire)
    }

    fn set_open<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, open: u64) {
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
        change: impl FnOnce(&mut Layout<'_, 'm, M>) -> Result<T, crate::Error>,
    ) -> Result<T, crate::Error> {
        let space = self.space(id);
        let granule = if is_narrow(range) { self.open_granule(cx, space, range.start) } else { None };
        if let Some(granule) = granule {
            let mut layout = self.write_granule(cx, id, granule)?;
            if layout.is_enough_for(range) {
                granule.note_use();
                return change(&mut layout);
            }
        }
        let (mut layout, waited) = self.write_layout_or_wait(cx, id)?;
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
        let vmas = granule.tree.count() < VMAS
            && space.tree.count() + VMAS * GRANULES as u64 <= crate::map::VMAS_MAX;
        is_open && vmas && space.takes_plain() && self.spaces.promises_freely() && alone()
    }

    /// Opens the range's granule if tasks wait for the lock of the whole again and again to change what lies
    /// in one granule.
    fn note_wait(&mut self, range: VpnRange, waited: machine::lock::Waited) {
        let (spaces, space) = (self.spaces, self.space);
        if waited == machine::lock::Waited::No || !is_narrow(range) || !spaces.has_granules() {
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

    /// Locks all open granules, and brings their counts home. Closes those that nobody uses.
    pub(crate) fn hold_granules(&mut self) {
        let (spaces, space) = (self.spaces, self.space);
        let open = space.open_granules(self);
        if open == 0 {
            return;
        }
        for granule in spaces.granules_of(space, open) {
            granule.lock.hold_too(&mut **self, Right::Write);
            space.bring_home(granule.pages.replace(0), granule.committed.replace(0));
        }
        self.scope = Scope::Whole { held: open };
    }

    /// Moves the VMAs of all granules into the space's own tree. Who finds one without a lock meanwhile may miss
    /// it, and looks again with the lock.
    pub(crate) fn gather(&mut self) -> Result<(), Shortage> {
        let (spaces, space) = (self.spaces, self.space);
        let Scope::Whole { held } = self.scope else { return Ok(()) };
        for granule in spaces.granules_of(space, held) {
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
                0 => open &= !(1 << slot),
                left => granule.patience.set(left - 1),
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

    /// Where empty page tables are to go after this range was unmapped. In a granule they are kept for a while:
    /// what is unmapped there is mapped again soon, and each grace period looks at all CPUs.
    pub(crate) fn pruned(&self, range: VpnRange) -> Option<VpnRange> {
        let Scope::Granule(granule) = self.scope else { return Some(range) };
        granule.unmapped.add(1);
        if granule.unmapped.get().is_multiple_of(PRUNED_EVERY) {
            return Some(VpnRange::sized(Vpn(number(range.start) * PAGES), PAGES));
        }
        (range.pages() >= HUGE_PAGES).then_some(range)
    }
}

/// Pages of a leaf table.
const HUGE_PAGES: u64 = 512;
/// How often tasks wait before a granule is opened.
const WAITS: u64 = 16;
