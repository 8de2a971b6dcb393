//! Makes a run's decisions as they come up, and notes them.

use super::agent::{Agent, Agents, CPUS_EXPLORED, Shape};
use super::happens::{Happens, Thing, Touch};
use super::plan::{Decision, Plan, Races, Run, Then};
use super::seed::Ordered;

/// A run in progress.
pub(crate) struct Driver {
    plan: Plan,
    made: Vec<Decision>,
    happens: Option<Happens>,
    /// The agent whose step is running, and the decision that led to it.
    running: (Agent, u32),
    /// The CPU that ran last, and the decision that let it.
    last: (u32, u32),
    steps: u64,
    misfits: u32,
    /// How many choices of a seed were made or passed over.
    followed: usize,
}

impl Driver {
    pub(crate) fn new(plan: Plan, shape: Shape) -> Driver {
        let happens = (plan.races == Races::Sought).then(|| Happens::new(shape));
        Driver {
            plan,
            made: Vec::new(),
            happens,
            running: (Agent::Cpu(0), u32::MAX),
            last: (0, u32::MAX),
            steps: 0,
            misfits: 0,
            followed: 0,
        }
    }

    pub(crate) fn is_buffered(&self) -> bool {
        self.plan.ordered == Ordered::Buffered
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// Counts a step; answers whether the run has had more than it may have.
    pub(crate) fn is_too_long(&mut self) -> bool {
        self.steps += 1;
        self.steps > self.plan.steps_max
    }

    pub(crate) fn into_run(self) -> Run {
        Run {
            ordered: self.plan.ordered,
            decisions: self.made,
            races: self.happens.map(Happens::into_races).unwrap_or_default(),
            misfits: self.misfits,
            steps: self.steps,
        }
    }

    // ---- decisions ----

    /// Who goes on, of those who can. There is somebody.
    pub(crate) fn decide(&mut self, enabled: Agents) -> Agent {
        let default = self.default(enabled);
        if enabled.len() < 2 {
            self.go_on(default, u32::MAX);
            return default;
        }
        let number = self.made.len() as u32;
        let chosen = self.choose(number, enabled, default);
        self.go_on(chosen, number);
        let (last, block) = self.last;
        self.made.push(Decision { enabled, chosen, default, last, block });
        if let Agent::Cpu(cpu) = chosen
            && cpu != last
        {
            self.last = (cpu, number);
        }
        chosen
    }

    /// Interrupts are taken at once, a CPU goes on as long as it can, CPUs follow each other in a circle (or
    /// two that spin could wake each other for ever), stores stay in their buffers, and devices take their
    /// time.
    fn default(&self, enabled: Agents) -> Agent {
        let interrupt = enabled.iter().find(|agent| matches!(agent, Agent::Interrupt(_)));
        let last = self.last.0;
        let mut cpus = (last..CPUS_EXPLORED).chain(0..last).map(Agent::Cpu);
        let cpu = || cpus.find(|&agent| enabled.has(agent));
        let any = || enabled.iter().next();
        interrupt.or_else(cpu).or_else(any).unwrap_or(Agent::Cpu(0))
    }

    fn choose(&mut self, number: u32, enabled: Agents, default: Agent) -> Agent {
        if let Some(&agent) = self.plan.prefix.get(number as usize) {
            return self.fitting(enabled, agent, default);
        }
        match &mut self.plan.then {
            Then::Default => default,
            Then::Random(dice) => dice.choose(enabled, default),
            Then::Pct(priorities) => priorities.choose(enabled, default),
            Then::Follow(seed) => match seed.choices.get(self.followed) {
                Some(&(at, agent)) if at == number => {
                    self.followed += 1;
                    self.fitting(enabled, agent, default)
                }
                _ => default,
            },
        }
    }

    fn fitting(&mut self, enabled: Agents, agent: Agent, default: Agent) -> Agent {
        if enabled.has(agent) {
            return agent;
        }
        self.misfits += 1;
        default
    }

    fn go_on(&mut self, agent: Agent, decision: u32) {
        let forced = decision == u32::MAX;
        if !forced || agent != self.running.0 {
            self.running = (agent, decision);
            if let Some(happens) = &mut self.happens {
                happens.end_step();
            }
        }
        if let Agent::Cpu(cpu) = agent
            && forced
            && cpu != self.last.0
        {
            self.last = (cpu, u32::MAX);
        }
    }

    // ---- what steps touch ----

    pub(crate) fn touch(&mut self, thing: Thing, touch: Touch) {
        let (agent, decision) = self.running;
        if let Some(happens) = &mut self.happens {
            let event = happens.step(agent, decision);
            happens.touch((agent, event), thing, touch);
        }
    }

    /// From now on steps are this agent's; answers whose they were.
    pub(crate) fn run_as(&mut self, agent: Agent) -> Agent {
        std::mem::replace(&mut self.running.0, agent)
    }

    /// The running step's number, for [`Driver::order`].
    pub(crate) fn event(&mut self) -> u32 {
        let (agent, decision) = self.running;
        self.happens.as_mut().map_or(0, |happens| happens.step(agent, decision))
    }

    /// The same for the agent that is running.
    pub(crate) fn order_running(&mut self, cause: u32) {
        self.order(cause, self.running.0);
    }

    /// What `agent` does from now on comes after `cause` and could not have come before it.
    pub(crate) fn order(&mut self, cause: u32, agent: Agent) {
        if let Some(happens) = &mut self.happens {
            happens.order(cause, agent);
        }
    }
}
