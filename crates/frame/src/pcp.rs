//! Per-CPU lists of free frames: most requests are served without the zone's lock.

use crate::descriptor::MigrateType;
use crate::list::{End, FreeList};
use crate::memmap::MemMap;
use crate::zone::Zone;
use machine::lock::Spin;
use machine::{Field, HUGE_ORDER, Order, Pfn, level};

/// The lists: three types of orders 0 to 3, and blocks of pageblock size that are movable or not.
const LISTS: usize = 14;
/// The largest of the small orders. Linux: `PAGE_ALLOC_COSTLY_ORDER`.
const SMALL_MAX: Order = Order(3);
/// A batch grows at most by this power of two. Linux: `CONFIG_PCP_BATCH_SCALE_MAX`.
const SCALE_MAX: u64 = 5;

machine::cells! {
    /// One CPU's lists of one zone.
    #[repr(align(64))]
    pub(crate) struct Pcp {
        /// Held for a few instructions by the CPU itself, or by who drains it. Interrupt handlers only try.
        pub(crate) lock: Spin<{ level::PCP }>,
        /// (lock; read without it by reports) Frames in the lists.
        frames: Field<u64>,
        /// (lock) How often the batch was doubled since the last free.
        scale: Field<u64>,
        /// (lock) Frames freed lately, without an allocation between.
        freed: Field<u64>,
        /// (lock) Which list is drained next.
        turn: Field<u64>,
        /// (lock) The blocks.
        lists: [FreeList; LISTS],
    }
}

/// Which list blocks of this order and type are in, if such blocks are kept at all.
#[inline]
pub(crate) fn list_index(order: Order, list: MigrateType) -> Option<usize> {
    match (order, list) {
        (_, MigrateType::HighAtomic | MigrateType::Isolate) => None,
        (HUGE_ORDER, _) => Some(12 + usize::from(list == MigrateType::Movable)),
        (order, _) if order <= SMALL_MAX => Some(usize::from(order.0) * 3 + list as usize),
        _ => None,
    }
}

/// The order of the blocks of a list.
#[inline]
pub(crate) fn list_order(index: usize) -> Order {
    if index < 12 { Order((index / 3) as u8) } else { HUGE_ORDER }
}

impl Pcp {
    /// Frames in the lists.
    #[inline]
    pub(crate) fn frames(&self) -> u64 {
        self.frames.get()
    }

    #[inline]
    pub(crate) fn pop(&self, memmap: &MemMap<'_>, index: usize) -> Option<Pfn> {
        self.freed.set(self.freed.get() / 2);
        let pfn = self.lists[index].pop(memmap, End::Front)?;
        self.frames.sub(list_order(index).frames());
        Some(pfn)
    }

    /// Takes a freed block. Answers how many frames are to be drained now.
    #[inline]
    pub(crate) fn push(&self, memmap: &MemMap<'_>, index: usize, pfn: Pfn, zone: &Zone) -> u64 {
        let frames = list_order(index).frames();
        let (batch, high) = (zone.batch.get(), zone.pcp_high.get());
        self.lists[index].push(memmap, pfn, End::Front);
        self.frames.add(frames);
        self.scale.set(self.scale.get() / 2);
        if self.freed.get() < batch << SCALE_MAX {
            self.freed.add(frames);
        }
        if self.frames.get() < high {
            return 0;
        }
        // The more was freed in a row, the more goes at once. Linux: `nr_pcp_free`.
        self.freed.get().clamp(batch, (high - batch).max(batch))
    }

    /// How many blocks to fetch for an empty list: the batch, doubled from time to time while
    /// only allocations come. Linux: `nr_pcp_alloc`.
    pub(crate) fn refill_size(&self, order: Order, zone: &Zone) -> u64 {
        let base = zone.batch.get();
        if order != Order::ZERO {
            return if base > 1 { (base >> order.0).max(2) } else { base };
        }
        let room = zone.pcp_high.get().saturating_sub(self.frames.get() + base).max(base);
        let batch = base << self.scale.get();
        if batch <= room && self.scale.get() < SCALE_MAX {
            self.scale.add(1);
        }
        batch.min(room)
    }

    /// Takes over blocks on their way.
    pub(crate) fn accept(&self, memmap: &MemMap<'_>, index: usize, blocks: &FreeList) {
        self.frames.add(blocks.count() * list_order(index).frames());
        self.lists[index].append(memmap, blocks);
    }

    /// Takes out at least `frames` frames, those first that were freed longest ago: as many of one list as
    /// there are, then of the next. The one to begin with changes each time.
    pub(crate) fn collect(&self, memmap: &MemMap<'_>, frames: u64) -> FreeList {
        let chain = FreeList::new();
        let mut wanted = frames.min(self.frames.get());
        while wanted > 0 {
            let index = self.turn.get() as usize;
            self.turn.set(((index + 1) % LISTS) as u64);
            let size = list_order(index).frames();
            while wanted > 0
                && let Some(pfn) = self.lists[index].pop(memmap, End::Back)
            {
                self.frames.sub(size);
                wanted = wanted.saturating_sub(size);
                chain.push(memmap, pfn, End::Back);
            }
        }
        chain
    }

    /// The blocks with their orders, on a quiet machine.
    pub(crate) fn blocks<'a>(&'a self, memmap: &'a MemMap<'_>) -> impl Iterator<Item = (Pfn, Order)> + 'a {
        let lists = self.lists.iter().enumerate();
        lists.flat_map(move |(i, list)| list.iter(memmap).map(move |pfn| (pfn, list_order(i))))
    }
}
