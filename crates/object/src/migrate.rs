//! Moving a page to another frame while programs use it (Linux: mm/migrate.c).
//!
//! ```text
//! reference of the caller         the frame is not freed under this
//! early look                      pinned, or somebody else has a reference? nothing is begun
//! target frame                    before anything is visible
//! page lock                       no truncation, writeback, swap-out or second migration
//!   end of writeback
//!   detach                        every entry becomes a migration entry: faults wait (CR18)
//!   freeze, exactly               refs == the caller's + the cache's, else everything goes back (CR19)
//!   place in the cache            found from here on is the new frame, locked and not up to date
//!   copy                          nobody can reach either frame
//!   restore                       every migration entry maps the new frame, as it was
//! unlock, wake who waits          they had no reference to the page (WR22)
//! free the old frame
//! ```
//!
//! A refusal leaves every entry as it was; a large folio may have been split for it. Who takes a reference
//! meanwhile (a pin, a lookup, a copy being made) is either seen by the freeze, or finds a page without
//! references and looks again. The swap cache names the new frame before the freeze: who finds that one waits
//! for its lock and looks again, too, so a frame that was refused once serves no other page.
//!
//! A folio of 2 MiB moves the same way, whole: each entry that maps it or a part of it is a migration entry
//! of its own size for a while, and comes back with what it said of exclusivity, page by page ([`Without`]
//! says what happens if there are no free 2 MiB to move to).

use crate::detach::{Detached, Into};
use crate::ksm_model::Node;
use crate::model::Lineage;
use crate::objects::Objects;
use crate::page::{PageCtx, owner_id, owner_number, unlock_page, wait_writeback};
use crate::split::Split;
use frame::{Descriptor, Flags, Id, Request, Reserve, State};
use machine::{
    Counter, Cx, Event, HUGE_ORDER, Machine, Order, PageOp, Pfn, Plant, Shortage, UserFrame, level,
};

/// Why a page stays where it is: its entries are as they were.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// Nobody has the page any more.
    Gone,
    /// It is of a kind that does not move (Linux: `-EINVAL`, or skipped).
    Unmovable,
    /// It is pinned (Linux: `-EAGAIN`, in the end `-EBUSY`).
    Pinned,
    /// Somebody else has a reference, its lock, or it is being written: trying again may help (Linux:
    /// `-EAGAIN`).
    Busy,
    /// No frame to move it to.
    Shortage(Shortage),
}

impl core::fmt::Display for Refused {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Refused::Gone => f.write_str("the page is gone"),
            Refused::Unmovable => f.write_str("such pages do not move"),
            Refused::Pinned => f.write_str("the page is pinned"),
            Refused::Busy => f.write_str("the page is in use"),
            Refused::Shortage(shortage) => shortage.fmt(f),
        }
    }
}

impl core::error::Error for Refused {}

/// How much waiting a page is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effort {
    /// None: whoever has the page locked or is writing it keeps it (Linux: `MIGRATE_ASYNC`).
    Try,
    /// Locks and writeback are waited for (Linux: `MIGRATE_SYNC`).
    Wait,
}

/// What becomes of a folio of 2 MiB for which there is no free block of its size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Without {
    /// It is split, and the page that was asked for moves alone. Linux: `-ENOMEM` from `migrate_folio_unmap`,
    /// then `try_split_folio`.
    Split,
    /// It stays, and is not split for anything. Linux: `MR_NUMA_MISPLACED`.
    Stay,
}

/// Where a page is found, apart from its entries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Home {
    Lineage(Id<Lineage>, u64),
    Cache(PageCtx),
    /// A merged page: the node that names it.
    Merged(Id<Node>),
}

impl Home {
    /// References the page has for being there.
    fn refs(self) -> u64 {
        match self {
            Home::Lineage(..) | Home::Merged(_) => 0,
            Home::Cache(_) => 1,
        }
    }
}

/// What a moved page keeps of its flags: all but who is at work with the frame.
const KEPT: [Flags; 5] = [Flags::UPTODATE, Flags::DIRTY, Flags::ERROR, Flags::REFERENCED, Flags::LAZY_FREE];

/// Locks a frame that nobody has found yet.
fn lock_fresh<M: Machine, const L: u8>(cx: &Cx<'_, M, L>, target: &Descriptor) {
    let locked = target.try_lock(cx);
    debug_assert!(locked, "a fresh frame is nobody's");
}

/// Counts pages, and if they were one large folio that too.
fn note_end<M: Machine, const L: u8>(cx: &Cx<'_, M, L>, order: Order, (pages, large): (Counter, Counter)) {
    cx.count_n(pages, order.frames());
    if order == HUGE_ORDER {
        cx.count(large);
    }
}

impl<'m, M: Machine> Objects<'m, M> {
    /// Moves a page to a frame that `request` allows; answers the frame. A folio of 2 MiB moves whole if
    /// there is a block for it; one of which parts are not mapped any more is split instead. The caller's
    /// reference goes with the call, whatever the answer.
    // LINUX: mm/migrate.c migrate_pages(), for a list of one. Of a folio that is split for this the other
    // pages stay: who wants them moved asks for each.
    pub fn migrate(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        from: Pfn,
        request: &Request,
        without: Without,
    ) -> Result<Pfn, Refused> {
        let (unit, to) = match self.unit_and_target(cx, from, (request, without)) {
            Ok(found) => found,
            Err(refused) => {
                cx.count(Counter::PgMigrateFail);
                self.put_mapped(cx.at(), from);
                return Err(refused);
            }
        };
        let moved = self.migrate_to(cx, unit, to, Effort::Wait);
        moved.inspect_err(|_| self.frames().put(cx.at(), to.0))?;
        Ok(to.0.plus(u64::from(from.0 - unit.0)))
    }

    /// What is to move, the folio or the page, and a fresh frame or block for it.
    fn unit_and_target(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        from: Pfn,
        (request, without): (&Request, Without),
    ) -> Result<(Pfn, UserFrame), Refused> {
        let (head, order) = self.frames().folio(cx, from);
        if order == HUGE_ORDER && (without == Without::Stay || !self.is_partly_mapped(cx, head)) {
            let block = request.order(HUGE_ORDER).reserve(Reserve::Optional);
            match self.target_for(cx, head, &block) {
                Err(Refused::Shortage(_)) if without == Without::Split => {
                    cx.count(Counter::ThpMigrationSplit)
                }
                found => return found.map(|to| (head, to)),
            }
        }
        if self.make_small(cx, from) == Split::Refused {
            let pinned = self.descriptor(head).pins(cx) > 0;
            return Err(if pinned { Refused::Pinned } else { Refused::Busy });
        }
        self.target_for(cx, from, request).map(|to| (from, to))
    }

    /// A fresh frame or block for a folio, if that can move at all.
    fn target_for(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        from: Pfn,
        request: &Request,
    ) -> Result<UserFrame, Refused> {
        self.look_movable(cx, from)?;
        self.frames().allocate_user(cx.at(), request).map_err(Refused::Shortage)
    }

    /// Moves a folio to a fresh block of its size, the caller's. The caller's reference to the folio goes
    /// with the call; the block's becomes the folio's, or stays the caller's if the folio does not move.
    pub fn migrate_to(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        from: Pfn,
        to: UserFrame,
        effort: Effort,
    ) -> Result<(), Refused> {
        let page = self.descriptor(from);
        let order = page.order(cx);
        let moved = match effort {
            Effort::Wait => self.move_locked(&mut self.lock_page(cx.at(), from), (from, to), effort),
            Effort::Try => match self.try_lock_page(cx.at(), from) {
                Some(mut locked) => self.move_locked(&mut locked, (from, to), effort),
                None => Err(Refused::Busy),
            },
        };
        if let Err(refused) = moved {
            note_end(cx, order, (Counter::PgMigrateFail, Counter::ThpMigrationFail));
            cx.trace(|| Event::MoveRefused { frame: from, held: page.held() });
            self.put_mapped(cx.at(), from);
            return Err(refused);
        }
        note_end(cx, order, (Counter::PgMigrateSuccess, Counter::ThpMigrationSuccess));
        if cx.planted(Plant::MigrateWithUsers) {
            self.frames().put(cx.at(), from);
        } else {
            self.frames().free(cx.at(), from, order);
        }
        self.put_mapped(cx.at(), to.0);
        Ok(())
    }

    /// Makes sure that a page is not in a Movable zone, moving it if need be: for long-term pins. The
    /// caller's reference goes with the call; it looks the page up again. `true`: the page was moved.
    // LINUX: mm/gup.c check_and_migrate_movable_folios().
    pub fn migrate_out_of_movable(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        pfn: Pfn,
    ) -> Result<bool, Refused> {
        let page = self.descriptor(self.frames().folio(cx, pfn).0);
        if page.zone(cx) != frame::ZoneKind::Movable {
            self.frames().put(cx.at(), pfn);
            return Ok(false);
        }
        let request = Request::user().lasting().on(page.node(cx));
        self.migrate(cx, pfn, &request, Without::Split).map(|_| true)
    }

    /// Where the page is, if it can move now as far as its counts tell (CR19). Without the page lock: a hint.
    fn look_movable<const L: u8>(&self, cx: &Cx<'m, M, L>, from: Pfn) -> Result<Home, Refused> {
        let page = self.descriptor(from);
        let meta = page.meta(cx);
        if !meta.is_head() || !matches!(meta.order(), Order::ZERO | HUGE_ORDER) {
            return Err(Refused::Unmovable);
        }
        let home = self.home_of(cx, page)?;
        let (counts, slot) = self.counts_and_cache(cx, from);
        let cached = home.refs() + u64::from(slot.is_some());
        if cx.planted(Plant::MigrateWithUsers) {
            return Ok(home);
        }
        if counts.pins() > 0 {
            return Err(Refused::Pinned);
        }
        match (counts.refs(), counts.maps() + cached + 1) {
            // Without mappings but with other references it may be on its way already.
            (1, 1) => Err(Refused::Gone),
            (refs, expected) if refs == expected => Ok(home),
            _ => Err(Refused::Busy),
        }
    }

    fn home_of<const L: u8>(&self, cx: &Cx<'m, M, L>, page: &Descriptor) -> Result<Home, Refused> {
        let (owner, index) = page.owner_and_index(cx);
        match page.state(cx) {
            State::Anon => {
                let lineage = owner_id(owner).ok_or(Refused::Gone)?;
                Ok(Home::Lineage(lineage, index))
            }
            // Truncated pages have no owner.
            State::File => {
                let file = owner_id(owner).ok_or(Refused::Gone)?;
                Ok(Home::Cache(PageCtx { file, index }))
            }
            State::Ksm => owner_id(owner).map(Home::Merged).ok_or(Refused::Gone),
            _ => Err(Refused::Unmovable),
        }
    }

    fn move_locked(
        &self,
        cx: &mut Cx<'m, M, { level::PAGE }>,
        (from, to): (Pfn, UserFrame),
        effort: Effort,
    ) -> Result<(), Refused> {
        let page = self.descriptor(from);
        let order = page.order(cx);
        match effort {
            Effort::Wait => wait_writeback(cx, page),
            Effort::Try if page.test(cx, Flags::WRITEBACK) => return Err(Refused::Busy),
            Effort::Try => {}
        }
        let home = self.look_movable(cx, from)?;
        let detached = self.detach_page(cx, from, Into::Migration);
        let taken = match detached {
            Detached::StillMapped => Err(Refused::Pinned),
            Detached::All => self.hand_over(cx, (from, to.0), home),
        };
        if let Err(refused) = taken {
            self.restore_page(cx, (from, order.frames()), from);
            return Err(refused);
        }
        let copy = PageOp::Copy { to, from: UserFrame(from), order };
        cx.machine().page_op(cx.cpu(), copy);
        self.keep_marks(cx, page, self.descriptor(to.0));
        // Who scans compares bytes without the lock.
        if let Home::Merged(node) = home {
            self.follow_merged(cx, node, to.0);
        }
        cx.trace(|| Event::Moved { from, to: to.0, order });
        self.restore_page(cx, (from, order.frames()), to.0);
        unlock_page(cx, self.descriptor(to.0));
        Ok(())
    }

    /// The new frame is what the old one was, but for its place.
    // LINUX: mm/migrate.c folio_migrate_flags().
    fn keep_marks(&self, cx: &mut Cx<'m, M, { level::PAGE }>, page: &Descriptor, target: &Descriptor) {
        for flag in KEPT {
            if page.test(cx, flag) {
                target.set(cx, flag);
            }
        }
        target.set_age(cx, page.meta(cx).age());
        if let Some(node) = page.meta(cx).user_node() {
            target.note_user_node(cx, node);
        }
    }

    /// Takes the old frame's references away if there are exactly those that are known, and puts the new
    /// frame, locked, in its place.
    // LINUX: mm/migrate.c __folio_migrate_mapping().
    fn hand_over(
        &self,
        cx: &mut Cx<'m, M, { level::PAGE }>,
        (from, to): (Pfn, Pfn),
        home: Home,
    ) -> Result<(), Refused> {
        let (page, target) = (self.descriptor(from), self.descriptor(to));
        match home {
            Home::Lineage(lineage, index) => {
                target.set_owner(cx, owner_number(lineage), index);
                target.set_state(cx, State::Anon);
                lock_fresh(cx, target);
                if self.exchange_in_swap(cx, (from, to)) && self.freeze_known(cx, page, 1) {
                    return Ok(());
                }
                // `false`: its last entry went meanwhile, and the slot with it.
                let _ = self.exchange_in_swap(cx, (to, from));
                unlock_page(cx, target);
                Err(Refused::Busy)
            }
            Home::Merged(node) => {
                target.set_owner(cx, owner_number(node), 0);
                target.set_state(cx, State::Ksm);
                lock_fresh(cx, target);
                if self.freeze_known(cx, page, 1) {
                    return Ok(());
                }
                unlock_page(cx, target);
                Err(Refused::Busy)
            }
            Home::Cache(ctx) => {
                let file = self.files.get(ctx.file);
                let mut held = file.cache.lock(cx);
                // The cache's reference, and the caller's. From here to the end of the lock a lookup finds a
                // page that it cannot get, and asks again under this lock.
                if !self.freeze_known(&held, page, 2) {
                    return Err(Refused::Busy);
                }
                target.set_owner(&held, owner_number(ctx.file), ctx.index);
                target.set_state(&held, State::File);
                lock_fresh(&held, target);
                let counted = target.get(&held).is_ok();
                debug_assert!(counted, "a new frame has one reference");
                let replaced = file.tree.replace(&mut held, &self.nodes, ctx.index, to);
                debug_assert_eq!(replaced, Some(from), "a locked page stays in its place");
                held.trace(|| Event::PageCached { frame: to, file: file.key(), index: ctx.index });
                Ok(())
            }
        }
    }

    /// The swap cache leads to `to` instead of `from`, if it leads there. Whoever finds a page there waits
    /// for its lock before it is mapped, so the bytes may follow.
    fn exchange_in_swap(&self, cx: &mut Cx<'m, M, { level::PAGE }>, (from, to): (Pfn, Pfn)) -> bool {
        !self.descriptor(from).test(cx, Flags::SWAPCACHED) || self.move_in_swap_cache(cx, (from, to))
    }

    fn freeze_known<const L: u8>(&self, cx: &Cx<'m, M, L>, page: &Descriptor, refs: u64) -> bool {
        if !cx.planted(Plant::MigrateWithUsers) {
            return page.freeze_at(cx, refs);
        }
        // What the cache had is the new frame's.
        for _ in 1..refs {
            let _ = page.put(cx);
        }
        true
    }
}
