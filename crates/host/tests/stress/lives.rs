//! Processes of two threads that begin and end at the same time, while a daemon goes through their memory.

use crate::common::{Clock, Dice, World, machine, seed, times};
use crate::random::{APART, BASE, daemon};
use crate::region::{Mix, Region};
use freehold::frame::Id;
use freehold::linux::{Errno, Exit, Process, SwapDevice, Waiting};
use freehold::machine::CpuId;
use host::{HostCpu, Program};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

/// Where both threads wait for each other; not for one that has panicked.
#[derive(Default)]
struct Meeting(AtomicU64);

impl Meeting {
    fn wait(&self) {
        let all = (self.0.fetch_add(1, SeqCst) / 2 + 1) * 2;
        let clock = Clock::millis(20_000);
        while self.0.load(SeqCst) < all {
            assert!(!clock.is_over(), "the other thread does not come");
            std::thread::yield_now();
        }
    }
}

/// What the two threads share.
struct Shared<'w, 'm> {
    world: &'w World<'m>,
    parent: Id<Process>,
    child: Mutex<Option<Id<Process>>>,
    both: Meeting,
    clock: Clock,
}

/// Some steps in the child, if it lives still; then the thread ends, and goes on with the parent.
fn life_of_child(shared: &Shared<'_, '_>, program: &mut Program<'_, '_>, mut region: Region, steps: u64) {
    let linux = program.linux();
    let child = shared.child.lock().expect("no panic").expect("a child");
    match program.switch_to(child) {
        Ok(()) => {
            region.check_all(program);
            (0..steps).for_each(|_| region.step(program, Mix::Calls));
            region.check_all(program);
            let task = program.cpu().task();
            linux.exit_task(program.cx(), task, Exit::Code(0));
        }
        // The other thread was the only one, and has ended.
        Err(errno) => assert_eq!(errno, Errno::ESRCH),
    }
    program.switch_to(shared.parent).expect("alive");
}

fn thread(shared: &Shared<'_, '_>, cpu: &HostCpu<'_>, seed: u64) -> u64 {
    let number = u64::from(cpu.id().0);
    let mut program = Program::new(cpu, &shared.world.manager, shared.parent).expect("a thread");
    let mut region = Region::new(BASE + number * APART, 700, seed ^ number << 32);
    let mut dice = Dice(seed ^ !number);
    let linux = program.linux();
    let mut rounds = 0;
    loop {
        // One of them decides for both.
        if number == 0 {
            let over = shared.clock.is_over();
            let child = (!over).then(|| linux.fork(program.cx(), shared.parent).expect("a child"));
            *shared.child.lock().expect("no panic") = child;
        }
        shared.both.wait();
        let Some(child) = *shared.child.lock().expect("no panic") else { return rounds };
        let steps = dice.below(30);
        life_of_child(shared, &mut program, region.clone(), steps);
        shared.both.wait();
        if number == 0 {
            let ended = linux.wait(program.cx(), shared.parent, Some(child), Waiting::Poll);
            ended.expect("a child that has ended");
        }
        (0..dice.below(30)).for_each(|_| region.step(&mut program, Mix::Calls));
        region.check_all(&mut program);
        shared.both.wait();
        rounds += 1;
    }
}

#[test]
fn processes_of_two_threads_come_and_go() {
    let seed = seed("processes_of_two_threads_come_and_go");
    let machine = machine(seed, 3, 32 << 20);
    let world = World::new(&machine);
    let device = SwapDevice::Compressed { disk: 0, pages: 16384 };
    world.linux().swapon(&mut world.cx(), device, None).expect("an area");
    let shared = Shared {
        world: &world,
        parent: world.process(),
        child: Mutex::new(None),
        both: Meeting::default(),
        clock: Clock::millis(2500 * times()),
    };
    let rounds: Vec<u64> = machine.run(|threads| {
        let shared = &shared;
        let mut all: Vec<_> =
            (0..2).map(|number| threads.spawn(CpuId(number), move |cpu| thread(shared, cpu, seed))).collect();
        all.push(threads.spawn(CpuId(2), move |cpu| {
            let mut cx = shared.world.manager.cx(cpu.id(), cpu.task());
            daemon(shared.world, &mut cx, &shared.clock);
            u64::MAX
        }));
        all.into_iter().map(|thread| thread.join().expect("no panic").expect("a CPU")).collect()
    });
    println!("{} children", rounds[0]);
    assert!(rounds[0] > 3);
    world.finish();
}
