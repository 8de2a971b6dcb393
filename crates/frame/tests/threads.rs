//! CPUs that are real threads, on one allocator.

mod common;

use common::{Host, Started, audit::audit, mib, range};
use frame::{Config, Exclusive, Freed, Mobility, Request};
use machine::{CpuId, NodeId, Order, Pfn};
use std::sync::Mutex;

const CPUS: u32 = 4;

/// A small generator of random numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

fn request(random: &mut Random) -> Request {
    let order = [0, 0, 0, 0, 1, 2, 3, 5, 9][random.below(9) as usize];
    let base = if random.below(2) == 0 { Request::user() } else { Request::kernel() };
    let mobility =
        if base == Request::user() || random.below(4) > 0 { base.mobility } else { Mobility::Reclaimable };
    Request { order: Order(order), mobility, node: Some(NodeId(random.below(2) as u8)), ..base }
}

#[test]
fn blocks_travel_between_cpus_and_all_come_home() {
    let host = Host::new(CPUS, &[range(1 << 20, mib(96), 0), range((1 << 20) + (1 << 16), mib(64), 1)]);
    let s = Started::new(&host, &Config::default());
    let exchange: Mutex<Vec<Pfn>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for cpu in 0..CPUS {
            let (s, exchange) = (&s, &exchange);
            scope.spawn(move || {
                let (mut cx, mut random) = (s.cx(cpu), Random(u64::from(cpu) + 77));
                for round in 0..6000u64 {
                    if let Ok(pfn) = s.frames.allocate(cx.at(), &request(&mut random)) {
                        let d = s.frames.descriptor(pfn);
                        assert_eq!(d.refs(&cx), 1);
                        d.set_owner(&cx, cpu, u64::from(pfn.0));
                        exchange.lock().unwrap().push(pfn);
                    }
                    if random.below(100) < 52 {
                        let mut held = exchange.lock().unwrap();
                        let pfn = if held.is_empty() { None } else { Some(random.below(held.len() as u64)) };
                        let pfn = pfn.map(|i| held.swap_remove(i as usize));
                        drop(held);
                        if let Some(pfn) = pfn {
                            assert_eq!(s.frames.descriptor(pfn).index(&cx), u64::from(pfn.0));
                            s.frames.put(cx.at(), pfn);
                        }
                    }
                    if round % 1000 == 999 {
                        s.frames.drain_cpu(cx.at(), CpuId((cpu + 1) % CPUS));
                    }
                }
            });
        }
    });
    let held = exchange.into_inner().unwrap();
    let cx = s.cx(0);
    let frames: u64 = held.iter().map(|&pfn| s.frames.descriptor(pfn).order(&cx).frames()).sum();
    assert_eq!(audit(&s.frames), frames);
    let mut cx = s.cx(0);
    held.into_iter().for_each(|pfn| s.frames.put(cx.at(), pfn));
    s.frames.drain_all(cx.at());
    assert_eq!(audit(&s.frames), 0);
    assert_eq!(s.frames.free_frames(), s.frames.total_frames());
}

#[test]
fn lockless_references_never_revive_a_free_frame() {
    let host = Host::new(CPUS, &[range(1 << 20, mib(16), 0)]);
    let s = Started::new(&host, &Config::default());
    let pfn = s.frames.allocate(s.cx(0).at(), &Request::user()).unwrap();
    s.frames.put(s.cx(0).at(), pfn);
    std::thread::scope(|scope| {
        for cpu in 1..CPUS {
            let s = &s;
            scope.spawn(move || {
                let mut cx = s.cx(cpu);
                for _ in 0..20_000 {
                    let d = s.frames.descriptor(pfn);
                    if d.try_get(&cx) {
                        // Whoever has a reference sees a frame that is handed out, with its order.
                        assert!(d.state(&cx).is_handed_out());
                        assert_eq!(d.order(&cx), Order::ZERO);
                        s.frames.put(cx.at(), pfn);
                    }
                }
            });
        }
        let mut cx = s.cx(0);
        for _ in 0..20_000 {
            let got = s.frames.allocate(cx.at(), &Request::user()).unwrap();
            s.frames.put(cx.at(), got);
        }
    });
    assert_eq!(audit(&s.frames), 0);
}

#[test]
fn a_pin_and_a_share_never_both_win() {
    let host = Host::new(2, &[range(1 << 20, mib(16), 0)]);
    let s = Started::new(&host, &Config::default());
    let pfn = s.frames.allocate(s.cx(0).at(), &Request::user()).unwrap();
    let d = s.frames.descriptor(pfn);
    d.add_map(&s.cx(0), Exclusive::Yes).unwrap();
    let barrier = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        let (s, barrier) = (&s, &barrier);
        scope.spawn(move || {
            let cx = s.cx(1);
            for _ in 0..5_000 {
                barrier.wait();
                // Pins only what is exclusive, like a fast walk that looks again after it took the pin.
                assert!(d.try_pin(&cx));
                let kept = d.is_exclusive(&cx);
                barrier.wait();
                assert!(!kept || d.is_exclusive(&cx), "exclusive under a pin means exclusive until it goes");
                barrier.wait();
                assert_eq!(d.unpin(&cx), Freed::No);
            }
        });
        let cx = s.cx(0);
        for _ in 0..5_000 {
            d.make_exclusive(&cx);
            barrier.wait();
            let shared = d.share(&cx).is_ok();
            barrier.wait();
            assert_eq!(shared, !d.is_exclusive(&cx));
            barrier.wait();
        }
    });
}
