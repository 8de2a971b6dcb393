//! Small programs: some words, a few operations a CPU.

use machine::{CpuId, CpuSet, KernelFrame, Machine, Pfn, Word};
use sim::explore::{Bounds, Ordered, Plan, Run, Search, Strategy, Summary};
use sim::{Scope, SimConfig, SimError, SimMachine};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

/// One operation of a CPU. Registers are the CPU's own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// Loads a word into the register.
    Load(usize),
    /// Stores a number.
    Store(usize, u64),
    /// Stores the register plus one.
    StoreNext(usize),
    /// Adds one atomically; the old value goes to the register.
    Add(usize),
    /// A full fence.
    Fence,
    /// A full fence on every other CPU.
    Barrier,
    /// Takes a lock word, spinning.
    Lock(usize),
    /// Gives it back.
    Unlock(usize),
}

pub(crate) fn machine(cpus: u32) -> SimMachine {
    let config = SimConfig { cpus, memory_bytes: 4 << 20, stack_bytes: 64 << 10, ..SimConfig::default() };
    SimMachine::new(&config).expect("a machine")
}

pub(crate) fn word(sim: &SimMachine, index: usize) -> &Word {
    &sim.kernel_area(KernelFrame(Pfn(0)), 1)[index * 8]
}

fn perform(sim: &SimMachine, cpu: CpuId, op: Op, seen: &mut Vec<u64>) {
    let word = |index| word(sim, index);
    let register = seen.last().copied().unwrap_or(0);
    match op {
        Op::Load(index) => seen.push(sim.load(cpu, word(index), Relaxed)),
        Op::Store(index, value) => sim.store(cpu, word(index), value, Relaxed),
        Op::StoreNext(index) => sim.store(cpu, word(index), register + 1, Relaxed),
        Op::Add(index) => seen.push(sim.fetch_add(cpu, word(index), 1, SeqCst)),
        Op::Fence => sim.fence(cpu, SeqCst),
        Op::Barrier => sim.heavy_barrier(cpu, &CpuSet::first(sim.cpus())),
        Op::Lock(index) => {
            while sim.compare_exchange(cpu, word(index), 0, 1, SeqCst).is_err() {
                sim.relax(cpu, word(index));
            }
        }
        Op::Unlock(index) => sim.store(cpu, word(index), 0, Relaxed),
    }
}

/// What every CPU loaded, and what the words hold at the end.
pub(crate) type Outcome = (Vec<Vec<u64>>, Vec<u64>);

/// Runs a program once.
pub(crate) fn run(programs: &[Vec<Op>], plan: Plan) -> (Result<Outcome, SimError>, Run) {
    let sim = machine(programs.len() as u32);
    sim.explore(plan).expect("few CPUs");
    let seen = std::cell::RefCell::new(vec![Vec::new(); programs.len()]);
    let ended = sim.scope(|scope: &Scope<'_, '_>| {
        for (cpu, program) in (0..).zip(programs) {
            let seen = &seen;
            scope.spawn(CpuId(cpu), move |cx| {
                let mut own = Vec::new();
                program.iter().for_each(|&op| perform(cx.sim(), CpuId(cpu), op, &mut own));
                seen.borrow_mut()[cpu as usize] = own;
            })?;
        }
        scope.run()
    });
    let words = (0..4).map(|index| word(&sim, index).raw().load(Relaxed)).collect();
    let decided = sim.explored();
    (ended.map(|_| (seen.into_inner(), words)), decided)
}

/// Every outcome that a search meets.
pub(crate) fn outcomes(
    programs: &[Vec<Op>],
    strategy: Strategy,
    ordered: Ordered,
) -> (BTreeSet<Outcome>, Summary) {
    let mut search = Search::new(strategy, ordered, Bounds { steps: 1_000, ..Bounds::default() });
    let mut met = BTreeSet::new();
    while let Some(plan) = search.next_plan() {
        let (outcome, decided) = run(programs, plan);
        met.insert(outcome.expect("programs that end"));
        search.take(&decided).expect("repeatable");
    }
    (met, search.summary())
}
