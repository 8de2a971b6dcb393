//! One run of a scenario: a small machine is built, set up, run under one schedule, audited and taken down.

mod access;
mod call;
mod end;
mod judge;
mod life;
mod log;
mod outcome;
mod step;
mod value;
mod world;

use std::cell::RefCell;

use freehold::machine::CpuId;
use oracle::Tally;
use sim::{Cause, Checks, Scope, SimConfig, SimError, SimMachine, TaskCtx, TlbSize};

use super::script::{Place, ProcessName, Scenario};
use world::{Actor, World};

pub use log::{Entry, Log, What};
pub use outcome::{Failure, Kind, Spot};

/// Who runs when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// How far a CPU gets ahead of another one.
    pub quantum_ns: u64,
    /// Varies that, and when CPUs start.
    pub seed: u64,
}

/// Runs scenarios; what a run needs for itself is used again by the next.
#[derive(Default)]
pub struct Runner {
    ledger: Vec<Tally>,
}

impl Runner {
    /// Runs a scenario under a schedule. What happens is told to `log`, if there is one.
    ///
    /// # Errors
    /// What went wrong.
    pub fn run(
        &mut self,
        scenario: &Scenario,
        schedule: &Schedule,
        log: Option<&RefCell<Log>>,
    ) -> Result<(), Failure> {
        let sim = SimMachine::new(&config(scenario, schedule)).map_err(|error| broken(&error))?;
        let world = World::new(scenario, &sim, log)?;
        let ended = sim.scope(|scope| {
            scope.spawn(CpuId(0), |ctx| world.first(scope, ctx, schedule))?;
            scope.run()
        });
        if let Some(failure) = world.failure.take() {
            return Err(failure);
        }
        ended.map_err(|error| broken(&error))?;
        world.audit(&mut self.ledger, "at the end")?;
        world.take_down(&mut self.ledger)
    }
}

/// What the machine gave up for.
fn broken(error: &SimError) -> Failure {
    let kind = match error {
        SimError::Deadlock { .. } => Kind::Deadlock,
        SimError::TooLong { .. } => Kind::Livelock,
        SimError::Panicked { .. } => Kind::Panic,
        _ => Kind::Misuse,
    };
    Failure::new(kind, error.to_string())
}

/// A machine on which nothing stale is hidden and everything is checked.
fn config(scenario: &Scenario, schedule: &Schedule) -> SimConfig {
    SimConfig {
        cpus: scenario.machine.cpus,
        nodes: scenario.machine.nodes,
        memory_bytes: scenario.machine.memory_bytes,
        seed: schedule.seed,
        quantum_ns: schedule.quantum_ns,
        slice_ns: 1 << 40,
        tasks_max: scenario.machine.cpus + 1,
        checks: Checks::Heavy,
        tlb: TlbSize::Unbounded,
        run_ns_max: 200_000_000,
        ..SimConfig::default()
    }
}

const NOWHERE: Place = Place { line: 1, column: 1 };

impl World<'_> {
    /// The life of CPU 0's task: setup, the other CPUs' start, its own script, the end.
    fn first<'s>(&'s self, scope: &'s Scope<'s, '_>, ctx: TaskCtx<'s>, schedule: &Schedule) {
        let who = Actor { ctx, process: ProcessName(0) };
        self.become_thread(who, NOWHERE, ProcessName(0));
        ctx.enter_user(self);
        self.script(ctx, ProcessName(0), &self.scenario.setup);
        let others = self.scenario.cpus.len() - 1;
        let mut dice = schedule.seed;
        for cpu in 1..=others {
            dice = sim::synthetic::mix(dice + 1);
            let late = dice % 3000;
            if scope.spawn(CpuId(cpu as u32), move |ctx| self.other(ctx, cpu, late)).is_err() {
                self.misused(ctx, NOWHERE, "no room for a task".into());
            }
        }
        self.wait_until(ctx, "the other CPUs", || self.ready.get() == others);
        self.has_started.set(true);
        self.wake(ctx);
        ctx.spend(Cause::User, sim::synthetic::mix(dice + 1) % 3000);
        self.act(ctx, 0);
        self.wait_until(ctx, "the other CPUs to be done", || self.done.get() == others);
        self.script(ctx, ProcessName(0), &self.scenario.end);
    }

    /// The life of another CPU's task.
    fn other(&self, ctx: TaskCtx<'_>, cpu: usize, late: u64) {
        let process = self.scenario.cpus[cpu].process;
        let is_born = self.known(process).is_some();
        if is_born {
            self.become_thread(Actor { ctx, process }, NOWHERE, process);
            ctx.enter_user(self);
        }
        self.ready.set(self.ready.get() + 1);
        self.wake(ctx);
        self.wait_until(ctx, "the start", || self.has_started.get());
        ctx.spend(Cause::User, late);
        if !is_born {
            self.wait_for_birth(ctx, process);
            self.become_thread(Actor { ctx, process }, NOWHERE, process);
        }
        self.act(ctx, cpu);
        self.done.set(self.done.get() + 1);
        self.wake(ctx);
    }

    /// What a CPU's section says.
    fn act(&self, ctx: TaskCtx<'_>, cpu: usize) {
        let script = &self.scenario.cpus[cpu];
        self.script(ctx, script.process, &script.steps);
    }
}
