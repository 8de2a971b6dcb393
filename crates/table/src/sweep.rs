//! Emptying a range of pages: unmapping, discarding and exit share this walk.

use crate::run::Changed;
use crate::{Cursor, Leaf, Payload, Rss, TableBatch, Walker};
use machine::{Cx, Entry, Level, Machine, Plant, Vpn, VpnRange, level};

/// What becomes of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It stays.
    Keep,
    /// It is taken; it was counted so.
    Take(Option<Rss>),
}

/// When translations of taken entries must be gone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Urgency {
    /// When the batch is settled.
    Settle,
    /// Before the leaf's lock is dropped: a writable page of a shared file, whose last stores must not be
    /// missed by whoever cleans the page (LR11).
    Unlock,
}

/// Whether anything may come into the place of what was taken before the batch is settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refill {
    /// Faults may fill the range again. So an entry of 2 MiB is flushed before its table is unlocked: small
    /// pages may take its place then, and no CPU may have both (LR8, L-8).
    Possible,
    /// Nobody fills it: what was mapped there is being unmapped (its stamp is odd), or the whole space goes
    /// (LR9). One flush when the batch is settled is enough.
    Excluded,
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
    /// Whether the range may be filled again before the batch is settled.
    fn refill(&self) -> Refill {
        Refill::Possible
    }
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
        if cx.planted(Plant::MaskReadEarly) {
            batch.look_up_cpus(cx);
        }
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
        if leaf.level() > Level::LEAF {
            self.sweep_large(leaf, cursor.back_to(part), batch, reaper);
            return true;
        }
        let (mut urgency, mut taken) = (Urgency::Settle, Changed::default());
        let mut page = part.start;
        while let Some((first, entry)) = leaf.next_used(page, part.end) {
            if batch.is_full() {
                cursor.resume_at(first);
                break;
            }
            if let Verdict::Take(rss) = reaper.verdict(&mut leaf, first, entry) {
                let old = leaf.take_part(batch, &mut taken, first, rss);
                if reaper.taken(&mut leaf, first, old) == Urgency::Unlock {
                    urgency = Urgency::Unlock;
                }
            }
            page = first + 1;
        }
        leaf.push_changed(batch, taken);
        if urgency == Urgency::Unlock {
            batch.flush_now(&mut leaf);
        }
        true
    }

    /// Takes what the reaper gives up of entries of 2 MiB, from the locked one on as long as they are in one
    /// table: under one hold of its lock.
    fn sweep_large(
        &self,
        mut leaf: Leaf<'_, 'm, M>,
        cursor: &mut Cursor,
        batch: &mut TableBatch<'_, 'm, M>,
        reaper: &mut impl Reaper<'m, M>,
    ) {
        let mut urgency = Urgency::Settle;
        let mut spares = 0;
        self.fetch_first(&leaf);
        let mut entry = leaf.entry(leaf.span().start);
        while batch.make_room(&mut leaf, spares + 1) {
            if !cursor.rest().covers(&leaf.span()) {
                reaper.splits(&mut leaf, entry);
                leaf.push_spares(spares, batch);
                batch.flush_now(&mut leaf);
                return leaf.split(self, batch);
            }
            self.fetch_ahead(&leaf);
            if let Some(flush) = take_large(&mut leaf, entry, batch, reaper) {
                spares += 1;
                urgency = urgency.max(flush);
            }
            cursor.resume_at(leaf.span().end);
            let Some(next) = leaf.move_on(cursor.rest().end) else { break };
            entry = next;
        }
        leaf.push_spares(spares, batch);
        if urgency == Urgency::Unlock {
            batch.flush_now(&mut leaf);
        }
    }

    // ---- memory had before it is needed ----

    /// Has the descriptors of the first entries fetched.
    fn fetch_first(&self, leaf: &Leaf<'_, 'm, M>) {
        for ahead in 0..AHEAD {
            self.fetch(leaf, ahead);
        }
    }

    /// Has the descriptor fetched that is needed some entries on, and, of every line of entries, a later one.
    fn fetch_ahead(&self, leaf: &Leaf<'_, 'm, M>) {
        self.fetch(leaf, AHEAD);
        leaf.fetch_entries(2 * AHEAD);
    }

    fn fetch(&self, leaf: &Leaf<'_, 'm, M>, ahead: u64) {
        if let Some(frame) = leaf.frame_ahead(ahead) {
            self.frames.descriptor(frame).fetch(leaf);
        }
    }
}

/// Takes a locked entry of 2 MiB if the reaper gives it up. Its spare is taken later.
fn take_large<'m, M: Machine>(
    leaf: &mut Leaf<'_, 'm, M>,
    entry: Entry,
    batch: &mut TableBatch<'_, 'm, M>,
    reaper: &mut impl Reaper<'m, M>,
) -> Option<Urgency> {
    let page = leaf.span().start;
    let Verdict::Take(rss) = reaper.verdict(leaf, page, entry) else { return None };
    let (old, token) = leaf.take(page, rss);
    batch.push(leaf, token);
    match (reaper.taken(leaf, page, old), reaper.refill()) {
        (Urgency::Settle, Refill::Excluded) => Some(Urgency::Settle),
        _ if leaf.planted(Plant::HugeFlushedLate) => Some(Urgency::Settle),
        _ => Some(Urgency::Unlock),
    }
}

/// How many entries of 2 MiB ahead a sweep looks: a line from memory takes as long as four or five of them.
const AHEAD: u64 = 12;
