//! The way of a fault: find the VMA, judge the access, look at the entry, do what it asks for (Linux:
//! `handle_mm_fault`, `handle_pte_fault`).

use crate::error::{FaultError, SegvKind};
use crate::faults::Faults;
use frame::{Id, Request};
use machine::entry::{Attrs, Kind};
use machine::trace::{Asker, Held, Verdict};
use machine::{
    Access, Asid, Counter, Cx, Entry, EntryFormat, Event, Level, Machine, Order, VirtAddr, Vpn, level,
};
use object::{Lineage, PageCtx};
use space::{MemPolicy, Snapshot, Space, VmaFlags};
use table::Soft;

/// How one try of a fault ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// The access will pass now.
    Done,
    /// Something changed meanwhile: look again.
    Again,
}

/// What came of a try that looked first.
enum Tried {
    /// The access will pass now.
    Done,
    /// Something changed meanwhile: look again.
    Again,
    /// A stack grew: look again.
    StackGrew,
}

/// What a fault is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// The access of [`Wish::access`].
    Access,
    /// A page of the program's own behind an entry that stays as it is: what a store would get, but not
    /// writable (CR12; Linux: `FAULT_FLAG_UNSHARE`). The access is a store.
    Own,
}

/// How long the page will stay where it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stay {
    /// It can be moved soon.
    Short,
    /// It will be pinned for long: it is not to come from a Movable zone.
    Long,
}

/// What a page is brought back for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Back {
    /// Its program touches it.
    Touched,
    /// Its area ends (`swapoff`).
    AreaEnds,
}

/// One fault: what is wanted where, and what was seen there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// The space's translations.
    pub(crate) table: Id<table::PageTable>,
    /// The family its anonymous pages belong to.
    pub(crate) lineage: Id<Lineage>,
    /// The page.
    pub(crate) page: Vpn,
    /// What the access wants.
    pub(crate) access: Access,
    /// What it is for.
    pub(crate) purpose: Purpose,
    /// How long a new page will stay.
    pub(crate) stay: Stay,
    /// Which nodes a new page comes from.
    pub(crate) policy: MemPolicy,
    /// The VMA as it was seen.
    pub(crate) vma: Snapshot,
    /// The entry as it was seen.
    pub(crate) entry: Entry,
    /// The entry's level: [`Level::HUGE`] for one of 2 MiB, else [`Level::LEAF`].
    pub(crate) level: Level,
    /// What stood where a table of small entries would be.
    pub(crate) room: Room,
    /// The space.
    pub(crate) space: Id<Space>,
}

/// What stands in the place of a table of entries of 4 KiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Room {
    /// Nothing: an entry of 2 MiB may be made.
    Free,
    /// The table, or an entry of 2 MiB.
    Taken,
}

impl Wish {
    /// Whether the access is a store.
    pub(crate) fn is_write(&self) -> bool {
        self.access == Access::Write
    }

    /// The page of the VMA's object that the access meets.
    pub(crate) fn page_ctx(&self) -> Option<PageCtx> {
        self.vma.file.map(|file| PageCtx { file, index: self.vma.file_index(self.page) })
    }

    /// Attributes of an entry that was just used for this access.
    pub(crate) fn attrs(&self) -> Attrs {
        let flags = self.vma.flags;
        let used =
            Attrs { perms: flags.perms(), accessed: true, locked: flags.is_locked(), ..Attrs::default() };
        match self.purpose {
            Purpose::Access => Attrs { dirty: self.is_write(), ..used },
            Purpose::Own => Attrs { perms: used.perms.read_only(), ..used },
        }
    }

    /// Whether the entry allows nothing although its VMA does: the use is to be noticed (NUMA balancing). (Of
    /// 2 MiB what is special is no page: it holds the place of one, or of a table.)
    fn is_hint<M: Machine>(&self) -> bool {
        let attrs = M::Entry::attrs(self.entry);
        let nothing = !attrs.perms.read && !attrs.perms.write && !attrs.perms.execute;
        let is_page = self.level == Level::LEAF || !attrs.special;
        is_page && nothing && self.vma.flags.perms().allow(self.access)
    }

    /// What a new page of the program's own is asked of the allocator with.
    pub(crate) fn request(&self, order: Order) -> Request {
        let request = match self.stay {
            Stay::Short => Request::user(),
            Stay::Long => Request::user().lasting(),
        };
        self.policy.request(request.order(order), self.vma.anon_index(self.page) >> order.0)
    }
}

impl<'m, M: Machine> Faults<'m, M> {
    /// Makes one access to an address possible, or says why it may not be.
    ///
    /// The caller uses the space. `Shortage` leaves nothing behind: reclaim, then fault again.
    pub fn handle(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        addr: VirtAddr,
        access: Access,
    ) -> Result<(), FaultError> {
        cx.count(Counter::PgFault);
        let result = self.resolve(cx, space, (addr, access), Asker::Program);
        match result {
            Err(FaultError::Segv(_)) => cx.count(Counter::FaultSegv),
            Err(FaultError::Bus) => cx.count(Counter::FaultBus),
            _ => {}
        }
        result
    }

    /// The same, uncounted.
    pub(crate) fn resolve(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        (addr, access): (VirtAddr, Access),
        asker: Asker,
    ) -> Result<(), FaultError> {
        cx.trace(|| Event::FaultBegun { asid: self.asid_of(space), addr, access, asker });
        let result = self.try_until_done(cx, space, addr, access);
        cx.trace(|| Event::FaultEnded { addr, outcome: FaultError::told(&result) });
        result
    }

    pub(crate) fn asid_of(&self, space: Id<Space>) -> Asid {
        let table = self.spaces().space(space).table();
        table.map_or(Asid::default(), |table| self.spaces().tables().get(table).domain().asid())
    }

    fn try_until_done(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        addr: VirtAddr,
        access: Access,
    ) -> Result<(), FaultError> {
        if addr.0 >= M::Entry::USER_END {
            return Err(FaultError::Segv(SegvKind::MapErr));
        }
        loop {
            if self.spaces().space(space).is_killed(cx) {
                return Err(FaultError::Killed);
            }
            let holding = self.spaces().begin_fault(cx, space, addr.page());
            let tried = self.look_and_try(cx, space, addr.page(), access);
            self.spaces().end_fault(cx, space, holding);
            match tried? {
                Tried::Done => {
                    self.spaces().note_peak(space);
                    return Ok(());
                }
                Tried::StackGrew => continue,
                Tried::Again => {}
            }
            cx.count(Counter::FaultRetry);
            cx.trace(|| Event::FaultRetried { page: addr.page() });
        }
    }

    /// One try, from the beginning.
    fn look_and_try(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        page: Vpn,
        access: Access,
    ) -> Result<Tried, FaultError> {
        let Some(wish) = self.look(cx, space, page, access)? else { return Ok(Tried::StackGrew) };
        Ok(if self.try_once(cx, &wish)? == Outcome::Done { Tried::Done } else { Tried::Again })
    }

    /// The VMA and the entry, if the access is allowed; `None` after a stack grew.
    fn look(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        page: Vpn,
        access: Access,
    ) -> Result<Option<Wish>, FaultError> {
        let spaces = self.spaces();
        let vma = spaces.vma_at(cx, space, page).ok_or(FaultError::Segv(SegvKind::MapErr))?;
        if !vma.range.contains(page) {
            if !vma.flags.contains(VmaFlags::GROWS_DOWN) {
                return Err(FaultError::Segv(SegvKind::MapErr));
            }
            spaces.grow_stack(cx, space, page)?;
            return Ok(None);
        }
        if !vma.flags.perms().allow(access) {
            return Err(FaultError::Segv(SegvKind::AccErr));
        }
        self.wish(cx, space, (page, vma), access).map(Some)
    }

    /// The entry, beside the VMA.
    pub(crate) fn wish(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        (page, vma): (Vpn, Snapshot),
        access: Access,
    ) -> Result<Wish, FaultError> {
        let spaces = self.spaces();
        let table = spaces.space(space).table().ok_or(FaultError::Killed)?;
        let lineage = spaces.lineage_of(space).ok_or(FaultError::Killed)?;
        let seen = spaces.walker(table).peek(cx.at(), page);
        let is_leaf = seen.level == Level::LEAF;
        let room = if is_leaf || seen.entry != Entry::EMPTY { Room::Taken } else { Room::Free };
        let level = if is_leaf || room == Room::Free { Level::LEAF } else { Level::HUGE };
        let (purpose, stay, entry) = (Purpose::Access, Stay::Short, seen.entry);
        let policy = vma.policy.or(spaces.space(space).policy());
        Ok(Wish { table, lineage, page, access, purpose, stay, vma, policy, entry, level, room, space })
    }

    /// One try (Linux: `handle_pte_fault`).
    pub(crate) fn try_once(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
    ) -> Result<Outcome, FaultError> {
        match M::Entry::kind(wish.entry, wish.level) {
            Kind::Empty | Kind::Table(_) => match wish.page_ctx() {
                None => self.first_touch(cx, wish),
                Some(ctx) => self.file_fault(cx, wish, ctx),
            },
            Kind::Leaf(pfn) if wish.is_hint::<M>() => self.hint_fault(cx, wish, pfn),
            Kind::Leaf(pfn) if wish.purpose == Purpose::Own => self.write_protected(cx, wish, pfn),
            Kind::Leaf(frame) if M::Entry::permits(wish.entry, wish.level, wish.access) => {
                let (page, held) = (wish.page, Held::default());
                cx.trace(|| Event::StoreJudged { page, frame, verdict: Verdict::Spurious, held });
                cx.count(Counter::FaultSpurious);
                Ok(Outcome::Done)
            }
            Kind::Leaf(pfn) if wish.is_write() => self.write_protected(cx, wish, pfn),
            // The entry allows less than the VMA, or holds its place for another: who changes it has its
            // leaf's lock, and is waited for there.
            Kind::Leaf(_) => {
                drop(self.lock_unchanged(cx, wish)?);
                Ok(Outcome::Again)
            }
            Kind::Absent(_) => match Soft::of::<M>(wish.entry, wish.level) {
                Some(Soft::Migration { frame, .. }) => self.wait_moved(cx, wish, frame),
                Some(Soft::Swap { slot, sole }) => self.swap_fault(cx, wish, (slot, sole), Back::Touched),
                _ => Ok(Outcome::Again),
            },
        }
    }
}
