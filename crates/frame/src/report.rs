//! Looking at the allocator while the machine is quiet: for reports and checkers.

use crate::counts::Counts;
use crate::descriptor::{Descriptor, MIGRATE_TYPES, Meta, MigrateType, ZoneKind};
use crate::frames::Frames;
use crate::memmap::{SECTION_ORDER, aligned};
use crate::zone::{ORDERS, Zone};
use machine::{CpuId, Machine, NodeId, Order, Pfn};

/// A zone at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ZoneReport {
    /// Its node.
    pub node: NodeId,
    /// Which zone of the node.
    pub kind: ZoneKind,
    /// Frames it has.
    pub present: u64,
    /// Frames it has without those taken before it started.
    pub managed: u64,
    /// Frames in its free lists, or not yet fed to them.
    pub free: u64,
    /// Frames not yet fed to the free lists.
    pub unfed: u64,
    /// Frames in the CPUs' lists.
    pub per_cpu: u64,
    /// Watermark min.
    pub min: u64,
    /// Watermark low.
    pub low: u64,
    /// Watermark high.
    pub high: u64,
    /// Frames moved to or from a CPU's list at a time.
    pub batch: u64,
    /// Frames at which a CPU's list is drained.
    pub pcp_high: u64,
    /// Free blocks by order and [`MigrateType`].
    pub free_blocks: [[u64; MIGRATE_TYPES]; ORDERS],
}

/// A block of frames at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    /// Its first frame.
    pub pfn: Pfn,
    /// The second word of its head. Not a head: a frame that belongs to no block.
    pub meta: Meta,
    /// Its counts.
    pub counts: Counts,
}

impl Block {
    /// How many frames it has.
    pub fn frames(&self) -> u64 {
        if self.meta.is_head() { self.meta.order().frames() } else { 1 }
    }
}

impl<'m, M: Machine> Frames<'m, M> {
    fn populated(&self) -> impl Iterator<Item = &'m Zone> + use<'m, M> {
        self.layout.zones.iter().filter(|zone| zone.is_populated())
    }

    fn cpus(&self) -> impl Iterator<Item = CpuId> + use<'m, M> {
        (0..self.machine.cpus()).map(CpuId)
    }

    /// The zones that have memory.
    pub fn zones(&self) -> impl Iterator<Item = ZoneReport> + '_ {
        self.populated().map(|zone| ZoneReport {
            node: zone.node.get(),
            kind: zone.kind.get(),
            present: zone.present.get(),
            managed: zone.managed.get(),
            free: zone.free_frames.get(),
            unfed: zone.unfed.get(),
            per_cpu: self.cpus().map(|cpu| self.pcp(zone, cpu).frames()).sum(),
            min: zone.min.get(),
            low: zone.low.get(),
            high: zone.high.get(),
            batch: zone.batch.get(),
            pcp_high: zone.pcp_high.get(),
            free_blocks: core::array::from_fn(|o| core::array::from_fn(|t| zone.free[o][t].count())),
        })
    }

    /// How many locks of zones and of per-CPU lists are held.
    pub fn locks_held(&self) -> u64 {
        let held = |zone: &Zone| {
            let pcps = self.cpus().filter(|&cpu| self.pcp(zone, cpu).lock.is_held());
            u64::from(zone.lock.is_held()) + pcps.count() as u64
        };
        self.populated().map(held).sum()
    }

    /// Frames the machine has.
    pub fn present_frames(&self) -> u64 {
        self.populated().map(|zone| zone.present.get()).sum()
    }

    /// Frames there are to hand out. Linux: `MemTotal`.
    pub fn total_frames(&self) -> u64 {
        self.populated().map(|zone| zone.managed.get()).sum()
    }

    /// Frames in the zones' free lists, or not yet fed to them. Linux: `MemFree`.
    pub fn free_frames(&self) -> u64 {
        self.populated().map(|zone| zone.free_frames.get()).sum()
    }

    /// Frames in the CPUs' lists.
    pub fn per_cpu_frames(&self) -> u64 {
        self.populated().map(|zone| self.cpus().map(|cpu| self.pcp(zone, cpu).frames()).sum::<u64>()).sum()
    }

    /// The blocks in one free list, from the front.
    pub fn free_list(
        &self,
        node: NodeId,
        kind: ZoneKind,
        order: Order,
        list: MigrateType,
    ) -> impl Iterator<Item = Pfn> + '_ {
        self.zone(node, kind).list(order, list).iter(&self.memmap)
    }

    /// The blocks in the lists of all CPUs.
    pub fn per_cpu_blocks(&self) -> impl Iterator<Item = (CpuId, Pfn, Order)> + '_ {
        self.populated().filter(|zone| zone.is_populated()).flat_map(move |zone| {
            self.cpus().flat_map(move |cpu| {
                self.pcp(zone, cpu).blocks(&self.memmap).map(move |(pfn, order)| (cpu, pfn, order))
            })
        })
    }

    /// The runs of frames whose descriptors are initialised, ascending: first, and one past the last.
    pub fn touched(&self) -> impl Iterator<Item = (Pfn, Pfn)> + '_ {
        self.layout.spans.iter().enumerate().filter_map(|(index, span)| {
            let zone = &self.layout.zones[span.zone.get() as usize];
            let end = match (index as u64).cmp(&zone.next_span.get()) {
                core::cmp::Ordering::Less => span.end.get(),
                core::cmp::Ordering::Equal => zone.next_frame.get(),
                core::cmp::Ordering::Greater => return None,
            };
            (span.start.get() < end).then_some((span.start.get(), end))
        })
    }

    /// The initialised descriptors, tails too.
    pub fn descriptors(&self) -> impl Iterator<Item = (Pfn, &'m Descriptor)> + '_ {
        let frames = self.touched().flat_map(|(start, end)| (start.0..end.0).map(Pfn));
        frames.map(|pfn| (pfn, self.descriptor(pfn)))
    }

    /// All blocks of initialised memory, ascending.
    pub fn blocks(&self) -> impl Iterator<Item = Block> + '_ {
        self.touched().flat_map(move |(start, end)| {
            let block = move |pfn: Pfn| {
                let descriptor = self.descriptor(pfn);
                Block { pfn, meta: descriptor.quiet_meta(), counts: descriptor.quiet_counts() }
            };
            let first = (start < end).then(|| block(start));
            core::iter::successors(first, move |last| {
                let next = last.pfn.plus(last.frames());
                (next < end).then(|| block(next))
            })
        })
    }

    /// How many sections have initialised descriptors.
    pub fn sections_touched(&self) -> u64 {
        let mut last = None;
        let sections = self.touched().flat_map(|(start, end)| {
            (aligned(start, SECTION_ORDER).0..end.0).step_by(SECTION_ORDER.frames() as usize)
        });
        sections.filter(|&section| last.replace(section) != Some(section)).count() as u64
    }

    /// Bytes of initialised descriptors.
    pub fn memmap_bytes(&self) -> u64 {
        self.touched().map(|(start, end)| u64::from(end.0 - start.0) * size_of::<Descriptor>() as u64).sum()
    }
}
