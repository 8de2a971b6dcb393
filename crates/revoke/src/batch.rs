//! The batch: many changes, settled once.

use crate::domain::Upper;
use crate::{Domain, Revoked, Room, What};
use core::marker::PhantomData;
use machine::cells::cast_words;
use machine::{Counter, CpuSet, Cx, Field, FieldValue, KernelFrame, Machine, Pfn, Plant, VpnRange, level};

/// Payloads a batch holds without asking for room.
pub const INLINE: usize = 32;
/// Frames of room a batch takes at most: some 10,000 payloads (Linux's `MAX_GATHER_BATCH_COUNT`).
pub const FRAMES_MAX: usize = 20;
/// Payloads that fit a frame.
pub const PER_FRAME: usize = 512;
/// Payloads that a batch still takes while [`Batch::is_full`] says no.
pub const HEADROOM: usize = 4;

/// Changes to one address space that were made and not yet settled.
///
/// [`Batch::push`] takes the token of each change while the changed table is still locked. Whoever pushes
/// payloads asks [`Batch::is_full`] before each change, and settles (with no spin lock held) when it says
/// yes.
pub struct Batch<'b, 'm, M: Machine, P: FieldValue> {
    domain: &'b Domain,
    room: &'b dyn Room<'m, M>,
    inline: [u64; INLINE],
    frames: [Pfn; FRAMES_MAX],
    frames_taken: usize,
    payloads: usize,
    /// Pages whose translation changed since the last flush.
    unflushed: Unflushed,
    /// Whether tables were unlinked since the last grace period.
    grace: Grace,
    /// Pages the caller answers for although it may have found their entries empty.
    answers_for: VpnRange,
    of: PhantomData<P>,
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
            frames: [Pfn(0); FRAMES_MAX],
            frames_taken: 0,
            payloads: 0,
            unflushed: Unflushed::Nothing,
            grace: Grace::NotNeeded,
            answers_for: VpnRange::default(),
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

    /// Answers for `pages`: entries found empty there may have been emptied by a batch that has not flushed
    /// yet, so settling flushes these pages too as long as there is such a batch (LR10, L-10).
    pub fn answer_for(&mut self, pages: VpnRange) {
        self.answers_for = union(self.answers_for, pages);
    }

    /// Whether the batch must be settled before the next change. While it says no, at least [`HEADROOM`]
    /// more payloads are taken.
    pub fn is_full(&self) -> bool {
        self.capacity() - self.payloads < HEADROOM
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
        let flushed = if forgotten { CpuSet::EMPTY } else { self.domain.flush(cx, pages, upper) };
        self.domain.paid(cx);
        flushed
    }

    /// Settles everything: one flush round, one grace period if tables were unlinked; then `finish` gets
    /// each payload, in the order of pushing, and may free it. The batch is empty afterwards and can be
    /// used again.
    pub fn settle(
        &mut self,
        cx: &mut Cx<'m, M, { level::SLEEP_MAX }>,
        mut finish: impl FnMut(&mut Cx<'m, M, { level::SLEEP_MAX }>, P),
    ) {
        if !self.is_empty() {
            cx.count(Counter::Batches);
        }
        if cx.planted(Plant::FreedBeforeFlush) {
            self.finish_all(cx, &mut finish);
        }
        self.flush_for_others(cx.at());
        let flushed = self.flush_pending(cx.at());
        if self.grace == Grace::Needed {
            self.grace = Grace::NotNeeded;
            if !cx.planted(Plant::TableWithoutGrace) && !cx.planted(Plant::CollapseUnwaited) {
                // All tables of the batch were unlinked before this flush: who was interrupted by it need not
                // be interrupted again for the readers' fence.
                let fenced = if cx.machine().flush_fences() { flushed } else { CpuSet::EMPTY };
                cx.core().epochs.wait_for_readers_but(cx, &fenced);
            }
        }
        self.finish_all(cx, &mut finish);
        while self.frames_taken > 0 {
            self.frames_taken -= 1;
            self.room.return_room(cx.at(), KernelFrame(self.frames[self.frames_taken]));
        }
    }

    /// Hands every payload over.
    fn finish_all(
        &mut self,
        cx: &mut Cx<'m, M, { level::SLEEP_MAX }>,
        finish: &mut impl FnMut(&mut Cx<'m, M, { level::SLEEP_MAX }>, P),
    ) {
        for i in 0..self.payloads {
            let payload = P::from_bits(self.payload(cx, i));
            finish(cx, payload);
        }
        self.payloads = 0;
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

    fn capacity(&self) -> usize {
        INLINE + self.frames_taken * PER_FRAME
    }

    fn keep(&mut self, cx: &mut Cx<'m, M, { level::TABLE1 }>, payload: P) {
        assert!(self.payloads < self.capacity(), "a full batch is settled before the next change");
        let i = self.payloads;
        match i.checked_sub(INLINE) {
            None => self.inline[i] = payload.to_bits(),
            Some(i) => self.frame_cells(cx, i / PER_FRAME)[i % PER_FRAME].set(payload.to_bits()),
        }
        self.payloads += 1;
        if self.is_full()
            && self.frames_taken < FRAMES_MAX
            && let Some(frame) = self.room.take_room(cx)
        {
            self.frames[self.frames_taken] = frame.0;
            self.frames_taken += 1;
        }
    }

    fn payload<const L: u8>(&self, cx: &Cx<'m, M, L>, i: usize) -> u64 {
        match i.checked_sub(INLINE) {
            None => self.inline[i],
            Some(i) => self.frame_cells(cx, i / PER_FRAME)[i % PER_FRAME].get(),
        }
    }

    fn frame_cells<const L: u8>(&self, cx: &Cx<'m, M, L>, frame: usize) -> &'m [Field<u64>] {
        cast_words(cx.machine().kernel_area(KernelFrame(self.frames[frame]), 1))
    }
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
