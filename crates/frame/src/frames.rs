//! The allocator as a whole: start, and the ways to and from the per-CPU lists.

use crate::buddy::Buddy;
use crate::descriptor::{Descriptor, MigrateType, ZoneKind};
use crate::layout::{Layout, zone_index};
use crate::list::{End, FreeList};
use crate::memmap::{MemMap, SubsectionState};
use crate::pcp::{Pcp, list_index, list_order};
use crate::request::Config;
use crate::zone::Zone;
use machine::lock::Held;
use machine::trace::Source;
use machine::{Boot, Counter, CpuId, Cx, Event, Field, Machine, NodeId, Order, Pfn, Plant, Shortage, level};

/// All frames of a machine.
///
/// # Locks
/// A per-CPU list's lock is never held while the zone's is taken: blocks on their way between the two are in
/// a chain that nobody else knows ([`State::PerCpu`](crate::State::PerCpu)). So a whole batch can be worked
/// on, with interrupts on and other CPUs asked to flush, between the one and the other (XR4, XR11).
pub struct Frames<'m, M: Machine> {
    pub(crate) machine: &'m M,
    pub(crate) memmap: MemMap<'m>,
    pub(crate) layout: Layout<'m>,
    pcps: &'m [Pcp],
    /// What was taken before the zones were built: first frame, and one past the last.
    boot: (Pfn, Pfn),
    /// 0, or how many allocations from now the one that fails is. Of use only while one CPU allocates.
    failing: Field<u64>,
}

impl<'m, M: Machine> Frames<'m, M> {
    /// Takes over all memory that `boot` did not hand out; `boot` must not be used
    /// any more. Touches no descriptor.
    pub fn new(machine: &'m M, boot: &Boot<'m, M>, config: &Config) -> Result<Self, Shortage> {
        let memmap = MemMap::new(boot)?;
        let layout = Layout::new(boot)?;
        let populated = layout.find_zones(machine, config);
        let pcps = boot.array((populated * u64::from(machine.cpus())) as usize)?;
        let (start, taken) = boot.taken();
        let boot = (start, start.plus(taken));
        layout.populate(machine, &memmap, boot);
        layout.order_nodes(machine);
        layout.set_watermarks(config);
        layout.size_pcps(machine);
        Ok(Frames { machine, memmap, layout, pcps, boot, failing: Field::new(0) })
    }

    /// The memmap.
    pub fn memmap(&self) -> &MemMap<'m> {
        &self.memmap
    }

    /// The descriptor of a frame that is in use.
    ///
    /// # Panics
    /// If the machine has no such frame (a bug: frame numbers come from the allocator).
    #[inline]
    pub fn descriptor(&self, pfn: Pfn) -> &'m Descriptor {
        debug_assert!(
            self.memmap.quiet_subsection(pfn).state() == SubsectionState::Active,
            "{pfn:?} is in use"
        );
        self.memmap.descriptor(pfn)
    }

    /// Makes the `n`-th allocation from now (of a block, or of an object of a slab) fail, once: `Some(1)` the
    /// next one. `None` takes that back.
    pub fn fail_after(&self, n: Option<u64>) {
        self.failing.set(n.map_or(0, |n| n.max(1)));
    }

    /// Whether this is the allocation that was to fail.
    pub(crate) fn is_failing(&self) -> bool {
        match self.failing.get() {
            0 => false,
            n => {
                self.failing.set(n - 1);
                n == 1
            }
        }
    }

    pub(crate) fn zone(&self, node: NodeId, kind: ZoneKind) -> &'m Zone {
        &self.layout.zones[zone_index(node, kind)]
    }

    pub(crate) fn buddy(&self, zone: &'m Zone) -> Buddy<'_, 'm> {
        Buddy { memmap: &self.memmap, zone, spans: self.layout.spans, boot: self.boot }
    }

    pub(crate) fn pcp(&self, zone: &Zone, cpu: CpuId) -> &'m Pcp {
        &self.pcps[zone.first_pcp.get() as usize + cpu.0 as usize]
    }

    /// Takes a block from this CPU's lists, refilling them if need be. `None`: the zone has none, or the
    /// lists are in use by what this interrupt interrupted.
    pub(crate) fn take_from_pcp(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        zone: &'m Zone,
        order: Order,
        list: MigrateType,
    ) -> Option<Pfn> {
        let index = list_index(order, list)?;
        let pcp = self.pcp(zone, cx.cpu());
        let blocks = {
            let _held = lock(pcp, cx)?;
            let popped = pcp.pop(&self.memmap, index);
            if popped.is_some() {
                return popped;
            }
            pcp.refill_size(order, zone)
        };
        self.refill(cx, zone, (index, list), blocks)
    }

    /// The one place where blocks go from a zone to a CPU's list, a batch at a time.
    /// Answers the first of them.
    fn refill(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        zone: &'m Zone,
        (index, list): (usize, MigrateType),
        blocks: u64,
    ) -> Option<Pfn> {
        let chain = FreeList::new();
        {
            let held = zone.lock.lock_irq(cx);
            let buddy = self.buddy(zone);
            while chain.count() < blocks {
                let taken = match list_order(index) {
                    Order::ZERO => buddy.take_singles(&held, blocks - chain.count(), list),
                    order => buddy.take(&held, order, list).map(|pfn| (pfn, 1)),
                };
                let Some((first, count)) = taken else { break };
                for i in 0..count {
                    chain.push(&self.memmap, first.plus(i), End::Back);
                }
            }
        }
        let first = chain.pop(&self.memmap, End::Front)?;
        cx.count(Counter::PcpRefill);
        let pcp = self.pcp(zone, cx.cpu());
        if let Some(_held) = lock(pcp, cx) {
            pcp.accept(&self.memmap, index, &chain);
            return Some(first);
        }
        // In an interrupt, and somebody began to drain the lists just now.
        self.give_back(cx, zone, &chain);
        Some(first)
    }

    /// Puts a freed block into this CPU's lists. `Err`: it does not belong there, or they are in use
    /// by what this interrupt interrupted.
    pub(crate) fn give_to_pcp(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        zone: &'m Zone,
        (pfn, order): (Pfn, Order),
        list: MigrateType,
    ) -> Result<(), Pfn> {
        // Of the types without lists, only what is isolated must not be handed out again (HR13, XR5).
        let list = if list == MigrateType::HighAtomic { MigrateType::Movable } else { list };
        let index = list_index(order, list).ok_or(pfn)?;
        let cpu = cx.cpu();
        let pcp = self.pcp(zone, cpu);
        let excess = {
            let held = lock(pcp, cx).ok_or(pfn)?;
            held.trace(|| Event::FrameFreed { frame: pfn, order, to: Source::CpuList });
            pcp.push(&self.memmap, index, pfn, zone)
        };
        if excess > 0 {
            self.drain(cx, zone, cpu, excess);
        }
        Ok(())
    }

    /// The one place where blocks go from a CPU's lists back to their zone.
    fn drain(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, zone: &'m Zone, cpu: CpuId, frames: u64) {
        let pcp = self.pcp(zone, cpu);
        let chain = {
            let Some(_held) = lock(pcp, cx) else { return };
            pcp.collect(&self.memmap, frames)
        };
        if chain.count() > 0 && !cx.planted(Plant::DrainForgotten) {
            cx.count(Counter::PcpDrain);
            self.give_back(cx, zone, &chain);
        }
    }

    /// Frees the blocks of a chain to their zone.
    fn give_back(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, zone: &'m Zone, chain: &FreeList) {
        let held = zone.lock.lock_irq(cx);
        let buddy = self.buddy(zone);
        while let Some(pfn) = chain.pop(&self.memmap, End::Front) {
            let order = self.descriptor(pfn).meta_field().get().order();
            buddy.give(&held, pfn, order);
        }
    }

    /// Gives everything in one CPU's lists back to the zones.
    pub fn drain_cpu(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, cpu: CpuId) {
        for zone in self.layout.zones.iter().filter(|zone| zone.is_populated()) {
            let frames = self.pcp(zone, cpu).frames();
            if frames > 0 {
                self.drain(cx, zone, cpu, frames);
            }
        }
    }

    /// Gives everything in all CPUs' lists back to the zones.
    pub fn drain_all(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>) {
        for cpu in 0..self.machine.cpus() {
            self.drain_cpu(cx, CpuId(cpu));
        }
    }
}

/// Locks a CPU's lists. An interrupt handler only tries: it may have interrupted the holder.
pub(crate) fn lock<'a, 'm, M: Machine>(
    pcp: &'a Pcp,
    cx: &'a mut Cx<'m, M, { level::REGISTRY }>,
) -> Option<Held<'a, 'm, M, { level::PCP }>> {
    if cx.in_interrupt() { pcp.lock.try_lock(cx) } else { Some(pcp.lock.lock(cx)) }
}
