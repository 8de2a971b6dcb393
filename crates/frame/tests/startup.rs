//! An untouched 512 GiB machine starts at once and costs next to nothing.

mod common;

use common::{Host, Started, audit::audit, range};
use frame::{Config, Request};
use machine::{Boot, Core, HUGE_ORDER, Machine, PAGE_SIZE, Pfn};
use std::time::{Duration, Instant};

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * PAGE_SIZE
}

#[test]
fn half_a_tebibyte_starts_in_20_ms_and_64_mib() {
    let node_frames = (512 << 30) / PAGE_SIZE / 8;
    let ranges: Vec<_> = (0..8).map(|n| range(n * node_frames as u32, node_frames, n as u8)).collect();
    let host = Host::new(64, &ranges);
    let before = resident();
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        let boot = Boot::new(&host).unwrap();
        Core::new(&boot).unwrap();
        let frames = frame::Frames::new(&host, &boot, &Config::default()).unwrap();
        best = best.min(start.elapsed());
        assert_eq!(frames.memmap_bytes(), 0);
        assert_eq!(frames.free_frames(), frames.total_frames());
        assert_eq!(frames.present_frames(), (512 << 30) / PAGE_SIZE);
    }
    let grown = resident() - before;
    println!("start: {best:?}, {} KiB resident", grown / 1024);
    // A build without optimisation is some ten times slower.
    let limit = Duration::from_millis(if cfg!(debug_assertions) { 200 } else { 20 });
    assert!(best < limit, "start took {best:?}");
    assert!(grown < 64 << 20, "start touched {grown} bytes");
}

#[test]
fn only_sections_in_use_are_initialised() {
    let host = Host::new(2, &[range(0, 1 << 21, 0), range(1 << 21, 1 << 21, 1)]);
    let s = Started::new(&host, &Config::default());
    let mut cx = s.cx(1);
    let pfn = s.frames.allocate(cx.at(), &Request::user()).unwrap();
    assert!(pfn >= Pfn(1 << 21), "the CPU's own node is tried first");
    assert_eq!(s.frames.sections_touched(), 1);
    assert_eq!(s.frames.memmap_bytes(), 32 << 15);
    for _ in 0..64 {
        s.frames.allocate(cx.at(), &Request::user().order(HUGE_ORDER)).unwrap();
    }
    assert_eq!(s.frames.sections_touched(), 2);
    assert_eq!(audit(&s.frames), 1 + 64 * 512);
    assert_eq!(host.memory(2), None);
}
