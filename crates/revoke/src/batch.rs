//! The batch: many changes, settled once.

use crate::domain::Upper;
use crate::{Domain, Revoked, Room, What};
use core::marker::PhantomData;
use machine::cells::cast_words;
use machine::{
    Counter, CpuSet, Cx, Field, FieldValue, KernelFrame, Machine, Pfn, Plant, VpnRange, Word, level,
};

/// Payloads a batch holds without asking for room.
pub const INLINE: usize = 32;
/// Payloads that fit a frame of room; its first word names the next frame.
pub const PER_FRAME: usize = 511;
/// Payloads that a batch still takes while [`Batch::is_full`] says no.
pub const HEADROOM: usize = 4;
/// Words of a cache line.
const LINE: usize = 8;
/// How many payloads ahead of the one that is finished the batch looks.
const AHEAD: usize = 16;

/// Changes to one address space that were made and not yet settled.
///
/// [`Batch::push`] takes the token of each change while the changed table is still locked. Whoever pushes
/// payloads asks [`Batch::is_full`] before each change, and settles (with no spin lock held) when it says
/// yes.
pub struct Batch<'b, 'm, M: Machine, P: FieldValue> {
    domain: &'b Domain,
    room: &'b dyn Room<'m, M>,
    inline: [u64; INLINE],
    /// The frames of room: the first, that which is being filled, and the last. Each names the next.
    chain: Option<Chain>,
    frames_taken: usize,
    payloads: usize,
    /// Pages whose translation changed since the last flush.
    unflushed: Unflushed,
    /// Whether tables were unlinked since the last grace period.
    grace: Grace,
    /// Pages the caller answers for although it may have found their entries empty.
    answers_for: VpnRange,
    /// A planted bug's: the CPUs that are flushed, looked up before anything changes.
    early: Option<CpuSet>,
    of: PhantomData<P>,
}

#[derive(Clone, Copy)]
struct Chain {
    first: Pfn,
    filling: Pfn,
    /// Payloads in the one that is being filled.
    filled: usize,
    last: Pfn,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unflushed {
    Nothing,
    Pages(VpnRange),
    Tables(VpnRange),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Grace {
    NotNeeded,
    Needed,
}

impl<'b, 'm, M: Machine, P: FieldValue> Batch<'b, 'm, M, P> {
    /// An empty batch for one address space.
    pub fn new(domain: &'b Domain, room: &'b dyn Room<'m, M>) -> Self {
        Batch {
            domain,
            room,
            inline: [0; INLINE],
            chain: None,
            frames_taken: 0,
            payloads: 0,
            unflushed: Unflushed::Nothing,
            grace: Grace::NotNeeded,
            answers_for: VpnRange::default(),
            early: None,
            of: PhantomData,
        }
    }

    /// The address space.
    pub fn domain(&self) -> &'b Domain {
        self.domain
    }

    /// Takes over a change. The lock of the table it was made in is still held.
    ///
    /// # Panics
    /// If the batch was full and was not settled (a bug of the caller).
    pub fn push(&mut self, cx: &mut Cx<'m, M, { level::TABLE1 }>, token: Revoked<P>) {
        debug_assert_eq!(token.asid, self.domain.asid(), "a change of another space");
        let forgotten = token.what == What::Table && cx.planted(Plant::UpperLevelsKept);
        if token.what != What::Unseen && !forgotten {
            if self.unflushed == Unflushed::Nothing {
                self.domain.owe(cx);
            }
            self.unflushed = self.unflushed.and(token.pages, token.what);
        }
        if token.what == What::Table {
            self.grace = Grace::Needed;
        }
        if let Some(payload) = token.payload {
            self.keep(cx, payload);
        }
    }

    /// Takes what one of many entries held that are cleared under one lock. The token of all their pages is
    /// pushed behind the last, under the same lock.
    #[inline]
    pub fn push_part(&mut self, cx: &mut Cx<'m, M, { level::TABLE1 }>, payload: P) {
        self.keep(cx, payload);
    }

    /// Answers for `pages`: entries found empty there may have been emptied by a batch that has not flushed
    /// yet, so settling flushes these pages too as long as there is such a batch (LR10, L-10).
    pub fn answer_for(&mut self, pages: VpnRange) {
        self.answers_for = union(self.answers_for, pages);
    }

    /// Looks up the CPUs to flush, too early (`Plant::MaskReadEarly`).
    pub fn look_up_cpus<const L: u8>(&mut self, cx: &Cx<'m, M, L>) {
        self.early = Some(self.domain.active(cx));
    }

    /// Whether the batch must be settled before the next change. While it says no, at least [`HEADROOM`]
    /// more payloads are taken.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.capacity() - self.payloads < HEADROOM
    }

    /// Whether so many more payloads fit; takes room for them if not. `false`: settle first.
    pub fn make_room(&mut self, cx: &mut Cx<'m, M, { level::TABLE1 }>, payloads: usize) -> bool {
        while self.capacity() - self.payloads < payloads {
            if !self.grow(cx) {
                return false;
            }
        }
        true
    }

    /// Whether nothing was pushed since it was settled. It may have to be settled all the same: see
    /// [`Batch::answer_for`].
    pub fn is_empty(&self) -> bool {
        self.payloads == 0 && self.unflushed == Unflushed::Nothing && self.grace == Grace::NotNeeded
    }

    /// How many payloads wait.
    pub fn payloads(&self) -> usize {
        self.payloads
    }

    /// Flushes what was changed so far, and nothing else: payloads wait for [`Batch::settle`]. For changes
    /// that must be void before a table lock is dropped (L-12, LR11) or before a new frame takes the place
    /// of an old one (row 9 of the copy-on-write table). Interrupts are on.
    pub fn flush_now(&mut self, cx: &mut Cx<'m, M, { level::TABLE1 }>) {
        self.flush_pending(cx);
    }

    /// The same; answers the CPUs that were flushed by it.
    fn flush_pending(&mut self, cx: &mut Cx<'m, M, { level::TABLE1 }>) -> CpuSet {
        let (pages, upper) = match self.unflushed {
            Unflushed::Nothing => return CpuSet::EMPTY,
            Unflushed::Pages(pages) => (pages, Upper::Kept),
            Unflushed::Tables(pages) => (pages, Upper::Too),
        };
        self.unflushed = Unflushed::Nothing;
        let forgotten = cx.planted(Plant::FlushForgotten);
        let flushed =
            if forgotten { CpuSet::EMPTY } else { self.domain.flush(cx, (pages, upper), self.early) };
        self.domain.paid(cx);
        flushed
    }

    /// Settles everything: one flush round, one grace period if tables were unlinked; then `finish` gets
    /// each payload, in the order of pushing, and may free it. The batch is empty afterwards and can be
    /// used again.
    pub fn settle(
        &mut self,
        cx: &mut Cx<'m, M, { level::SLEEP_MAX }>,
        finish: impl FnMut(&mut Cx<'m, M, { level::SLEEP_MAX }>, P),
    ) {
        self.settle_ahead(cx, |_, _| {}, finish);
    }

    /// The same; `ahead` sees each payload some payloads before `finish` does, to have its memory fetched.
    pub fn settle_ahead(
        &mut self,
        cx: &mut Cx<'m, M, { level::SLEEP_MAX }>,
        ahead: impl Fn(&Cx<'m, M, { level::SLEEP_MAX }>, P),
        mut finish: impl FnMut(&mut Cx<'m, M, { level::SLEEP_MAX }>, P),
    ) {
        if !self.is_empty() {
            cx.count(Counter::Batches);
        }
        if cx.planted(Plant::FreedBeforeFlush) {
            self.finish_all(cx, &ahead, &mut finish);
        }
        self.flush_for_others(cx.at());
        let flushed = self.flush_pending(cx.at());
        if self.grace == Grace::Needed {
            self.grace = Grace::NotNeeded;
            let unwaited = self.is_full() && cx.planted(Plant::FallbackUnwaited)
                || cx.planted(Plant::TableWithoutGrace)
                || cx.planted(Plant::CollapseUnwaited);
            if !unwaited {
                // All tables of the batch were unlinked before this flush: who was interrupted by it need not
                // be interrupted again for the readers' fence.
                let fenced = if cx.machine().flush_fences() { flushed } else { CpuSet::EMPTY };
                cx.wait_for_walks(self.domain.walked(), &fenced);
            }
        }
        self.finish_all(cx, &ahead, &mut finish);
        self.return_frames(cx);
    }

    /// Hands every payload over.
    fn finish_all(
        &mut self,
        cx: &mut Cx<'m, M, { level::SLEEP_MAX }>,
        ahead: &impl Fn(&Cx<'m, M, { level::SLEEP_MAX }>, P),
        finish: &mut impl FnMut(&mut Cx<'m, M, { level::SLEEP_MAX }>, P),
    ) {
        let (inline, mut left) = (self.inline, core::mem::take(&mut self.payloads));
        let n = left.min(INLINE);
        finish_some(cx, (n, &|i| inline[i]), &|cx: &Cx<'m, M, _>, _, payload| ahead(cx, payload), finish);
        left -= n;
        let mut frame = self.chain.map(|chain| chain.first);
        while let Some(room) = frame.filter(|_| left > 0) {
            let (n, cells) = (left.min(PER_FRAME), &cells(cx, room)[1..]);
            let words = area(cx, room);
            let ahead = |cx: &Cx<'m, M, _>, i: usize, payload| {
                if i.is_multiple_of(LINE)
                    && let Some(later) = words.get(i + 2 * LINE)
                {
                    cx.machine().prefetch(cx.cpu(), later);
                }
                ahead(cx, payload);
            };
            finish_some(cx, (n, &|i| cells[i].get()), &ahead, finish);
            left -= n;
            frame = after(cx, room);
        }
    }

    fn return_frames(&mut self, cx: &mut Cx<'m, M, { level::SLEEP_MAX }>) {
        let mut next = self.chain.take().map(|chain| chain.first);
        while let Some(frame) = next {
            next = after(cx, frame);
            self.room.return_room(cx.at(), KernelFrame(frame));
        }
        self.frames_taken = 0;
    }

    /// Joins the pages answered for to what is flushed if a batch of somebody else owes a flush.
    fn flush_for_others(&mut self, cx: &mut Cx<'m, M, { level::TABLE1 }>) {
        let pages = core::mem::take(&mut self.answers_for);
        let own = u64::from(self.unflushed != Unflushed::Nothing);
        if pages.is_empty() || self.domain.owed(cx) == own || cx.planted(Plant::NestedIgnored) {
            return;
        }
        if own == 0 {
            self.domain.owe(cx);
        }
        // The other batch may have unlinked tables as well.
        self.unflushed = self.unflushed.and(pages, What::Table);
    }

    #[inline]
    fn capacity(&self) -> usize {
        INLINE + self.frames_taken * PER_FRAME
    }

    #[inline]
    fn keep(&mut self, cx: &mut Cx<'m, M, { level::TABLE1 }>, payload: P) {
        assert!(self.payloads < self.capacity(), "a full batch is settled before the next change");
        match &mut self.chain {
            Some(chain) if self.payloads >= INLINE => {
                if chain.filled == PER_FRAME {
                    chain.filling = after(cx, chain.filling).unwrap_or(chain.last);
                    chain.filled = 0;
                }
                chain.filled += 1;
                cells(cx, chain.filling)[chain.filled].set(payload.to_bits());
            }
            _ => self.inline[self.payloads] = payload.to_bits(),
        }
        self.payloads += 1;
        if self.is_full() {
            self.grow(cx);
        }
    }

    /// Appends a frame to the room, if one is to be had.
    fn grow(&mut self, cx: &mut Cx<'m, M, { level::TABLE1 }>) -> bool {
        let Some(KernelFrame(frame)) = self.room.take_room(cx, self.frames_taken) else { return false };
        link(cx, frame).set(None);
        match &mut self.chain {
            None => self.chain = Some(Chain { first: frame, filling: frame, filled: 0, last: frame }),
            Some(chain) => {
                link(cx, chain.last).set(Some(frame));
                chain.last = frame;
            }
        }
        self.frames_taken += 1;
        true
    }
}

/// Hands so many payloads over.
fn finish_some<'m, M: Machine, P: FieldValue>(
    cx: &mut Cx<'m, M, { level::SLEEP_MAX }>,
    (n, payload): (usize, &impl Fn(usize) -> u64),
    ahead: &impl Fn(&Cx<'m, M, { level::SLEEP_MAX }>, usize, P),
    finish: &mut impl FnMut(&mut Cx<'m, M, { level::SLEEP_MAX }>, P),
) {
    for i in 0..n.min(AHEAD) {
        ahead(cx, i, P::from_bits(payload(i)));
    }
    for i in 0..n {
        if i + AHEAD < n {
            ahead(cx, i + AHEAD, P::from_bits(payload(i + AHEAD)));
        }
        finish(cx, P::from_bits(payload(i)));
    }
}

#[inline]
fn area<'m, M: Machine, const L: u8>(cx: &Cx<'m, M, L>, frame: Pfn) -> &'m [Word] {
    cx.machine().kernel_area(KernelFrame(frame), 1)
}

#[inline]
fn cells<'m, M: Machine, const L: u8>(cx: &Cx<'m, M, L>, frame: Pfn) -> &'m [Field<u64>] {
    cast_words(area(cx, frame))
}

/// The word of a frame of room that names the next.
fn link<'m, M: Machine, const L: u8>(cx: &Cx<'m, M, L>, frame: Pfn) -> &'m Field<Option<Pfn>> {
    &cast_words::<Field<Option<Pfn>>>(area(cx, frame))[0]
}

fn after<M: Machine, const L: u8>(cx: &Cx<'_, M, L>, frame: Pfn) -> Option<Pfn> {
    link(cx, frame).get()
}

impl<M: Machine, P: FieldValue> Drop for Batch<'_, '_, M, P> {
    fn drop(&mut self) {
        let answered = self.answers_for.is_empty();
        debug_assert!(self.is_empty() && answered, "a batch is settled before it is dropped");
    }
}

impl Unflushed {
    fn and(self, pages: VpnRange, what: What) -> Unflushed {
        match (self, what) {
            (all, What::Unseen) => all,
            (Unflushed::Nothing, What::Table) => Unflushed::Tables(pages),
            (Unflushed::Nothing, _) => Unflushed::Pages(pages),
            (Unflushed::Pages(before), What::Page | What::Change) => Unflushed::Pages(union(before, pages)),
            (Unflushed::Pages(before) | Unflushed::Tables(before), _) => {
                Unflushed::Tables(union(before, pages))
            }
        }
    }
}

/// The smallest range that has all pages of both.
fn union(a: VpnRange, b: VpnRange) -> VpnRange {
    if a.is_empty() {
        b
    } else if b.is_empty() {
        a
    } else {
        VpnRange::new(a.start.min(b.start), a.end.max(b.end))
    }
}
