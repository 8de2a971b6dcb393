//! Translations move to another range of the same space (Linux: `move_page_tables`).

use crate::layout::Layout;
use crate::spaces::Spaces;
use frame::Id;
use machine::trace::Work;
use machine::{Cx, Event, HUGE_ORDER, Level, Machine, Plant, Shortage, Vpn, VpnRange, level};
use object::{MappedFile, Objects};
use table::{Cursor, PageTable, Pair, TableBatch};

/// Whether a walk of the reverse map meets every entry though it moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Walks {
    /// It does: the target is behind the source in the list.
    InOrder,
    /// Pages go back to where they were born, which walks come by first: none may run meanwhile.
    KeepOut,
}

/// A move of `old` so that it starts at `to`.
#[derive(Clone, Copy)]
pub(crate) struct Move {
    pub(crate) old: VpnRange,
    pub(crate) to: Vpn,
    /// What is mapped in `old`.
    pub(crate) file: Option<MappedFile>,
    /// How many tables are kept in reserve for it ([`Layout::prepare_tables`]).
    pub(crate) reserved: u64,
}

impl Move {
    /// Where a page goes.
    fn target(&self, page: Vpn) -> Vpn {
        self.to + (page - self.old.start)
    }

    /// Moves the entries of a locked pair of leaves.
    fn entries<'m, M: Machine>(
        &self,
        objects: &Objects<'m, M>,
        pair: &mut Pair<'_, 'm, M>,
        part: VpnRange,
        batch: &mut TableBatch<'_, 'm, M>,
    ) {
        let mut next = part.start;
        loop {
            let Some((page, entry)) = pair.from().next_used(next, part.end) else { break };
            next = pair.from().pages(page).end;
            let rss = objects.rss_of(pair.cx(), entry, self.file.map(|file| file.at(page)));
            let target = self.target(page);
            // Walks skip an entry of 2 MiB that they find empty without its lock: at no moment are both.
            if pair.to().level() == Level::HUGE && !pair.cx().planted(Plant::LiftedToNothing) {
                pair.to().claim(target);
            }
            let (entry, token) = pair.from().lift(page, rss);
            batch.push(pair.cx(), token);
            pair.to().put_back(target, entry, rss);
        }
        batch.flush_now(pair.cx());
    }
}

/// Whether a part of a leaf and its target are each 2 MiB.
fn is_whole(part: VpnRange, target: Vpn) -> bool {
    part.pages() == HUGE_ORDER.frames() && target == target.huge_base()
}

/// Whether entries of the one leaf can stand in the other.
fn fits([from, to]: [Level; 2], part: VpnRange, target: Vpn) -> bool {
    from == to && (from == Level::LEAF || is_whole(part, target))
}

/// What came of a leaf.
enum Step {
    /// Its entries have moved.
    Done,
    /// Its entry of 2 MiB cannot stand where it is to go.
    Split,
    /// It was split after the tables were made, and memory is short.
    UseReserve,
}

impl<'m, M: Machine> Layout<'_, 'm, M> {
    /// Makes the page tables that moving `old` to `target` will need, so that the move cannot fail. Answers
    /// how many tables are kept in reserve for entries of 2 MiB: others may split one before it is moved.
    pub(crate) fn prepare_tables(&mut self, old: VpnRange, target: VpnRange) -> Result<u64, Shortage> {
        let mut reserved = 0;
        let prepared = self.make_tables(old, target, &mut reserved);
        if prepared.is_err() {
            self.free_reserved(reserved);
        }
        prepared.map(|()| reserved)
    }

    fn make_tables(&mut self, old: VpnRange, target: VpnRange, reserved: &mut u64) -> Result<(), Shortage> {
        let (spaces, space) = (self.spaces, self.space);
        let Some(table) = space.table.get() else { return Ok(()) };
        let walker = spaces.walker(table);
        let mut cursor = Cursor::new(old);
        loop {
            let next = cursor.next(&walker, self.at()).map(|(leaf, part)| (leaf.level(), part));
            let Some((level, part)) = next else { return Ok(()) };
            let to = |page: Vpn| target.start + (page - old.start);
            if level == Level::HUGE && is_whole(part, to(part.start)) {
                let spare = walker.new_spare(self.at())?;
                walker.reserve(self.at(), spare);
                *reserved += 1;
                drop(walker.lock_huge(self.at(), to(part.start))?);
                continue;
            }
            for page in [part.start, Vpn(part.end.0 - 1)].map(to) {
                if target.contains(page) {
                    drop(walker.lock_leaf(self.at(), page)?);
                }
            }
        }
    }

    /// Frees tables that [`Layout::prepare_tables`] reserved and the move did not need.
    fn free_reserved(&mut self, reserved: u64) {
        let (spaces, space) = (self.spaces, self.space);
        let Some(table) = space.table.get() else { return };
        for _ in 0..reserved {
            spaces.walker(table).free_reserve(self.at());
        }
    }

    /// Moves every entry of `old`, keeping frames, rights and bits. Old translations are gone from
    /// every CPU before the locks of both tables are dropped: afterwards others may free what is mapped
    /// at the new place (L-12). Entries of 2 MiB move as such where both places allow it.
    ///
    /// The tables exist ([`Layout::prepare_tables`]), and only this operation could remove them.
    pub(crate) fn move_pages(&mut self, moving: Move, walks: Walks) {
        let (spaces, space) = (self.spaces, self.space);
        let Some(table) = space.table.get() else { return };
        let asid = spaces.walker(table).table().domain().asid();
        let Move { old: pages, to, reserved, .. } = moving;
        self.trace(|| Event::WorkBegun { asid, pages, work: Work::Move { to } });
        let lineage = spaces.lineage(space).filter(|_| walks == Walks::KeepOut);
        let mut left = reserved;
        match lineage {
            Some(lineage) => spaces.objects().without_walks(self.at(), lineage, |cx| {
                left = spaces.move_entries(cx, table, moving);
            }),
            None => left = spaces.move_entries(self.at(), table, moving),
        }
        self.free_reserved(left);
    }
}

impl<'m, M: Machine> Spaces<'m, M> {
    /// Answers how many of the reserved tables were not needed.
    fn move_entries(
        &self,
        cx: &mut Cx<'m, M, { level::RMAP }>,
        table: Id<PageTable>,
        mut moving: Move,
    ) -> u64 {
        let (walker, mut batch) = (self.walker(table), self.batch(table));
        // LR10: an entry that moves may be a soft one, whose maker has not flushed yet.
        batch.answer_for(moving.old);
        let mut cursor = Cursor::new(moving.old);
        while let Some(part) = cursor.next(&walker, cx).map(|(_, part)| part) {
            // The target of one leaf lies in two cursor unless the distance is a multiple of 2 MiB.
            let target = moving.target(part.start);
            let room = target.huge_base().0 + HUGE_ORDER.frames() - target.0;
            let part = VpnRange::new(part.start, part.end.min(part.start + room));
            cursor.resume_at(part.end);
            let step = match walker.lock_pair(cx, part.start, (&walker, target)) {
                Ok(Some(mut pair)) if fits(pair.levels(), part, target) => {
                    moving.entries(self.objects(), &mut pair, part, &mut batch);
                    Step::Done
                }
                Ok(Some(_)) => Step::Split,
                Ok(None) => Step::Done,
                Err(_) => Step::UseReserve,
            };
            match step {
                Step::Done => {}
                Step::Split => {
                    self.objects().split_entry(cx, &walker, part.start, &mut batch);
                    cursor.resume_at(part.start);
                }
                Step::UseReserve => {
                    let linked = walker.link_reserve(cx.at(), target);
                    debug_assert!(linked, "a table was kept for an entry that was split");
                    moving.reserved -= u64::from(linked);
                    cursor.resume_at(if linked { part.start } else { part.end });
                }
            }
        }
        self.objects().settle(cx, &walker, &mut batch);
        moving.reserved
    }
}
