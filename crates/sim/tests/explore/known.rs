//! Famous races: found where they can happen, not found where they cannot, with the fewest preemptions.

use crate::small::*;
use crate::support::{READ_WRITE, Tiny, addr, cpus, one_page};
use machine::lock::Spin;
use machine::{Boot, Core, CpuId, Cx, Machine, Order, PageOp, Pfn, level};
use sim::explore::*;
use sim::{Rule, SimError, TaskCtx};
use std::cell::Cell;
use std::sync::atomic::Ordering::Relaxed;

fn bounds(schedules: u64) -> Bounds {
    Bounds { schedules, steps: 2_000, ..Bounds::default() }
}

#[test]
fn a_lost_update_takes_one_preemption() {
    let program = vec![Op::Load(0), Op::StoreNext(0)];
    let programs = [program.clone(), program];
    for (preemptions, lost) in [(0, false), (1, true)] {
        let (met, _) = outcomes(&programs, Strategy::Exhaustive { preemptions }, Ordered::Sequential);
        assert_eq!(met.iter().any(|(_, words)| words[0] == 1), lost, "{preemptions} preemptions");
    }
}

#[test]
fn store_buffers_let_both_load_before_either_store() {
    let program = |mine, other, fence: bool| {
        let fence = fence.then_some(Op::Fence);
        [Some(Op::Store(mine, 1)), fence, Some(Op::Load(other))].into_iter().flatten().collect::<Vec<_>>()
    };
    let both_missed = |fence: bool, ordered| {
        let programs = [program(0, 1, fence), program(1, 0, fence)];
        let (met, summary) = outcomes(&programs, Strategy::Exhaustive { preemptions: 2 }, ordered);
        assert_eq!(summary.complete, Some(2));
        met.iter().any(|(seen, _)| *seen == [[0], [0]])
    };
    assert!(both_missed(false, Ordered::Buffered));
    assert!(!both_missed(true, Ordered::Buffered));
    assert!(!both_missed(false, Ordered::Sequential));
}

/// One side passes no fence, the other has it pass one (L-4 with the fence on the writer's side only).
#[test]
fn a_heavy_barrier_is_the_fence_of_both_sides() {
    let both_missed = |between| {
        let programs = [vec![Op::Store(0, 1), Op::Load(1)], vec![Op::Store(1, 1), between, Op::Load(0)]];
        let strategy = Strategy::Exhaustive { preemptions: 2 };
        let (met, summary) = outcomes(&programs, strategy, Ordered::Buffered);
        assert_eq!(summary.complete, Some(2));
        met.iter().any(|(seen, _)| *seen == [[0], [0]])
    };
    assert!(both_missed(Op::Fence), "a fence of the one side is not enough");
    assert!(!both_missed(Op::Barrier));
}

#[test]
fn independent_steps_need_one_schedule() {
    let programs = [vec![Op::Add(0); 20], vec![Op::Add(1); 20]];
    let (_, summary) = outcomes(&programs, Strategy::Exhaustive { preemptions: 2 }, Ordered::Sequential);
    // One for each bound.
    assert_eq!((summary.schedules, summary.complete), (3, Some(2)));
    assert!(summary.pruned >= 20, "{summary:?}");
}

/// The first failure of a search, and the seed of its run.
fn first_failure(programs: &[Vec<Op>], strategy: Strategy, bounds: Bounds) -> Option<(SimError, Seed)> {
    let mut search = Search::new(strategy, Ordered::Sequential, bounds);
    while let Some(plan) = search.next_plan() {
        let (outcome, decided) = run(programs, plan);
        if let Err(error) = outcome {
            return Some((error, decided.seed()));
        }
        search.take(&decided).expect("repeatable");
    }
    None
}

fn crossed() -> [Vec<Op>; 2] {
    let noise = [Op::Add(2), Op::Add(2)];
    let around =
        |a, b| [&noise[..], &[Op::Lock(a), Op::Lock(b), Op::Unlock(b), Op::Unlock(a)], &noise].concat();
    [around(0, 1), around(1, 0)]
}

#[test]
fn every_strategy_finds_crossed_locks_and_a_seed_finds_them_again() {
    let strategies = [
        Strategy::Exhaustive { preemptions: 1 },
        Strategy::Random { seed: 7 },
        Strategy::Pct { seed: 7, depth: 3 },
    ];
    for strategy in strategies {
        let (error, seed) = first_failure(&crossed(), strategy.clone(), bounds(5_000)).expect("a deadlock");
        assert!(matches!(error, SimError::Deadlock { .. }), "{strategy:?}: {error}");
        let short = minimise(seed, |seed| {
            let (outcome, decided) = run(&crossed(), Plan::follow(seed.clone(), 2_000));
            outcome.is_err().then(|| decided.seed())
        });
        assert!((1..=2).contains(&short.choices.len()), "{strategy:?}: {short}");
        let text = short.to_string();
        let (again, decided) = run(&crossed(), Plan::follow(text.parse().expect("a seed"), 2_000));
        assert!(again.is_err(), "{strategy:?}: {text} passes");
        assert_eq!((decided.misfits(), decided.seed()), (0, short));
    }
}

#[test]
fn waiting_for_nothing_is_a_deadlock_and_running_in_circles_a_livelock() {
    let stuck = [vec![Op::Lock(0), Op::Lock(0)], vec![Op::Add(1)]];
    let (error, _) =
        first_failure(&stuck, Strategy::Exhaustive { preemptions: 0 }, bounds(9)).expect("stuck");
    assert!(matches!(error, SimError::Deadlock { .. }), "{error}");
    let endless = [vec![Op::Add(0); 3_000], vec![Op::Add(1)]];
    let (error, _) =
        first_failure(&endless, Strategy::Exhaustive { preemptions: 0 }, bounds(9)).expect("endless");
    assert!(matches!(error, SimError::Livelock { .. }), "{error}");
}

/// Two tasks take two locks of the manager's, in opposite orders: one of them through two contexts, since one
/// context would not compile.
fn crossed_levels(plan: Plan) -> (Result<(), SimError>, Run) {
    let sim = machine(2);
    let boot = Boot::new(&sim).expect("memory");
    let core = Core::new(&boot).expect("memory");
    let zones = boot.array::<Spin<{ level::ZONE }>>(1).expect("memory");
    let slabs = boot.array::<Spin<{ level::SLAB }>>(1).expect("memory");
    sim.explore(plan).expect("few CPUs");
    let ended = sim.scope(|scope| {
        scope.spawn(CpuId(0), |task: TaskCtx<'_>| {
            let mut cx = Cx::new(task.sim(), core, task.cpu(), task.task());
            let mut slab = slabs[0].lock(&mut cx);
            let _zone = zones[0].lock_irq(&mut slab);
        })?;
        scope.spawn(CpuId(1), |task: TaskCtx<'_>| {
            let mut cx = Cx::new(task.sim(), core, task.cpu(), task.task());
            let mut other = Cx::new(task.sim(), core, task.cpu(), task.task());
            let _zone = zones[0].lock_irq(&mut cx);
            let _slab = slabs[0].lock(&mut other);
        })?;
        scope.run()
    });
    (ended.map(|_| ()), sim.explored())
}

#[test]
fn a_deadlock_is_told_as_a_cycle_of_locks() {
    let mut search = Search::new(Strategy::Exhaustive { preemptions: 1 }, Ordered::Sequential, bounds(1_000));
    let mut told = None;
    while let (None, Some(plan)) = (&told, search.next_plan()) {
        let (ended, decided) = crossed_levels(plan);
        told = ended.err();
        search.take(&decided).expect("repeatable");
    }
    let text = told.expect("a deadlock").to_string();
    for part in [
        "task 0 on cpu 0: spins for the zone lock",
        "of task 1; holds slab; interrupts off",
        "task 1 on cpu 1: spins for the slab lock",
        "of task 0; holds zone; interrupts off",
        "a cycle: task 0 -> task 1 -> task 0",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

/// One task wakes another, which waits for the same thing again at once.
fn wakes_who_comes_back(plan: Plan) -> (Result<(), SimError>, Run) {
    const KEY: u64 = 64;
    let sim = machine(2);
    let core = Core::new(&Boot::new(&sim).expect("memory")).expect("memory");
    sim.explore(plan).expect("few CPUs");
    let over = Cell::new(false);
    let ended = sim.scope(|scope| {
        let over = &over;
        scope.spawn(CpuId(0), move |task: TaskCtx<'_>| {
            let mut cx = Cx::new(task.sim(), core, task.cpu(), task.task());
            core.parking.wake_all(&mut cx, KEY);
            over.set(true);
            core.parking.wake_all(&mut cx, KEY);
        })?;
        scope.spawn(CpuId(1), move |task: TaskCtx<'_>| {
            let mut cx = Cx::new(task.sim(), core, task.cpu(), task.task());
            while !over.get() {
                core.parking.park_unless(&mut cx, KEY, |_| over.get());
            }
        })?;
        scope.run()
    });
    (ended.map(|_| ()), sim.explored())
}

/// W-21. What broke: waking took one waiter after the other off the queue, until it was empty.
#[test]
fn a_waker_is_not_held_up_by_those_who_wait_again() {
    let mut search = Search::new(Strategy::Pct { seed: 0, depth: 2 }, Ordered::Sequential, bounds(200));
    while let Some(plan) = search.next_plan() {
        let (ended, decided) = wakes_who_comes_back(plan);
        assert_eq!(ended, Ok(()));
        search.take(&decided).expect("repeatable");
    }
}

/// One CPU takes a page away, another stores to it; `flush` says whether the first flushes before the frame
/// is given up. Answers the first violation.
fn take_away(flush: bool) -> Option<SimError> {
    let mut search =
        Search::new(Strategy::Exhaustive { preemptions: 2 }, Ordered::Sequential, bounds(20_000));
    while let Some(plan) = search.next_plan() {
        let sim = machine(2);
        let tiny = Tiny::new(&sim);
        tiny.zero(CpuId(0), 500);
        tiny.map(3, 500, READ_WRITE);
        sim.explore(plan).expect("few CPUs");
        let ended = sim.scope(|scope| {
            scope.spawn(CpuId(0), |cx| {
                sim.store(cx.cpu(), tiny.entry(3), 0, Relaxed);
                if flush {
                    sim.flush(cx.cpu(), &cpus(&[1]), &one_page(3));
                }
                sim.page_op(cx.cpu(), PageOp::Discard { frame: Pfn(500), order: Order(0) });
            })?;
            scope.spawn(CpuId(1), |cx| {
                cx.store(&tiny, addr(3, 0), 1).expect("faulted in anew at worst");
                cx.store(&tiny, addr(3, 0), 2).expect("faulted in anew at worst");
            })?;
            scope.run()
        });
        search.take(&sim.explored()).expect("repeatable");
        if let Err(error) = ended {
            return Some(error);
        }
    }
    assert_eq!(search.summary().complete, Some(2));
    None
}

#[test]
fn a_stale_translation_is_found_unless_it_is_flushed() {
    let found = take_away(false).expect("a stale store");
    assert!(matches!(&found, SimError::Violated(v) if v.rule == Rule::StaleTranslation), "{found}");
    assert_eq!(take_away(true), None);
}
