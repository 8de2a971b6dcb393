//! A machine that is larger than the host: frames without bytes.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![forbid(unsafe_code)]

mod common;

use common::{Calls, HUGEPAGE, P, RW, World};
use freehold::machine::{CpuId, HUGE_SIZE, Machine, VirtAddr};
use host::{Contents, HostConfig, HostMachine, HugePages, Program};

const BASE: u64 = 0x100_0000_0000;
/// Of the mapping.
const BYTES: u64 = 64 << 30;

/// Bytes of this process that are in the host's memory.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = text.split(' ').nth(1).and_then(|field| field.parse().ok()).expect("a number");
    pages * P
}

#[test]
fn large_pages_of_64_gib_come_and_go_on_a_machine_of_512_gib() {
    let config = HostConfig {
        memory_bytes: 512 << 30,
        contents: Contents::None,
        huge: HugePages::Never,
        ..HostConfig::default()
    };
    let machine = HostMachine::new(&config).expect("a machine");
    let world = World::new(&machine);
    let before = world.linux().frames().free_frames();
    assert!(before > (500 << 30) / P);
    let cpu = machine.claim(CpuId(0)).expect("free");
    let process = world.process();
    let mut program = Program::new(&cpu, &world.manager, process).expect("a thread");
    program.map(BASE, BYTES / P, RW).expect("room");
    program.advise(BASE, BYTES / P, HUGEPAGE).expect("advice");
    let entries = BYTES / HUGE_SIZE;
    let start = std::time::Instant::now();
    for entry in 0..entries {
        program.store(VirtAddr(BASE + entry * HUGE_SIZE + 8 * entry), 1).expect("writable");
    }
    let filled = start.elapsed().as_nanos() as u64 / entries;
    assert_eq!(program.load(VirtAddr(BASE)), Ok(0), "what is stored is lost");
    let frames = world.linux().frames();
    assert!(before - frames.free_frames() - frames.per_cpu_frames() >= BYTES / P, "all of it has frames");
    let start = std::time::Instant::now();
    program.unmap(BASE, BYTES / P).expect("mapped");
    let emptied = start.elapsed().as_nanos() as u64 / entries;
    println!("{filled} ns to fill an entry, {emptied} ns to empty one, {} MiB", resident() >> 20);
    assert!(resident() < 2 << 30, "the host has given {} MiB", resident() >> 20);
    drop(cpu);
    world.linux().exit(&mut world.cx(), process, freehold::linux::Exit::Code(0));
}

#[test]
fn machines_that_cannot_be_are_refused() {
    let refused = |config: HostConfig| HostMachine::new(&config).err().map(|error| error.to_string());
    let base = HostConfig::default;
    assert_eq!(refused(HostConfig { cpus: 0, ..base() }).as_deref(), Some("cpus: from 1 to 512"));
    assert!(refused(HostConfig { nodes: 2, ..base() }).is_some());
    assert!(refused(HostConfig { memory_bytes: 1 << 20, ..base() }).is_some());
    assert!(refused(HostConfig { memory_bytes: u64::MAX, ..base() }).is_some());
    assert!(refused(HostConfig { contents: Contents::None, resident: true, ..base() }).is_some());
    let machine = HostMachine::new(&HostConfig { cpus: 4, nodes: 2, ..base() }).expect("a machine");
    let nodes: Vec<u8> = (0..4).map(|cpu| machine.node_of(CpuId(cpu)).0).collect();
    assert_eq!(nodes, [0, 0, 1, 1]);
    let ranges: Vec<_> = (0..3).map(|index| machine.memory(index).map(|range| range.frames)).collect();
    assert_eq!(ranges, [Some(8192), Some(8192), None]);
    assert!(machine.claim(CpuId(4)).is_err());
    let cpu = machine.claim(CpuId(3)).expect("free");
    assert!(machine.claim(CpuId(3)).is_err());
    drop(cpu);
    assert!(machine.claim(CpuId(3)).is_ok());
}
