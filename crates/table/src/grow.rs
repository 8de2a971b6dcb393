//! Making the tables that lead to a page.

use crate::node::{Header, Life, header, lock, note_used, unlock};
use crate::walker::{Place, Walker};
use core::sync::atomic::Ordering::Relaxed;
use frame::{Bulk, Frames, State};
use machine::{
    Counter, Cx, Entry, EntryFormat, Event, KernelFrame, Level, Machine, Memory, Order, Shortage, Vpn, level,
};

impl<'m, M: Machine> Walker<'_, 'm, M> {
    /// Makes sure that a table of level `to` leads to the page, or a larger leaf stands in its place.
    /// Another CPU may have unlinked it again by the time the caller looks.
    ///
    /// The frame is had and zeroed before any lock is taken. A shortage may leave empty upper tables
    /// behind; they are used by whoever comes next, or go with [`Walker::prune`].
    pub(crate) fn grow(
        &self,
        cx: &mut Cx<'m, M, { level::SLEEP_MAX }>,
        page: Vpn,
        to: Level,
    ) -> Result<(), Shortage> {
        while let Some(at) = self.missing(cx.at(), page, to) {
            let new = make(cx.at(), self.frames, self.table.number(), Level(at.0 - 1))?;
            if self.link(cx.at(), page, at, new) == Linked::No {
                free(cx.at(), self.frames, new);
            }
        }
        Ok(())
    }

    /// The level of the empty entry that ends the way to a table of level `to`.
    fn missing(&self, cx: &mut Cx<'m, M, { level::EPOCH }>, page: Vpn, to: Level) -> Option<Level> {
        let cx = cx.enter_epoch();
        match self.descend(&cx, page, to) {
            Place::Stopped(node, entry) if entry == Entry::EMPTY => Some(node.level),
            _ => None,
        }
    }

    /// Links a table into the entry of level `at` if that is still empty.
    pub(crate) fn link(
        &self,
        cx: &mut Cx<'m, M, { level::EPOCH }>,
        page: Vpn,
        at: Level,
        new: KernelFrame,
    ) -> Linked {
        let cx = cx.enter_epoch();
        let Place::Reached(parent) = self.descend(&cx, page, at) else { return Linked::No };
        let descriptor = self.descriptor(parent.frame);
        lock(&*cx, descriptor);
        let free = Self::is_linked(descriptor) && parent.read(&cx, page) == Entry::EMPTY;
        if free {
            parent.write(&cx, page, M::Entry::table(new));
            let (asid, level) = (self.table.domain().asid(), Level(at.0 - 1));
            cx.trace(|| Event::TableLinked { asid, table: new, level, page });
            note_used(descriptor);
            self.table.add_table(cx.cpu());
        }
        unlock(&*cx, descriptor);
        if free { Linked::Yes } else { Linked::No }
    }
}

#[derive(PartialEq, Eq)]
pub(crate) enum Linked {
    Yes,
    No,
}

/// A table that nobody knows yet.
pub(crate) fn make<'m, M: Machine>(
    cx: &mut Cx<'m, M, { level::REGISTRY }>,
    frames: &Frames<'m, M>,
    owner: u32,
    level: Level,
) -> Result<KernelFrame, Shortage> {
    let frame = frames.allocate_kernel(cx)?;
    let descriptor = frames.descriptor(frame.0);
    header(descriptor).set(Header { owner, level, used: 0, life: Life::Linked });
    // RELAXED: nobody knows the table; linking it publishes this.
    cx.store(descriptor.link_word(), 0, Relaxed);
    descriptor.set_state(cx, State::Table);
    cx.count(Counter::TableAlloc);
    Ok(frame)
}

/// Gives a table back that no walk can reach any more.
pub(crate) fn free<'m, M: Machine>(
    cx: &mut Cx<'m, M, { level::REGISTRY }>,
    frames: &Frames<'m, M>,
    frame: KernelFrame,
) {
    note_freed(cx, frames, frame);
    frames.put(cx, frame.0);
}

/// The same for one of many.
pub(crate) fn free_bulk<'m, M: Machine>(
    cx: &mut Cx<'m, M, { level::REGISTRY }>,
    frames: &Frames<'m, M>,
    frame: KernelFrame,
    bulk: &mut Bulk,
) {
    note_freed(cx, frames, frame);
    frames.put_head_bulk(cx, (frame.0, Order::ZERO), bulk);
}

fn note_freed<'m, M: Machine>(
    cx: &Cx<'m, M, { level::REGISTRY }>,
    frames: &Frames<'m, M>,
    frame: KernelFrame,
) {
    debug_assert_eq!(header(frames.descriptor(frame.0)).get().used, 0, "a table with entries is freed");
    cx.count(Counter::TableFree);
}
