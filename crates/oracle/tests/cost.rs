//! What an audit costs.

mod common;

use common::*;
use machine::{Access, VpnRange};
use std::time::Instant;

/// Two spaces with 100,000 mapped pages each, half of them shared.
#[test]
#[ignore = "measures: run it alone, in release"]
fn a_hundred_thousand_pages_are_audited_in_milliseconds() {
    let machine = machine(4 << 30);
    let mut world = World::new(&machine);
    let space = world.create();
    world.run_on(0, Some(space));
    for mapping in 0..100 {
        let range = world.anon(space, 0x10_0000 + mapping * 2000, 1000, RW);
        world.touch_all(0, range, Access::Write);
    }
    let one = measure(&mut world);
    let child = world.fork(space);
    world.run_on(1, Some(child));
    for mapping in 0..50 {
        let range = VpnRange::sized(machine::Vpn(0x10_0000 + mapping * 2000), 1000);
        world.touch_all(1, range, Access::Write);
    }
    let two = measure(&mut world);
    println!("100,000 entries: {one:.2} ms; 200,000 entries: {two:.2} ms");
    if !cfg!(debug_assertions) {
        assert!(one < 20.0, "{one} ms");
    }
}

/// The best of some runs, in milliseconds.
fn measure(world: &mut World<'_>) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..10 {
        let started = Instant::now();
        let report = world.healthy();
        best = best.min(started.elapsed().as_secs_f64() * 1e3);
        assert!(report.entries >= 100_000);
    }
    best
}
