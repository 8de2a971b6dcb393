//! Devices in explored runs: a transfer is made at any moment.

use crate::support::{READ_WRITE, Tiny, addr};
use machine::{CpuId, Machine, Pfn};
use sim::explore::*;
use sim::{Rule, SimConfig, SimError, SimMachine, TaskCtx, Toward};
use std::cell::RefCell;
use std::collections::BTreeSet;

const FRAME: Pfn = Pfn(500);

fn machine(cpus: u32, dma_channels: u32) -> SimMachine {
    let config = SimConfig {
        cpus,
        memory_bytes: 4 << 20,
        stack_bytes: 64 << 10,
        dma_channels,
        ..SimConfig::default()
    };
    SimMachine::new(&config).expect("a machine")
}

/// What a CPU does, and what it saw.
type Program = fn(TaskCtx<'_>, &Tiny<'_>, &mut Vec<u64>);

/// Every outcome: what was seen, CPU by CPU, and last what the device loaded.
fn outcomes(programs: &[Program], channels: u32, strategy: Strategy) -> BTreeSet<Result<Vec<u64>, Rule>> {
    let mut search = Search::new(strategy, Ordered::Sequential, Bounds { steps: 2_000, ..Bounds::default() });
    let mut met = BTreeSet::new();
    while let Some(plan) = search.next_plan() {
        let sim = machine(programs.len() as u32, channels);
        let tiny = Tiny::new(&sim);
        tiny.zero(CpuId(0), FRAME.0);
        tiny.map(3, FRAME.0, READ_WRITE);
        sim.explore(plan).expect("few CPUs");
        let seen = RefCell::new(vec![Vec::new(); programs.len()]);
        let ended = sim.scope(|scope| {
            for (cpu, program) in (0..).zip(programs) {
                let (tiny, seen) = (&tiny, &seen);
                scope.spawn(CpuId(cpu), move |cx| {
                    let mut own = Vec::new();
                    program(cx, tiny, &mut own);
                    seen.borrow_mut()[cpu as usize] = own;
                })?;
            }
            scope.run()
        });
        let mut all = seen.into_inner().concat();
        while let Some(moved) = sim.next_moved() {
            let loaded = moved.toward == Toward::Device;
            all.extend(moved.words().filter(|_| loaded).map(|(_, value)| value));
        }
        met.insert(match ended {
            Ok(_) => Ok(all),
            Err(SimError::Violated(violation)) => Err(violation.rule),
            Err(error) => panic!("{error}"),
        });
        search.take(&sim.explored()).expect("repeatable");
    }
    met
}

/// Every outcome of schedules with a preemption (so that any CPU may begin), and that pruning loses none.
fn any_order(programs: &[Program], channels: u32) -> BTreeSet<Result<Vec<u64>, Rule>> {
    let pruned = outcomes(programs, channels, Strategy::Exhaustive { preemptions: 1 });
    assert_eq!(pruned, outcomes(programs, channels, Strategy::Unpruned { preemptions: 1 }));
    pruned
}

fn store(cx: TaskCtx<'_>, word: u64, value: u64) {
    cx.dma_store(FRAME, word * 8, &value.to_le_bytes(), 0);
}

#[test]
fn a_load_of_the_device_comes_before_or_after_a_store() {
    let program: Program = |cx, tiny, _| {
        cx.dma_load(FRAME, 0, 8, 0);
        cx.store(tiny, addr(3, 0), 1).unwrap();
    };
    assert_eq!(any_order(&[program], 1), BTreeSet::from([Ok(vec![0]), Ok(vec![1])]));
}

#[test]
fn who_waits_for_a_transfer_sees_what_it_stored() {
    let program: Program = |cx, tiny, seen| {
        let transfer = cx.dma_store(FRAME, 0, &7u64.to_le_bytes(), 0);
        seen.push(cx.load(tiny, addr(3, 0)).unwrap());
        cx.dma_wait(transfer);
        seen.push(cx.load(tiny, addr(3, 0)).unwrap());
    };
    assert_eq!(any_order(&[program], 1), BTreeSet::from([Ok(vec![0, 7]), Ok(vec![7, 7])]));
}

#[test]
fn transfers_of_a_channel_keep_their_order_and_those_of_two_do_not() {
    let program: Program = |cx, tiny, seen| {
        store(cx, 0, 1);
        store(cx, 1, 2);
        seen.extend([1, 0].map(|word| cx.load(tiny, addr(3, word * 8)).unwrap()));
    };
    let in_order = BTreeSet::from([[0, 0], [0, 1], [2, 1]].map(|seen| Ok(seen.to_vec())));
    assert_eq!(any_order(&[program], 1), in_order);
    let met = any_order(&[program], 2);
    assert!(met.is_superset(&in_order) && met.contains(&Ok(vec![2, 0])), "{met:?}");
}

#[test]
fn transfers_of_two_cpus_come_in_either_order() {
    let programs: [Program; 2] = [|cx, _, _| store(cx, 0, 1), |cx, _, _| store(cx, 0, 2)];
    let last: Program = |cx, _, _| {
        let first = cx.dma_load(FRAME, 0, 8, 0);
        cx.dma_wait(first);
    };
    let met = any_order(&[programs[0], programs[1], last], 1);
    assert_eq!(met, BTreeSet::from([Ok(vec![0]), Ok(vec![1]), Ok(vec![2])]));
}

#[test]
fn a_frame_freed_under_the_device_is_found_and_a_frame_kept_for_it_is_not() {
    let careless: Program = |cx, tiny, _| {
        store(cx, 0, 1);
        tiny.discard(cx.cpu(), FRAME.0);
    };
    let met = any_order(&[careless], 1);
    assert_eq!(met, BTreeSet::from([Ok(vec![]), Err(Rule::DmaToFreed)]));
    let careful: Program = |cx, tiny, _| {
        let transfer = cx.dma_store(FRAME, 0, &[1; 8], 0);
        cx.dma_wait(transfer);
        tiny.discard(cx.cpu(), FRAME.0);
    };
    assert_eq!(any_order(&[careful], 1), BTreeSet::from([Ok(vec![])]));
}

#[test]
fn a_seed_names_the_device_and_makes_the_same_run() {
    let mut search =
        Search::new(Strategy::Exhaustive { preemptions: 1 }, Ordered::Buffered, Bounds::default());
    let mut seeds = Vec::new();
    let run = |plan| {
        let sim = machine(1, 1);
        Tiny::new(&sim).zero(CpuId(0), FRAME.0);
        sim.explore(plan).expect("few CPUs");
        sim.scope(|scope| {
            scope.spawn(CpuId(0), |cx| {
                store(cx, 0, 1);
                cx.dma_load(FRAME, 0, 8, 0);
                cx.sim().write_frame(cx.cpu(), machine::UserFrame(FRAME), 0, &[9]);
            })?;
            scope.run()
        })
        .expect("no violation");
        let moved: Vec<_> = std::iter::from_fn(|| sim.next_moved()).collect();
        (moved, sim.explored())
    };
    while let Some(plan) = search.next_plan() {
        let (moved, decided) = run(plan);
        seeds.push((decided.seed(), moved));
        search.take(&decided).expect("repeatable");
    }
    assert!(seeds.iter().any(|(seed, _)| seed.to_string().contains("d0")), "{seeds:?}");
    for (seed, moved) in seeds {
        let text = seed.to_string();
        let (again, decided) = run(Plan::follow(text.parse().expect("a seed"), 2_000));
        assert_eq!((again, decided.misfits()), (moved, 0), "{text}");
    }
}

#[test]
fn every_way_to_draw_schedules_reaches_the_device() {
    let program: Program = |cx, tiny, _| {
        cx.dma_load(FRAME, 0, 8, 0);
        cx.store(tiny, addr(3, 0), 1).unwrap();
        cx.store(tiny, addr(3, 0), 2).unwrap();
    };
    for strategy in [Strategy::Random { seed: 1 }, Strategy::Pct { seed: 1, depth: 2 }] {
        let bounds = Bounds { schedules: 200, steps: 2_000, ..Bounds::default() };
        let mut search = Search::new(strategy.clone(), Ordered::Sequential, bounds);
        let mut met = BTreeSet::new();
        while let Some(plan) = search.next_plan() {
            let sim = machine(1, 3);
            let tiny = Tiny::new(&sim);
            tiny.zero(CpuId(0), FRAME.0);
            tiny.map(3, FRAME.0, READ_WRITE);
            sim.explore(plan).expect("few CPUs");
            let ended = sim.scope(|scope| {
                scope.spawn(CpuId(0), |cx| program(cx, &tiny, &mut Vec::new()))?;
                scope.run()
            });
            ended.expect("a run");
            met.extend(sim.next_moved().map(|moved| moved.bytes[0]));
            search.take(&sim.explored()).expect("repeatable");
        }
        assert_eq!(Vec::from_iter(met), [0, 1, 2], "{strategy:?}");
    }
}
