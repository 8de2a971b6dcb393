//! Gathering free memory into large blocks by moving pages out of their way (Linux: mm/compaction.c).
//!
//! ```text
//!  zone   [used .used .... used used .. used ........]
//!          ^ migrate scanner                free scanner ^
//!          pages found here move up         free frames found here are where they go
//! ```
//!
//! Two scanners walk a zone's pageblocks towards each other: one from the bottom looks for pages that may be
//! moved, one from the top for free frames in movable pageblocks. Where they meet all that is free is below.
//! A pass for an allocation ends as soon as a block is there; it leaves pageblocks out in which the last pass
//! found nothing, and a zone where passes fail is left alone for a while.

use frame::{Candidate, Frames, MigrateType, ZoneId};
use machine::{Counter, Cx, HUGE_ORDER, Machine, Order, Pfn, UserFrame, level};
use object::Effort;
use space::Spaces;

/// How many free frames are taken at a time (Linux: `COMPACT_CLUSTER_MAX`).
const CLUSTER: usize = 32;
/// The longest a zone is left alone, as a power of two of attempts (Linux: `COMPACT_MAX_DEFER_SHIFT`).
const DEFER_MAX: u64 = 6;

/// What compaction came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compacted {
    /// A block of the wanted order is free now.
    Made,
    /// None is: the scanners met, no zone is worth a pass, or every zone was left alone.
    Not,
}

/// What a pass is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Goal {
    /// A block of this order.
    Block(Order),
    /// All that can be moved (Linux: an order of -1).
    Everything,
}

/// Why a pass ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Reached,
    ScannersMet,
}

/// Compacts zones until a block of this order is free in one (Linux: `try_to_compact_pages`). The caller
/// holds no lock.
pub(crate) fn compact_for<'m, M: Machine>(
    cx: &mut Cx<'m, M, { level::PROCESS }>,
    spaces: &Spaces<'m, M>,
    order: Order,
    effort: Effort,
) -> Compacted {
    if order == Order::ZERO {
        return Compacted::Not;
    }
    let frames: &Frames<'m, M> = spaces.frames();
    frames.drain_all(cx.at());
    cx.count(Counter::CompactStall);
    for report in frames.zones() {
        let zone = ZoneId { node: report.node, kind: report.kind };
        // What was never used is in large blocks: there is nothing to gather.
        if report.unfed > 0 || !frames.may_gather(zone, order) || is_deferred(frames, zone) {
            continue;
        }
        let mut pass = Pass::new(spaces, zone, Goal::Block(order), effort);
        let end = pass.run(cx);
        note(frames, zone, end, effort);
        if end == End::Reached {
            cx.count(Counter::CompactSuccess);
            return Compacted::Made;
        }
    }
    cx.count(Counter::CompactFail);
    Compacted::Not
}

/// Compacts every zone as far as it goes (Linux: `/proc/sys/vm/compact_memory`).
pub fn compact_memory<'m, M: Machine>(cx: &mut Cx<'m, M, { level::PROCESS }>, spaces: &Spaces<'m, M>) {
    let frames: &Frames<'m, M> = spaces.frames();
    frames.drain_all(cx.at());
    for report in frames.zones() {
        let zone = ZoneId { node: report.node, kind: report.kind };
        Pass::new(spaces, zone, Goal::Everything, Effort::Wait).run(cx);
    }
}

/// Whether the zone is left alone this time (Linux: `compaction_deferred`).
fn is_deferred<M: Machine>(frames: &Frames<'_, M>, zone: ZoneId) -> bool {
    let attempts = frames.attempts(zone);
    let (limit, considered) = (1 << attempts.shift.get(), attempts.considered.get() + 1);
    attempts.considered.set(considered.min(limit));
    considered < limit
}

/// Remembers how a pass ended (Linux: `defer_compaction`, `compaction_defer_reset`). A pass that waited for
/// nobody says little of what the next can do.
fn note<M: Machine>(frames: &Frames<'_, M>, zone: ZoneId, end: End, effort: Effort) {
    let attempts = frames.attempts(zone);
    match (end, effort) {
        (End::Reached, _) => attempts.shift.set(0),
        (End::ScannersMet, Effort::Wait) => {
            attempts.shift.set((attempts.shift.get() + 1).min(DEFER_MAX));
            attempts.considered.set(0);
        }
        (End::ScannersMet, Effort::Try) => {}
    }
    attempts.complete.set(u64::from(end == End::ScannersMet));
}

/// One pass over a zone.
struct Pass<'a, 'm, M: Machine> {
    spaces: &'a Spaces<'m, M>,
    zone: ZoneId,
    goal: Goal,
    effort: Effort,
    /// First frame of the pageblock pages are moved out of.
    source: Pfn,
    /// One past the last frame of the pageblock free frames are taken from.
    target: Pfn,
    /// Free frames taken, each with a reference.
    taken: [Pfn; CLUSTER],
    left: usize,
}

/// Whether a pass goes on.
type Flow = core::ops::ControlFlow<End>;

impl<'a, 'm, M: Machine> Pass<'a, 'm, M> {
    fn new(spaces: &'a Spaces<'m, M>, zone: ZoneId, goal: Goal, effort: Effort) -> Self {
        let (source, target) = spaces.frames().pageblocks(zone);
        Pass { spaces, zone, goal, effort, source, target, taken: [Pfn(0); CLUSTER], left: 0 }
    }

    /// Linux: `compact_zone`.
    fn run(&mut self, cx: &mut Cx<'m, M, { level::PROCESS }>) -> End {
        let frames = self.spaces.frames();
        if frames.attempts(self.zone).complete.replace(0) != 0 || self.goal == Goal::Everything {
            self.forget_hints(cx);
        }
        let end = loop {
            if self.is_reached() {
                break End::Reached;
            }
            if self.source >= self.target {
                break End::ScannersMet;
            }
            if let Flow::Break(end) = self.empty_block(cx) {
                break end;
            }
            self.source = self.source.plus(HUGE_ORDER.frames());
            // What was moved away is in this CPU's lists: it becomes a block in the zone.
            self.drain_own(cx);
        };
        for &frame in &self.taken[..self.left] {
            frames.put(cx.at(), frame);
        }
        self.drain_own(cx);
        if end == End::ScannersMet && self.is_reached() { End::Reached } else { end }
    }

    fn drain_own(&self, cx: &mut Cx<'m, M, { level::PROCESS }>) {
        let cpu = cx.cpu();
        self.spaces.frames().drain_cpu(cx.at(), cpu);
    }

    fn is_reached(&self) -> bool {
        match self.goal {
            Goal::Block(order) => self.spaces.frames().has_free_block(self.zone, order),
            Goal::Everything => false,
        }
    }

    fn forget_hints(&self, cx: &mut Cx<'m, M, { level::PROCESS }>) {
        let mut block = self.source;
        while block < self.target {
            self.spaces.frames().unskip_pageblock(cx, block);
            block = block.plus(HUGE_ORDER.frames());
        }
    }

    /// Whether pages are moved out of a pageblock (Linux: `suitable_migration_source`): who does not wait
    /// goes only where most pages can be moved.
    fn is_source(&self, cx: &Cx<'m, M, { level::PROCESS }>) -> bool {
        let frames = self.spaces.frames();
        match frames.block_type(cx, self.zone, self.source) {
            None | Some(MigrateType::Isolate) => false,
            _ if frames.is_skipped(cx, self.source) => false,
            Some(MigrateType::Movable) => true,
            Some(_) => self.effort == Effort::Wait,
        }
    }

    /// Moves what can be moved out of the pageblock at the migrate scanner.
    fn empty_block(&mut self, cx: &mut Cx<'m, M, { level::PROCESS }>) -> Flow {
        if !self.is_source(cx) {
            return Flow::Continue(());
        }
        let (mut at, mut found) = (self.source, false);
        let end = self.source.plus(HUGE_ORDER.frames());
        while at < end {
            cx.count(Counter::CompactMigrateScanned);
            let page = match self.spaces.frames().candidate(cx.at(), at) {
                Candidate::None(frames) => {
                    at = at.plus(frames);
                    continue;
                }
                Candidate::Page(page) => page,
            };
            found = true;
            cx.count(Counter::CompactIsolated);
            if !self.has_target(cx) {
                self.spaces.frames().put(cx.at(), page);
                return Flow::Break(End::ScannersMet);
            }
            let moved = self.move_away(cx, page);
            if !moved && self.gives_block_up() {
                break;
            }
            at = at.plus(1);
        }
        if !found {
            self.spaces.frames().skip_pageblock(cx, self.source);
        }
        Flow::Continue(())
    }

    /// A pageblock with a page that stays gives no block of its size (Linux: `skip_on_failure`).
    fn gives_block_up(&self) -> bool {
        self.effort == Effort::Try && matches!(self.goal, Goal::Block(order) if order >= HUGE_ORDER)
    }

    fn move_away(&mut self, cx: &mut Cx<'m, M, { level::PROCESS }>, page: Pfn) -> bool {
        let to = UserFrame(self.taken[self.left - 1]);
        let moved = self.spaces.objects().migrate_to(cx.at(), page, to, self.effort).is_ok();
        self.left -= 1;
        if !moved {
            // Others may have found it in the swap cache meanwhile: it is no page's fresh frame any more.
            self.spaces.frames().put(cx.at(), to.0);
        }
        moved
    }

    /// Makes sure that there is a free frame above the migrate scanner.
    fn has_target(&mut self, cx: &mut Cx<'m, M, { level::PROCESS }>) -> bool {
        let frames = self.spaces.frames();
        while self.left == 0 {
            let block = Pfn(self.target.0 - HUGE_ORDER.frames() as u32);
            if block <= self.source {
                return false;
            }
            if frames.block_type(cx, self.zone, block).is_some() {
                cx.count(Counter::CompactFreeScanned);
                self.left = frames.take_free(cx.at(), self.zone, block, &mut self.taken);
                cx.count_n(Counter::CompactIsolated, self.left as u64);
            }
            if self.left == 0 {
                self.target = block;
            }
        }
        true
    }
}
