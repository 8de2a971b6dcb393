//! Handing frames out.

use crate::descriptor::{State, ZoneKind};
use crate::frames::Frames;
use crate::memmap::SUBSECTION_ORDER;
use crate::request::{Owner, Request, Reserve};
use crate::zone::{Mark, Zone};
use crate::{counts, descriptor::Meta};
use machine::trace::Source;
use machine::{
    Counter, Cx, Event, KernelFrame, MAX_ORDER, Machine, NodeId, Order, Pfn, Shortage, UserFrame, level,
};

impl<'m, M: Machine> Frames<'m, M> {
    /// A block of frames, with one reference. Its owner says next what it is for
    /// ([`set_state`](crate::Descriptor::set_state)). The bytes are undefined.
    pub fn allocate(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        request: &Request,
    ) -> Result<Pfn, Shortage> {
        let local = request.node.unwrap_or_else(|| cx.node());
        let found = if self.is_failing() { None } else { self.find(cx, local, request) };
        match found {
            Some(pfn) => {
                self.hand_out(cx, pfn, request);
                Ok(pfn)
            }
            None => {
                cx.count(Counter::AllocFail);
                Err(Shortage { order: request.order, node: local, nodes: request.nodes })
            }
        }
    }

    /// A block of user frames. The bytes are undefined.
    pub fn allocate_user(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        request: &Request,
    ) -> Result<UserFrame, Shortage> {
        debug_assert!(request.owner == Owner::User, "kernel frames are another type");
        self.allocate(cx, request).map(UserFrame)
    }

    /// One kernel frame of zeros.
    pub fn allocate_kernel(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>) -> Result<KernelFrame, Shortage> {
        let frame = KernelFrame(self.allocate(cx, &Request::kernel())?);
        self.machine.zero_kernel(cx.cpu(), frame, 1);
        Ok(frame)
    }

    /// Looks for a block: first where plenty is left, then down to the reserves, then
    /// among what other CPUs keep.
    fn find(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, local: NodeId, request: &Request) -> Option<Pfn> {
        if request.order > MAX_ORDER {
            return None;
        }
        for mark in [Mark::Low, Mark::Min] {
            let found = self.find_above(cx, local, request, mark);
            if found.is_some() || request.reserve == Reserve::Optional {
                return found;
            }
        }
        if cx.in_interrupt() {
            return None;
        }
        self.drain_all(cx);
        self.find_above(cx, local, request, Mark::Min)
    }

    /// Tries the zones in order: node by node, in each the highest allowed zone first. Linux:
    /// `get_page_from_freelist`.
    fn find_above(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        local: NodeId,
        request: &Request,
        mark: Mark,
    ) -> Option<Pfn> {
        let nodes = self.machine.nodes() as usize;
        let order = self.layout.node_order.get(usize::from(local.0) * nodes..)?;
        let nodes = order.iter().take(nodes).map_while(|node| node.get().checked_sub(1));
        let mut nodes = nodes.map(|node| NodeId(node as u8)).filter(|&node| request.nodes.contains(node));
        nodes.find_map(|node| {
            let kinds = ZoneKind::ALL.iter().rev().filter(|&&kind| kind <= request.highest());
            kinds.map(|&kind| self.zone(node, kind)).find_map(|zone| {
                let allowed = zone.is_populated() && zone.allows(request, mark);
                if allowed { self.take(cx, zone, request) } else { None }
            })
        })
    }

    /// Takes a block from this CPU's lists or from the zone itself. Linux: `rmqueue`.
    fn take(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        zone: &'m Zone,
        request: &Request,
    ) -> Option<Pfn> {
        let list = request.mobility.list();
        if let Some(pfn) = self.take_from_pcp(cx, zone, request.order, list) {
            cx.trace(|| allocated(pfn, zone, request, Source::CpuList));
            return Some(pfn);
        }
        let held = zone.lock.lock_irq(cx);
        let pfn = self.buddy(zone).take(&held, request.order, list)?;
        held.trace(|| allocated(pfn, zone, request, Source::Zone));
        Some(pfn)
    }

    /// The one point every block passes on its way out, whichever way it came (XR18).
    pub(crate) fn hand_out(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, pfn: Pfn, request: &Request) {
        let descriptor = self.descriptor(pfn);
        let order = request.order;
        let meta: Meta = descriptor.meta_field().get();
        debug_assert!(
            meta.is_head() && meta.state() == State::PerCpu && meta.order() == order,
            "a block on its way out is in no list"
        );
        debug_assert!(descriptor.counts(cx).0 == 0, "a free block has no references");
        let state = if request.owner == Owner::Kernel { State::Kernel } else { State::Fresh };
        descriptor.wipe_owner();
        descriptor.meta_field().set(meta.without_contents().with_state(state));
        self.mark_whole(cx, pfn, order, Some(order));
        counts::birth(cx, descriptor.counts_word());
        cx.count_n(Counter::PgAlloc, order.frames());
    }

    /// Notes in the subsections of a large folio that it covers them, or no longer does.
    pub(crate) fn mark_whole(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        pfn: Pfn,
        order: Order,
        whole: Option<Order>,
    ) {
        if order < SUBSECTION_ORDER {
            return;
        }
        for part in 0..1 << (order.0 - SUBSECTION_ORDER.0) {
            let subsection = pfn.plus(part * SUBSECTION_ORDER.frames());
            self.memmap.update(cx, subsection, |s| s.with_whole(whole));
        }
    }
}

/// What those who watch are told.
pub(crate) fn allocated(frame: Pfn, zone: &Zone, request: &Request, source: Source) -> Event {
    Event::FrameAllocated {
        frame,
        order: request.order,
        mobility: request.mobility.told(),
        owner: request.owner.told(),
        node: zone.node.get(),
        zone: zone.kind.get() as u8,
        source,
    }
}
