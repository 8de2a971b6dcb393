//! The whole manager, built from a machine.

use crate::Config;
use fault::Faults;
use frame::Frames;
use linux::Linux;
use machine::{Boot, Core, CpuId, Cx, Machine, Shortage, TaskId};
use object::Objects;
use space::Spaces;
use table::Tables;

/// Freehold on one machine: every floor, stacked.
///
/// Any number of managers live in one process, each on a machine of its own: there is no global state.
pub struct Manager<'m, M: Machine> {
    machine: &'m M,
    core: Core<'m>,
    linux: Linux<'m, M>,
}

impl<'m, M: Machine> Manager<'m, M> {
    /// Takes the machine's memory over. CPU 0 does this, before any other runs.
    ///
    /// What is sized by the machine (CPUs, tasks) is laid out first, at the front of the first memory range;
    /// the rest becomes zones. A machine with too little memory for that is a `Shortage`.
    pub fn new(machine: &'m M, config: &Config) -> Result<Self, Shortage> {
        let boot = Boot::new(machine)?;
        let core = Core::new(&boot)?.with_walk(&boot, config.walk)?;
        let tables = Tables::new(&boot)?;
        let objects = object::Slabs::new(&boot)?.with_cow(config.cow);
        let spaces = space::Slabs::new(&boot)?.with_layout_lock(config.lock);
        let system = linux::Layout::new(&boot)?;
        let frames = Frames::new(machine, &boot, &config.frames)?;
        let mut cx = Cx::new(machine, core, CpuId(0), TaskId(0));
        let objects = Objects::new(cx.at(), objects, frames, tables)?;
        let faults = Faults::new(Spaces::new(spaces, objects));
        Ok(Manager { machine, core, linux: Linux::new(system, faults, config.linux) })
    }

    /// The machine.
    pub fn machine(&self) -> &'m M {
        self.machine
    }

    /// The context of a task that runs on a CPU and holds no lock: what every operation starts from.
    pub fn cx(&self, cpu: CpuId, task: TaskId) -> Cx<'m, M> {
        Cx::new(self.machine, self.core, cpu, task)
    }

    /// What all CPUs share: counters, wait queues, lockless readers.
    pub fn core(&self) -> Core<'m> {
        self.core
    }

    /// Processes, their calls and their faults.
    pub fn linux(&self) -> &Linux<'m, M> {
        &self.linux
    }

    /// Address spaces, and through them the floors below.
    pub fn spaces(&self) -> &Spaces<'m, M> {
        self.linux.spaces()
    }

    /// Frames.
    pub fn frames(&self) -> &Frames<'m, M> {
        self.linux.frames()
    }
}
