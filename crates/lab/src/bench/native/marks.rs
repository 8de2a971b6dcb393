//! The mark of a lockless walk.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

use freehold::machine::{CpuId, CpuSet, Machine, ReaderOrder, level};

use super::attempt::Attempt;
use super::ours::{Room, manager, on_machine};
use super::row::{Better, Measure};
use super::{Goal, Options, Row, Side, Trouble, stats};

/// The bench.
pub(super) fn rows(options: &Options) -> Result<Vec<Row>, Trouble> {
    let room = Room { cpus: 2, ..Room::small(16 << 20) };
    let times = options.sized(1_000_000, 100);
    let mut order = ReaderOrder::Fence;
    let entered = on_machine(&room, |ours| {
        order = ours.manager.machine().reader_order();
        let mut enter = || {
            let cx = ours.program.cx();
            let started = options.clock.now();
            for _ in 0..times {
                drop(black_box(cx.at::<{ level::SLEEP_MAX }>().enter_epoch()));
            }
            Ok((options.clock.now() - started) as f64 / f64::from(times))
        };
        Ok(stats::in_turn(options, &mut [&mut enter])?.remove(0))
    })?;
    let must = if order == ReaderOrder::HeavyBarrier { 4.0 } else { 10.0 };
    let goal = Goal { measure: Measure::Value, better: Better::Lower, must, aim: None };
    let ordered_by = match order {
        ReaderOrder::Fence => "each reader passes a fence",
        ReaderOrder::HeavyBarrier => "the writer's heavy barrier orders readers",
    };
    let entered = Row {
        min: Some(entered.min()),
        goal: Some(goal),
        leaves_out: ordered_by.into(),
        ..Row::new(Side::Native, "guard: enter and leave", entered.median(), "ns")
    };
    Ok(vec![entered, barrier(options, &room)?])
}

/// The cost of a heavy barrier against one CPU that runs.
fn barrier(options: &Options, room: &Room) -> Result<Row, Trouble> {
    let times = options.sized(10_000, 10);
    let machine = room.machine()?;
    manager(&machine, room)?;
    let over = AtomicBool::new(false);
    let samples = machine.run(|threads| {
        // RELAXED: it only ends a loop.
        let other = threads.spawn(CpuId(1), |_| {
            while !over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let asks = || {
            let cpu = machine.claim(CpuId(0)).at("the first CPU")?;
            let mut targets = CpuSet::EMPTY;
            targets.insert(CpuId(1));
            let mut ask = || {
                let started = options.clock.now();
                (0..times).for_each(|_| machine.heavy_barrier(cpu.id(), &targets));
                Ok((options.clock.now() - started) as f64 / f64::from(times))
            };
            stats::in_turn(options, &mut [&mut ask])
        };
        let samples = asks();
        // RELAXED: as above.
        over.store(true, Ordering::Relaxed);
        let ran = other.join().map_err(|_| Trouble::new(&"the other CPU's thread panicked"))?;
        ran.at("the second CPU")?;
        samples
    })?;
    let name = "heavy barrier, one other CPU running";
    Ok(Row { min: Some(samples[0].min()), ..Row::new(Side::Native, name, samples[0].median(), "ns") })
}
