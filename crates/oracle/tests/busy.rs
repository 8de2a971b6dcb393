//! Threads of a program store and load while its mappings are worked on: each finds what it stored, and once
//! all is quiet no rule is broken.

mod common;

use common::*;
use frame::Id;
use machine::{CpuId, Cx, VirtAddr, Vpn, VpnRange};
use object::{File, FileKind};
use sim::{Cause, Kernel, Outcome, PageFault, SimConfig, SimMachine, TaskCtx, TlbSize};
use space::{Advice, Grow, LockMode, Space};
use std::cell::{Cell, RefCell};

const ANON: Vpn = Vpn(0x1000);
const SHARED: Vpn = Vpn(0x2000);
const PAGES: u64 = 48;
const THREADS: u64 = 3;

/// The program, as its threads and its main thread see it.
struct Program<'a, 'm> {
    world: &'a World<'m>,
    space: Id<Space>,
    file: Id<File>,
    over: Cell<bool>,
    lost: RefCell<Vec<String>>,
    stores: Cell<u64>,
}

impl<'m> Program<'_, 'm> {
    fn cx(&self, task: TaskCtx<'_>) -> Cx<'m, SimMachine> {
        Cx::new(self.world.machine, self.world.core, task.cpu(), task.task())
    }

    /// Stores ever greater numbers into its own word of every page, and expects to find them again.
    fn thread(&self, task: TaskCtx<'_>, word: u64) {
        let mut cx = self.cx(task);
        let spaces = self.world.faults.spaces();
        spaces.activate(cx.at(), self.space);
        let mut value = 0;
        while !self.over.get() {
            value += 1;
            for page in (0..PAGES).map(|n| ANON + n).chain((0..PAGES).map(|n| SHARED + n)) {
                let at = VirtAddr(page.addr().0 + word * 8);
                let found = task.load(self, at);
                if value > 1 && found != Ok(value - 1) {
                    self.lost
                        .borrow_mut()
                        .push(format!("word {word} of {page:?}: {found:?}, not {}", value - 1));
                }
                task.store(self, at, value).expect("a store that is allowed");
                self.stores.set(self.stores.get() + 1);
            }
        }
        spaces.deactivate(cx.at(), self.space);
    }

    /// Works on the mappings in ways that keep every byte.
    fn rearrange(&self, task: TaskCtx<'_>, random: &mut u64) {
        let mut cx = self.cx(task);
        let (spaces, objects, space) = (self.world.faults.spaces(), self.world.objects(), self.space);
        let mut below = |n: u64| {
            *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (*random >> 33) % n
        };
        let first = below(PAGES);
        let pages = 1 + below(PAGES - first);
        let base = if below(2) == 0 { ANON } else { SHARED };
        let range = VpnRange::sized(base + first, pages);
        let shared = VpnRange::sized(SHARED + first, pages);
        let advice = if below(2) == 0 { Advice::Sequential } else { Advice::Normal };
        let perms = if below(2) == 0 { RWX } else { RW };
        let done = match below(8) {
            0 => spaces.advise(cx.at(), space, range, advice),
            1 => spaces.protect(cx.at(), space, range, perms, Grow::No),
            2 => spaces.lock(cx.at(), space, range, LockMode::OnFault),
            3 => spaces.unlock(cx.at(), space, range),
            4 => spaces.unlock(cx.at(), space, shared).and_then(|()| {
                // Pages of a file are found again.
                spaces.advise(cx.at(), space, shared, Advice::DontNeed)
            }),
            5 => {
                objects.writeback(cx.at(), self.file, first..first + pages).expect("written");
                Ok(())
            }
            6 => {
                objects.drop_clean(cx.at(), PAGES);
                Ok(())
            }
            _ => spaces.sync(cx.at(), space, shared, space::Sync::Wait, space::Invalidate::No),
        };
        done.expect("an operation that is allowed");
    }
}

impl Kernel for Program<'_, '_> {
    fn page_fault(&self, task: TaskCtx<'_>, fault: PageFault) -> Outcome {
        let mut cx = self.cx(task);
        let handled = self.world.faults.handle(cx.at(), self.space, fault.addr, fault.access);
        handled.expect("an access that is allowed");
        Outcome::Resolved
    }
}

fn run(seed: u64) {
    let config = SimConfig {
        cpus: 1 + THREADS as u32,
        memory_bytes: 64 << 20,
        tlb: TlbSize::Unbounded,
        tasks_max: 16,
        seed,
        ..SimConfig::default()
    };
    let machine = SimMachine::new(&config).expect("a machine");
    let mut world = World::new(&machine);
    let space = world.create();
    let file = world.open(1, FileKind::Regular, PAGES);
    world.anon(space, ANON.0, PAGES, RW);
    world.map_at(space, SHARED.0, PAGES, RW, More::shared(file, 0));
    {
        let lost = RefCell::default();
        let program =
            Program { world: &world, space, file, over: Cell::new(false), lost, stores: Cell::new(0) };
        machine.scope(|scope| {
            let program = &program;
            for word in 0..THREADS {
                let body = move |task: TaskCtx<'_>| program.thread(task, word);
                scope.spawn(CpuId(1 + word as u32), body).expect("a task");
            }
            let mut random = seed;
            let main = move |task: TaskCtx<'_>| {
                for _ in 0..150 {
                    program.rearrange(task, &mut random);
                    task.spend(Cause::User, 20_000);
                }
                program.over.set(true);
            };
            scope.spawn(CpuId(0), main).expect("a task");
            scope.run().expect("a run to the end");
        });
        assert!(program.stores.get() > 500, "the threads were busy: {}", program.stores.get());
        let lost = program.lost.borrow();
        assert!(lost.is_empty(), "seed {seed}: {}", lost.join("\n"));
    }
    assert_eq!(machine.violations(), [], "seed {seed}");
    let report = world.healthy();
    assert!(report.cached <= PAGES);
    world.release(space);
    world.close(file);
    assert_eq!(world.healthy().spaces, 0);
}

#[test]
fn what_threads_store_stays_while_their_mappings_are_rearranged() {
    for seed in 1..=4 {
        run(seed);
    }
}
