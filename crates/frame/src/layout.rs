//! Start: which frames make up which zone, in which order nodes are tried, and how full zones are kept.

use crate::descriptor::{ZONE_KINDS, ZoneKind};
use crate::memmap::{MemMap, SUBSECTION_ORDER, aligned};
use crate::request::Config;
use crate::zone::{Span, Zone};
use machine::{Boot, CpuId, Field, MAX_ORDER, Machine, MemoryRange, NodeId, PAGE_SIZE, Pfn, Shortage};

/// First frame above the DMA32 zone.
const DMA32_END: Pfn = Pfn(1 << 20);
/// Linux's `lowmem_reserve_ratio`: one frame in so many of the higher zones is kept free in this zone.
const LOWMEM_RATIO: [u64; ZONE_KINDS] = [256, 32, 1];
/// Linux's `watermark_scale_factor`, in 1/10000 of the zone.
const WATERMARK_SCALE: u64 = 10;
/// At most so many frames (1 MiB) count for the size of a batch.
const BATCH_BASIS_MAX: u64 = (1 << 20) / PAGE_SIZE;

/// Where in the table of zones one is.
#[inline]
pub(crate) fn zone_index(node: NodeId, kind: ZoneKind) -> usize {
    usize::from(node.0) * ZONE_KINDS + kind as usize
}

/// What start found out.
pub(crate) struct Layout<'m> {
    pub(crate) zones: &'m [Zone],
    pub(crate) spans: &'m [Span],
    /// For each node, the nodes with memory in the order they are tried, as number + 1.
    pub(crate) node_order: &'m [Field<u64>],
}

fn ranges<M: Machine>(machine: &M) -> impl Iterator<Item = MemoryRange> + '_ {
    (0..).map_while(|i| machine.memory(i))
}

impl<'m> Layout<'m> {
    /// Reserves room for it.
    pub(crate) fn new<M: Machine>(boot: &Boot<'m, M>) -> Result<Self, Shortage> {
        let machine = boot.machine();
        let nodes = machine.nodes() as usize;
        Ok(Layout {
            zones: boot.array(nodes * ZONE_KINDS)?,
            spans: boot.array(ranges(machine).count() * 3)?,
            node_order: boot.array(nodes * nodes)?,
        })
    }

    /// Cuts the machine's ranges into spans of zones. Answers how many zones have memory.
    pub(crate) fn find_zones<M: Machine>(&self, machine: &M, config: &Config) -> u64 {
        let mut next = 0;
        for range in ranges(machine) {
            let (start, end) = (range.start, range.start.plus(range.frames));
            let movable = movable_start(machine, config, &range);
            let below = DMA32_END.clamp(start, end);
            let cuts = [start, below.min(movable), below.max(movable), end];
            for pair in cuts.windows(2).filter(|pair| pair[0] < pair[1]) {
                let kind = match pair[0] {
                    pfn if pfn >= movable => ZoneKind::Movable,
                    pfn if pfn < DMA32_END => ZoneKind::Dma32,
                    _ => ZoneKind::Normal,
                };
                self.add_span(next, (pair[0], pair[1]), range.node, kind);
                next += 1;
            }
        }
        self.zones.iter().filter(|zone| zone.is_populated()).count() as u64
    }

    fn add_span(&self, index: usize, (start, end): (Pfn, Pfn), node: NodeId, kind: ZoneKind) {
        let number = zone_index(node, kind);
        let (span, zone) = (&self.spans[index], &self.zones[number]);
        span.start.set(start);
        span.end.set(end);
        span.zone.set(number as u64);
        if !zone.is_populated() {
            zone.kind.set(kind);
            zone.node.set(node);
            zone.next_span.set(index as u64);
            zone.next_frame.set(start);
        }
        zone.present.add(u64::from(end.0 - start.0));
    }

    /// The spans that have frames.
    pub(crate) fn used_spans(&self) -> impl Iterator<Item = &'m Span> + use<'m> {
        self.spans.iter().filter(|span| span.start.get() < span.end.get())
    }

    /// Says what is present, and how many frames each zone has to give.
    pub(crate) fn populate<M: Machine>(&self, machine: &M, memmap: &MemMap<'m>, boot: (Pfn, Pfn)) {
        for span in self.used_spans() {
            let zone = &self.zones[span.zone.get() as usize];
            let (start, end) = (span.start.get(), span.end.get());
            debug_assert!(end <= memmap.end(), "every frame has a descriptor");
            let step = SUBSECTION_ORDER.frames() as usize;
            for pfn in (aligned(start, SUBSECTION_ORDER).0..end.0).step_by(step) {
                memmap.mark_present(machine, Pfn(pfn), zone.kind.get(), zone.node.get());
            }
            let taken = end.min(boot.1).0.saturating_sub(start.max(boot.0).0);
            let frames = u64::from(end.0 - start.0 - taken);
            for count in [&zone.managed, &zone.unfed, &zone.free_frames] {
                count.add(frames);
            }
        }
    }

    /// The order in which nodes are tried from each node: the nearest first; of equally near ones those
    /// without CPUs, then the next by number, then the less popular. Linux: `find_next_best_node`.
    pub(crate) fn order_nodes<M: Machine>(&self, machine: &M) {
        let nodes = machine.nodes();
        let has_memory = |node: u32| {
            ZoneKind::ALL.iter().any(|&kind| self.zones[zone_index(NodeId(node as u8), kind)].is_populated())
        };
        let mut has_cpus = [false; 256];
        for cpu in (0..machine.cpus()).map(CpuId) {
            has_cpus[usize::from(machine.node_of(cpu).0)] = true;
        }
        let mut load = [0u32; 256];
        for from in 0..nodes {
            let mut used = [false; 256];
            let mut previous = from;
            let distance = |to: u32| machine.distance(NodeId(from as u8), NodeId(to as u8));
            for place in 0..nodes {
                let candidates = (0..nodes).filter(|&n| has_memory(n) && !used[n as usize]);
                let Some(best) = candidates.min_by_key(|&n| {
                    let value = distance(n) + u32::from(n < from) + u32::from(has_cpus[n as usize]);
                    (n != from, u64::from(value) * 1024 + u64::from(load[n as usize]))
                }) else {
                    break;
                };
                used[best as usize] = true;
                // Several nodes at one distance share the burden of being a first choice.
                if distance(best) != distance(previous) {
                    load[best as usize] += 1;
                }
                previous = best;
                self.node_order[(from * nodes + place) as usize].set(u64::from(best) + 1);
            }
        }
    }

    /// Linux: `__setup_per_zone_wmarks`.
    pub(crate) fn set_watermarks(&self, config: &Config) {
        let lowmem = |zone: &&Zone| zone.kind.get() != ZoneKind::Movable;
        let lowmem_frames: u64 = self.zones.iter().filter(lowmem).map(|zone| zone.managed.get()).sum();
        let formula = || (lowmem_frames * (PAGE_SIZE / 1024) * 16).isqrt().clamp(128, 262_144);
        let min_frames = config.min_free_kib.unwrap_or_else(formula) * 1024 / PAGE_SIZE;
        for zone in self.zones.iter().filter(|zone| zone.is_populated()) {
            let managed = zone.managed.get();
            let share = min_frames * managed / lowmem_frames.max(1);
            let min = if lowmem(&zone) { share } else { (managed / 1024).clamp(32, 128) };
            let step = (share / 4).max(managed * WATERMARK_SCALE / 10_000);
            zone.min.set(min);
            zone.low.set(min + step);
            zone.high.set(min + 2 * step);
        }
        self.set_lowmem_reserve();
    }

    /// Keeps some of each zone from requests that could be served higher up.
    /// Linux: `setup_per_zone_lowmem_reserve`.
    fn set_lowmem_reserve(&self) {
        for node in self.zones.chunks(ZONE_KINDS) {
            for (low, zone) in node.iter().enumerate() {
                let mut above = 0;
                for (higher, reserve) in node.iter().zip(&zone.lowmem_reserve).skip(low + 1) {
                    above += higher.managed.get();
                    reserve.set(above / LOWMEM_RATIO[low]);
                }
            }
        }
    }

    /// Linux: `zone_batchsize`, `zone_highsize`.
    pub(crate) fn size_pcps<M: Machine>(&self, machine: &M) {
        let mut first = 0;
        for zone in self.zones.iter().filter(|zone| zone.is_populated()) {
            let basis = (zone.managed.get() >> 10).min(BATCH_BASIS_MAX) / 4;
            let basis = basis.max(1);
            let batch = ((1 << (basis + basis / 2).ilog2()) - 1).max(1);
            let local = (0..machine.cpus()).filter(|&cpu| machine.node_of(CpuId(cpu)) == zone.node.get());
            let sharers = match local.count() as u64 {
                0 => u64::from(machine.cpus()),
                n => n,
            };
            zone.batch.set(batch);
            zone.pcp_high.set((zone.low.get() / sharers).max(batch * 4));
            zone.first_pcp.set(first);
            first += u64::from(machine.cpus());
        }
    }
}

/// Where in a range the Movable zone starts (its end, if nowhere). Linux: `find_zone_movable_pfns_for_nodes`.
fn movable_start<M: Machine>(machine: &M, config: &Config, range: &MemoryRange) -> Pfn {
    let end = range.start.plus(range.frames);
    if range.movable {
        return range.start;
    }
    let same = |other: &MemoryRange| other.node == range.node && !other.movable;
    let total: u64 = ranges(machine).filter(same).map(|other| other.frames).sum();
    let above = |other: &MemoryRange| same(other) && other.start > range.start;
    let above: u64 = ranges(machine).filter(above).map(|other| other.frames).sum();
    let wanted = total * u64::from(config.movable_percent.min(100)) / 100;
    let part = wanted.saturating_sub(above).min(range.frames);
    let start = u64::from(end.0) - part;
    Pfn(start.next_multiple_of(MAX_ORDER.frames()).min(u64::from(end.0)) as u32)
}
