//! Zones, watermarks, stealing, references, interrupts.

mod common;

use common::{Host, Started, audit::audit, mib, range};
use core::sync::atomic::Ordering;
use frame::{
    Config, Flags, Frames, MigrateType, Mobility, Owner, Request, Reserve, State, ZoneKind, ZoneReport,
};
use machine::{
    Boot, Core, Counter, CpuId, Cx, HUGE_ORDER, MAX_ORDER, Machine, MemoryRange, NodeId, Order, Pfn, TaskId,
};

const ABOVE_4G: u32 = 1 << 20;

fn unmovable() -> Request {
    Request::kernel()
}

fn zone(frames: &Frames<'_, Host>, node: u8, kind: ZoneKind) -> ZoneReport {
    frames.zones().find(|zone| (zone.node, zone.kind) == (NodeId(node), kind)).unwrap()
}

/// Allocates until it fails.
fn exhaust(s: &Started<'_>, cpu: u32, request: &Request) -> Vec<Pfn> {
    let mut cx = s.cx(cpu);
    core::iter::from_fn(|| s.frames.allocate(cx.at(), request).ok()).collect()
}

fn put_all(s: &Started<'_>, cpu: u32, pfns: Vec<Pfn>) {
    let mut cx = s.cx(cpu);
    pfns.into_iter().for_each(|pfn| s.frames.put(cx.at(), pfn));
}

#[test]
fn watermarks_and_batches_are_those_of_linux() {
    // 1 GiB: sqrt(1048576 KiB * 16) = 4096 KiB = 1024 frames, less a little for what boot took.
    let host = Host::new(4, &[range(ABOVE_4G, mib(1024), 0)]);
    let s = Started::new(&host, &Config::default());
    let z = zone(&s.frames, 0, ZoneKind::Normal);
    assert!((1018..=1024).contains(&z.min), "{z:?}");
    let step = (z.min / 4).max(z.managed / 1000);
    assert_eq!((z.low, z.high), (z.min + step, z.min + 2 * step));
    // min(262144 >> 10, 256) / 4 = 63 or 64; 1.5 times that, rounded down to 64, minus 1.
    assert_eq!(z.batch, 63);
    assert_eq!(z.pcp_high, (z.low / 4).max(63 * 4));

    let small = Host::new(1, &[range(ABOVE_4G, mib(16), 0)]);
    let s = Started::new(&small, &Config::default());
    let z = zone(&s.frames, 0, ZoneKind::Normal);
    assert_eq!(z.batch, 1);
    // sqrt(16384 * 16) = 512 KiB.
    assert!((126..=128).contains(&z.min), "{z:?}");
}

#[test]
fn zones_are_cut_at_4_gib_and_at_the_movable_share() {
    let host = Host::new(1, &[range(ABOVE_4G - mib(64) as u32, mib(128), 0)]);
    let s = Started::new(&host, &Config { movable_percent: 25, min_free_kib: None });
    let of = |kind| zone(&s.frames, 0, kind).present;
    assert_eq!(of(ZoneKind::Dma32), mib(64));
    assert_eq!(of(ZoneKind::Normal), mib(32));
    assert_eq!(of(ZoneKind::Movable), mib(32));
    let mut cx = s.cx(0);
    let user = s.frames.allocate(cx.at(), &Request::user()).unwrap();
    assert_eq!(s.frames.descriptor(user).zone(&cx), ZoneKind::Movable);
    let kernel = s.frames.allocate(cx.at(), &Request::kernel()).unwrap();
    assert_eq!(s.frames.descriptor(kernel).zone(&cx), ZoneKind::Normal);
    let low = Request { zone: ZoneKind::Dma32, ..Request::kernel() };
    let low = s.frames.allocate(cx.at(), &low).unwrap();
    assert!(low < Pfn(ABOVE_4G));
    // Unmovable requests never reach the Movable zone, however they ask.
    let asks = Request { zone: ZoneKind::Movable, ..Request::kernel() };
    let got = s.frames.allocate(cx.at(), &asks).unwrap();
    assert_eq!(s.frames.descriptor(got).zone(&cx), ZoneKind::Normal);
}

#[test]
fn when_a_zone_is_low_the_next_zone_then_the_next_node_serves() {
    let host = Host::new(
        3,
        &[
            range(ABOVE_4G - mib(16) as u32, mib(32), 0),
            range(ABOVE_4G + mib(64) as u32, mib(16), 1),
            range(ABOVE_4G + mib(128) as u32, mib(16), 2),
        ],
    );
    let s = Started::new(&host, &Config::default());
    let mut seen = Vec::new();
    let cx = s.cx(1);
    let pfns = exhaust(&s, 1, &unmovable());
    for &pfn in &pfns {
        let d = s.frames.descriptor(pfn);
        let place = (d.node(&cx).0, d.zone(&cx));
        if seen.last() != Some(&place) {
            seen.push(place);
        }
    }
    // Nodes 0 and 2 are equally near to node 1; the next one by number comes first.
    // Then the reserves of each.
    let order = [(1, ZoneKind::Normal), (2, ZoneKind::Normal), (0, ZoneKind::Normal), (0, ZoneKind::Dma32)];
    assert_eq!(seen[..4], order);
    put_all(&s, 1, pfns);
    assert_eq!(audit(&s.frames), 0);
}

#[test]
fn reserves_are_dipped_into_step_by_step() {
    let host = Host::new(2, &[range(ABOVE_4G, mib(32), 0)]);
    let s = Started::new(&host, &Config::default());
    let min = zone(&s.frames, 0, ZoneKind::Normal).min;
    let mut all = Vec::new();
    for (reserve, mark) in [(Reserve::None, min), (Reserve::High, min / 2), (Reserve::Oom, min / 4)] {
        let request = unmovable().reserve(reserve);
        let got = exhaust(&s, 0, &request);
        assert!(!got.is_empty());
        all.extend(got);
        let left = s.frames.free_frames() + s.frames.per_cpu_frames();
        assert!(left.abs_diff(mark) <= 2, "{reserve:?}: {left} left, watermark {mark}");
        let shortage = s.frames.allocate(s.cx(0).at(), &request.order(Order(3))).unwrap_err();
        assert_eq!((shortage.order, shortage.node), (Order(3), NodeId(0)));
    }
    assert!(s.core.total(Counter::AllocFail) >= 6);
    assert_eq!(audit(&s.frames), all.len() as u64);
    put_all(&s, 1, all);
    s.frames.drain_all(s.cx(0).at());
    assert_eq!(s.frames.free_frames(), s.frames.total_frames());
}

#[test]
fn what_another_cpu_keeps_is_drained_before_a_shortage() {
    let host = Host::new(2, &[range(ABOVE_4G, mib(32), 0)]);
    let s = Started::new(&host, &Config::default());
    let pfns = exhaust(&s, 0, &unmovable());
    let some = pfns.len() - 3;
    let kept: Vec<_> = pfns[some..].to_vec();
    put_all(&s, 1, kept);
    assert!(s.frames.per_cpu_frames() > 0);
    assert!(s.frames.allocate(s.cx(0).at(), &unmovable()).is_ok());
}

#[test]
fn kernel_requests_turn_whole_pageblocks_unmovable() {
    let host = Host::new(1, &[range(ABOVE_4G, mib(64), 0)]);
    let s = Started::new(&host, &Config::default());
    let mut cx = s.cx(0);
    let movable = s.frames.allocate(cx.at(), &Request::user()).unwrap();
    let fixed = s.frames.allocate(cx.at(), &unmovable()).unwrap();
    assert_eq!(s.core.total(Counter::PgAllocFallback), 1);
    let kind = |pfn| s.frames.memmap().quiet_subsection(pfn).migrate_type();
    assert_eq!(kind(fixed), MigrateType::Unmovable);
    assert_eq!(kind(movable), MigrateType::Movable);
    // The block that was claimed serves the next ones: no more stealing.
    for _ in 0..900 {
        let pfn = s.frames.allocate(cx.at(), &unmovable()).unwrap();
        assert_eq!(kind(pfn), MigrateType::Unmovable);
    }
    assert_eq!(s.core.total(Counter::PgAllocFallback), 1);
    audit(&s.frames);
}

#[test]
fn a_pageblock_is_claimed_if_half_of_it_is_free_or_alike() {
    let host = Host::new(1, &[range(ABOVE_4G, mib(16), 0)]);
    let s = Started::new(&host, &Config { movable_percent: 0, min_free_kib: Some(128) });
    let mut cx = s.cx(0);
    // All memory in movable use, then three quarters of one pageblock and a quarter of another are freed.
    let mut pfns = exhaust(&s, 0, &Request::user().reserve(Reserve::Oom));
    s.frames.drain_all(cx.at());
    pfns.sort();
    let is_full = |block: u32| (block..block + 512).all(|p| pfns.binary_search(&Pfn(p)).is_ok());
    let full: Vec<u32> = (ABOVE_4G..ABOVE_4G + mib(16) as u32).step_by(512).filter(|&b| is_full(b)).collect();
    let (mostly, partly) = (full[0], full[1]);
    for pfn in (mostly..mostly + 384).chain(partly..partly + 128) {
        s.frames.put(cx.at(), Pfn(pfn));
    }
    s.frames.drain_all(cx.at());
    let kind = |pfn| s.frames.memmap().quiet_subsection(Pfn(pfn)).migrate_type();
    // The largest block (256 frames) is in the emptier pageblock: that one is claimed.
    let got = s.frames.allocate(cx.at(), &unmovable().order(Order(5))).unwrap();
    assert!((mostly..mostly + 512).contains(&got.0), "{got:?}");
    assert_eq!(kind(mostly), MigrateType::Unmovable);
    // Once it is used up, the other one is too full of movable frames to be claimed:
    // frames are taken, it stays.
    let mut took_from_partly = false;
    while let Ok(pfn) = s.frames.allocate(cx.at(), &unmovable().reserve(Reserve::Oom)) {
        took_from_partly |= (partly..partly + 512).contains(&pfn.0);
    }
    assert!(took_from_partly);
    assert_eq!(kind(partly), MigrateType::Movable);
    audit(&s.frames);
}

#[test]
fn a_tail_leads_to_its_folio() {
    let host = Host::new(1, &[range(ABOVE_4G, mib(64), 0)]);
    let s = Started::new(&host, &Config::default());
    let mut cx = s.cx(0);
    for order in 0..=MAX_ORDER.0 {
        let request = Request::user().order(Order(order));
        let pfn = s.frames.allocate(cx.at(), &request).unwrap();
        for tail in [0, 1, 3, 511, 512, 700, 1023].map(|i| i & (request.order.frames() - 1)) {
            assert_eq!(s.frames.folio(&cx, pfn.plus(tail)), (pfn, Order(order)));
            assert_eq!(s.frames.memmap().head(&cx, pfn.plus(tail)), Some((pfn, Order(order))));
        }
        s.frames.get(&cx, pfn.plus(request.order.frames() - 1)).unwrap();
        s.frames.put(cx.at(), pfn);
        assert_eq!(s.frames.descriptor(pfn).refs(&cx), 1);
        let generation = s.frames.descriptor(pfn).meta(&cx).generation();
        s.frames.put(cx.at(), pfn.plus(request.order.frames() / 2));
        assert_eq!(s.frames.descriptor(pfn).refs(&cx), 0);
        assert!(!s.frames.descriptor(pfn).try_get(&cx), "a free frame cannot be got");
        assert_ne!(s.frames.descriptor(pfn).meta(&cx).generation(), generation);
    }
    assert_eq!(host.discarded.load(Ordering::Relaxed), (1 << 11) - 1, "user frames are discarded");
    assert_eq!(s.core.total(Counter::PgAlloc), s.core.total(Counter::PgFree));
    assert_eq!(audit(&s.frames), 0);
}

#[test]
fn a_pinned_page_survives_its_last_put() {
    let host = Host::new(1, &[range(ABOVE_4G, mib(16), 0)]);
    let s = Started::new(&host, &Config::default());
    let mut cx = s.cx(0);
    let pfn = s.frames.allocate(cx.at(), &Request::user()).unwrap();
    s.frames.descriptor(pfn).pin(&cx).unwrap();
    s.frames.put(cx.at(), pfn);
    assert_eq!(audit(&s.frames), 1);
    s.frames.unpin(cx.at(), pfn);
    assert_eq!(audit(&s.frames), 0);
}

#[test]
fn a_frame_keeps_its_unmapped_flag_and_loses_the_others_when_freed() {
    let host = Host::new(1, &[range(ABOVE_4G, mib(16), 0)]);
    let s = Started::new(&host, &Config::default());
    let mut cx = s.cx(0);
    let pfn = s.frames.allocate(cx.at(), &Request::user()).unwrap();
    let d = s.frames.descriptor(pfn);
    assert!(d.try_lock(&cx) && !d.try_lock(&cx));
    d.set(&cx, Flags::WAITERS);
    assert!(d.unlock(&cx), "somebody waits");
    assert!(d.try_lock(&cx));
    assert!(!d.unlock(&cx), "nobody does any more");
    d.set(&cx, Flags::UNMAPPED.and(Flags::REFERENCED));
    s.frames.put(cx.at(), pfn);
    s.frames.drain_all(cx.at());
    assert_eq!(s.frames.descriptor(pfn).flags(&cx), Flags::UNMAPPED);
}

#[test]
fn refill_and_drain_go_in_batches() {
    let host = Host::new(1, &[range(ABOVE_4G, mib(1024), 0)]);
    let s = Started::new(&host, &Config::default());
    let mut cx = s.cx(0);
    let n = 4096;
    let pfns: Vec<_> = (0..n).map(|_| s.frames.allocate(cx.at(), &Request::user()).unwrap()).collect();
    let refills = s.core.total(Counter::PcpRefill);
    assert!(refills < n / 63, "batches grow while only allocations come: {refills}");
    assert!(pfns.windows(2).filter(|w| w[1] == w[0].plus(1)).count() as u64 > n * 9 / 10);
    pfns.into_iter().for_each(|pfn| s.frames.put(cx.at(), pfn));
    let drains = s.core.total(Counter::PcpDrain);
    assert!(drains > 0 && drains < n / 63, "{drains}");
    assert!(s.frames.per_cpu_frames() < zone(&s.frames, 0, ZoneKind::Normal).pcp_high);
    assert_eq!(audit(&s.frames), 0);
}

#[test]
fn an_interrupt_goes_around_lists_in_use() {
    let host: &'static Host = Box::leak(Box::new(Host::new(1, &[range(ABOVE_4G, mib(64), 0)])));
    let s: &'static Started<'static> = Box::leak(Box::new(Started::new(host, &Config::default())));
    let warm = s.frames.allocate(s.cx(0).at(), &Request::user()).unwrap();
    s.frames.put(s.cx(0).at(), warm);
    let cached = s.frames.per_cpu_frames();
    // The first unlock of the next allocation is that of the CPU's lists.
    *host.before_unlock.lock().unwrap() = Some(Box::leak(Box::new(move || {
        let mut cx = Cx::interrupt(s.host, s.core, CpuId(0), TaskId(0));
        let pfn = s.frames.allocate(cx.at(), &Request::user()).unwrap();
        assert_eq!(s.frames.per_cpu_frames(), cached - 1, "from the zone, not from the lists");
        s.frames.put(cx.at(), pfn);
        assert_eq!(s.frames.per_cpu_frames(), cached - 1);
    })));
    let pfn = s.frames.allocate(s.cx(0).at(), &Request::user()).unwrap();
    assert!(host.before_unlock.lock().unwrap().is_none(), "the interrupt came");
    assert_eq!(audit(&s.frames), 1);
    s.frames.put(s.cx(0).at(), pfn);
}

#[test]
fn the_nth_allocation_fails_once() {
    let host = Host::new(1, &[range(ABOVE_4G, mib(16), 0)]);
    let s = Started::new(&host, &Config::default());
    let mut cx = s.cx(0);
    s.frames.fail_after(Some(3));
    let results: Vec<_> = (0..5).map(|_| s.frames.allocate(cx.at(), &Request::user()).is_ok()).collect();
    assert_eq!(results, [true, true, false, true, true]);
    s.frames.fail_after(Some(1));
    s.frames.fail_after(None);
    assert!(s.frames.allocate_kernel(cx.at()).is_ok());
}

#[test]
fn kernel_frames_are_zeroed() {
    let host = Host::new(1, &[range(ABOVE_4G, mib(16), 0)]);
    let s = Started::new(&host, &Config::default());
    let mut cx = s.cx(0);
    for _ in 0..2 {
        let frame = s.frames.allocate_kernel(cx.at()).unwrap();
        assert_eq!(s.frames.descriptor(frame.0).state(&cx), State::Kernel);
        for word in host.kernel_area(frame, 1) {
            assert_eq!(word.raw().swap(u64::MAX, Ordering::Relaxed), 0);
        }
        s.frames.put(cx.at(), frame.0);
    }
}

#[test]
fn lowmem_is_kept_from_requests_that_could_go_higher() {
    let host = Host::new(1, &[range(0, mib(64), 0), range(ABOVE_4G, mib(1024), 0)]);
    let s = Started::new(&host, &Config { movable_percent: 0, min_free_kib: Some(128) });
    let got = exhaust(&s, 0, &Request::user().order(HUGE_ORDER));
    let low = zone(&s.frames, 0, ZoneKind::Dma32);
    assert!(low.free >= mib(1024) / 256, "{} frames are kept", low.free);
    assert!(s.frames.allocate(s.cx(0).at(), &Request { zone: ZoneKind::Dma32, ..unmovable() }).is_ok());
    put_all(&s, 0, got);
}

#[test]
fn memory_taken_at_boot_is_reserved_and_the_rest_adds_up() {
    let host =
        Host::new(1, &[range(0x100, mib(20), 0), MemoryRange { movable: true, ..range(0x8000, mib(8), 0) }]);
    let boot = Boot::new(&host).unwrap();
    let core = Core::new(&boot).unwrap();
    boot.array::<machine::Word>(5000).unwrap();
    let frames = Frames::new(&host, &boot, &Config::default()).unwrap();
    let (start, taken) = boot.taken();
    assert_eq!(frames.total_frames() + taken, mib(28));
    let mut cx = Cx::new(&host, core, CpuId(0), TaskId(0));
    let request = Request { owner: Owner::Kernel, mobility: Mobility::Unmovable, ..Request::user() };
    while let Ok(pfn) = frames.allocate(cx.at(), &request.reserve(Reserve::Oom)) {
        assert!(!(start..start.plus(taken)).contains(&pfn));
    }
    let reserved = frames.blocks().filter(|block| block.meta.state() == State::Reserved).count();
    assert_eq!(reserved as u64, taken);
    audit(&frames);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "is freed, but not in use")]
fn a_double_free_is_detected() {
    let host = Host::new(1, &[range(ABOVE_4G, mib(16), 0)]);
    let s = Started::new(&host, &Config::default());
    let mut cx = s.cx(0);
    let pfn = s.frames.allocate(cx.at(), &Request::user()).unwrap();
    s.frames.put(cx.at(), pfn);
    s.frames.free(cx.at(), pfn, Order::ZERO);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "is freed, but still has")]
fn a_free_with_references_is_detected() {
    let host = Host::new(1, &[range(ABOVE_4G, mib(16), 0)]);
    let s = Started::new(&host, &Config::default());
    let mut cx = s.cx(0);
    let pfn = s.frames.allocate(cx.at(), &Request::user()).unwrap();
    s.frames.free(cx.at(), pfn, Order::ZERO);
}
