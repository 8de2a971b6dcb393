//! Devices: files whose bytes must stay while they are written, errors on purpose, and DMA.

mod support;

use machine::{Backing, CpuId, FileKey, IoError, Machine, Order, PageOp, Pfn, UserFrame};
use sim::{Direction, Rule, SimConfig, SimMachine, TaskCtx, Toward};
use std::cell::Cell;
use support::{READ_WRITE, Tiny, addr};

const FILE: FileKey = FileKey(5);
const FRAME: UserFrame = UserFrame(Pfn(500));

fn machine() -> SimMachine {
    SimMachine::new(&SimConfig { cpus: 2, memory_bytes: 64 << 20, ..SimConfig::default() }).unwrap()
}

fn rules(sim: &SimMachine) -> Vec<Rule> {
    sim.violations().iter().map(|v| v.rule).collect()
}

type Change = fn(TaskCtx<'_>, &Tiny<'_>);

/// CPU 0 writes the frame, mapped at page 3, to the file; CPU 1 does something after `at` ns.
fn while_written(sim: &SimMachine, at: u64, meanwhile: impl Fn(TaskCtx<'_>, &Tiny<'_>)) {
    let tiny = Tiny::new(sim);
    tiny.zero(CpuId(0), 500);
    tiny.map(3, 500, READ_WRITE);
    sim.scope(|scope| {
        scope.spawn(CpuId(0), |cx| sim.write(cx.cpu(), FILE, 0, FRAME).unwrap())?;
        scope.spawn(CpuId(1), |cx| {
            cx.sleep_until(at);
            meanwhile(cx, &tiny);
        })?;
        scope.run()
    })
    .unwrap();
}

#[test]
fn bytes_that_change_while_a_stable_device_writes_them_are_reported() {
    let store = |cx: TaskCtx<'_>, tiny: &Tiny<'_>| cx.store(tiny, addr(3, 8), 1).unwrap();
    let sim = machine();
    while_written(&sim, 5_000, store);
    assert_eq!(rules(&sim), [], "other devices do not mind");
    let during = 5_000;
    let after = SimConfig::default().profile.costs.file_write * 2;
    let changes: [(u64, Change, &[Rule]); 6] = [
        (during, store, &[Rule::TornWrite]),
        (after, store, &[]),
        (during, |cx, tiny| assert_eq!(cx.load(tiny, addr(3, 8)), Ok(0)), &[]),
        (during, |cx, _| cx.sim().write_frame(cx.cpu(), FRAME, 4095, &[0]), &[Rule::TornWrite]),
        (during, |cx, tiny| tiny.zero(cx.cpu(), 500), &[Rule::TornWrite]),
        (during, |cx, tiny| tiny.discard(cx.cpu(), 500), &[Rule::DmaToFreed]),
    ];
    for (number, (at, change, found)) in changes.into_iter().enumerate() {
        let sim = machine();
        sim.sim_files().require_stable_writes(FILE);
        assert!(sim.stable_writes(FILE) && !sim.stable_writes(FileKey(6)));
        while_written(&sim, at, change);
        assert_eq!(rules(&sim), found, "change {number}");
    }
}

#[test]
fn a_frame_given_away_while_a_file_is_read_into_it_is_reported() {
    let sim = machine();
    let tiny = Tiny::new(&sim);
    sim.scope(|scope| {
        scope.spawn(CpuId(0), |cx| sim.read(cx.cpu(), FILE, 0, FRAME).unwrap())?;
        scope.spawn(CpuId(1), |cx| {
            cx.sleep_until(10_000);
            tiny.discard(cx.cpu(), 500);
        })?;
        scope.run()
    })
    .unwrap();
    assert_eq!(rules(&sim), [Rule::DmaToFreed]);
}

#[test]
fn errors_last_as_long_as_they_are_told_to() {
    let sim = machine();
    let cpu = CpuId(0);
    let files = sim.sim_files();
    sim.page_op(cpu, PageOp::Zero { to: FRAME, order: Order(0) });
    let read = |page| sim.read(cpu, FILE, page, FRAME);
    files.fail_times(FILE, Some(3), Direction::Read, 2);
    assert_eq!([read(3), read(2), read(3), read(3)], [Err(IoError), Ok(()), Err(IoError), Ok(())]);
    files.fail(FILE, Some(3), Direction::Read);
    assert_eq!([read(3), read(3), read(4)], [Err(IoError), Err(IoError), Ok(())]);
    assert_eq!(sim.write(cpu, FILE, 3, FRAME), Ok(()));
    files.heal(FILE, Some(3), Direction::Read);
    assert_eq!(read(3), Ok(()));
    files.fail_times(FILE, None, Direction::Write, 1);
    assert_eq!(sim.write(cpu, FILE, 8, FRAME), Err(IoError));
    assert_eq!(files.stored_pages(FILE), 1, "a write that fails stores nothing");
    assert_eq!(sim.write(cpu, FILE, 8, FRAME), Ok(()));
    files.fail_times(FILE, None, Direction::Write, 0);
    assert_eq!(sim.write(cpu, FILE, 8, FRAME), Ok(()));
}

#[test]
fn a_device_reads_and_writes_files_on_its_own() {
    let sim = machine();
    let files = sim.sim_files();
    files.create(FILE, 4096 + 8);
    let found = files.device_read(FILE, 0).unwrap();
    assert_eq!(found[8..16], sim::synthetic::file_word(5, 0, 0, 1).to_le_bytes());
    files.device_write(FILE, 1, &[7; 4096]).unwrap();
    assert_eq!(files.word(FILE, 1, 0), u64::from_le_bytes([7; 8]));
    assert_eq!(files.device_read(FILE, 1).unwrap()[8..], [0; 4088], "cut off at the file's end");
    files.fail_times(FILE, Some(0), Direction::Write, 1);
    assert_eq!(files.device_write(FILE, 0, &[7; 4096]), Err(IoError));
    assert_eq!(files.device_read(FILE, 0).unwrap(), found);
}

#[test]
fn a_device_stores_and_loads_when_it_is_told_to_and_tasks_run_meanwhile() {
    let sim = machine();
    let tiny = Tiny::new(&sim);
    tiny.zero(CpuId(0), 500);
    tiny.map(3, 500, READ_WRITE);
    let before = Cell::new(0);
    sim.scope(|scope| {
        scope.spawn(CpuId(0), |cx| {
            let stored = cx.dma_store(Pfn(500), 8, &7u64.to_le_bytes(), 20_000);
            let loaded = cx.dma_load(Pfn(500), 4, 20, 50_000);
            assert!(!cx.dma_done(stored));
            cx.dma_wait(loaded);
            assert!(cx.now() >= 50_000 && cx.dma_done(stored));
            assert_eq!(cx.load(&tiny, addr(3, 8)), Ok(7));
        })?;
        scope.spawn(CpuId(1), |cx| {
            cx.sleep_until(10_000);
            assert_eq!(cx.load(&tiny, addr(3, 8)), Ok(0));
            cx.sleep_until(30_000);
            assert_eq!(cx.load(&tiny, addr(3, 8)), Ok(7));
            cx.store(&tiny, addr(3, 16), 9).unwrap();
            before.set(cx.now());
        })?;
        scope.run()
    })
    .unwrap();
    assert!(before.get() < 40_000);
    let first = sim.next_moved().expect("the store");
    assert_eq!((first.toward, first.at_ns / 1000), (Toward::Memory, 20));
    let second = sim.next_moved().expect("the load");
    assert_eq!((second.frame, second.toward), (Pfn(500), Toward::Device));
    assert_eq!(second.words().collect::<Vec<_>>(), [(8, 7), (16, 9)]);
    assert_eq!(sim.next_moved(), None);
    let events = sim.report().events;
    assert_eq!((events.dma_loads, events.dma_stores), (1, 1));
    assert_eq!(rules(&sim), []);
}

#[test]
fn a_transfer_outlives_the_task_that_asked_for_it() {
    let sim = machine();
    sim.page_op(CpuId(0), PageOp::Zero { to: FRAME, order: Order(0) });
    sim.scope(|scope| {
        scope.spawn(CpuId(0), |cx| {
            cx.dma_store(Pfn(500), 0, &[1; 8], 1_000_000);
        })?;
        scope.run()
    })
    .unwrap();
    assert_eq!(sim.peek_word(Pfn(500), 0), 0x0101_0101_0101_0101);
    assert!(sim.next_moved().is_some());
}

#[test]
fn a_device_that_reaches_a_freed_frame_is_reported() {
    for again in [false, true] {
        let sim = machine();
        let tiny = Tiny::new(&sim);
        tiny.zero(CpuId(0), 500);
        sim.scope(|scope| {
            scope.spawn(CpuId(0), |cx| {
                let transfer = cx.dma_store(Pfn(500), 0, &[1; 8], 20_000);
                tiny.discard(cx.cpu(), 500);
                if again {
                    tiny.zero(cx.cpu(), 500);
                }
                cx.dma_wait(transfer);
            })?;
            scope.run()
        })
        .unwrap();
        assert_eq!(rules(&sim), [Rule::DmaToFreed], "handed to somebody else: {again}");
    }
}

#[test]
fn a_transfer_that_no_device_can_make_is_reported_and_nobody_waits_for_it() {
    let sim = machine();
    sim.scope(|scope| {
        scope.spawn(CpuId(0), |cx| {
            for transfer in [
                cx.dma_store(Pfn(500), 4090, &[1; 8], 10),
                cx.dma_load(Pfn(500), u64::MAX, 8, 10),
                cx.dma_load(Pfn(u32::MAX), 0, 8, 10),
            ] {
                cx.dma_wait(transfer);
            }
        })?;
        scope.run()
    })
    .unwrap();
    assert_eq!(rules(&sim), [Rule::WildEntry; 3]);
    assert_eq!(sim.next_moved(), None);
}

#[test]
fn the_device_of_an_equal_run_does_the_same() {
    let run = || {
        let sim = machine();
        let tiny = Tiny::new(&sim);
        sim.scope(|scope| {
            for cpu in 0..2 {
                let tiny = &tiny;
                scope.spawn(CpuId(cpu), move |cx| {
                    for round in 0..50 {
                        let page = u64::from(cpu);
                        cx.store(tiny, addr(page, 0), round).unwrap();
                        let frame = cx.access(tiny, addr(page, 0), machine::Access::Read).unwrap().frame;
                        let transfer = cx.dma_load(frame, 0, 8, 700 * (u64::from(cpu) + 1));
                        cx.dma_wait(transfer);
                    }
                })?;
            }
            scope.run()
        })
        .unwrap();
        let moved: Vec<_> = std::iter::from_fn(|| sim.next_moved()).collect();
        (sim.report(), moved)
    };
    let (first, second) = (run(), run());
    assert_eq!(first, second);
    assert_eq!(first.1.len(), 100);
}
