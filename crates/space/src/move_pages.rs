//! Translations move to another range of the same space (Linux: `move_page_tables`).

use crate::layout::Layout;
use crate::spaces::Spaces;
use frame::Id;
use machine::trace::Work;
use machine::{Cx, Event, HUGE_ORDER, Machine, Shortage, Vpn, VpnRange, level};
use object::MappedFile;
use table::{Cursor, PageTable};

/// Whether a walk of the reverse map meets every entry though it moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Walks {
    /// It does: the target is behind the source in the list.
    InOrder,
    /// Pages go back to where they were born, which walks come by first: none may run meanwhile.
    KeepOut,
}

impl<M: Machine> Layout<'_, '_, M> {
    /// Makes the page tables that moving `old` to `target` will need, so that the move cannot fail.
    pub(crate) fn prepare_tables(&mut self, old: VpnRange, target: VpnRange) -> Result<(), Shortage> {
        let (spaces, space) = (self.spaces, self.space);
        let Some(table) = space.table.get() else { return Ok(()) };
        let walker = spaces.walker(table);
        let mut cursor = Cursor::new(old);
        loop {
            let Some((leaf, part)) = cursor.next(&walker, self.at()) else { return Ok(()) };
            drop(leaf);
            for page in [part.start, Vpn(part.end.0 - 1)] {
                let to = target.start + (page - old.start);
                if target.contains(to) {
                    drop(walker.lock_leaf(self.at(), to)?);
                }
            }
        }
    }

    /// Moves every entry of `old`, keeping frames, rights and bits. Old translations are gone from
    /// every CPU before the locks of both tables are dropped: afterwards others may free what is mapped
    /// at the new place (L-12).
    ///
    /// The tables exist ([`Layout::prepare_tables`]), and only this operation could remove them.
    pub(crate) fn move_pages(&mut self, old: VpnRange, to: Vpn, file: Option<MappedFile>, walks: Walks) {
        let (spaces, space) = (self.spaces, self.space);
        let Some(table) = space.table.get() else { return };
        let asid = spaces.walker(table).table().domain().asid();
        self.trace(|| Event::WorkBegun { asid, pages: old, work: Work::Move { to } });
        let lineage = spaces.lineage(space).filter(|_| walks == Walks::KeepOut);
        match lineage {
            Some(lineage) => spaces.objects().without_walks(self.at(), lineage, |cx| {
                spaces.move_entries(cx, table, (old, to), file);
            }),
            None => spaces.move_entries(self.at(), table, (old, to), file),
        }
    }
}

impl<'m, M: Machine> Spaces<'m, M> {
    fn move_entries(
        &self,
        cx: &mut Cx<'m, M, { level::RMAP }>,
        table: Id<PageTable>,
        (old, to): (VpnRange, Vpn),
        file: Option<MappedFile>,
    ) {
        let spaces = self;
        let walker = spaces.walker(table);
        let mut cursor = Cursor::new(old);
        let mut batch = spaces.batch(table);
        while let Some(part) = cursor.next(&walker, cx).map(|(_, part)| part) {
            // The target of one leaf lies in two cursor unless the distance is a multiple of 2 MiB.
            let target = to + (part.start - old.start);
            let room = target.huge_base().0 + HUGE_ORDER.frames() - target.0;
            let part = VpnRange::new(part.start, part.end.min(part.start + room));
            cursor.resume_at(part.end);
            let Ok(Some(mut pair)) = walker.lock_pair(cx, part.start, (&walker, target)) else {
                continue;
            };
            let mut next = part.start;
            loop {
                let Some((page, entry)) = pair.from().next_used(next, part.end) else { break };
                next = page + 1;
                let rss = spaces.objects().rss_of(pair.cx(), entry, file.map(|file| file.at(page)));
                let (entry, token) = pair.from().lift(page, rss);
                batch.push(pair.cx(), token);
                pair.to().install(to + (page - old.start), entry, rss);
            }
            batch.flush_now(pair.cx());
        }
        spaces.objects().settle(cx, &walker, &mut batch);
    }
}
