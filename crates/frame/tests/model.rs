//! Random requests against a dumb model: which frames are handed out. Everything is audited after every step.

mod common;

use common::{Host, Started, audit::audit, mib, range};
use core::sync::atomic::Ordering;
use frame::{Config, Flags, Mobility, NodeSet, Owner, Request, Reserve, State, ZoneKind};
use machine::{CpuId, Memory, MemoryRange, NodeId, Order, Pfn};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    Allocate(u32, Request),
    Free(u32, usize),
    FreeMany(u32, usize),
    Drain(u32),
    FailNext,
}

const CPUS: u32 = 3;

fn requests() -> impl Strategy<Value = Request> {
    let order = prop_oneof![6 => Just(0u8), 3 => 0..=3u8, 2 => 4..=8u8, 1 => 9..=10u8];
    let mobility = prop_oneof![
        3 => Just(Mobility::Movable),
        2 => Just(Mobility::Unmovable),
        1 => Just(Mobility::Reclaimable)
    ];
    let zone = prop_oneof![Just(ZoneKind::Movable), Just(ZoneKind::Normal), Just(ZoneKind::Dma32)];
    let node = prop_oneof![2 => Just(None), 1 => (0..2u8).prop_map(|n| Some(NodeId(n)))];
    let reserve = prop_oneof![4 => Just(Reserve::None), 1 => Just(Reserve::High), 1 => Just(Reserve::Oom)];
    (order, mobility, zone, node, reserve).prop_map(|(order, mobility, zone, node, reserve)| {
        let owner = if mobility == Mobility::Movable { Owner::User } else { Owner::Kernel };
        Request { order: Order(order), mobility, owner, zone, node, nodes: NodeSet::ALL, reserve }
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => (0..CPUS, requests()).prop_map(|(cpu, request)| Step::Allocate(cpu, request)),
        6 => (0..CPUS, any::<usize>()).prop_map(|(cpu, which)| Step::Free(cpu, which)),
        1 => (0..CPUS, 0..60usize).prop_map(|(cpu, n)| Step::FreeMany(cpu, n)),
        1 => (0..=CPUS).prop_map(Step::Drain),
        1 => Just(Step::FailNext),
    ];
    prop::collection::vec(step, 1..150)
}

/// Zones of odd sizes: edges inside pageblocks, two nodes in one section, every kind of zone.
fn ranges() -> Vec<MemoryRange> {
    vec![
        range(0x101, mib(9) + 33, 0),
        range(0x4000, mib(6), 1),
        range(0x4000 + mib(6) as u32, mib(3) + 7, 0),
        range((1 << 20) - mib(4) as u32, mib(13), 0),
        MemoryRange { movable: true, ..range(0x11_0000, mib(10), 1) },
    ]
}

struct Model<'a, 'm> {
    s: &'a Started<'m>,
    held: BTreeMap<Pfn, Request>,
}

impl Model<'_, '_> {
    fn allocate(&mut self, cpu: u32, request: &Request, must_fail: bool) {
        let mut cx = self.s.cx(cpu);
        let Ok(pfn) = self.s.frames.allocate(cx.at(), request) else { return };
        assert!(!must_fail, "the failure asked for");
        let (order, descriptor) = (request.order, self.s.frames.descriptor(pfn));
        assert!(pfn.is_aligned(order));
        let end = pfn.plus(order.frames());
        if let Some((&before, other)) = self.held.range(..end).next_back() {
            assert!(before.plus(other.order.frames()) <= pfn, "{pfn:?} is handed out twice");
        }
        assert_eq!(descriptor.refs(&cx), 1);
        assert_eq!(descriptor.order(&cx), order);
        assert_eq!(descriptor.flags(&cx), Flags::default());
        assert_eq!(descriptor.owner_and_index(&cx), (0, 0));
        assert_eq!(cx.load(descriptor.link_word(), Ordering::Relaxed), 0, "a lock there would be free");
        let highest = match request.mobility {
            Mobility::Movable => request.zone,
            _ => request.zone.min(ZoneKind::Normal),
        };
        assert!(descriptor.zone(&cx) <= highest);
        let user = request.owner == Owner::User;
        assert_eq!(descriptor.state(&cx), if user { State::Fresh } else { State::Kernel });
        descriptor.set_state(&cx, if user { State::Anon } else { State::Table });
        descriptor.set(&cx, Flags::DIRTY.and(Flags::REFERENCED));
        descriptor.set_owner(&cx, 0xfff_ffff, 0xf_ffff_ffff);
        self.held.insert(pfn, *request);
    }

    fn free(&mut self, cpu: u32, which: usize) {
        let Some((&pfn, request)) = self.held.iter().nth(which % self.held.len().max(1)) else { return };
        let tail = pfn.plus(which as u64 % request.order.frames());
        self.s.frames.put(self.s.cx(cpu).at(), tail);
        self.held.remove(&pfn);
    }

    fn step(&mut self, step: &Step, must_fail: bool) {
        match *step {
            Step::Allocate(cpu, ref request) => self.allocate(cpu, request, must_fail),
            Step::Free(cpu, which) => self.free(cpu, which),
            Step::FreeMany(cpu, n) => (0..n).for_each(|_| self.free(cpu, 0)),
            Step::Drain(CPUS) => self.s.frames.drain_all(self.s.cx(0).at()),
            Step::Drain(cpu) => self.s.frames.drain_cpu(self.s.cx(0).at(), CpuId(cpu)),
            Step::FailNext => self.s.frames.fail_after(Some(1)),
        }
        let used = self.held.values().map(|request| request.order.frames()).sum();
        assert_eq!(audit(&self.s.frames), used);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_requests_agree_with_a_set(steps in steps(), percent in prop_oneof![Just(0u8), Just(40)]) {
        let host = Host::new(CPUS, &ranges());
        let s = Started::new(&host, &Config { movable_percent: percent, min_free_kib: Some(256) });
        let mut model = Model { s: &s, held: BTreeMap::new() };
        let mut fail_next = false;
        for step in &steps {
            model.step(step, fail_next);
            fail_next = match step {
                Step::FailNext => true,
                Step::Allocate(..) => false,
                _ => fail_next,
            };
        }
        let total = s.frames.total_frames();
        model.step(&Step::FreeMany(0, model.held.len()), false);
        model.step(&Step::Drain(CPUS), false);
        prop_assert_eq!(s.frames.free_frames(), total);
        prop_assert_eq!(s.frames.per_cpu_frames(), 0);
    }
}
