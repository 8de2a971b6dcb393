//! A zone: part of one node's memory, its free lists, its watermarks.

use crate::attempts::Attempts;
use crate::descriptor::{MIGRATE_TYPES, MigrateType, ZONE_KINDS, ZoneKind};
use crate::list::FreeList;
use crate::request::{Request, Reserve};
use machine::lock::Spin;
use machine::{Field, FieldValue, MAX_ORDER, NodeId, Order, Pfn, level};

/// How many orders the buddy allocator has.
pub const ORDERS: usize = MAX_ORDER.0 as usize + 1;

impl FieldValue for ZoneKind {
    fn to_bits(self) -> u64 {
        self as u64
    }
    fn from_bits(bits: u64) -> Self {
        ZoneKind::from_bits(bits)
    }
}

machine::cells! {
    /// A run of frames of one zone.
    pub(crate) struct Span {
        /// (constant) First frame.
        pub(crate) start: Field<Pfn>,
        /// (constant) One past the last frame.
        pub(crate) end: Field<Pfn>,
        /// (constant) Which zone.
        pub(crate) zone: Field<u64>,
    }
}

machine::cells! {
    /// A zone. A zone without memory is all zeros.
    #[repr(align(64))]
    pub(crate) struct Zone {
        /// Covers the free lists, the frontier, and the type of the zone's pageblocks.
        pub(crate) lock: Spin<{ level::ZONE }>,
        /// (lock; read without it by watermark checks) Frames in the free lists or not yet fed.
        pub(crate) free_frames: Field<u64>,
        /// (lock; read without it) Frames not yet fed to the free lists.
        pub(crate) unfed: Field<u64>,
        /// (lock) The frontier: the span that is being fed.
        pub(crate) next_span: Field<u64>,
        /// (lock) The frontier: the first frame of that span that was not fed.
        pub(crate) next_frame: Field<Pfn>,
        /// (constant) Which zone it is.
        pub(crate) kind: Field<ZoneKind>,
        /// (constant) Its node.
        pub(crate) node: Field<NodeId>,
        /// (constant) Frames it has.
        pub(crate) present: Field<u64>,
        /// (constant) Frames it has without those taken before it started.
        pub(crate) managed: Field<u64>,
        /// (constant) Watermark: below it only reserves are handed out.
        pub(crate) min: Field<u64>,
        /// (constant) Watermark: below it other zones are tried first.
        pub(crate) low: Field<u64>,
        /// (constant) Watermark: reclaim stops here.
        pub(crate) high: Field<u64>,
        /// (constant) Frames kept from requests that could have used a higher zone, by that zone.
        pub(crate) lowmem_reserve: [Field<u64>; ZONE_KINDS],
        /// (constant) Where its per-CPU lists start.
        pub(crate) first_pcp: Field<u64>,
        /// (constant) Frames moved to or from a per-CPU list at a time.
        pub(crate) batch: Field<u64>,
        /// (constant) Frames at which a per-CPU list is drained.
        pub(crate) pcp_high: Field<u64>,
        /// (lock) Free blocks by order and type.
        pub(crate) free: [[FreeList; MIGRATE_TYPES]; ORDERS],
        /// What compaction remembers.
        pub(crate) attempts: Attempts,
    }
}

/// How full a zone must stay.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The first round: leave what reclaim would have to get back.
    Low,
    /// The last round: leave what only reserves may use.
    Min,
}

impl Zone {
    #[inline]
    pub(crate) fn is_populated(&self) -> bool {
        self.present.get() != 0
    }

    #[inline]
    pub(crate) fn list(&self, order: Order, list: MigrateType) -> &FreeList {
        &self.free[order.0 as usize][list as usize]
    }

    /// Whether a request may be served here. Looks without the lock: the answer is a policy, not a promise.
    /// Linux: `__zone_watermark_ok`.
    #[inline]
    pub(crate) fn allows(&self, request: &Request, mark: Mark) -> bool {
        let mark = match (mark, request.reserve) {
            (Mark::Low, _) | (_, Reserve::Optional) => self.low.get(),
            (Mark::Min, Reserve::None) => self.min.get(),
            (Mark::Min, Reserve::High) => self.min.get() / 2,
            (Mark::Min, Reserve::Oom) => self.min.get() / 4,
        };
        let kept = mark + self.lowmem_reserve[request.highest() as usize].get();
        if self.free_frames.get() < kept + request.order.frames() {
            return false;
        }
        request.order == Order::ZERO || self.unfed.get() > 0 || self.has_block(request.order)
    }

    /// Whether a block of at least this order is free for the types that requests ask for.
    pub(crate) fn has_block(&self, order: Order) -> bool {
        let asked = ..MigrateType::HighAtomic as usize;
        self.free[order.0 as usize..].iter().any(|lists| lists[asked].iter().any(|list| list.count() > 0))
    }
}
