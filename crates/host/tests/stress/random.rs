//! Random calls of several threads, each of which knows what must be in its part of memory.

use crate::common::{Clock, World, machine, seed, times};
use crate::region::{Mix, Region};
use freehold::Config;
use freehold::linux::SwapDevice;
use freehold::machine::{CpuId, Cx, WalkRule};
use host::{HostMachine, Program};

/// Where the first region is.
pub(crate) const BASE: u64 = 0x10_0000_0000;
/// From one region to the next.
pub(crate) const APART: u64 = 0x1_0000_0000;

/// What runs, and for how long.
struct Load {
    threads: u32,
    mix: Mix,
    /// Threads of one process each, or all of one.
    processes: bool,
    pages: u64,
    memory: u64,
    swap_pages: u64,
    /// Whether another CPU merges, moves, collapses and reclaims meanwhile.
    daemon: bool,
    millis: u64,
    walk: WalkRule,
}

impl Default for Load {
    fn default() -> Self {
        Load {
            threads: 3,
            mix: Mix::All,
            processes: false,
            pages: 600,
            memory: 64 << 20,
            swap_pages: 16384,
            daemon: true,
            millis: 3000,
            walk: WalkRule::Epoch,
        }
    }
}

/// What a kernel's own threads do, a bit of each.
pub(crate) fn daemon<'m>(world: &World<'m>, cx: &mut Cx<'m, HostMachine>, clock: &Clock) {
    let linux = world.linux();
    let mut turns = 0;
    while !clock.is_over() {
        linux.ksm_scan(cx, 200);
        linux.background_reclaim(cx, 32);
        linux.collapse_step(cx, 512);
        if turns % 16 == 0 {
            linux.compact_memory(cx);
        }
        turns += 1;
    }
    println!("{turns} turns of the daemon");
}

fn run(name: &str, load: &Load) {
    let seed = seed(name);
    let machine = machine(seed, load.threads + u32::from(load.daemon), load.memory);
    let world = World::with(&machine, &Config { walk: load.walk, ..Config::default() });
    if load.swap_pages != 0 {
        let device = SwapDevice::Compressed { disk: 0, pages: load.swap_pages };
        world.linux().swapon(&mut world.cx(), device, None).expect("an area");
    }
    let clock = Clock::millis(load.millis * times());
    let first = world.process();
    let steps: u64 = machine.run(|threads| {
        let mut all = Vec::new();
        for number in 0..load.threads {
            let process = if load.processes && number > 0 { world.process() } else { first };
            let (world, clock) = (&world, &clock);
            all.push(threads.spawn(CpuId(number), move |cpu| {
                let mut program = Program::new(cpu, &world.manager, process).expect("a thread");
                let start = BASE + u64::from(number) * APART;
                let mut region = Region::new(start, load.pages, seed ^ u64::from(number) << 32);
                region.map_all(&mut program);
                let mut steps = 0;
                while !clock.is_over() {
                    region.step(&mut program, load.mix);
                    steps += 1;
                }
                region.check_all(&mut program);
                steps
            }));
        }
        if load.daemon {
            let (world, clock) = (&world, &clock);
            let kernel = threads.spawn(CpuId(load.threads), move |cpu| {
                daemon(world, &mut world.manager.cx(cpu.id(), cpu.task()), clock);
                0
            });
            all.push(kernel);
        }
        all.into_iter().map(|thread| thread.join().expect("no panic").expect("a CPU")).sum()
    });
    let told = [
        "pswpout",
        "pswpin",
        "pgmigrate_success",
        "thp_fault_alloc",
        "thp_split_page",
        "thp_collapse_alloc",
        "cow_ksm",
        "oom_kill",
    ];
    let core = world.manager.core();
    let counts: Vec<_> = core.totals().filter(|(name, _)| told.contains(name)).collect();
    println!("{name}: {steps} steps, {counts:?}");
    assert!(steps > 100, "{steps} steps only");
    world.finish();
}

#[test]
fn two_threads_of_one_process() {
    let load = Load { threads: 2, pages: 64, daemon: false, millis: 2000, ..Load::default() };
    run("two_threads_of_one_process", &load);
}

#[test]
fn four_threads_of_one_process_and_a_daemon() {
    run("four_threads_of_one_process_and_a_daemon", &Load { threads: 4, millis: 4000, ..Load::default() });
}

#[test]
fn three_processes_and_a_daemon() {
    run("three_processes_and_a_daemon", &Load { processes: true, ..Load::default() });
}

/// More than fits: pages leave memory and come back all the time.
#[test]
fn threads_whose_pages_do_not_fit() {
    let load =
        Load { mix: Mix::Accesses, pages: 2400, memory: 8 << 20, swap_pages: 32768, ..Load::default() };
    run("threads_whose_pages_do_not_fit", &load);
}

/// Pins look into tables without a lock: by the default rule, and by those of others.
#[test]
fn every_rule_of_walks() {
    for walk in WalkRule::ALL {
        let load = Load { walk: *walk, pages: 1100, millis: 1000, ..Load::default() };
        run(&format!("every_rule_of_walks, {}", walk.name()), &load);
    }
}
