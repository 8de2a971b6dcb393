//! One run of a scenario: a small machine is built, set up, run under one schedule, audited and taken down.

mod access;
mod call;
mod cost;
mod ears;
mod end;
mod entry;
mod fixed;
mod holds;
mod judge;
mod ksm;
mod large;
mod life;
mod log;
mod moving;
mod outcome;
mod pins;
mod shared;
mod step;
mod swap;
mod value;
mod world;

use std::cell::RefCell;
use std::time::Instant;

use freehold::machine::{CpuId, TaskId};
use oracle::Tally;
use sim::explore::{Plan, Run};
use sim::{Checks, Scope, SimConfig, SimError, SimMachine, TlbSize};

use crate::policy::Policy;

use super::script::{Place, ProcessName, Scenario, Step};
use world::{Actor, World};

pub use cost::{Cost, Part};
pub use log::{Entry, Log, What};
pub use outcome::{Failure, Kind, Spot};

/// What became of a schedule.
#[derive(Debug)]
pub struct Ran {
    /// What was decided: the schedule.
    pub run: Run,
    /// What went wrong, if anything did.
    pub failure: Option<Failure>,
}

/// Runs one scenario; what a run needs for itself is used again by the next.
pub struct Runner<'s> {
    scenario: &'s Scenario,
    config: SimConfig,
    shared: Vec<bool>,
    ledger: Vec<Tally>,
    prepare: Option<&'s dyn Fn(&SimMachine)>,
    policy: Policy,
    cost: Cost,
}

impl<'s> Runner<'s> {
    /// Of this scenario.
    pub fn new(scenario: &'s Scenario) -> Runner<'s> {
        Runner {
            scenario,
            config: config(scenario),
            shared: shared::shared_variables(scenario),
            ledger: Vec::new(),
            prepare: None,
            policy: Policy::default(),
            cost: Cost::default(),
        }
    }

    /// What its runs cost the host so far.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Does something to every machine before the scenario runs on it: tests plant bugs.
    #[must_use]
    pub fn preparing(self, prepare: &'s dyn Fn(&SimMachine)) -> Runner<'s> {
        Runner { prepare: Some(prepare), ..self }
    }

    /// Lets the manager do what can be done in several ways as chosen.
    #[must_use]
    pub fn choosing(self, policy: Policy) -> Runner<'s> {
        Runner { policy, ..self }
    }

    /// Runs the scenario under a schedule. What happens is told to `log`, if there is one.
    pub fn run(&mut self, plan: Plan, log: Option<&RefCell<Log>>) -> Ran {
        let started = Instant::now();
        let sim = match SimMachine::new(&self.config) {
            Ok(sim) => sim,
            Err(error) => return Ran { run: Run::default(), failure: Some(broken(&error)) },
        };
        if let Some(prepare) = self.prepare {
            prepare(&sim);
        }
        let mut run = Run::default();
        let failure = self.on(&sim, (plan, &mut run), started, log).err();
        Ran { run, failure }
    }

    fn on(
        &mut self,
        sim: &SimMachine,
        (plan, run): (Plan, &mut Run),
        mut since: Instant,
        log: Option<&RefCell<Log>>,
    ) -> Result<(), Failure> {
        let scenario = self.scenario;
        let world = World::new((scenario, &self.shared), sim, &self.policy, log)?;
        if log.is_some() {
            world.ears.listen(sim);
        }
        let cost = &mut self.cost;
        cost.book(Part::Build, &mut since);
        let ended = sim.scope(|scope| {
            world.alone(scope, &scenario.setup)?;
            cost.book(Part::Alone, &mut since);
            sim.explore(plan)?;
            let ended = world.together(scope);
            *run = sim.explored();
            cost.book(Part::Together, &mut since);
            ended?;
            world.give_memory_back();
            world.alone(scope, &scenario.end)?;
            cost.book(Part::Alone, &mut since);
            Ok(())
        });
        world.write_down();
        if let Some(failure) = world.failure.take() {
            return Err(failure);
        }
        if let Some(failure) = world.violation() {
            return Err(failure);
        }
        ended.map_err(|error: SimError| broken(&error))?;
        world.audit(&mut self.ledger, "at the end")?;
        self.cost.book(Part::Audit, &mut since);
        world.take_down(&mut self.ledger)?;
        self.cost.book(Part::TakeDown, &mut since);
        Ok(())
    }
}

/// What the machine gave up for.
fn broken(error: &SimError) -> Failure {
    let kind = match error {
        SimError::Deadlock { .. } => Kind::Deadlock,
        SimError::TooLong { .. } | SimError::Livelock { .. } => Kind::Livelock,
        SimError::Panicked { .. } => Kind::Panic,
        _ => Kind::Misuse,
    };
    Failure::new(kind, error.to_string())
}

/// A machine on which nothing stale is hidden and everything is checked.
fn config(scenario: &Scenario) -> SimConfig {
    SimConfig {
        cpus: scenario.machine.cpus,
        nodes: scenario.machine.nodes,
        memory_bytes: scenario.machine.memory_bytes,
        slice_ns: 1 << 40,
        // One for each CPU, and one for each that is interrupted.
        tasks_max: scenario.machine.cpus * 2 + 1,
        checks: Checks::Heavy,
        tlb: TlbSize::Unbounded,
        run_ns_max: 200_000_000,
        ..SimConfig::default()
    }
}

/// The head of the file: where a failure is that no step is to blame for.
const NOWHERE: Place = Place { line: 1, column: 1 };

impl World<'_> {
    /// CPU 0 does these steps as the first process, and nobody else does anything.
    fn alone<'s>(&'s self, scope: &'s Scope<'s, '_>, steps: &'s [Step]) -> Result<(), SimError> {
        if steps.is_empty() {
            return Ok(());
        }
        let process = ProcessName(0);
        let task = scope.spawn(CpuId(0), move |ctx| {
            if self.known(process).is_none_or(|live| !live.is_alive) {
                self.misused(ctx, steps[0].at, format!("{} has exited", self.name_of(process)));
            }
            ctx.enter_user(self);
            self.script(ctx, process, steps);
        })?;
        self.prepare(task, 0, process);
        scope.run()?;
        self.retire(task);
        Ok(())
    }

    /// All CPUs do what their sections say.
    fn together<'s>(&'s self, scope: &'s Scope<'s, '_>) -> Result<(), SimError> {
        let mut tasks = Vec::with_capacity(self.scenario.cpus.len());
        for (cpu, script) in self.scenario.cpus.iter().enumerate() {
            let is_born = self.known(script.process).is_some();
            let task = scope.spawn(CpuId(cpu as u32), move |ctx| {
                if !is_born {
                    self.wait_for_birth(ctx, script.process);
                    self.become_thread(Actor { ctx, process: script.process }, NOWHERE, script.process);
                }
                ctx.enter_user(self);
                self.script(ctx, script.process, &script.steps);
            })?;
            if is_born {
                self.prepare(task, cpu as u32, script.process);
            }
            tasks.push(task);
            if !script.interrupt.is_empty() {
                scope.interrupt(CpuId(cpu as u32), move |ctx| {
                    self.interrupt(ctx, script.process, &script.interrupt);
                })?;
            }
        }
        scope.run()?;
        tasks.into_iter().for_each(|task| self.retire(task));
        Ok(())
    }

    /// The task, which does not run yet, is a thread of a process, and its CPU translates through that one's
    /// space.
    fn prepare(&self, task: TaskId, cpu: u32, process: ProcessName) {
        let Some(live) = self.known(process).filter(|live| live.is_alive) else { return };
        let mut cx = self.manager.cx(CpuId(cpu), task);
        let attached = self.manager.linux().attach(&mut cx, live.id, task);
        debug_assert!(attached.is_ok(), "the process is alive and the task is new");
        self.manager.linux().enter(&mut cx, live.id);
    }

    /// The task is over.
    fn retire(&self, task: TaskId) {
        self.manager.linux().detach(&mut self.manager.cx(CpuId(0), TaskId(0)), task);
    }
}
