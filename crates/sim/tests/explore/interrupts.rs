//! A handler comes between any two steps of the CPU it interrupts, and is a program of steps itself.

use crate::small::{machine, word};
use machine::{CpuId, Machine};
use sim::explore::{Bounds, Ordered, Search, Strategy, Summary};
use sim::{SimError, TaskCtx};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;

const CPU: CpuId = CpuId(0);

/// Everything a handler of CPU 0 may answer while `interrupted` runs there, and `other` on CPU 1.
fn answers(
    interrupted: fn(TaskCtx<'_>),
    handler: fn(TaskCtx<'_>) -> u64,
    other: fn(TaskCtx<'_>),
) -> (BTreeSet<u64>, Summary) {
    let strategy = Strategy::Exhaustive { preemptions: 1 };
    let mut search = Search::new(strategy, Ordered::Sequential, Bounds::default());
    let mut answers = BTreeSet::new();
    while let Some(plan) = search.next_plan() {
        let sim = machine(2);
        let answer = Cell::new(None);
        sim.explore(plan).expect("two CPUs");
        sim.scope(|scope| -> Result<(), SimError> {
            scope.spawn(CPU, interrupted)?;
            scope.spawn(CpuId(1), other)?;
            scope.interrupt(CPU, |ctx| answer.set(Some(handler(ctx))))?;
            scope.run().map(|_| ())
        })
        .expect("the run ends");
        answers.insert(answer.get().expect("the handler ran"));
        search.take(&sim.explored()).expect("repeatable");
    }
    (answers, search.summary())
}

fn store(ctx: TaskCtx<'_>, value: u64) {
    ctx.sim().store(ctx.cpu(), word(ctx.sim(), 0), value, Relaxed);
}

fn load(ctx: TaskCtx<'_>) -> u64 {
    ctx.sim().load(ctx.cpu(), word(ctx.sim(), 0), Relaxed)
}

fn rests(_: TaskCtx<'_>) {}

fn stores_three(ctx: TaskCtx<'_>) {
    (1..=3).for_each(|value| store(ctx, value));
}

#[test]
fn a_handler_comes_at_every_moment_and_costs_no_preemption() {
    let (seen, summary) = answers(stores_three, load, rests);
    assert_eq!(Vec::from_iter(seen), [0, 1, 2, 3]);
    assert_eq!(summary.complete, Some(1));
}

#[test]
fn it_does_not_come_while_interrupts_are_off() {
    let (seen, _) = answers(
        |ctx| {
            let on = ctx.sim().irq_save(ctx.cpu());
            stores_three(ctx);
            ctx.sim().irq_restore(ctx.cpu(), on);
            store(ctx, 4);
        },
        load,
        rests,
    );
    assert_eq!(Vec::from_iter(seen), [0, 3, 4]);
}

#[test]
fn its_own_steps_are_points_at_which_another_cpu_may_go_first() {
    let twice = |ctx: TaskCtx<'_>| load(ctx) * 10 + load(ctx);
    let (seen, _) = answers(rests, twice, |ctx| store(ctx, 1));
    assert_eq!(Vec::from_iter(seen), [0, 1, 11]);
}

#[test]
fn a_cpu_has_one_handler() {
    let sim = machine(1);
    sim.scope(|scope| {
        assert!(scope.interrupt(CPU, |_| {}).is_ok());
        assert!(scope.interrupt(CPU, |_| {}).is_err());
        assert!(scope.interrupt(CpuId(7), |_| {}).is_err());
    });
}
