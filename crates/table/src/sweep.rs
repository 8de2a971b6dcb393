//! Emptying a range of pages: unmapping, discarding and exit share this walk.

use crate::{Cursor, Payload, Rss, TableBatch, Walker};
use machine::{Cx, Entry, Level, Machine, Vpn, VpnRange, level};

/// What becomes of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It stays.
    Keep,
    /// It is taken; it was counted so.
    Take(Option<Rss>),
}

/// When translations of taken entries must be gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Urgency {
    /// When the batch is settled.
    Settle,
    /// Before the leaf's lock is dropped: a writable page of a shared file, whose last stores must not be
    /// missed by whoever cleans the page (LR11).
    Unlock,
}

/// Who empties a range, and what for.
pub trait Reaper<'m, M: Machine> {
    /// What becomes of an entry in use. The leaf is locked.
    fn verdict(&mut self, cx: &mut Cx<'m, M, { level::TABLE1 }>, page: Vpn, entry: Entry) -> Verdict;
    /// An entry was taken; `old` has all that hardware noted. The leaf is still locked.
    fn taken(&mut self, cx: &mut Cx<'m, M, { level::TABLE1 }>, page: Vpn, old: Entry) -> Urgency;
    /// An entry of 2 MiB is about to become 512 of 4 KiB, because only a part of it lies in the range. The
    /// leaf is locked.
    fn splits(&mut self, cx: &mut Cx<'m, M, { level::TABLE1 }>, entry: Entry);
    /// Nobody can reach what an entry held any more.
    fn finish(&mut self, cx: &mut Cx<'m, M, { level::SLEEP_MAX }>, payload: Payload);
}

impl<'m, M: Machine> Walker<'_, 'm, M> {
    /// Takes the entries of a range that the reaper gives up. Settles the batch when it is full; the caller
    /// settles the rest. A 2 MiB leaf that lies in the range only partly is split before (LR6).
    ///
    /// Entries that others emptied without having flushed are answered for ([`revoke::Batch::answer_for`],
    /// LR10).
    pub fn sweep(
        &self,
        cx: &mut Cx<'m, M, { level::SLEEP_MAX }>,
        range: VpnRange,
        batch: &mut TableBatch<'_, 'm, M>,
        reaper: &mut impl Reaper<'m, M>,
    ) {
        batch.answer_for(range);
        let mut cursor = Cursor::new(range);
        while self.sweep_leaf(cx, &mut cursor, batch, reaper) {
            if batch.is_full() {
                self.settle(cx, batch, |cx, payload| reaper.finish(cx, payload));
                batch.answer_for(range);
            }
        }
    }

    /// Empties a whole address space: every entry and every table but the root. The batch is left to be
    /// settled, by [`crate::Tables::destroy`] for one.
    pub fn clear(
        &self,
        cx: &mut Cx<'m, M, { level::SLEEP_MAX }>,
        batch: &mut TableBatch<'_, 'm, M>,
        reaper: &mut impl Reaper<'m, M>,
    ) {
        self.sweep(cx, Self::whole(), batch, reaper);
        self.prune(cx, Self::whole(), batch, |cx, payload| reaper.finish(cx, payload));
    }

    /// Takes what the reaper gives up in the next leaf, or in as much of it as fits the batch. Answers
    /// whether there was one.
    fn sweep_leaf(
        &self,
        cx: &mut Cx<'m, M, { level::SLEEP_MAX }>,
        cursor: &mut Cursor,
        batch: &mut TableBatch<'_, 'm, M>,
        reaper: &mut impl Reaper<'m, M>,
    ) -> bool {
        let Some((mut leaf, part)) = cursor.next(self, cx) else { return false };
        let mut urgency = Urgency::Settle;
        let mut page = part.start;
        while let Some((first, entry)) = leaf.next_used(page, part.end) {
            if batch.is_full() {
                cursor.resume_at(first);
                break;
            }
            if !part.covers(&leaf.pages(first)) {
                cursor.resume_at(part.start);
                reaper.splits(&mut leaf, entry);
                leaf.split(self, batch);
                return true;
            }
            if let Verdict::Take(rss) = reaper.verdict(&mut leaf, first, entry) {
                let (old, token) = leaf.take(first, rss);
                batch.push(&mut leaf, token);
                let large = leaf.level() > Level::LEAF;
                if let Some(spare) = large.then(|| leaf.take_spare()).flatten() {
                    batch.push(&mut leaf, spare);
                }
                if reaper.taken(&mut leaf, first, old) == Urgency::Unlock || large {
                    // A large leaf also: once unlocked, small pages may take its place (LR8, L-8).
                    urgency = Urgency::Unlock;
                }
            }
            page = leaf.pages(first).end;
        }
        if urgency == Urgency::Unlock {
            batch.flush_now(&mut leaf);
        }
        true
    }
}
