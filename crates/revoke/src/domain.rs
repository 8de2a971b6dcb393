//! The translations of one address space: who may hold some, and telling those that they are void.

use crate::{CpuTlbs, protocol};
use core::sync::atomic::Ordering::Relaxed;
use machine::walking::Walked;
use machine::{
    Asid, Counter, CpuId, CpuSet, Cx, Event, Field, FlushScope, KernelFrame, Machine, Plant, SharedCpuSet,
    VpnRange, Word, level,
};

/// Ranges of more pages are flushed by dropping the whole space (Linux's `tlb_single_page_flush_ceiling`).
pub const SINGLE_PAGES_MAX: u64 = 33;

machine::cells! {
    /// The translation side of one address space.
    pub struct Domain {
        /// (constant) Its name in TLBs, unique among live spaces.
        asid: Field<Asid>,
        /// (constant) Its number among all spaces ever: never reused, so what a CPU remembers of a dead
        /// space with the same `asid` counts for nothing.
        life: Field<u64>,
        /// How many flushes were begun: the generation.
        begun: Word,
        /// How many flushes are over.
        done: Word,
        /// How many batches changed entries and have not flushed yet (LR10).
        owing: Word,
        /// CPUs that translate through the space's tables now, and perhaps some that just stopped (LR17).
        active: SharedCpuSet,
        /// For the rule of walks, if it is another than the default.
        walkers: Word,
    }
}

impl Domain {
    /// Names a zeroed domain. Nobody uses it yet.
    pub fn init<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, tlbs: &CpuTlbs<'_>, asid: Asid) {
        debug_assert_ne!(asid, Asid::default(), "number 0 names no space");
        self.asid.set(asid);
        self.life.set(tlbs.new_life(cx));
    }

    /// The name in TLBs.
    pub fn asid(&self) -> Asid {
        self.asid.get()
    }

    /// The CPUs that are active in the space now.
    pub fn active<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> CpuSet {
        self.active.snapshot(cx)
    }

    /// What a rule of walks needs to know of the space.
    #[inline]
    pub fn walked(&self) -> Walked<'_> {
        Walked { word: &self.walkers, active: &self.active }
    }

    /// Makes this CPU, which translates through no space, translate through this one.
    pub fn activate<'m, M: Machine>(
        &self,
        cx: &mut Cx<'m, M, { level::SLEEP_MAX }>,
        tlbs: &CpuTlbs<'_>,
        root: KernelFrame,
    ) {
        let cpu = cx.cpu();
        // `done == begun` is never asked here: what was claimed before joining is what counts.
        let seen = tlbs.seen(cpu, self.life.get());
        self.active.insert(cx, cpu);
        let generation = protocol::join(cx, &self.begun);
        let stale = seen != Some(generation) && !cx.planted(Plant::GenerationIgnored);
        tlbs.remember(cpu, self.life.get(), generation);
        cx.machine().load_space(cpu, Some((root, self.asid())), stale);
    }

    /// Makes this CPU translate through no space. What it holds of this one stays, unreachable.
    pub fn deactivate<'m, M: Machine>(&self, cx: &mut Cx<'m, M, { level::SLEEP_MAX }>, tlbs: &CpuTlbs<'_>) {
        // Before this CPU leaves the set: once it has left, the tables may be freed without asking it.
        cx.machine().load_space(cx.cpu(), None, false);
        self.leave(cx, tlbs);
    }

    /// Moves this CPU from this space to another: one change of the root instead of two.
    pub fn switch<'m, M: Machine>(
        &self,
        cx: &mut Cx<'m, M, { level::SLEEP_MAX }>,
        tlbs: &CpuTlbs<'_>,
        (to, root): (&Domain, KernelFrame),
    ) {
        if self.life.get() != to.life.get() {
            to.activate(cx, tlbs, root);
            self.leave(cx, tlbs);
        }
    }

    fn leave<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, tlbs: &CpuTlbs<'_>) {
        let cpu = cx.cpu();
        if let Some(generation) = protocol::confirm(cx, &self.begun, &self.done) {
            tlbs.remember(cpu, self.life.get(), generation);
        }
        self.active.remove(cx, cpu);
    }

    /// Drops the translations of `pages` (and cached upper levels with `Upper::Too`) on every CPU that may
    /// use them. Answers which these are. `early`: a planted bug asks others.
    pub(crate) fn flush<'m, M: Machine>(
        &self,
        cx: &mut Cx<'m, M, { level::TABLE1 }>,
        (pages, upper): (VpnRange, Upper),
        early: Option<CpuSet>,
    ) -> CpuSet {
        let (asid, late) = (self.asid(), cx.planted(Plant::GenerationRaisedLate));
        let generation = if late { 0 } else { protocol::begin(cx, &self.begun) };
        let targets = early.unwrap_or_else(|| self.active.snapshot(cx));
        let pages = (pages.pages() <= SINGLE_PAGES_MAX).then_some(pages);
        let (tables, cpus) = (upper == Upper::Too, targets.len());
        cx.trace(|| Event::FlushBegun { asid, generation, pages, tables, cpus });
        if !targets.is_empty() {
            let scope = FlushScope { asid, pages, tables };
            let remote = targets.len() - u32::from(targets.contains(cx.cpu()));
            if remote == 0 {
                cx.count(Counter::TlbLocal);
            } else {
                cx.count(Counter::TlbFlushRounds);
                cx.count_n(Counter::TlbIpis, u64::from(remote));
            }
            cx.machine().flush(cx.cpu(), &targets, &scope);
        }
        if late {
            protocol::begin(cx, &self.begun);
        }
        cx.trace(|| Event::FlushEnded { asid, generation });
        protocol::finish(cx, &self.done);
        targets
    }

    pub(crate) fn owe<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) {
        protocol::owe(cx, &self.owing);
    }

    pub(crate) fn paid<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) {
        protocol::paid(cx, &self.owing);
    }

    /// All of it, on a quiet machine.
    pub fn quiet(&self) -> DomainReport {
        // RELAXED: nobody changes anything.
        let read = |word: &Word| word.raw().load(Relaxed);
        DomainReport {
            begun: read(&self.begun),
            done: read(&self.done),
            owing: read(&self.owing),
            active: self.active.quiet(),
        }
    }

    /// The generation up to which a CPU claims to have dropped what was revoked, on a quiet machine.
    pub fn quiet_claim(&self, tlbs: &CpuTlbs<'_>, cpu: CpuId) -> Option<u64> {
        tlbs.seen(cpu, self.life.get())
    }

    /// How many batches changed entries of this space and have not flushed.
    pub fn owed<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> u64 {
        protocol::owed(cx, &self.owing)
    }
}

/// A domain on a quiet machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DomainReport {
    /// How many flushes were begun: the generation.
    pub begun: u64,
    /// How many of them are over.
    pub done: u64,
    /// How many batches have not flushed.
    pub owing: u64,
    /// The CPUs that are asked to flush.
    pub active: CpuSet,
}

/// Whether cached upper levels are flushed with the leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upper {
    /// Only translations of pages.
    Kept,
    /// Everything that leads to the pages: tables were unlinked (L-13).
    Too,
}
