//! Threads of a program store while it forks: each of them finds what it stored.

mod common;

use common::*;
use fault::Faults;
use machine::{CpuId, VirtAddr};
use sim::{Kernel, Outcome, PageFault, SimConfig, SimMachine, TaskCtx, TlbSize};
use std::cell::Cell;

struct Manager<'a, 'm> {
    world: &'a World<'m>,
    space: frame::Id<space::Space>,
}

impl<'m> Manager<'_, 'm> {
    fn faults(&self) -> &Faults<'m, SimMachine> {
        &self.world.faults
    }
    fn cx(&self, task: TaskCtx<'_>) -> machine::Cx<'m, SimMachine> {
        machine::Cx::new(self.world.machine, self.world.core, task.cpu(), task.task())
    }
}

impl Kernel for Manager<'_, '_> {
    fn page_fault(&self, task: TaskCtx<'_>, fault: PageFault) -> Outcome {
        let mut cx = self.cx(task);
        self.faults().handle(cx.at(), self.space, fault.addr, fault.access).expect("allowed");
        Outcome::Resolved
    }
}

#[test]
fn stores_made_while_the_program_forks_stay() {
    for seed in 1..60 {
        let config = SimConfig {
            cpus: 3,
            memory_bytes: 64 << 20,
            tlb: TlbSize::Unbounded,
            tasks_max: 16,
            seed,
            ..SimConfig::default()
        };
        let machine = SimMachine::new(&config).expect("a machine");
        let mut world = World::new(&machine);
        let space = world.create();
        let range = world.anon(space, 0x1000, 64, RW);
        let manager = Manager { world: &world, space };
        let rounds = Cell::new(0u32);
        let over = Cell::new(false);
        let lost = machine.scope(|scope| {
            let lost = std::rc::Rc::new(Cell::new(None));
            for thread in 1..3u64 {
                let (manager, over, lost) = (&manager, &over, lost.clone());
                scope
                    .spawn(CpuId(thread as u32), move |task| {
                        let mut cx = manager.cx(task);
                        manager.faults().spaces().activate(cx.at(), space);
                        let mut value = 0;
                        while !over.get() && value < 100_000 {
                            value += 1;
                            for page in 0..64 {
                                let at = VirtAddr((range.start.0 + page) * 4096 + thread * 8);
                                if value > 1 && task.load(manager, at) != Ok(value - 1) {
                                    lost.set(Some((thread, page, value, task.load(manager, at))));
                                }
                                task.store(manager, at, value).expect("stored");
                            }
                        }
                        let mut cx = manager.cx(task);
                        manager.faults().spaces().deactivate(cx.at(), space);
                    })
                    .expect("a task");
            }
            let (manager, over, rounds) = (&manager, &over, &rounds);
            scope
                .spawn(CpuId(0), move |task| {
                    let mut cx = manager.cx(task);
                    for _ in 0..30 {
                        let child = manager.faults().spaces().fork(cx.at(), space).expect("a child");
                        manager.faults().spaces().release(cx.at(), child);
                        rounds.set(rounds.get() + 1);
                    }
                    over.set(true);
                })
                .expect("a task");
            scope.run().expect("a run");
            lost.get()
        });
        assert_eq!(lost, None, "seed {seed}: (thread, page, value, found) after {} forks", rounds.get());
        world.healthy();
    }
}
